package seccomp

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
)

// syscall is one line of the generated tables, which are sorted by number.
type syscall struct {
	name string
	nr   uint32
}

// Architectures as seccomp_data.arch has them (linux/audit.h).
const (
	auditAMD64 = 0xC000003E
	auditARM64 = 0xC00000B7
)

// machine is an architecture: its token and its calls.
type machine struct {
	audit uint32
	calls []syscall
}

func machineOf(arch string) (machine, error) {
	switch arch {
	case "amd64":
		return machine{auditAMD64, syscallsAMD64[:]}, nil
	case "arm64":
		return machine{auditARM64, syscallsARM64[:]}, nil
	}
	return machine{}, fmt.Errorf("seccomp: no system call table for architecture %q", arch)
}

// Name returns the name of a system call, such as "io_uring_setup", and
// "syscall_451" for a number or an architecture which the tables do not know.
func Name(arch string, nr int) string {
	m, err := machineOf(arch)
	if err != nil {
		return unknown(nr)
	}
	i, ok := slices.BinarySearchFunc(m.calls, nr, func(s syscall, nr int) int {
		return cmp.Compare(int(s.nr), nr)
	})
	if !ok {
		return unknown(nr)
	}
	return m.calls[i].name
}

func unknown(nr int) string { return "syscall_" + strconv.Itoa(nr) }

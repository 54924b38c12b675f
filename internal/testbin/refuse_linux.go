package testbin

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Refusal names a machine that refuses what namespaces take.
type Refusal string

const (
	// RefuseUserNS: CLONE_NEWUSER is answered with EPERM.
	RefuseUserNS Refusal = "userns"

	// RefusePower: user namespaces are made, and give no power: mount(2) is
	// answered with EACCES, as AppArmor does on Ubuntu.
	RefusePower Refusal = "power"

	// RefuseContainer: as in a container of Docker, for its root: the
	// capabilities that it leaves, no namespaces, no mounts.
	RefuseContainer Refusal = "container"
)

const envRefuse = "KAVACH_TEST_REFUSE"

// Refusing returns a command that runs a program as on such a machine. It is for
// tests whose TestMain is Main.
func Refusing(t testing.TB, r Refusal, program string, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, append([]string{program}, args...)...)
	cmd.Env = append(os.Environ(), envRefuse+"="+string(r))
	return cmd
}

// refuse becomes what Refusing asked for. It returns where nothing was asked.
func refuse() {
	r := os.Getenv(envRefuse)
	if r == "" {
		return
	}
	os.Unsetenv(envRefuse)
	runtime.LockOSThread() // execve takes what this thread has
	err := Refusal(r).confine()
	if err == nil {
		err = syscall.Exec(os.Args[1], os.Args[1:], os.Environ())
	}
	fmt.Fprintln(os.Stderr, "refuse", r, err)
	os.Exit(1)
}

// dockerCaps are the capabilities that Docker leaves to a container's root.
const dockerCaps = 1<<unix.CAP_CHOWN | 1<<unix.CAP_DAC_OVERRIDE | 1<<unix.CAP_FOWNER | 1<<unix.CAP_FSETID | 1<<unix.CAP_KILL |
	1<<unix.CAP_SETGID | 1<<unix.CAP_SETUID | 1<<unix.CAP_SETPCAP | 1<<unix.CAP_NET_BIND_SERVICE | 1<<unix.CAP_NET_RAW |
	1<<unix.CAP_SYS_CHROOT | 1<<unix.CAP_MKNOD | 1<<unix.CAP_AUDIT_WRITE | 1<<unix.CAP_SETFCAP

// confine confines the calling thread.
func (r Refusal) confine() error {
	if r == RefuseContainer {
		for c := uintptr(0); c <= unix.CAP_LAST_CAP; c++ {
			if dockerCaps&(1<<c) == 0 {
				if err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0); err != nil && err != unix.EINVAL {
					return fmt.Errorf("drop capability %d: %w", c, err)
				}
			}
		}
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	prog := r.filter()
	fprog := &unix.SockFprog{Len: uint16(len(prog)), Filter: &prog[0]}
	_, _, err := syscall.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, uintptr(unsafe.Pointer(fprog)))
	if err != 0 {
		return err
	}
	return nil
}

// filter answers like such a machine. Instructions are those of linux/bpf_common.h.
func (r Refusal) filter() []unix.SockFilter {
	const load, and, equal, ret, number, arg0 = 0x20, 0x54, 0x15, 0x06, 0, 16
	const errno, allow = 0x00050000, 0x7fff0000
	namespaces, mounts := uint32(unix.CLONE_NEWUSER), uint32(0)
	switch r {
	case RefusePower:
		namespaces, mounts = 0, uint32(unix.EACCES)
	case RefuseContainer:
		namespaces |= unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWPID | unix.CLONE_NEWNET
		mounts = uint32(unix.EPERM)
	}
	prog := []unix.SockFilter{{Code: load, K: number}}
	answer := func(call int, k uint32) {
		prog = append(prog, unix.SockFilter{Code: equal, K: uint32(call), Jf: 1}, unix.SockFilter{Code: ret, K: k})
	}
	answer(unix.SYS_CLONE3, errno|uint32(unix.ENOSYS))
	if mounts != 0 {
		for _, call := range []int{unix.SYS_MOUNT, unix.SYS_FSOPEN, unix.SYS_OPEN_TREE, unix.SYS_MOVE_MOUNT, unix.SYS_MOUNT_SETATTR} {
			answer(call, errno|mounts)
		}
	}
	return append(prog,
		unix.SockFilter{Code: equal, K: unix.SYS_CLONE, Jt: 1},
		unix.SockFilter{Code: equal, K: unix.SYS_UNSHARE, Jf: 3},
		unix.SockFilter{Code: load, K: arg0},
		unix.SockFilter{Code: and, K: namespaces},
		unix.SockFilter{Code: equal, K: 0, Jf: 1},
		unix.SockFilter{Code: ret, K: allow},
		unix.SockFilter{Code: ret, K: errno | uint32(unix.EPERM)},
	)
}

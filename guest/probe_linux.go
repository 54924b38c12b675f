package guest

import (
	"encoding/binary"
	"fmt"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/kavach-dev/kavach/internal/wire"
)

// CanaryPath is a file that every sandbox has, that everybody may read, and
// that no Landlock rule grants: a confined process cannot open it.
const CanaryPath = "/.landlock-canary"

// Attempt is something forbidden that the probe tries.
type Attempt int

// The attempts, in the order of a Report. What the calls are given makes the
// kernel answer something else than EPERM or ENOSYS to anybody, and changes
// nothing: who gets one of those was refused by a filter.
const (
	TryCanary      Attempt = iota // open CanaryPath
	TryControl                    // the same, by the guest, which has no Landlock domain
	TryWrite                      // create a file in the root directory
	TryRoute                      // connect a UDP socket to 192.0.2.1 (RFC 5737); nothing is sent
	TryTCP                        // connect to port 1 of 127.0.0.1
	TryVsock                      // a socket to the machine's hypervisor, which no namespace keeps (vsock(7))
	TryHostFile                   // stat a file that is there on the host
	TryIOUring                    // io_uring_setup(1, NULL): EFAULT
	TryBPF                        // bpf with an attribute of a megabyte: E2BIG
	TryPerf                       // perf_event_open with flags that there are not: EINVAL
	TryUserfaultfd                // userfaultfd with flags that there are not: EINVAL
	TrySetns                      // setns(-1): EBADF
	TryMap                        // map as much memory as RLIMIT_AS says, where something is mapped: ENOMEM
	TryFork                       // fork where RLIMIT_NPROC says that this process is one too many: EAGAIN
	attempts
)

// RefusedCalls are the attempts that are a system call of which the kernel is
// better left unasked, whatever a program is for.
func RefusedCalls() map[string]Attempt {
	return map[string]Attempt{
		"io_uring_setup": TryIOUring, "bpf": TryBPF, "perf_event_open": TryPerf,
		"userfaultfd": TryUserfaultfd, "setns": TrySetns,
	}
}

// Killed is in a Report in the place of an errno: the filter ended the process
// that tried.
const Killed syscall.Errno = 1 << 16

// Report is what the kernel answered to each attempt; 0: it was let through.
type Report [attempts]syscall.Errno

// ReportSize is the length of an encoded Report.
const ReportSize = 4 * int(attempts)

// DecodeReport reads what a probe wrote.
func DecodeReport(b []byte) (r Report, err error) {
	if len(b) != ReportSize {
		return r, fmt.Errorf("%w: a report of %d bytes", wire.ErrFrame, len(b))
	}
	for i := range r {
		r[i] = syscall.Errno(binary.NativeEndian.Uint32(b[4*i:]))
	}
	return r, nil
}

// probeSpec is what a probe needs, in memory that does not move.
type probeSpec struct {
	forks                  bool // each attempt is made by a child
	limits                 bool // TryMap and TryFork are made
	canary, root, hostFile *byte
	route, local           unix.RawSockaddrInet4
	report                 [attempts]uint32
}

func newProbeSpec(hostFile string, bare *Bare, s *Setup) (*probeSpec, error) {
	p := &probeSpec{forks: s.ProbeForks, limits: s.ProbeLimits}
	var err error
	canary, write := CanaryPath, "/.write-canary"
	if bare != nil {
		canary, write = bare.Canary, bare.Write
	}
	if p.canary, err = unix.BytePtrFromString(canary); err != nil {
		return nil, err
	}
	if p.root, err = unix.BytePtrFromString(write); err != nil {
		return nil, err
	}
	if p.hostFile, err = unix.BytePtrFromString(hostFile); err != nil {
		return nil, err
	}
	p.route = unix.RawSockaddrInet4{Family: unix.AF_INET, Port: 9 << 8, Addr: [4]byte{192, 0, 2, 1}}
	p.local = unix.RawSockaddrInet4{Family: unix.AF_INET, Port: 1 << 8, Addr: [4]byte{127, 0, 0, 1}}
	fd, err := unix.Open(canary, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err == nil {
		unix.Close(fd)
	} else {
		p.report[TryControl] = errnoOf(err)
	}
	return p, nil
}

// runProbe tries what a command shall not be able to do, writes what came of it
// to stdout, and waits until the host has looked at it and closes stdin. It runs
// where an execve would be, under the same rules as runChild, and in the guest's
// memory, which can be looked at for as long.
//
//go:norace
//go:nosplit
func runProbe(c *childSpec) {
	p := c.probe

	// An executed command can be looked at by its owner; so that the host may
	// look at the probe as at a command, this says what execve would.
	syscall.RawSyscall6(unix.SYS_PRCTL, unix.PR_SET_DUMPABLE, 1, 0, 0, 0, 0)

	for a := Attempt(0); a < attempts; a++ {
		switch {
		case a == TryControl: // the guest has done it
		case (a == TryMap || a == TryFork) && !p.limits:
		case p.forks:
			p.report[a] = tryInChild(p, a)
		default:
			p.report[a] = try(p, a)
		}
	}
	syscall.RawSyscall(unix.SYS_WRITE, 1, uintptr(unsafe.Pointer(&p.report)), uintptr(ReportSize))
	var b byte
	for {
		n, _, err := syscall.RawSyscall(unix.SYS_READ, 0, uintptr(unsafe.Pointer(&b)), 1)
		if err != unix.EINTR && (err != 0 || n == 0) {
			break
		}
	}
	for {
		syscall.RawSyscall(unix.SYS_EXIT_GROUP, 0, 0, 0)
	}
}

// tryInChild is try by a process that may be killed for it. An errno fits into
// an exit code: the highest is 133 (asm-generic/errno.h).
//
//go:norace
//go:nosplit
func tryInChild(p *probeSpec, a Attempt) uint32 {
	pid, _, err := syscall.RawSyscall6(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	if err != 0 {
		return uint32(err)
	}
	if pid == 0 {
		code := try(p, a)
		for {
			syscall.RawSyscall(unix.SYS_EXIT_GROUP, uintptr(code), 0, 0)
		}
	}
	var status uint32
	for {
		_, _, err = syscall.RawSyscall6(unix.SYS_WAIT4, pid, uintptr(unsafe.Pointer(&status)), unix.WALL, 0, 0, 0)
		if err != unix.EINTR {
			break
		}
	}
	const signalMask, codeShift = 0x7f, 8 // wait(2)
	if status&signalMask != 0 {
		return uint32(Killed)
	}
	return status >> codeShift
}

// try makes one attempt, and undoes it where it got through.
//
//go:norace
//go:nosplit
func try(p *probeSpec, a Attempt) uint32 {
	const here = ^uintptr(99) // AT_FDCWD
	var fd uintptr
	var err syscall.Errno
	switch a {
	case TryCanary:
		fd, _, err = syscall.RawSyscall6(unix.SYS_OPENAT, here, uintptr(unsafe.Pointer(p.canary)), unix.O_RDONLY, 0, 0, 0)
		if err == 0 {
			syscall.RawSyscall(unix.SYS_CLOSE, fd, 0, 0)
		}
	case TryWrite:
		fd, _, err = syscall.RawSyscall6(unix.SYS_OPENAT, here, uintptr(unsafe.Pointer(p.root)),
			unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL, 0o600, 0, 0)
		if err == 0 {
			syscall.RawSyscall(unix.SYS_CLOSE, fd, 0, 0)
			syscall.RawSyscall(unix.SYS_UNLINKAT, here, uintptr(unsafe.Pointer(p.root)), 0)
		}
	case TryRoute:
		return tryConnect(unix.SOCK_DGRAM, &p.route)
	case TryTCP:
		return tryConnect(unix.SOCK_STREAM, &p.local)
	case TryVsock:
		fd, _, err = syscall.RawSyscall(unix.SYS_SOCKET, unix.AF_VSOCK, unix.SOCK_STREAM, 0)
		if err == 0 {
			syscall.RawSyscall(unix.SYS_CLOSE, fd, 0, 0)
		}
	case TryHostFile:
		_, _, err = syscall.RawSyscall6(unix.SYS_FACCESSAT, here, uintptr(unsafe.Pointer(p.hostFile)), 0, 0, 0, 0)
	case TryIOUring:
		_, _, err = syscall.RawSyscall(unix.SYS_IO_URING_SETUP, 1, 0, 0)
	case TryBPF:
		_, _, err = syscall.RawSyscall(unix.SYS_BPF, 0, 0, 1<<20)
	case TryPerf:
		_, _, err = syscall.RawSyscall6(unix.SYS_PERF_EVENT_OPEN, 0, 0, ^uintptr(0), ^uintptr(0), 0xffff_ffff, 0)
	case TryUserfaultfd:
		_, _, err = syscall.RawSyscall(unix.SYS_USERFAULTFD, 0xffff_ffff, 0, 0)
	case TrySetns:
		_, _, err = syscall.RawSyscall(unix.SYS_SETNS, ^uintptr(0), 0, 0)
	case TryMap:
		return tryMap()
	case TryFork:
		return tryFork()
	}
	return uint32(err)
}

//go:norace
//go:nosplit
func tryMap() uint32 {
	var limit [2]uint64 // struct rlimit64: soft, hard
	_, _, err := syscall.RawSyscall6(unix.SYS_PRLIMIT64, 0, unix.RLIMIT_AS, 0, uintptr(unsafe.Pointer(&limit)), 0, 0)
	if err != 0 {
		return uint32(err)
	}
	const most = 1 << 46 // what there are addresses for: more fails of itself
	if limit[0] > most {
		return 0
	}
	size := uintptr(limit[0])
	at, _, err := syscall.RawSyscall6(unix.SYS_MMAP, 0, size, unix.PROT_READ|unix.PROT_WRITE,
		unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE, ^uintptr(0), 0)
	if err == 0 {
		syscall.RawSyscall6(unix.SYS_MUNMAP, at, size, 0, 0, 0, 0)
	}
	return uint32(err)
}

//go:norace
//go:nosplit
func tryFork() uint32 {
	var was [2]uint64
	_, _, err := syscall.RawSyscall6(unix.SYS_PRLIMIT64, 0, unix.RLIMIT_NPROC, 0, uintptr(unsafe.Pointer(&was)), 0, 0)
	if err != 0 || was[1] == ^uint64(0) {
		return uint32(err)
	}
	few := [2]uint64{1, was[1]}
	_, _, err = syscall.RawSyscall6(unix.SYS_PRLIMIT64, 0, unix.RLIMIT_NPROC, uintptr(unsafe.Pointer(&few)), 0, 0, 0)
	if err != 0 {
		return 0 // it does not fail of the limit
	}
	pid, _, err := syscall.RawSyscall6(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	if err == 0 && pid == 0 {
		for {
			syscall.RawSyscall6(unix.SYS_EXIT_GROUP, 0, 0, 0, 0, 0, 0) // a shorter stack than RawSyscall's, of which little is left when it is instrumented
		}
	}
	if err == 0 {
		syscall.RawSyscall6(unix.SYS_WAIT4, pid, 0, unix.WALL, 0, 0, 0)
	}
	syscall.RawSyscall6(unix.SYS_PRLIMIT64, 0, unix.RLIMIT_NPROC, uintptr(unsafe.Pointer(&was)), 0, 0, 0)
	return uint32(err)
}

//go:norace
//go:nosplit
func tryConnect(kind uintptr, to *unix.RawSockaddrInet4) uint32 {
	fd, _, err := syscall.RawSyscall(unix.SYS_SOCKET, unix.AF_INET, kind, 0)
	if err != 0 {
		return uint32(err)
	}
	_, _, err = syscall.RawSyscall(unix.SYS_CONNECT, fd, uintptr(unsafe.Pointer(to)), unix.SizeofSockaddrInet4)
	syscall.RawSyscall(unix.SYS_CLOSE, fd, 0, 0)
	return uint32(err)
}

package guest

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/kavach-dev/kavach/internal/vfork"
)

// step numbers what the child does, so that a failure says where it was.
type step uint32

const (
	stepSetsid step = iota + 1
	stepStdio
	stepTerminal
	stepCloseFDs
	stepRlimit
	stepChdir
	stepExec
)

var stepNames = map[step]string{
	stepSetsid: "setsid", stepStdio: "stdio", stepTerminal: "terminal", stepCloseFDs: "close descriptors",
	stepRlimit: "rlimit", stepChdir: "chdir", stepExec: "exec",
}

// childSpec is all that a child needs, in memory that does not move.
type childSpec struct {
	files    []int // its descriptors from 0 on; none is below len(files); -1: it has no such
	closeFDs bool

	// endWithGuest: the kernel kills the child when the launcher ends, which it
	// does with the guest. Where there is a PID namespace, it does more.
	endWithGuest bool

	terminal *terminal // the stdio is, and is to be the controlling one; nil: none

	rlimits []Rlimit
	values  []unix.Rlimit
	dir     *byte
	how     unix.OpenHow
	path    *byte
	argv    []*byte
	env     []*byte
	probe   *probeSpec // instead of an execve

	// failed is written by the child, in the memory that it shares with its
	// parent, where a step fails. Zero: it was executed.
	failed struct {
		at  step
		err syscall.Errno
	}
}

// forkChild starts a child as c says, from the calling thread, and so with the
// confinement of that thread. It returns when the child has executed its program,
// or has ended, of which c.failed then says why. Nothing is copied: a fork costs
// half a millisecond more.
func forkChild(c *childSpec) (pid int, err syscall.Errno) {
	return vfork.Start(runChild, unsafe.Pointer(c))
}

// runChild is the child's whole life, by the rules of vfork.Start. It writes to
// nothing of its *childSpec, which is its parent's, too, but what is there for it
// to report in.
//
//go:norace
//go:nosplit
func runChild(with unsafe.Pointer) {
	c := (*childSpec)(with)
	var at step
	var err syscall.Errno

	// A session of its own: no controlling terminal, one process group to
	// signal, and an id by which its processes are known.
	at = stepSetsid
	if _, _, err = syscall.RawSyscall(unix.SYS_SETSID, 0, 0, 0); err != 0 {
		goto failed
	}

	at = stepStdio
	for i := 0; i < len(c.files); i++ {
		if c.files[i] < 0 {
			syscall.RawSyscall(unix.SYS_CLOSE, uintptr(i), 0, 0)
			continue
		}
		if _, _, err = syscall.RawSyscall(unix.SYS_DUP3, uintptr(c.files[i]), uintptr(i), 0); err != 0 {
			goto failed
		}
	}

	at = stepTerminal
	if c.terminal != nil {
		if _, _, err = syscall.RawSyscall(unix.SYS_IOCTL, 0, unix.TIOCSCTTY, 0); err != 0 {
			goto failed
		}
	}

	at = stepCloseFDs
	if c.closeFDs {
		if _, _, err = syscall.RawSyscall(unix.SYS_CLOSE_RANGE, uintptr(len(c.files)), ^uintptr(0)>>32, 0); err != 0 {
			goto failed
		}
	}

	if c.endWithGuest {
		syscall.RawSyscall6(unix.SYS_PRCTL, unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0, 0)
	}

	at = stepRlimit
	for i := 0; i < len(c.rlimits); i++ {
		if _, _, err = syscall.RawSyscall6(unix.SYS_PRLIMIT64, 0, uintptr(c.rlimits[i].Resource),
			uintptr(unsafe.Pointer(&c.values[i])), 0, 0, 0); err != 0 {
			goto failed
		}
	}

	// The working directory is opened without following magic links, so that
	// /proc/self/fd/N leads nowhere (CVE-2024-21626).
	at = stepChdir
	{
		var fd uintptr
		fd, _, err = syscall.RawSyscall6(unix.SYS_OPENAT2, ^uintptr(99), uintptr(unsafe.Pointer(c.dir)),
			uintptr(unsafe.Pointer(&c.how)), unix.SizeofOpenHow, 0, 0)
		switch err {
		case 0:
			if _, _, err = syscall.RawSyscall(unix.SYS_FCHDIR, fd, 0, 0); err != 0 {
				goto failed
			}
			syscall.RawSyscall(unix.SYS_CLOSE, fd, 0, 0)
		case unix.ENOSYS:
			// A filter that cannot see the mode of openat2 has none. By now no
			// descriptor is open that a magic link could lead anywhere by.
			if _, _, err = syscall.RawSyscall(unix.SYS_CHDIR, uintptr(unsafe.Pointer(c.dir)), 0, 0); err != 0 {
				goto failed
			}
		default:
			goto failed
		}
	}

	if c.probe != nil {
		runProbe(c)
	}

	at = stepExec
	_, _, err = syscall.RawSyscall(unix.SYS_EXECVE, uintptr(unsafe.Pointer(c.path)),
		uintptr(unsafe.Pointer(&c.argv[0])), uintptr(unsafe.Pointer(&c.env[0])))

failed:
	c.failed.at, c.failed.err = at, err
	for {
		syscall.RawSyscall(unix.SYS_EXIT_GROUP, 126, 0, 0)
	}
}

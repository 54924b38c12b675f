package guest

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The Go runtime must not run between fork and exec: there is one thread in the
// child, and the others hold its locks. What runs there is one straight list of
// raw system calls on memory that was made ready before. The runtime's own
// functions around a fork are reachable by name because gVisor needs them as
// well (go.dev/issue/67401).

//go:linkname runtimeBeforeFork syscall.runtime_BeforeFork
func runtimeBeforeFork()

//go:linkname runtimeAfterFork syscall.runtime_AfterFork
func runtimeAfterFork()

//go:linkname runtimeAfterForkInChild syscall.runtime_AfterForkInChild
func runtimeAfterForkInChild()

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

// firstOther is the first descriptor that is not stdio.
const firstOther = 3

// childSpec is all that a child needs, in memory that does not move.
type childSpec struct {
	stdio    [3]int
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

// rawVfork is clone(2) with CLONE_VM, CLONE_VFORK and SIGCHLD: the child is on
// its parent's stack, in its memory, while the parent waits for its execve or its
// end. It is in assembly because the return address must not be on the stack
// meanwhile. Nothing is copied: a fork costs half a millisecond more.
func rawVfork() (pid, errno uintptr)

// forkChild starts a child as c says, from the calling thread, and so with the
// confinement of that thread. It returns when the child has executed its program,
// or has ended, of which c.failed then says why.
//
//go:norace
//go:noinline
func forkChild(c *childSpec) (pid int, err syscall.Errno) {
	runtimeBeforeFork()
	r, e := rawVfork()
	if e != 0 || r != 0 {
		runtimeAfterFork()
		return int(r), syscall.Errno(e)
	}
	runtimeAfterForkInChild()
	runChild(c)
	return 0, 0 // not reached
}

// runChild is the child's whole life. It must not allocate, grow the stack or
// call anything that might. It writes to nothing of c, which is its parent's, too,
// but what is there for it to report in.
//
//go:norace
//go:nosplit
func runChild(c *childSpec) {
	var at step
	var err syscall.Errno

	// A session of its own: no controlling terminal, one process group to
	// signal, and an id by which its processes are known.
	at = stepSetsid
	if _, _, err = syscall.RawSyscall(unix.SYS_SETSID, 0, 0, 0); err != 0 {
		goto failed
	}

	// None of the sources is below 3: the guest has 0, 1 and 2 itself.
	at = stepStdio
	for i := 0; i < 3; i++ {
		if _, _, err = syscall.RawSyscall(unix.SYS_DUP3, uintptr(c.stdio[i]), uintptr(i), 0); err != 0 {
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
		if _, _, err = syscall.RawSyscall(unix.SYS_CLOSE_RANGE, firstOther, ^uintptr(0)>>32, 0); err != 0 {
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

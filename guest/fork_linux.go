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
	stepCloseFDs
	stepRlimit
	stepChdir
	stepExec
)

var stepNames = map[step]string{
	stepSetsid: "setsid", stepStdio: "stdio", stepCloseFDs: "close descriptors",
	stepRlimit: "rlimit", stepChdir: "chdir", stepExec: "exec",
}

// reportFD is where the child's report goes, once stdio is in place.
const reportFD = 3

// childSpec is all that a child needs, in memory that does not move.
type childSpec struct {
	stdio    [3]int
	report   int // write end of a pipe, closed by a successful execve
	closeFDs bool
	rlimits  []Rlimit
	values   []unix.Rlimit
	dir      *byte
	how      unix.OpenHow
	path     *byte
	argv     []*byte
	env      []*byte
	probe    *probeSpec // instead of an execve
}

// rawVfork is clone(2) with CLONE_VM, CLONE_VFORK and SIGCHLD: the child is on
// its parent's stack, in its memory, while the parent waits for its execve or its
// end. It is in assembly because the return address must not be on the stack
// meanwhile. Nothing is copied: a fork costs half a millisecond more.
func rawVfork() (pid, errno uintptr)

// forkChild starts a child as c says, from the calling thread, and so with the
// confinement of that thread. A probe gets memory of its own, which it makes
// readable for the host; a command gives up its parent's by execve.
//
//go:norace
//go:noinline
func forkChild(c *childSpec) (pid int, err syscall.Errno) {
	var r, e uintptr
	runtimeBeforeFork()
	if c.probe != nil {
		r, _, err = syscall.RawSyscall6(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
		e = uintptr(err)
	} else {
		r, e = rawVfork()
	}
	if e != 0 || r != 0 {
		runtimeAfterFork()
		return int(r), syscall.Errno(e)
	}
	runtimeAfterForkInChild()
	runChild(c)
	return 0, 0 // not reached
}

// runChild is the child's whole life. It must not allocate, grow the stack or
// call anything that might, and must not write to c, which is its parent's, too.
//
//go:norace
//go:nosplit
func runChild(c *childSpec) {
	var at step
	var err syscall.Errno
	report := c.report

	// A session of its own: no controlling terminal, one process group to
	// signal, and an id by which its processes are known.
	at = stepSetsid
	if _, _, err = syscall.RawSyscall(unix.SYS_SETSID, 0, 0, 0); err != 0 {
		goto failed
	}

	// Descriptors 0, 1, 2 and the report at 3. None of the sources is below 4,
	// see start.
	at = stepStdio
	for i := 0; i < 3; i++ {
		if _, _, err = syscall.RawSyscall(unix.SYS_DUP3, uintptr(c.stdio[i]), uintptr(i), 0); err != 0 {
			goto failed
		}
	}
	if _, _, err = syscall.RawSyscall(unix.SYS_DUP3, uintptr(report), reportFD, unix.O_CLOEXEC); err != 0 {
		goto failed
	}
	report = reportFD
	at = stepCloseFDs
	if c.closeFDs {
		if _, _, err = syscall.RawSyscall(unix.SYS_CLOSE_RANGE, reportFD+1, ^uintptr(0)>>32, 0); err != 0 {
			goto failed
		}
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
		if err != 0 {
			goto failed
		}
		if _, _, err = syscall.RawSyscall(unix.SYS_FCHDIR, fd, 0, 0); err != 0 {
			goto failed
		}
		syscall.RawSyscall(unix.SYS_CLOSE, fd, 0, 0)
	}

	if c.probe != nil {
		runProbe(c)
	}

	at = stepExec
	_, _, err = syscall.RawSyscall(unix.SYS_EXECVE, uintptr(unsafe.Pointer(c.path)),
		uintptr(unsafe.Pointer(&c.argv[0])), uintptr(unsafe.Pointer(&c.env[0])))

failed:
	failure := [2]uint32{uint32(at), uint32(err)}
	syscall.RawSyscall(unix.SYS_WRITE, uintptr(report), uintptr(unsafe.Pointer(&failure)), 8)
	for {
		syscall.RawSyscall(unix.SYS_EXIT_GROUP, 126, 0, 0)
	}
}

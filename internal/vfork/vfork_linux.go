// Package vfork starts a child in the memory of its parent, as clone(2) with
// CLONE_VM and CLONE_VFORK does: nothing is copied, and the thread that asks for
// it stands still until the child executes a program or ends.
//
// What this package does not protect: the Go runtime must not run in the child,
// where there is one thread, and the others hold its locks. What does run there
// is up to the caller; see Start.
package vfork

import (
	"syscall"
	"unsafe"
)

// The runtime's own functions around a fork are reachable by name because gVisor
// needs them as well (go.dev/issue/67401).

//go:linkname runtimeBeforeFork syscall.runtime_BeforeFork
func runtimeBeforeFork()

//go:linkname runtimeAfterFork syscall.runtime_AfterFork
func runtimeAfterFork()

//go:linkname runtimeAfterForkInChild syscall.runtime_AfterForkInChild
func runtimeAfterForkInChild()

// rawVfork is clone(2) with CLONE_VM, CLONE_VFORK and SIGCHLD: the child is on
// its parent's stack. It is in assembly because the return address must not be on
// the stack meanwhile.
func rawVfork() (pid, errno uintptr)

// Start starts a child that runs run, from the calling thread, and returns when
// it has executed a program or has ended.
//
// run must not return. It is one straight list of raw system calls on memory that
// was made ready before, which it shares with its parent; it must not allocate,
// grow the stack (go:nosplit), be instrumented (go:norace), or call anything that
// might.
//
//go:norace
//go:noinline
func Start(run func(unsafe.Pointer), with unsafe.Pointer) (pid int, err syscall.Errno) {
	runtimeBeforeFork()
	r, e := rawVfork()
	if e != 0 || r != 0 {
		runtimeAfterFork()
		return int(r), syscall.Errno(e)
	}
	runtimeAfterForkInChild()
	run(with)
	return 0, 0 // not reached
}

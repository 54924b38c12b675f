package guest

import (
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// lastSignal is the highest signal number (signal(7)).
const lastSignal = 64

// startLauncher starts the thread that all commands are forked from, and makes
// it what a command shall be.
func (g *guest) startLauncher(s *Setup, tasks []int) error {
	g.launches = make(chan func())
	g.launcherTID = make(chan int, 1)
	ready := make(chan error)
	go func() {
		runtime.LockOSThread() // for good
		err := join(tasks, s.CgroupNS)
		if err == nil {
			err = g.confineThread(&s.Confine)
		}
		g.launcherTID <- unix.Gettid()
		ready <- err
		if err != nil {
			return
		}
		for launch := range g.launches {
			launch()
		}
	}()
	return <-ready
}

// join moves the calling thread into the cgroups that it is to fork commands in.
func join(tasks []int, namespace bool) error {
	for _, fd := range tasks {
		// "0" is the calling thread. A thread that moves itself needs no RCU
		// grace period, which is 18 ms.
		if _, err := unix.Write(fd, []byte("0")); err != nil {
			return fail("cgroup", "join", err)
		}
		unix.Close(fd)
	}
	if !namespace {
		return nil
	}
	return fail("cgroup", "namespace", unix.Unshare(unix.CLONE_NEWCGROUP))
}

// confineThread confines the calling thread, and what it forks.
func (g *guest) confineThread(c *Confine) error {
	if c.DropCaps {
		if err := dropBounding(g.bare != nil || g.contained); err != nil {
			return fail("capabilities", "bounding set", err)
		}
	}
	if c.NoNewPrivs {
		if err := noNewPrivs(); err != nil {
			return fail("no_new_privs", "", err)
		}
	}
	if c.Landlock {
		if err := restrict(c.LandlockRule, int(c.LandlockABI), c.LandlockNet); err != nil {
			return err
		}
	}
	if c.DropCaps {
		return fail("capabilities", "drop", capset(rawCapset))
	}
	return nil
}

// dropBounding empties what an execve could give back, and locks it so: no uid,
// 0 included, means anything to the kernel afterwards (capabilities(7)). It takes
// CAP_SETPCAP, which mayNot says that the guest need not have.
func dropBounding(mayNot bool) error {
	for c := uintptr(0); ; c++ {
		err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0)
		if err == unix.EPERM && c == 0 && mayNot {
			return nil // nothing of it is to be had with no_new_privs
		}
		if err == unix.EINVAL && c > unix.CAP_CHECKPOINT_RESTORE {
			break // the kernel's last capability is behind us
		}
		if err != nil {
			return err
		}
	}
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
		return err
	}
	const noRoot, noSetuidFixup, keepCaps, noAmbientRaise = 1 << 0, 1 << 2, 1 << 4, 1 << 6
	const locked = noRoot<<1 | noSetuidFixup<<1 | keepCaps<<1 | noAmbientRaise<<1
	return unix.Prctl(unix.PR_SET_SECUREBITS, noRoot|noSetuidFixup|noAmbientRaise|locked, 0, 0, 0)
}

func noNewPrivs() error { return unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }

// capset takes every capability away, by the given way of making the call.
func capset(call func(a, b uintptr) syscall.Errno) error {
	header := &unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	data := new([2]unix.CapUserData)
	err := call(uintptr(unsafe.Pointer(header)), uintptr(unsafe.Pointer(data)))
	runtime.KeepAlive(header)
	runtime.KeepAlive(data)
	if err != 0 {
		return err
	}
	return nil
}

func rawCapset(a, b uintptr) syscall.Errno {
	_, _, err := syscall.RawSyscall(unix.SYS_CAPSET, a, b, 0)
	return err
}

// CanBeSelf reports whether this program can be its own guest: it imports
// guest/self, and does not link cgo, with which the runtime makes no system call
// on all threads.
func CanBeSelf() bool { return Self && !iscgo }

// iscgo is set where cgo is linked, whatever the build tag says. It is reachable
// by name as purego needs it (go.dev/issue/67401).
//
//go:linkname iscgo runtime.iscgo
var iscgo bool

func capsetAllThreads(a, b uintptr) syscall.Errno {
	_, _, err := syscall.AllThreadsSyscall(unix.SYS_CAPSET, a, b, 0)
	return err
}

// confineAll confines the guest itself, each of its threads. It runs when the
// launcher is ready, so that the filter, which is put on all threads at once,
// is the only one on any of them.
func (g *guest) confineAll(c *Confine) error {
	if c.NoNewPrivs {
		if err := noNewPrivs(); err != nil {
			return fail("no_new_privs", "", err)
		}
		if len(c.Filter) == 0 { // a filter takes it to the other threads
			if _, _, err := syscall.AllThreadsSyscall(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0); err != 0 {
				return fail("no_new_privs", "all threads", err)
			}
		}
	}
	listener := -1
	var err error
	if len(c.Filter) > 0 {
		flags := uintptr(allThreads)
		if len(c.CommandFilter) == 0 && !c.Unheard {
			flags |= unix.SECCOMP_FILTER_FLAG_NEW_LISTENER
		}
		if listener, err = installFilter(c.Filter, flags); err != nil {
			return fail("seccomp", "install", err)
		}
	}
	if c.DropCaps {
		if err := capset(capsetAllThreads); err != nil {
			return fail("capabilities", "drop", err)
		}
	}
	if len(c.CommandFilter) > 0 {
		if listener, err = g.confineCommands(c); err != nil {
			return fail("seccomp", "install for commands", err)
		}
	}
	if listener >= 0 {
		go g.notify(listener, c) // now, as each thread is one more to wake for capset
	}
	if g.bare != nil {
		return nil // no PID namespace keeps what is not handled from it
	}
	return fail("signals", "default", resetSignals())
}

// confineCommands puts a filter on the launcher alone. It comes last: what it
// refuses may be something that the guest still had to do.
func (g *guest) confineCommands(c *Confine) (listener int, err error) {
	flags := uintptr(unix.SECCOMP_FILTER_FLAG_NEW_LISTENER)
	if c.Unheard {
		flags = 0
	}
	g.onLauncher(func() { listener, err = installFilter(c.CommandFilter, flags) })
	return listener, err
}

// allThreads puts a filter on each thread, or fails for all.
const allThreads = unix.SECCOMP_FILTER_FLAG_TSYNC | unix.SECCOMP_FILTER_FLAG_TSYNC_ESRCH

// installFilter puts a filter on the calling thread, or on all, as flags say. It
// returns the listener on which the kernel tells what the filter does not decide
// itself, or -1 where flags ask for none. WAIT_KILLABLE_RECV: a signal does not
// make such a call be tried, and counted, again; before Linux 5.19 it may.
func installFilter(filter []byte, flags uintptr) (listener int, err error) {
	prog, err := filterProgram(filter)
	if err != nil {
		return -1, err
	}
	listens := flags&unix.SECCOMP_FILTER_FLAG_NEW_LISTENER != 0
	most := flags
	if listens {
		most |= unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
	}
	fd, _, e := syscall.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, most, uintptr(unsafe.Pointer(prog)))
	if e == unix.EINVAL && most != flags {
		fd, _, e = syscall.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(prog)))
	}
	if e == unix.EINVAL && flags == allThreads {
		// gVisor has no TSYNC_ESRCH, and so answers with the thread that could not be.
		fd, _, e = syscall.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(prog)))
		if fd != 0 && e == 0 {
			e = unix.ESRCH
		}
	}
	runtime.KeepAlive(filter)
	if e != 0 {
		return -1, e
	}
	if !listens {
		return -1, nil
	}
	return int(fd), nil
}

// filterProgram is what the kernel takes: it points into filter.
func filterProgram(filter []byte) (*unix.SockFprog, error) {
	if len(filter) == 0 || len(filter)%sockFilterSize != 0 {
		return nil, unix.EINVAL
	}
	return &unix.SockFprog{Len: uint16(len(filter) / sockFilterSize), Filter: (*unix.SockFilter)(unsafe.Pointer(&filter[0]))}, nil
}

// resetSignals gives the guest its immunity back. The kernel drops a signal
// that comes from inside a PID namespace to its init, unless there is a handler
// for it; the Go runtime has one for each. SIGURG stays: the runtime preempts
// goroutines with it, and its handler does no harm.
func resetSignals() error {
	var action [4]uint64 // struct kernel_sigaction; zero is SIG_DFL
	for sig := uintptr(1); sig <= lastSignal; sig++ {
		if s := unix.Signal(sig); s == unix.SIGURG || s == unix.SIGKILL || s == unix.SIGSTOP {
			continue
		}
		_, _, err := syscall.RawSyscall6(unix.SYS_RT_SIGACTION, sig, uintptr(unsafe.Pointer(&action)), 0, 8, 0, 0)
		if err != 0 {
			return err
		}
	}
	return nil
}

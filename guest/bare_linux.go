package guest

import (
	"bytes"
	"errors"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// bootBare confines the guest where it has no namespace of its own. Nothing is
// built, and the guest is no init: orphans become its children because it asks
// for them, and signals that it survives are caught, as nobody drops them.
func (g *guest) bootBare(s *Setup, probe [2]int, tasks []int) error {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fail("subreaper", "", err)
	}
	signal.Notify(make(chan os.Signal, 1)) // all, to nobody
	g.scoped = s.Confine.Landlock && s.Confine.LandlockABI >= scopedSignals
	g.bare, g.rlimits, g.closeFDs = s.Bare, s.Rlimits, s.Confine.CloseFDs
	if err := g.startLauncher(s, tasks); err != nil {
		return err
	}
	if err := noNewPrivs(); err != nil {
		return fail("no_new_privs", "", err)
	}
	// On all threads, since that of the profile, which comes after them, must
	// find the same on each; the guest itself does nothing that they refuse.
	if len(s.Bare.Filter) > 0 {
		for _, filter := range [][]byte{s.Bare.Filter, guard(os.Getpid(), <-g.launcherTID)} {
			if _, err := installFilter(filter, allThreads); err != nil {
				return fail("seccomp", "install what stands in for namespaces", err)
			}
		}
	}
	if err := g.confineAll(&s.Confine); err != nil {
		return err
	}
	return g.begin(s, probe)
}

// guard refuses signals to the guest, which commands share a uid with. Landlock
// scopes signals to the domain, but the launcher is a thread of the guest that
// is in it, and one deadly signal to a thread ends the process. Two stay, with
// which the runtime preempts goroutines and has a call made by each thread; its
// handlers look first whether it was the runtime.
func guard(guest, launcher int) []byte {
	const number, arg0, arg2 = 0, 16, 32 // where they are in struct seccomp_data (seccomp(2))
	const sigPerThread = 33              // signalPerThreadSyscall of Go's runtime
	pids := []uint32{uint32(guest), uint32(launcher), uint32(-guest)}
	calls := []uint32{
		unix.SYS_KILL, unix.SYS_TKILL, unix.SYS_RT_SIGQUEUEINFO, unix.SYS_RT_TGSIGQUEUEINFO, unix.SYS_PIDFD_OPEN, unix.SYS_TGKILL,
	}
	var prog []unix.SockFilter
	add := func(code uint16, k uint32, jt, jf int) {
		prog = append(prog, unix.SockFilter{Code: code, K: k, Jt: uint8(jt), Jf: uint8(jf)})
	}
	add(bpfLoad, number, 0, 0)
	for i, call := range calls[:len(calls)-1] {
		add(bpfJEq, call, len(calls)-1-i+3, 0) // to the look at the pid
	}
	add(bpfJEq, unix.SYS_TGKILL, 0, len(pids)+4) // else to allow
	add(bpfLoad, arg2, 0, 0)
	add(bpfJEq, uint32(unix.SIGURG), len(pids)+2, 0) // to allow
	add(bpfJEq, sigPerThread, len(pids)+1, 0)
	add(bpfLoad, arg0, 0, 0)
	for i, pid := range pids {
		add(bpfJEq, pid, len(pids)-i, 0) // to refuse
	}
	add(bpfRet, retAllow, 0, 0)
	add(bpfRet, retErrno|uint32(unix.EPERM), 0, 0)
	return unsafe.Slice((*byte)(unsafe.Pointer(&prog[0])), len(prog)*int(unsafe.Sizeof(prog[0])))
}

// scopedSignals is the Landlock that keeps signals in a domain (ABI 6).
const scopedSignals = 6

// signalDomain signals every process of a bare sandbox, at once: the launcher is
// in the domain that commands are in, and of all processes may signal those only.
// False: this Landlock does not scope signals. g.mu is held.
func (g *guest) signalDomain(sig unix.Signal) bool {
	if g.bare == nil || !g.scoped {
		return false
	}
	g.onLauncher(func() { _ = unix.Kill(-1, sig) }) // ESRCH: nobody is there
	return true
}

// endAll kills everything that the guest has started, and what that has: all of
// it descends from the guest. It is done when the kernel says that the guest has
// no child left.
func (g *guest) endAll() {
	const pause = time.Millisecond
	for {
		g.mu.Lock()
		g.ending = true
		g.signalAll(unix.SIGKILL)
		g.mu.Unlock()
		// Only looks: the reaper takes what has ended.
		err := unix.Waitid(unix.P_ALL, 0, nil, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT|unix.WALL, nil)
		if err == unix.ECHILD {
			return
		}
		time.Sleep(pause)
	}
}

// signalExactly signals the process that has this pid and start time, if it is
// still that one.
func signalExactly(pid int, started uint64, sig unix.Signal) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return // it has ended
	}
	defer unix.Close(fd)
	if now, err := StartTime(pid); err == nil && now == started {
		_ = unix.PidfdSendSignal(fd, sig, nil, 0) // ESRCH: it has just ended
	}
}

// below are the processes of a table that descend from one that need not be in
// it.
func (t table) below(root int) table {
	under := make(table)
	for pid, p := range t {
		for at, steps := p, 0; steps <= len(t); steps++ {
			if at.parent == root {
				under[pid] = p
				break
			}
			var ok bool
			if at, ok = t[at.parent]; !ok {
				break
			}
		}
	}
	return under
}

// KillBelow kills all that descends from a process, which is not this one, until
// nothing is left or patience has run out. It is for a guest without a PID
// namespace that does not do it itself.
func KillBelow(root int, patience time.Duration) error {
	const pause, quiet = 5 * time.Millisecond, 3 // rounds in which nothing was seen
	for start, empty := time.Now(), 0; empty < quiet; time.Sleep(pause) {
		all, _ := processes()
		empty++
		for pid, p := range all.below(root) {
			if !p.dead() {
				empty = 0
				signalExactly(pid, p.started, unix.SIGKILL)
			}
		}
		if time.Since(start) > patience {
			return unix.ETIMEDOUT
		}
	}
	return nil
}

// KillUser kills all processes of a user who is a sandbox's own, at once: a
// thread that becomes that user may signal no others. With the change of the uid
// the kernel takes PR_SET_DUMPABLE from this program; the caller puts it back.
func KillUser(uid int, patience time.Duration) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends
		done <- killAs(uid, patience)
	}()
	return <-done
}

// killAs is done when there is no process of that user left.
func killAs(uid int, patience time.Duration) error {
	const pause = time.Millisecond
	id := uintptr(uid)
	if _, _, err := syscall.RawSyscall(unix.SYS_SETRESUID, id, id, id); err != 0 {
		return err
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var caps [2]unix.CapUserData
	if err := unix.Capget(&header, &caps[0]); err != nil || caps != [2]unix.CapUserData{} || uid == 0 {
		return errors.Join(err, unix.EPERM) // it could signal more than that user's
	}
	for start := time.Now(); time.Since(start) < patience; time.Sleep(pause) {
		_ = unix.Kill(-1, unix.SIGKILL) // 0, whether there was somebody or not
		if Tasks(uid) == 0 {
			return nil
		}
	}
	return unix.ETIMEDOUT
}

// Tasks counts the tasks of a user, as RLIMIT_NPROC does: by the real uid, in
// threads.
func Tasks(uid int) (n int) {
	all, _ := processes()
	for pid, p := range all {
		if !p.dead() && realUID(pid) == uid {
			n += p.threads
		}
	}
	return n
}

// realUID is the real uid of a process; -1: it is gone.
func realUID(pid int) int {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return -1
	}
	_, rest, _ := bytes.Cut(b, []byte("\nUid:"))
	fields := bytes.Fields(rest)
	if len(fields) == 0 {
		return -1
	}
	uid, err := strconv.Atoi(string(fields[0]))
	if err != nil {
		return -1
	}
	return uid
}

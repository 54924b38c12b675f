package guest

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// reap waits for every child there is, commands and orphans alike, and for
// nothing else: a pidfd, or wait4 with a pid, hangs on a leader whose thread
// called PTRACE_TRACEME (MECHANISMS); -1 with __WALL does not.
func (g *guest) reap() {
	for {
		var status unix.WaitStatus
		var usage unix.Rusage
		pid, err := unix.Wait4(-1, &status, unix.WALL, &usage)
		switch {
		case err == unix.ECHILD:
			<-g.forked
		case err == nil:
			g.ended(pid, status, &usage)
		}
	}
}

func (g *guest) ended(pid int, status unix.WaitStatus, usage *unix.Rusage) {
	g.mu.Lock()
	defer g.mu.Unlock()
	cmd := g.byPID[pid]
	delete(g.byPID, pid)
	if cmd == nil || cmd.id == 0 {
		return
	}
	if cmd.terminal != nil {
		cmd.terminal.ended()
	}
	cmd.exited = &Exited{
		ID: cmd.id, Status: uint32(status),
		CPUMicros: (usage.Utime.Nano() + usage.Stime.Nano()) / int64(time.Microsecond),
		MaxRSS:    usage.Maxrss * 1024,
	}
	if !cmd.launching && !cmd.condemned {
		g.report(cmd)
	}
}

// signal sends to the process group of a command.
func (g *guest) signal(id uint32, sig unix.Signal) {
	g.mu.Lock()
	defer g.mu.Unlock() // so that its pid is not another's by now
	if cmd := g.byID[id]; cmd != nil {
		_ = unix.Kill(-cmd.pid, sig) // ESRCH: it has just ended
	}
}

// resize changes the size of a command's terminal, if it has one.
func (g *guest) resize(f *Resize) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if cmd := g.byID[f.ID]; cmd != nil && cmd.terminal != nil {
		_ = cmd.terminal.resize(f.Rows, f.Cols) // it has just been hung up, or nothing has this size
	}
}

// killTree kills a command and all that it started, daemons included. Its end is
// told to the host when nothing of it is left; where that cannot be brought
// about, it never is, and the host destroys the sandbox, which nothing outruns.
//
// Where it is the only command of a PID namespace, everything but the guest is
// killed, which one call does without a race. Else it is what was started after
// it and neither descends from another command nor is in its session. A process
// that forks on and on is gone before it can be killed: where a few rounds have
// not done it, everything is stopped for as long as one round takes.
func (g *guest) killTree(id uint32) {
	const rounds, still, pause = 100, 5, 5 * time.Millisecond
	if os.Getpid() != 1 && g.bare == nil {
		// Without a PID namespace, which tests leave out, everything would be
		// the host.
		g.signal(id, unix.SIGKILL)
		return
	}
	cmd := g.condemn(id)
	for round := range rounds {
		if cmd == nil || g.killRound(cmd, round >= still) {
			return
		}
		time.Sleep(pause)
	}
}

// condemn finds a command that is to be killed. Nil: it has ended, or somebody
// is at it already.
func (g *guest) condemn(id uint32) *command {
	g.mu.Lock()
	defer g.mu.Unlock()
	cmd := g.byID[id]
	if cmd == nil || cmd.condemned {
		return nil
	}
	cmd.condemned = true
	return cmd
}

// killRound reports whether nothing of the command was left to kill.
func (g *guest) killRound(cmd *command, still bool) (done bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	all, sure := g.processes()
	alone := (g.bare == nil || g.scoped) && len(g.byID) == 1 && all.noneBefore(cmd.started)
	if still && !alone {
		defer g.standStill(all)()
		all, _ = g.processes()
		sure = true // what stands still is seen
	}
	left := 0
	for _, pid := range slices.Sorted(maps.Keys(all)) { // a parent, as a rule, before its children, of whose end it could tell
		p := all[pid]
		if p.dead() || p.started < cmd.started || g.belongsToOther(all, pid, cmd) {
			continue
		}
		left++
		switch {
		case alone:
		case g.bare != nil: // a number may be another's by now
			signalExactly(pid, p.started, unix.SIGKILL)
		default:
			_ = unix.Kill(pid, unix.SIGKILL) // ESRCH: it has just ended
		}
	}
	if alone {
		g.signalAll(unix.SIGKILL)
	}
	if left > 0 || !sure || cmd.exited == nil {
		return false
	}
	cmd.condemned = false
	if !cmd.launching {
		g.report(cmd)
	}
	return true
}

// standStill stops every process of the sandbox, and returns what lets those go
// on that were not stopped before. A signal to all is a signal to what is being
// forked as well (fork(2) in kernel/fork.c: it is held back, and is the child's).
func (g *guest) standStill(before table) (goOn func()) {
	g.signalAll(unix.SIGSTOP)
	return func() {
		g.signalAll(unix.SIGCONT)
		for pid, p := range before {
			if now, ok := readStat(pid); ok && p.state == 'T' && now.started == p.started {
				_ = unix.Kill(pid, unix.SIGSTOP)
			}
		}
	}
}

// signalAll signals every process of the sandbox but the guest. Where neither a
// PID namespace nor Landlock says which those are, it takes rounds: what is
// stopped forks no more. g.mu is held.
func (g *guest) signalAll(sig unix.Signal) {
	if g.bare == nil {
		_ = unix.Kill(-1, sig) // ESRCH: nobody is there
		return
	}
	if g.signalDomain(sig) {
		return
	}
	const rounds = 50
	for range rounds {
		all, _ := g.processes()
		missed := false
		for pid, p := range all {
			if !p.dead() && p.state != 'Z' && !(sig == unix.SIGSTOP && p.state == 'T') {
				missed = true
				signalExactly(pid, p.started, sig)
			}
		}
		if !missed || sig != unix.SIGSTOP {
			return
		}
	}
}

// processes reads the processes of the sandbox, as the function of this name
// does those that can be seen.
func (g *guest) processes() (table, bool) {
	all, sure := processes()
	if g.bare != nil {
		all = all.below(os.Getpid())
	}
	return all, sure
}

// belongsToOther reports whether a process descends from, or is in the session
// of, a command other than cmd.
func (g *guest) belongsToOther(all table, pid int, cmd *command) bool {
	owner := g.owner(all, pid)
	return owner != nil && owner != cmd
}

// owner finds the command that a process belongs to.
func (g *guest) owner(all table, pid int) *command {
	for at := pid; at > 1; at = all[at].parent {
		if cmd := g.byPID[at]; cmd != nil && cmd.id != 0 {
			return cmd
		}
		if cmd := g.byPID[all[at].session]; cmd != nil && cmd.id != 0 {
			return cmd
		}
		if _, ok := all[at]; !ok {
			break
		}
	}
	return nil
}

// table is what /proc says of the processes of the sandbox.
type table map[int]process

type process struct {
	state           byte
	parent, session int
	threads         int
	started         uint64 // clock ticks since boot
}

// dead reports whether nothing of the process is left but its end. A leader that
// has ended before its threads is a zombie, too, and is not dead.
func (p process) dead() bool { return p.state == 'Z' && p.threads == 0 || p.state == 'X' }

func (t table) noneBefore(started uint64) bool {
	for _, p := range t {
		if p.started < started {
			return false
		}
	}
	return true
}

// processes reads the processes of /proc, but for this one. It is sure of
// them where each that was there still was when it was looked at.
func processes() (all table, sure bool) {
	all = make(table)
	dir, err := os.Open("/proc")
	if err != nil {
		return all, false
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	sure = err == nil // what was read is of use in any case
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil || pid == os.Getpid() {
			continue
		}
		p, ok := readStat(pid)
		if ok {
			all[pid] = p
		}
		sure = sure && ok
	}
	return all, sure
}

// StartTime is when a process was started, in clock ticks since boot, which with
// its pid names one process.
func StartTime(pid int) (uint64, error) {
	p, ok := readStat(pid)
	if !ok {
		return 0, fmt.Errorf("/proc/%d/stat: %w", pid, unix.ESRCH)
	}
	return p.started, nil
}

// readStat reads /proc/PID/stat. The name of a process may hold anything, so
// fields are counted from its closing parenthesis (proc_pid_stat(5)).
func readStat(pid int) (p process, ok bool) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return p, false
	}
	fields := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	const state, ppid, session, threads, starttime = 3 - 3, 4 - 3, 6 - 3, 20 - 3, 22 - 3
	if len(fields) <= starttime {
		return p, false
	}
	p.state = fields[state][0]
	p.parent, _ = strconv.Atoi(string(fields[ppid]))
	p.session, _ = strconv.Atoi(string(fields[session]))
	p.threads, _ = strconv.Atoi(string(fields[threads]))
	p.started, err = strconv.ParseUint(string(fields[starttime]), 10, 64)
	return p, err == nil
}

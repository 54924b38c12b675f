package guest

import (
	"bytes"
	"os"
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
	cmd.exited = &Exited{
		ID: cmd.id, Status: uint32(status),
		CPUMicros: (usage.Utime.Nano() + usage.Stime.Nano()) / int64(time.Microsecond),
		MaxRSS:    usage.Maxrss * 1024,
	}
	if !cmd.launching {
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

// killTree kills a command and all that it started, daemons included.
//
// Where it is the only command, that is everything but the guest, which one
// call kills without a race. Else it is what was started after it and neither
// descends from another command nor is in its session. A fork bomb among those
// can outrun a few rounds; the sandbox as a whole cannot be outrun, and the host
// destroys it when this does not help.
func (g *guest) killTree(id uint32) {
	const rounds, pause = 100, 5 * time.Millisecond
	for range rounds {
		g.mu.Lock()
		cmd := g.byID[id]
		if cmd == nil {
			g.mu.Unlock()
			return
		}
		all := processes()
		if len(g.byID) == 1 && all.noneBefore(cmd.started) {
			_ = unix.Kill(-1, unix.SIGKILL)
		} else {
			for pid, p := range all {
				if p.started >= cmd.started && !g.belongsToOther(all, pid, cmd) {
					_ = unix.Kill(pid, unix.SIGKILL)
				}
			}
		}
		g.mu.Unlock()
		time.Sleep(pause)
	}
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
	parent, session int
	started         uint64 // clock ticks since boot
}

func (t table) noneBefore(started uint64) bool {
	for _, p := range t {
		if p.started < started {
			return false
		}
	}
	return true
}

// processes reads the processes of the sandbox, but for the guest.
func processes() table {
	all := make(table)
	dir, err := os.Open("/proc")
	if err != nil {
		return all
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1) // what was read is of use
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil || pid == 1 {
			continue
		}
		if p, ok := readStat(pid); ok {
			all[pid] = p
		}
	}
	return all
}

func startTime(pid int) uint64 {
	p, _ := readStat(pid)
	return p.started
}

// readStat reads /proc/PID/stat. The name of a process may hold anything, so
// fields are counted from its closing parenthesis (proc_pid_stat(5)).
func readStat(pid int) (p process, ok bool) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return p, false
	}
	fields := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	const ppid, session, starttime = 4 - 3, 6 - 3, 22 - 3
	if len(fields) <= starttime {
		return p, false
	}
	p.parent, _ = strconv.Atoi(string(fields[ppid]))
	p.session, _ = strconv.Atoi(string(fields[session]))
	p.started, err = strconv.ParseUint(string(fields[starttime]), 10, 64)
	return p, err == nil
}

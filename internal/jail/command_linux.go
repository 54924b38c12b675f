package jail

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/guest"
	"github.com/kavach-dev/kavach/internal/agent"
	"github.com/kavach-dev/kavach/internal/seccomp"
)

// Command is a process of a jail, or of a container in one, and a
// backend.Process: it knows what the jail's limits and filters did to it.
type Command struct {
	*agent.Process
	jail   *Jail
	before int64 // OOM kills
}

// Inherited are the descriptors from 3 on of a command that is to have these files.
func Inherited(files ...*os.File) []backend.Descriptor {
	var list []backend.Descriptor
	for i, f := range files {
		list = append(list, backend.Descriptor{FD: guest.ChannelFD + i, File: f})
	}
	return list
}

// Exec starts a command and returns when it is executed.
func (j *Jail) Exec(ctx context.Context, cmd backend.Cmd) (*Command, error) {
	if j.cfg.Bare != nil && cmd.Terminal != nil {
		return nil, fmt.Errorf("without namespaces a sandbox has no terminals of its own; leave out --tty: %w", errors.ErrUnsupported)
	}
	dir := cmd.Dir
	cmd.Env, cmd.Dir = j.inPlace(j.env(cmd.Env), cmd.Dir)
	c, err := j.ExecBy(ctx, j.agent, cmd)
	var refused *backend.ExecError
	if errors.As(err, &refused) {
		refused.Dir = dir // as the caller named it
	}
	return c, err
}

// ExecBy is Exec by way of the agent of a container in the jail.
func (j *Jail) ExecBy(ctx context.Context, a *agent.Agent, cmd backend.Cmd) (*Command, error) {
	before := j.OOMKills()
	if err := j.openable(cmd); err != nil {
		return nil, err
	}
	p, err := a.Exec(ctx, cmd)
	if err != nil {
		return nil, err
	}
	return &Command{Process: p, jail: j, before: before}, nil
}

// openable lets the command's user open what it reads by its name as well (/dev/fd/N):
// a pipe has an owner and a mode, and where root made it, that is root's. Whoever gets
// to a pipe's name, which is in /proc/PID/fd alone, can look into a process that has it.
// Nobody gets an end to write to by it.
func (j *Jail) openable(cmd backend.Cmd) error {
	if !j.ids.root {
		return nil
	}
	for _, d := range append([]backend.Descriptor{{FD: 0, File: cmd.Stdin}}, cmd.Files...) {
		if d.File == nil {
			continue
		}
		st, err := d.File.Stat()
		if err == nil && st.Mode()&os.ModeNamedPipe != 0 && nameless(d.File) {
			err = d.File.Chmod(0o444)
		}
		if err != nil {
			return fmt.Errorf("descriptor %d of the command: %w", d.FD, err)
		}
	}
	return nil
}

// nameless reports whether a pipe is none that has a name on the host, where its mode is
// its owner's to say.
func nameless(f *os.File) bool {
	var fs unix.Statfs_t
	return unix.Fstatfs(int(f.Fd()), &fs) == nil && fs.Type == unix.PIPEFS_MAGIC
}

// Rebase counts OOM kills from now on: for one that was started before it was
// anybody's command.
func (c *Command) Rebase() { c.before = c.jail.OOMKills() }

// Wait waits for the command's end. The kernel counts an OOM kill before it
// kills, so the counter is not behind the death that it explains.
func (c *Command) Wait(ctx context.Context) (backend.Exit, error) {
	e, err := c.Process.Wait(ctx)
	oom := c.jail.OOMKills() > c.before
	if oom && errors.Is(err, backend.ErrDestroyed) {
		// What was killed took all with it: gVisor's sentry, or the guest itself.
		return backend.Exit{Code: -1, Signal: syscall.SIGKILL, OOMKilled: true}, nil
	}
	if err != nil {
		return backend.Exit{Code: -1}, err
	}
	status := unix.WaitStatus(e.Status)
	memory, tasks := c.jail.Peaks()
	exit := backend.Exit{
		Code: -1, CPU: e.CPU, MemoryPeak: e.MaxRSS, PIDsPeak: int(tasks),
		OOMKilled: oom,
	}
	if f := c.jail.cfg.Filters; f.Judges != nil {
		exit.Needed = needs(e.Denials, f.Judges)
	} else {
		exit.Denials = denials(e.Denials, f)
	}
	if memory > 0 {
		exit.MemoryPeak = memory
	}
	if status.Signaled() {
		exit.Signal = syscall.Signal(status.Signal())
	} else {
		exit.Code = status.ExitStatus()
	}
	return exit, nil
}

// denials tells of refused calls by their names.
func denials(calls map[int64]guest.DeniedCall, f *seccomp.Filters) []backend.Denial {
	var out []backend.Denial
	for nr, call := range calls {
		name := seccomp.Name(runtime.GOARCH, int(nr))
		out = append(out, backend.Denial{Kind: "syscall", Target: name, Rule: f.RefusedBy(name), Count: int(call.Count)})
	}
	slices.SortFunc(out, func(a, b backend.Denial) int { return strings.Compare(a.Target, b.Target) })
	return out
}

// needs tells of calls that were let pass and logged. It is not nil: nothing was
// needed, which is something else than that nobody looked.
func needs(calls map[int64]guest.DeniedCall, judges []seccomp.Judge) []backend.Need {
	out := []backend.Need{}
	for nr, call := range calls {
		n := backend.Need{Call: seccomp.Name(runtime.GOARCH, int(nr)), Count: int(call.Count), RefusedBy: []string{}}
		for i, j := range judges {
			if call.Refused>>i&1 != 0 {
				n.RefusedBy = append(n.RefusedBy, j.Name)
			}
			if call.Absent>>i&1 != 0 {
				n.AbsentFrom = append(n.AbsentFrom, j.Name)
			}
		}
		out = append(out, n)
	}
	slices.SortFunc(out, func(a, b backend.Need) int { return strings.Compare(a.Call, b.Call) })
	return out
}

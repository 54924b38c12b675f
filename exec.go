package kavach

import (
	"context"
	"errors"
	"fmt"
	"io"
	"syscall"
	"time"

	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/credential"
	"github.com/kavach-dev/kavach/gate"
	"github.com/kavach-dev/kavach/policy"
)

// How long a command is waited for after it should have ended.
const (
	// killGrace is how long a killed command may take to be gone, before the
	// whole sandbox is destroyed instead.
	killGrace = 3 * time.Second

	// drainGrace is how long output is waited for when the command itself has
	// ended and something that it left behind still holds its stdout open
	// (golang.org/issue/21922).
	drainGrace = 200 * time.Millisecond

	// terminalGrace is how long it is waited for after that where it is what a
	// terminal has shown. Nothing that the command left behind can hold that
	// open, only the place itself, which has a few KiB to hand over: this is for
	// one that lies.
	terminalGrace = 2 * time.Second
)

// Cmd is a command to run. It is data, and may be used again.
type Cmd struct {
	// Args is the command and its arguments. There is no command string: a
	// shell runs only where Args names it. Args[0] is looked up in the PATH of
	// the command's environment, inside. Empty: an error.
	Args []string

	// Env is added to the environment of the policy, as "KEY=value"; the last
	// of a key wins. Nothing of the caller's own environment is inherited.
	Env []string

	// Dir is the working directory, absolute, inside. Empty: that of the policy.
	Dir string

	// Stdin is what the command reads. Nil: /dev/null.
	Stdin io.Reader

	// Stdout and Stderr are where output goes, through the gate, as it comes.
	// Nil: it is collected, and is in the Result when the gate has seen all.
	Stdout, Stderr io.Writer

	// Terminal gives the command a terminal of this size, of the sandbox's own
	// (pty(7)), as its controlling terminal and its stdin, stdout and stderr.
	// What is read from Stdin is typed on it: ^C and ^Z mean what they do on any,
	// and the end of Stdin means nothing, as with ssh -t (write "\x04" for ^D).
	// What it shows, stderr and the echo of what is typed included, is stdout,
	// and resources.output bounds it; Stderr must be nil. When the command ends,
	// or Process.Wait's ctx, the terminal is hung up. An error that matches
	// errors.ErrUnsupported: the backend has none. Nil: no terminal.
	Terminal *backend.WindowSize

	// Timeout bounds the wall time. Zero, or more than the policy allows: that
	// of the policy.
	Timeout time.Duration

	// Credentials names those of the sandbox's credentials that the command is
	// given. Nil: all. Empty: none.
	Credentials []string
}

// Result is how a command ended. None of this is an error.
type Result struct {
	// ExitCode is the command's own; -1 where a signal ended it.
	ExitCode int

	// Signal is the signal that ended it, or 0.
	Signal syscall.Signal

	// TimedOut says that the command and all that it started were killed at
	// the deadline.
	TimedOut bool

	// OOMKilled says that the kernel killed something in the sandbox for want
	// of memory while the command ran.
	OOMKilled bool

	// Truncated says that the command wrote more than resources.output, or that
	// something it left behind held its output open when it had ended.
	Truncated bool

	// Stdout and Stderr are what was written where Cmd has no writer for it, as far
	// as the gate lets it out: redacted, or nil where it was withheld.
	Stdout, Stderr []byte

	// Gate is what the gate says of the output. Verdict "": the policy has nothing
	// looked at.
	Gate gate.Report

	// Denials are the refusals that Kavach saw.
	Denials []backend.Denial

	// Needed are the system calls that were let pass and logged, where the
	// policy says seccomp.mode "log". Nil: nothing was logged.
	Needed []backend.Need

	// Unscanned is what left with nobody looking: the directories of the host that
	// the command could change by itself (mounts with access "direct"), and
	// "stdout", "stderr" and "files" where the policy says gate.mode "off".
	Unscanned []string

	// Credentials are what the command was given, and how, in the order of the
	// policy. Nil: nothing.
	Credentials []credential.Grant

	Usage Usage
}

// Usage is what a command used.
type Usage struct {
	Wall, CPU  time.Duration
	MemoryPeak int64 // bytes; 0: not known
	PIDsPeak   int   // tasks at once; 0: not known
}

// Process is a command that was started.
type Process struct {
	sandbox *Sandbox
	exec    int
	dir     string // where it was started, inside
	process backend.Process
	started time.Time
	timeout time.Duration // 0: none
	streams *streams
	lease   *credential.Lease
}

// Run starts cmd and waits for it.
func (s *Sandbox) Run(ctx context.Context, cmd Cmd) (*Result, error) {
	p, err := s.Start(ctx, cmd)
	if err != nil {
		return nil, err
	}
	return p.Wait(ctx)
}

// Start starts cmd. The caller must call Wait.
func (s *Sandbox) Start(ctx context.Context, cmd Cmd) (*Process, error) {
	return s.start(ctx, cmd, timeout(&s.policy, cmd.Timeout), func(ctx context.Context, _ *Process, inner backend.Cmd) (backend.Process, error) {
		return s.instance.Start(ctx, inner)
	})
}

// beginning is how what becomes a Process is started in its place.
type beginning func(ctx context.Context, p *Process, inner backend.Cmd) (backend.Process, error)

// start starts a command, or what a backend runs like one. Limit is its wall time;
// 0: none.
func (s *Sandbox) start(ctx context.Context, cmd Cmd, limit time.Duration, begin beginning) (*Process, error) {
	if len(cmd.Args) == 0 || cmd.Args[0] == "" {
		return nil, errors.New("no command: Cmd.Args is empty")
	}
	if cmd.Terminal != nil && cmd.Stderr != nil {
		return nil, errors.New("a command with a terminal has no stderr of its own: leave Cmd.Stderr nil, and read both from Stdout")
	}
	exec, err := s.nextExec()
	if err != nil {
		return nil, err
	}
	grants, err := s.credentials.Grants(cmd.Credentials)
	if err != nil {
		return nil, err
	}
	inner := backend.Cmd{
		Args: cmd.Args, Env: environment(&s.policy, cmd.Env), Dir: workdir(&s.policy, cmd.Dir), Terminal: cmd.Terminal,
	}
	if err := s.runtime.record(ctx, Event{
		Act: ActExec, Sandbox: s.id, Backend: s.backend, Exec: exec, Args: cmd.Args, EnvKeys: keys(inner.Env), Grants: grants,
	}); err != nil {
		return nil, err
	}
	p := &Process{sandbox: s, exec: exec, dir: inner.Dir, timeout: limit}
	if p.lease, err = s.lend(ctx, cmd, &inner); err != nil {
		return nil, s.failed(ctx, exec, err)
	}
	if p.streams, err = s.open(ctx, exec, cmd, &inner); err != nil {
		return nil, s.failed(ctx, exec, errors.Join(err, p.lease.Revoke()))
	}
	p.started = time.Now()
	p.process, err = p.begin(ctx, inner, begin)
	p.streams.started()
	p.lease.Started()
	if err != nil {
		p.streams.abandon()
		if errors.Is(err, backend.ErrDestroyed) {
			_ = s.become("stop", Stopped) // from Destroyed it cannot, and need not
		}
		return nil, s.failed(ctx, exec, errors.Join(err, p.lease.Revoke()))
	}
	return p, nil
}

// lend gives a command its secrets. Its output is opened after that, as the gate looks
// for what it knows by then.
func (s *Sandbox) lend(ctx context.Context, cmd Cmd, inner *backend.Cmd) (*credential.Lease, error) {
	files, _ := s.instance.(backend.SecretFiles)
	return s.credentials.Attach(ctx, credential.Command{
		Names: cmd.Credentials, Cmd: inner, Stdin: cmd.Stdin != nil || cmd.Terminal != nil, Files: files,
	})
}

// begin starts the command in its place. One that does not even say whether it
// did, long after the command should have ended, is destroyed.
func (p *Process) begin(ctx context.Context, inner backend.Cmd, begin beginning) (backend.Process, error) {
	patience := ctx
	if p.timeout > 0 {
		var cancel context.CancelFunc
		patience, cancel = context.WithDeadline(ctx, p.started.Add(p.timeout+killGrace))
		defer cancel()
	}
	started, err := begin(patience, p, inner)
	var unready *backend.UnreadyError
	if err != nil && patience.Err() != nil && ctx.Err() == nil && !errors.As(err, &unready) {
		err = errors.Join(fmt.Errorf("sandbox %s does not answer: %w", p.sandbox.id, err), p.sandbox.Destroy(ctx))
	}
	return started, err
}

// failed closes the record of a command that never ran.
func (s *Sandbox) failed(ctx context.Context, exec int, err error) error {
	event := Event{Act: ActResult, Sandbox: s.id, Backend: s.backend, Exec: exec, Err: err.Error()}
	if auditErr := s.runtime.record(context.WithoutCancel(ctx), event); auditErr != nil {
		return errors.Join(err, auditErr)
	}
	return err
}

// Signal sends sig to the command's process group.
func (p *Process) Signal(sig syscall.Signal) error { return p.process.Signal(sig) }

// Resize changes the size of the command's terminal; what is in its foreground
// gets SIGWINCH. For a command that has ended it does nothing.
func (p *Process) Resize(size backend.WindowSize) error {
	r, ok := p.process.(backend.Resizer)
	if !ok {
		return fmt.Errorf("cannot resize: backend %s has no terminals: %w", p.sandbox.backend, errors.ErrUnsupported)
	}
	return r.Resize(size)
}

// Wait waits for the command and for its output. When ctx is cancelled, the
// command and all that it started are killed, and the error is ctx's, beside
// the Result.
func (p *Process) Wait(ctx context.Context) (*Result, error) {
	deadline := context.Background()
	if p.timeout > 0 {
		var cancel context.CancelFunc
		deadline, cancel = context.WithDeadline(deadline, p.started.Add(p.timeout))
		defer cancel()
	}
	exit, late, err := p.await(ctx, deadline)
	wall := time.Since(p.started)
	revokeErr := p.lease.Revoke()
	out := p.streams.finish(ctx)
	if err != nil && errors.Is(err, backend.ErrDestroyed) {
		_ = p.sandbox.become("stop", Stopped) // from Destroyed it cannot, and need not
	}
	res := &Result{
		ExitCode: exit.Code, Signal: exit.Signal, OOMKilled: exit.OOMKilled,
		TimedOut:  late && ctx.Err() == nil,
		Truncated: out.truncated,
		Denials:   append(exit.Denials, pathDenials(&p.sandbox.policy, exit, p.dir, out.stderrTail)...),
		Needed:    exit.Needed,
		Gate:      out.report,
		Unscanned: unscanned(&p.sandbox.policy),

		Credentials: p.lease.Grants(),
		Usage:       Usage{Wall: wall, CPU: exit.CPU, MemoryPeak: exit.MemoryPeak, PIDsPeak: exit.PIDsPeak},
	}
	err = errors.Join(err, revokeErr, out.err, ctx.Err())
	event := Event{Act: ActResult, Sandbox: p.sandbox.id, Backend: p.sandbox.backend, Exec: p.exec, Digests: out.digests}
	recorded := *res
	event.Result = &recorded
	if err != nil {
		event.Err = err.Error()
	}
	if auditErr := p.sandbox.runtime.record(context.WithoutCancel(ctx), event); auditErr != nil {
		return nil, errors.Join(err, auditErr) // nothing is released without a record
	}
	res.Stdout, res.Stderr = out.stdout, out.stderr
	if out.err == nil && !out.report.Withheld() {
		err = errors.Join(err, p.streams.deliver())
	}
	return res, err
}

// await waits for the command, and kills it when it is too late, or when ctx is
// cancelled: first its tree, then, where even that does not end it, the whole
// sandbox.
func (p *Process) await(ctx, deadline context.Context) (exit backend.Exit, late bool, err error) {
	waiting, stop := context.WithCancel(ctx)
	defer stop()
	defer context.AfterFunc(deadline, stop)()
	exit, err = p.process.Wait(waiting)
	if waiting.Err() == nil || err == nil {
		return exit, false, err
	}
	late = deadline.Err() != nil
	killErr := p.process.Kill()
	grace, cancel := context.WithTimeout(context.Background(), killGrace)
	defer cancel()
	if exit, err = p.process.Wait(grace); err == nil {
		return exit, late, nil
	}
	// The place itself does not answer: it ends, and the command with it.
	err = errors.Join(killErr, p.sandbox.Destroy(context.Background()))
	return backend.Exit{Code: -1, Signal: syscall.SIGKILL}, late, err
}

func timeout(p *policy.Policy, asked time.Duration) time.Duration {
	limit := time.Duration(p.Resources.Effective().Timeout)
	if limit < 0 {
		return max(asked, 0)
	}
	if asked <= 0 || asked > limit {
		return limit
	}
	return asked
}

func workdir(p *policy.Policy, asked string) string {
	if asked != "" {
		return asked
	}
	if p.Process.Workdir != "" {
		return p.Process.Workdir
	}
	return "/"
}

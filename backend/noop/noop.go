// Package noop runs commands with no isolation at all. It scores 0, whatever the
// policy says; it is there for tests, and to measure what the rest costs. It is
// never chosen, only named.
//
// What this package does not protect: anything.
package noop

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/internal/takeout"
	"github.com/kavach-dev/kavach/policy"
)

// Name is the name of this backend.
const Name = "noop"

// Backend runs commands as os/exec does. The zero value is ready for use.
type Backend struct{}

// Name returns "noop".
func (Backend) Name() string { return Name }

// Probe finds no control, anywhere.
func (Backend) Probe(context.Context) (backend.Info, error) { return backend.Info{}, nil }

// Create returns an instance that is nothing but a list of its processes.
func (Backend) Create(_ context.Context, spec backend.Spec) (backend.Instance, error) {
	if spec.Image != nil {
		return nil, &backend.UnavailableError{
			Backend: Name, Reason: "image " + spec.Image.Ref + " would be ignored: commands see the host's files", Fix: "leave out the image, or name another backend",
		}
	}
	if len(spec.SecretFiles) > 0 {
		return nil, fmt.Errorf("secret file %s: backend noop has no files of its own, commands see the host's; give the secret by another way (as env:VAR, fd:N, stdin), or name another backend: %w",
			spec.SecretFiles[0], errors.ErrUnsupported)
	}
	for _, m := range spec.Policy.Filesystem.Mounts {
		if m.Access == policy.AccessWrite {
			return nil, fmt.Errorf("mount %s: backend noop cannot keep changes apart, commands write to the host itself; leave out the mount, or name another backend: %w",
				m.Source, errors.ErrUnsupported)
		}
	}
	return &instance{running: make(map[*process]bool)}, nil
}

type instance struct {
	mu        sync.Mutex // guards what follows
	destroyed bool
	running   map[*process]bool
}

type process struct {
	cmd  *exec.Cmd
	done chan struct{}
	exit backend.Exit
	err  error
}

// Start starts a command in a session of its own.
func (i *instance) Start(_ context.Context, c backend.Cmd) (backend.Process, error) {
	if c.Terminal != nil {
		return nil, fmt.Errorf("backend %s has no terminals; choose another: %w", Name, errors.ErrUnsupported)
	}
	path, err := lookup(c)
	if err != nil {
		return nil, err
	}
	cmd := &exec.Cmd{Path: path, Args: c.Args, Env: withSecrets(c.Env, c.Secrets), Dir: c.Dir, SysProcAttr: &syscall.SysProcAttr{Setsid: true}}
	for _, d := range c.Files {
		for len(cmd.ExtraFiles)+firstExtra < d.FD {
			cmd.ExtraFiles = append(cmd.ExtraFiles, nil)
		}
		cmd.ExtraFiles = append(cmd.ExtraFiles, d.File)
	}
	// Typed nils would be descriptors to os/exec.
	if c.Stdin != nil {
		cmd.Stdin = c.Stdin
	}
	if c.Stdout != nil {
		cmd.Stdout = c.Stdout
	}
	if c.Stderr != nil {
		cmd.Stderr = c.Stderr
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.destroyed {
		return nil, backend.ErrDestroyed
	}
	if err := cmd.Start(); err != nil {
		return nil, refused(c, err)
	}
	p := &process{cmd: cmd, done: make(chan struct{})}
	i.running[p] = true
	go func() {
		p.wait()
		i.mu.Lock()
		delete(i.running, p)
		i.mu.Unlock()
	}()
	return p, nil
}

// firstExtra is the descriptor of exec.Cmd.ExtraFiles[0].
const firstExtra = 3

// withSecrets is an environment with secrets in it. os/exec copies it onto Go's heap,
// where this backend, which isolates nothing, leaves it to the collector.
func withSecrets(env []string, secrets []backend.Secret) []string {
	if len(secrets) == 0 {
		return env
	}
	env = slices.DeleteFunc(slices.Clone(env), func(kv string) bool {
		name, _, _ := strings.Cut(kv, "=")
		return slices.ContainsFunc(secrets, func(s backend.Secret) bool { return s.Name == name })
	})
	for _, s := range secrets {
		env = append(env, s.Name+"="+string(s.Value()))
	}
	return env
}

// lookup finds a command in the PATH that it will have, not in ours.
func lookup(c backend.Cmd) (string, error) {
	name := c.Args[0]
	if strings.Contains(name, "/") {
		return name, nil
	}
	for _, kv := range c.Env {
		list, ok := strings.CutPrefix(kv, "PATH=")
		for _, dir := range filepath.SplitList(list) {
			path := filepath.Join(dir, name)
			if st, err := os.Stat(path); ok && err == nil && st.Mode().IsRegular() && st.Mode()&0o111 != 0 {
				return path, nil
			}
		}
	}
	return "", &backend.ExecError{Path: name, Step: "lookup", Errno: syscall.ENOENT}
}

func refused(c backend.Cmd, err error) error {
	e := &backend.ExecError{Path: c.Args[0], Step: "exec", Dir: c.Dir}
	if !errors.As(err, &e.Errno) {
		return fmt.Errorf("start %s: %w", e.Path, err)
	}
	// os.StartProcess has one error for all that the child did before it ran.
	if st, err := os.Stat(c.Dir); c.Dir != "" && (err != nil || !st.IsDir()) {
		e.Step = "chdir"
	}
	return e
}

func (p *process) wait() {
	defer close(p.done)
	err := p.cmd.Wait()
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) {
		p.err = err
	}
	state := p.cmd.ProcessState
	if state == nil {
		return
	}
	p.exit = backend.Exit{Code: state.ExitCode(), CPU: state.UserTime() + state.SystemTime()}
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		p.exit.Signal = status.Signal()
	}
	if usage, ok := state.SysUsage().(*syscall.Rusage); ok {
		p.exit.MemoryPeak = usage.Maxrss << 10
	}
}

// Proofs returns none.
func (*instance) Proofs(context.Context) ([]backend.Proof, error) { return nil, nil }

// Export reads the host's own files, as commands do.
func (i *instance) Export(ctx context.Context, e backend.Export, w *os.File) error {
	i.mu.Lock()
	destroyed := i.destroyed
	i.mu.Unlock()
	if destroyed {
		return backend.ErrDestroyed
	}
	return takeout.Send(&untilDone{ctx, w}, takeout.Request{Path: e.Path, Limits: takeout.Limits{
		FileBytes: e.FileBytes, TotalBytes: e.TotalBytes, Entries: e.Entries, Depth: e.Depth,
	}})
}

// untilDone ends an export between two writes.
type untilDone struct {
	ctx context.Context //nolint:containedctx // of the one Export
	w   *os.File
}

func (u *untilDone) Write(p []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	return u.w.Write(p)
}

// Destroy kills the process groups of all commands. What left its group lives
// on: there is nothing here to hold it.
func (i *instance) Destroy(ctx context.Context) error {
	i.mu.Lock()
	i.destroyed = true
	var all []*process
	for p := range i.running {
		all = append(all, p)
	}
	i.mu.Unlock()
	for _, p := range all {
		_ = p.Kill() // gone already
		select {
		case <-p.done:
		case <-ctx.Done():
			return fmt.Errorf("process %d does not die: %w", p.cmd.Process.Pid, ctx.Err())
		}
	}
	return nil
}

func (p *process) Signal(sig syscall.Signal) error {
	select {
	case <-p.done:
		return nil // its number may be another's by now
	default:
		return syscall.Kill(-p.cmd.Process.Pid, sig)
	}
}

func (p *process) Kill() error { return p.Signal(syscall.SIGKILL) }

func (p *process) Wait(ctx context.Context) (backend.Exit, error) {
	select {
	case <-p.done:
		return p.exit, p.err
	case <-ctx.Done():
		return backend.Exit{}, ctx.Err()
	}
}

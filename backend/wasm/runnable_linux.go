package wasm

import (
	"context"
	"crypto/sha256"
	"os"
	"path"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/internal/agent"
	"github.com/kavach-dev/kavach/internal/wasmwire"
	"github.com/kavach-dev/kavach/policy"
)

// runnable is a worker that has a module loaded, and what that is to get.
type runnable struct {
	worker  *worker
	config  wasmwire.Config
	fds     []int          // stdin, stdout, stderr, unless they are the worker's; and what secrets come from
	secrets *agent.Pouring // nil: there are none
	release func()         // of what fds are of; to be called when they were sent
}

// runnable finds out first what the module is to get, and then takes a worker.
func (i *instance) runnable(ctx context.Context, cmd backend.Cmd, memory policy.Bytes, bytes *os.File) (r *runnable, err error) {
	if err := refuseFiles(cmd); err != nil {
		return nil, err
	}
	cmd, given, err := withSecrets(cmd)
	if err != nil {
		return nil, err
	}
	r = &runnable{}
	if r.config, err = i.config(cmd, given, memory); err != nil {
		return nil, err
	}
	if err = r.hand(cmd); err != nil {
		return nil, err
	}
	if r.worker, err = i.ready(ctx, cmd, bytes); err != nil {
		r.release()
		return nil, err
	}
	r.worker.command.Rebase()
	return r, nil
}

// hand makes ready what is to come as descriptors.
func (r *runnable) hand(cmd backend.Cmd) error {
	fds, release, err := stdio(cmd)
	if err != nil {
		return err
	}
	r.fds, r.release = fds, release
	if len(cmd.Secrets) == 0 {
		return nil
	}
	if r.secrets, err = agent.Pour(cmd.Secrets); err != nil {
		release()
		return err
	}
	r.fds = append(r.fds, int(r.secrets.From.Fd()))
	r.release = func() {
		_ = r.secrets.End() // of a module that has begun it was looked at
		release()
	}
	return nil
}

// config is what a module gets.
func (i *instance) config(cmd backend.Cmd, given []wasmwire.Given, memory policy.Bytes) (wasmwire.Config, error) {
	p := &i.policy
	for _, text := range slices.Concat(cmd.Args, cmd.Env) {
		if strings.Contains(text, "\x00") || strings.HasPrefix(text, "=") && slices.Contains(cmd.Env, text) {
			return wasmwire.Config{}, &backend.ExecError{Path: cmd.Args[0], Step: "arguments", Errno: unix.EINVAL}
		}
	}
	c := wasmwire.Config{
		Args: cmd.Args, Env: cmd.Env, Dir: cmd.Dir, Preopens: slices.Clone(i.preopens),
		Memory: uint64(max(p.Resources.Effective().Memory, 0)), Stdio: cmd.Terminal == nil, Given: given,
	}
	if memory > 0 && (c.Memory == 0 || uint64(memory) < c.Memory) {
		c.Memory = uint64(memory)
	}
	// A program of Go goes by this, and one of C by the directory named ".".
	if !slices.ContainsFunc(c.Env, func(kv string) bool { return strings.HasPrefix(kv, "PWD=") }) &&
		!slices.ContainsFunc(given, func(g wasmwire.Given) bool { return g.Name == "PWD" }) {
		c.Env = append(slices.Clone(c.Env), "PWD="+cmd.Dir)
	}
	if o, shown := below(i.dirs, path.Clean(cmd.Dir), "."); shown {
		c.Preopens = append(c.Preopens, o)
	}
	if p.Wasm.Clock != "" {
		at, err := p.Wasm.Start()
		if err != nil {
			return c, err
		}
		c.FixedClock, c.Clock = true, at
	}
	if p.Wasm.Seed != "" {
		seed := sha256.Sum256([]byte(p.Wasm.Seed))
		c.Seed = string(seed[:])
	}
	return c, nil
}

// lookupPath is the PATH of an environment.
func lookupPath(env []string) (path string) {
	for _, kv := range env {
		if value, ok := strings.CutPrefix(kv, "PATH="); ok {
			path = value
		}
	}
	return path
}

// stdio are the descriptors of a command that has no terminal. They are those of its
// files until release is called.
func stdio(cmd backend.Cmd) (fds []int, release func(), err error) {
	release = func() { runtime.KeepAlive(cmd) }
	if cmd.Terminal != nil {
		return nil, release, nil
	}
	var null *os.File
	for _, f := range []*os.File{cmd.Stdin, cmd.Stdout, cmd.Stderr} {
		if f == nil {
			if null == nil {
				if null, err = os.OpenFile(os.DevNull, os.O_RDWR, 0); err != nil {
					return nil, release, err
				}
				release = func() { null.Close(); runtime.KeepAlive(cmd) }
			}
			f = null
		}
		fds = append(fds, int(f.Fd())) // passing it makes a copy
	}
	return fds, release, nil
}

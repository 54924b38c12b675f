package wasm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/internal/jail"
	"github.com/kavach-dev/kavach/internal/wasmwire"
	"github.com/kavach-dev/kavach/policy"
)

// instance is a jail, and the workers in it.
type instance struct {
	backend  *Backend
	jail     *jail.Jail
	policy   policy.Policy
	dirs     []string           // that modules see
	preopens []wasmwire.Preopen // of them
	proofs   []backend.Proof
	notes    []string

	background sync.WaitGroup // who makes the next worker ready

	mu      sync.Mutex // guards what follows
	idle    *worker    // nil: there is none, or it is being made
	making  bool
	starts  int
	last    *wasmwire.Load // what was run last; the next worker has it loaded
	dropped bool           // it is destroyed

	life context.Context    // of what is made in the background; set before there is any
	stop context.CancelFunc // ends it
}

// Start runs the module that cmd names.
func (i *instance) Start(ctx context.Context, cmd backend.Cmd) (backend.Process, error) {
	r, err := i.runnable(ctx, cmd, 0, nil)
	if err != nil {
		return nil, err
	}
	defer r.release()
	w := r.worker
	_, err = ask[*wasmwire.Started](ctx, w, &wasmwire.Run{Config: r.config}, r.fds...)
	if err == nil {
		err = r.secrets.End()
	}
	if err != nil {
		return nil, i.failed(w, cmd, err)
	}
	i.prepare()
	p := &process{Command: w.command, worker: w, over: make(chan struct{})}
	go p.listen()
	return p, nil
}

// ready returns a worker that has the module loaded, which bytes holds, or, where that
// is nil, is inside. One that has waited may have
// been killed meanwhile, for want of memory or by whoever else is in the jail: it
// has run nothing, and another takes its place.
func (i *instance) ready(ctx context.Context, cmd backend.Cmd, bytes *os.File) (*worker, error) {
	module := &wasmwire.Load{Name: cmd.Args[0], Path: lookupPath(cmd.Env), Dir: cmd.Dir}
	w := i.waiting(cmd)
	if w != nil {
		err := i.load(ctx, w, module, bytes)
		var said *refusedError
		switch {
		case err == nil:
			return w, nil
		case errors.As(err, &said) || ctx.Err() != nil:
			return nil, i.failed(w, cmd, err)
		}
		w.end()
	}
	w, err := i.newWorker(ctx, cmd)
	if err != nil {
		return nil, err
	}
	if err := i.load(ctx, w, module, bytes); err != nil {
		return nil, i.failed(w, cmd, err)
	}
	return w, nil
}

// failed says what is wrong with a command that could not be started, and keeps its
// worker, which has run nothing, where that is well.
func (i *instance) failed(w *worker, cmd backend.Cmd, err error) error {
	var said *refusedError
	if !errors.As(err, &said) {
		w.end()
		return err
	}
	if cmd.Terminal != nil || !i.giveBack(w) {
		w.end()
	}
	refused := said.asExec(cmd)
	switch {
	case refused.NotFound():
		refused.Hint = "modules are looked for in PATH and in the working directory, as they are seen inside; --volume shows one"
	case refused.Step == "chdir":
		refused.Hint = jail.Hint(refused, &i.policy.Filesystem)
	}
	return refused
}

// waiting takes the worker that waits. Nil: there is none, or it is of no use to a
// command that has a terminal, on which its worker is made.
func (i *instance) waiting(cmd backend.Cmd) *worker {
	if cmd.Terminal != nil {
		return nil
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	w := i.idle
	i.idle = nil
	return w
}

// giveBack keeps a worker for the next command.
func (i *instance) giveBack(w *worker) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.idle != nil || i.dropped {
		return false
	}
	i.idle = w
	return true
}

// prepare makes the next worker, with the same module loaded, from the second
// command on: who runs one will as a rule run no other, and who runs two, many.
func (i *instance) prepare() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.starts++
	if i.starts < 2 || i.making || i.idle != nil || i.dropped {
		return
	}
	i.making = true
	module := i.last
	i.background.Go(func() {
		w, err := i.newWorker(i.life, backend.Cmd{})
		if err == nil && module != nil {
			err = i.load(i.life, w, module, nil)
		}
		i.mu.Lock()
		i.making = false
		i.mu.Unlock()
		var said *refusedError // the module is gone; the worker is well
		if err != nil && !errors.As(err, &said) || w != nil && !i.giveBack(w) {
			w.end()
		}
	})
}

func (i *instance) Proofs(context.Context) ([]backend.Proof, error) {
	return slices.Clone(i.proofs), nil
}
func (i *instance) Notes() []string                  { return i.notes }
func (i *instance) Pause(ctx context.Context) error  { return i.jail.Pause(ctx) }
func (i *instance) Resume(ctx context.Context) error { return i.jail.Resume(ctx) }
func (i *instance) Halt(ctx context.Context) error   { return i.jail.Halt(ctx) }
func (i *instance) Layers() []backend.Layer          { return i.jail.Layers() }

func (i *instance) Give(path string, content []byte) error { return i.jail.Give(path, content) }
func (i *instance) Take(path string) error                 { return i.jail.Take(path) }

// Destroy ends the workers with their jail.
func (i *instance) Destroy(ctx context.Context) error {
	i.mu.Lock()
	i.dropped = true
	i.mu.Unlock()
	i.stop()
	if err := i.jail.Close(ctx); err != nil {
		return fmt.Errorf("end the workers: %w", err)
	}
	i.background.Wait() // what it waits for is dead, or was cancelled
	i.mu.Lock()
	defer i.mu.Unlock()
	i.idle.end()
	i.idle = nil
	return nil
}

// Export reads what modules can see, and nothing else: the worker and what is its own
// are in the jail, too.
func (i *instance) Export(ctx context.Context, e backend.Export, w *os.File) error {
	o, shown := below(i.dirs, e.Path, "")
	if !shown {
		return &backend.ExportError{Path: e.Path, Reason: "modules see nothing of it, only what is below " + strings.Join(i.dirs, ", ")}
	}
	return i.jail.Export(ctx, e, o.Base, w)
}

var (
	_ backend.Pauser      = (*instance)(nil)
	_ backend.Files       = (*instance)(nil)
	_ backend.SecretFiles = (*instance)(nil)
	_ backend.Layered     = (*instance)(nil)
	_ backend.Noted       = (*instance)(nil)
	_ backend.Loader      = (*instance)(nil)
	_ backend.Resizer     = (*process)(nil)
)

package wasm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/internal/agent"
	"github.com/kavach-dev/kavach/internal/jail"
	"github.com/kavach-dev/kavach/internal/wasmwire"
	"github.com/kavach-dev/kavach/internal/wire"
	"github.com/kavach-dev/kavach/policy"
)

// worker is a process of kavach-wasm in a jail. Who has it speaks to it alone.
type worker struct {
	command *jail.Command
	conn    *wire.Conn
	said    *agent.Tail // what it writes before it has a command's stderr; nil: it is on a terminal
	hello   wasmwire.Hello
}

// newWorker starts a worker and has it confine itself.
func (i *instance) newWorker(ctx context.Context, cmd backend.Cmd) (*worker, error) {
	return startWorker(ctx, i.jail, cmd, i.backend)
}

func startWorker(ctx context.Context, j *jail.Jail, cmd backend.Cmd, b *Backend) (_ *worker, err error) {
	conn, theirs, err := wire.NewChannel(wasmwire.HostSide)
	if err != nil {
		return nil, err
	}
	w := &worker{conn: conn}
	own := backend.Cmd{Args: []string{jail.WorkerPath}, Dir: "/"}
	if cmd.Terminal != nil {
		own.Terminal, own.Stdin, own.Stdout = cmd.Terminal, cmd.Stdin, cmd.Stdout
	} else {
		said, stderr, err := agent.NewTail()
		if err != nil {
			return nil, errors.Join(err, conn.Close(), theirs.Close())
		}
		defer stderr.Close()
		w.said, own.Stderr = said, stderr
	}
	own.Files = jail.Inherited(theirs)
	w.command, err = j.Exec(ctx, own)
	theirs.Close() // now, so that its death is the end of what it says
	if err != nil {
		return nil, errors.Join(explain(err), conn.Close())
	}
	setup := &wasmwire.Setup{Dir: jail.WorkerDir, Links: b.links}
	if !slices.Contains(b.without, policy.SeccompOn) {
		if setup.Filter, err = filter(); err != nil {
			w.end()
			return nil, err
		}
	}
	hello, err := ask[*wasmwire.Hello](ctx, w, setup)
	if err != nil {
		w.end()
		return nil, err
	}
	w.hello = *hello
	if len(setup.Filter) > 0 && !confined(&w.hello) {
		w.end()
		return nil, fmt.Errorf("a worker put its filter on, and the kernel does not refuse what it must: %+v", w.hello)
	}
	return w, nil
}

// explain says of a worker that cannot be executed why that is, as a rule.
func explain(err error) error {
	var refused *backend.ExecError
	if errors.As(err, &refused) && errors.Is(refused.Errno, unix.ENOENT) {
		return errors.New("kavach-wasm cannot be executed in an empty directory, as it is linked with libraries: build it without cgo (CGO_ENABLED=0)")
	}
	return err
}

// end ends a worker that is of no more use.
func (w *worker) end() {
	if w == nil {
		return
	}
	_ = w.command.Kill() // the jail may be gone, and the worker with it
	w.conn.Close()
}

// refusedError is what a worker says it cannot do.
type refusedError struct {
	step, reason string
	errno        syscall.Errno
}

func (e *refusedError) Error() string { return e.reason }

// asExec says it of a command. What the kernel did not refuse is not what a kernel
// takes for a program.
func (e *refusedError) asExec(cmd backend.Cmd) *backend.ExecError {
	refused := &backend.ExecError{Path: cmd.Args[0], Step: e.step, Dir: cmd.Dir, Errno: e.errno}
	if refused.Errno == 0 {
		refused.Errno, refused.Reason = unix.ENOEXEC, e.reason
	}
	return refused
}

// ask sends a frame, and waits for an answer of one kind.
func ask[T wire.Frame](ctx context.Context, w *worker, f wire.Frame, fds ...int) (answer T, err error) {
	got, err := w.exchange(ctx, f, fds...)
	if err != nil {
		return answer, err
	}
	answer, ok := got.(T)
	if !ok {
		w.end() // and is not asked again
		return answer, fmt.Errorf("a worker answered %T with %T", f, got)
	}
	return answer, nil
}

// exchange sends a frame and receives one. A worker that does not answer in time is
// killed, which is what ends the wait for it.
func (w *worker) exchange(ctx context.Context, f wire.Frame, fds ...int) (wire.Frame, error) {
	defer context.AfterFunc(ctx, w.end)()
	if err := w.conn.Send(f, fds...); err != nil {
		return nil, w.lost(ctx, err)
	}
	got, theirs, err := w.conn.Receive()
	if len(theirs) > 0 {
		wire.CloseAll(theirs)
		w.end()
		return nil, errors.New("a worker sent descriptors")
	}
	if err != nil {
		return nil, w.lost(ctx, err)
	}
	if failed, ok := got.(*wasmwire.Failed); ok {
		reason, _ := strings.CutPrefix(agent.Printable(failed.Reason), agent.Printable(failed.Step)+": ")
		return nil, &refusedError{step: agent.Printable(failed.Step), reason: reason, errno: syscall.Errno(failed.Errno)}
	}
	return got, nil
}

var errWorkerMemory = errors.New("a worker was out of memory before it ran anything; raise resources.memory")

// lost says what is known of a worker that does not speak any more.
func (w *worker) lost(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	w.end() // it may be there, and of no use
	if exit, waitErr := w.command.Wait(ctx); waitErr != nil {
		return waitErr
	} else if exit.OOMKilled {
		return errWorkerMemory
	} else if agent.Gone(err) {
		err = fmt.Errorf("a worker ended with code %d, signal %v", exit.Code, exit.Signal)
	}
	if w.said != nil {
		if last := strings.TrimSpace(w.said.String()); last != "" {
			err = fmt.Errorf("%w: %s", err, last)
		}
	}
	return err
}

// load has a worker load a module, which is in its file system, or in a file of
// ours.
func (i *instance) load(ctx context.Context, w *worker, module *wasmwire.Load, bytes *os.File) error {
	var fds []int
	if bytes != nil {
		fds = []int{int(bytes.Fd())}
	}
	found, err := ask[*wasmwire.Found](ctx, w, module, fds...)
	if err != nil {
		return err
	}
	var d digest
	if copy(d[:], found.Digest) != len(d) || found.Size == 0 || found.Size > wasmwire.MaxModule {
		return errors.New("a worker found a module without a digest or a size")
	}
	if allowed := i.policy.Wasm.Modules; len(allowed) > 0 && !slices.Contains(allowed, d.String()) {
		return &refusedError{step: "digest", reason: fmt.Sprintf("its digest is %s, which wasm.modules of the policy does not name", d)}
	}
	if !found.Kept {
		if err := i.compiled(ctx, w, d, int64(found.Size)); err != nil {
			return err
		}
	}
	if bytes == nil {
		i.mu.Lock()
		i.last = module
		i.mu.Unlock()
	}
	return nil
}

// String is how a policy names a module.
func (d digest) String() string { return fmt.Sprintf("sha256:%x", d[:]) }

// compiled gives a worker the code of the module that it has found. Where what was
// kept is of no use to it, that is made anew, once.
func (i *instance) compiled(ctx context.Context, w *worker, d digest, size int64) error {
	for try := 1; ; try++ {
		c, err := i.backend.code(ctx, d, func() (*os.File, error) { return w.module(ctx, size) })
		if err != nil {
			return err
		}
		_, err = ask[*wasmwire.Loaded](ctx, w, &wasmwire.Code{Name: c.name}, int(c.file.Fd()))
		var said *refusedError
		if errors.As(err, &said) && said.step == "code" && try == 1 {
			i.backend.forget(d, c)
			continue
		}
		return err
	}
}

// module fetches the bytes of the module that a worker has found.
func (w *worker) module(ctx context.Context, size int64) (_ *os.File, err error) {
	f, err := memoryFile("module", size)
	if err != nil {
		return nil, err
	}
	if _, err = ask[*wasmwire.Written](ctx, w, &wasmwire.Want{}, int(f.Fd())); err == nil {
		err = seal(f, size)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// confined reports whether all that a worker tried was refused by its filter.
func confined(h *wasmwire.Hello) bool {
	const refused = uint32(unix.EPERM)
	return h.Exec == refused && h.Socket == refused && h.Filter == refused
}

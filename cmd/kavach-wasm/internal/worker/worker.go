//go:build linux

// Package worker runs one module of WASI preview 1 for kavach.
//
// What this package does not protect: a module that breaks out of wazero has what
// the worker has, which is a filter with fifty system calls in an empty jail.
package worker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/kavach-dev/kavach/internal/wasmwire"
	"github.com/kavach-dev/kavach/internal/wire"
)

// Main is the worker's whole life, and returns its exit code.
func Main() int {
	// One module runs on one thread, and while it does nothing else has to.
	runtime.GOMAXPROCS(1)
	channel := os.NewFile(wasmwire.ChannelFD, "channel")
	if !isSocket(wasmwire.ChannelFD) {
		fmt.Fprintln(os.Stderr, "kavach-wasm: this is a part of kavach, which starts it by itself: kavach run FILE.wasm")
		return 2
	}
	conn, err := wire.NewConn(channel, wasmwire.WorkerSide)
	if err != nil {
		fmt.Fprintln(os.Stderr, "kavach-wasm:", err)
		return 1
	}
	w := &worker{conn: conn, ctx: context.Background()}
	code, err := w.work()
	if err != nil {
		fmt.Fprintln(os.Stderr, "kavach-wasm:", err)
	}
	return code
}

// worker has one goroutine, and does what it is told in that order.
type worker struct {
	conn  *wire.Conn
	ctx   context.Context //nolint:containedctx // wazero's API; it is never cancelled: who is late is killed
	setup *wasmwire.Setup
	dir   string // of the cache of wazero; "": none
	cache string // in there

	runtime wazero.Runtime
	wasi    api.Module
	names   []string // of preopened directories, by their descriptors
	module  loaded
	memory  memories
	environ environment
	serving *server
}

// failure is what the host is told.
type failure struct {
	step string
	err  error
}

func (f *failure) Error() string { return f.step + ": " + f.err.Error() }

func fail(step string, err error) error { return &failure{step, err} }

// work does what the host says until the host is gone, or a command has ended.
func (w *worker) work() (code int, err error) {
	for {
		frame, fds, err := w.conn.Receive()
		if errors.Is(err, io.EOF) {
			return 0, nil
		}
		if err != nil {
			return 1, err
		}
		if run, ok := frame.(*wasmwire.Run); ok {
			code, err := w.run(run, fds)
			if refused := w.refuse(err); refused != nil {
				return 1, refused
			}
			if err == nil {
				return code, nil
			}
			continue
		}
		err = w.handle(frame, fds)
		wire.CloseAll(fds)
		if err = w.refuse(err); err != nil {
			return 1, err
		}
	}
}

// refuse tells the host of a failure that is not the worker's end.
func (w *worker) refuse(err error) error {
	var f *failure
	if !errors.As(err, &f) {
		return err
	}
	return w.conn.Send(&wasmwire.Failed{Step: f.step, Reason: bounded(f.err.Error()), Errno: uint32(errnoOf(f.err))})
}

func (w *worker) handle(frame wire.Frame, fds []int) error {
	switch f := frame.(type) {
	case *wasmwire.Setup:
		return w.setUp(f)
	case *wasmwire.Load:
		return w.load(f, fds)
	case *wasmwire.Want:
		return w.hand(fds)
	case *wasmwire.Code:
		return w.take(f, fds)
	case *wasmwire.Compile:
		return w.compile(fds)
	case *wasmwire.Serve:
		return w.serve(f, fds)
	case *wasmwire.Call:
		return w.call(f)
	case *wasmwire.Renew:
		return w.renew()
	case *wasmwire.Read, *wasmwire.Write:
		return w.touch(f)
	}
	return fmt.Errorf("%w: %T from the host", wire.ErrFrame, frame)
}

// setUp confines the worker, and makes what every module needs, while nobody waits.
func (w *worker) setUp(f *wasmwire.Setup) error {
	w.setup = f
	hello, err := confine(f.Filter)
	if err != nil {
		return fail("confine", err)
	}
	// The engine's options decide what its compiled code is called in the cache, so
	// that they are the same wherever a module is compiled or run. There is no
	// check for a cancelled context in the code: a worker that is late is killed.
	config := wazero.NewRuntimeConfigCompiler().WithCoreFeatures(api.CoreFeaturesV2).WithDebugInfoEnabled(false)
	if f.Dir != "" {
		if w.dir, err = os.MkdirTemp(f.Dir, "w"); err != nil {
			return fail("cache", err)
		}
		cache, err := wazero.NewCompilationCacheWithDir(w.dir)
		if err != nil {
			return fail("cache", err)
		}
		// The one directory in there is that of this version of wazero. They are there
		// while code is taken or made, and no longer.
		entries, err := os.ReadDir(w.dir)
		if err == nil && len(entries) != 1 {
			err = fmt.Errorf("wazero's cache has %d directories", len(entries))
		}
		if err = errors.Join(err, os.RemoveAll(w.dir)); err != nil {
			return fail("cache", err)
		}
		w.cache = filepath.Join(w.dir, entries[0].Name())
		config = config.WithCompilationCache(cache)
	}
	w.runtime = wazero.NewRuntimeWithConfig(w.ctx, config)
	if w.wasi, err = w.instantiateWASI(); err != nil {
		return fail("wasi", err)
	}
	return w.conn.Send(hello)
}

// bounded is a text that fits into a frame, whatever a module put into it.
func bounded(text string) string {
	const most = 4 << 10
	return text[:min(len(text), most)]
}

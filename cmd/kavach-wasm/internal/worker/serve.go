//go:build linux

package worker

import (
	"context"
	"errors"
	"fmt"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/sys"

	"github.com/kavach-dev/kavach/internal/wasmwire"
	"github.com/kavach-dev/kavach/internal/wire"
)

type module = api.Module

// server has the instance whose functions are called.
type server struct {
	config    wazero.ModuleConfig
	functions []wasmwire.Function // of the host
	instance  module              // nil: the next call makes one
	busy      bool                // a call is going on
}

// serve gives a module its imports, and makes the first instance.
func (w *worker) serve(f *wasmwire.Serve, fds []int) error {
	if w.module.compiled == nil || w.serving != nil {
		return fail("serve", errors.New("there is no module to serve, or one that is served"))
	}
	if err := w.inherit(&f.Config, fds); err != nil {
		return err
	}
	config, err := w.config(&f.Config)
	if err != nil {
		return err
	}
	if name := w.lacks(f.Functions); name != "" {
		return fail("link", fmt.Errorf("it imports %s, which is not among the functions that the host gives it (Module.Functions)", name))
	}
	w.serving = &server{config: config.WithStartFunctions(initFunction), functions: f.Functions}
	if err := w.offer(f.Functions); err != nil {
		return fail("functions", err)
	}
	if err := w.renewed(); err != nil {
		return fail("start", errors.New(trapText(err)))
	}
	var list []wasmwire.Function
	for name, def := range w.module.compiled.ExportedFunctions() {
		list = append(list, wasmwire.Function{Name: name, Params: def.ParamTypes(), Results: def.ResultTypes()})
	}
	return w.conn.Send(&wasmwire.Ready{Functions: list})
}

// offer defines what the host has for modules to import.
func (w *worker) offer(functions []wasmwire.Function) error {
	builders := make(map[string]wazero.HostModuleBuilder)
	for i, f := range functions {
		b := builders[f.Module]
		if b == nil {
			b = w.runtime.NewHostModuleBuilder(f.Module)
			builders[f.Module] = b
		}
		call := api.GoModuleFunc(func(_ context.Context, _ api.Module, stack []uint64) { w.askHost(uint32(i), stack) })
		b.NewFunctionBuilder().WithGoModuleFunction(call, f.Params, f.Results).Export(f.Name)
	}
	for name, b := range builders {
		if _, err := b.Instantiate(w.ctx); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// renewed sees to it that there is an instance.
func (w *worker) renewed() (err error) {
	if w.serving.instance != nil {
		return nil
	}
	w.memory.refused = false
	w.serving.instance, err = w.instantiate(w.serving.config)
	return err
}

func (w *worker) renew() error {
	if w.serving == nil || w.serving.busy {
		return errors.New("there is nothing to renew")
	}
	w.drop()
	return nil
}

func (w *worker) drop() {
	if m := w.serving.instance; m != nil {
		_ = m.Close(w.ctx)
		w.serving.instance = nil
	}
}

// call calls a function, and says what came of it.
func (w *worker) call(f *wasmwire.Call) error {
	s := w.serving
	if s == nil || s.busy {
		return errors.New("a call in the middle of something else")
	}
	answer := &wasmwire.Returned{}
	if err := w.renewed(); err != nil {
		answer.Trap = bounded(trapText(err))
		answer.OutOfMemory = w.memory.refused
		return w.conn.Send(answer)
	}
	function := s.instance.ExportedFunction(f.Name)
	if function == nil || len(function.Definition().ParamTypes()) != len(f.Args) {
		return errors.New("a call of a function that there is not, or with other arguments") // the host has the list
	}
	s.busy = true
	results, err := function.Call(w.memory.with(w.ctx), f.Args...)
	s.busy = false
	var exit *sys.ExitError
	var gone *channelError
	switch {
	case errors.As(err, &gone):
		return gone.err
	case errors.As(err, &exit):
		answer.Exited, answer.Code = true, exit.ExitCode()
		w.drop()
	case err != nil:
		answer.Trap, answer.OutOfMemory = bounded(trapText(err)), w.memory.refused
		w.drop()
	default:
		answer.Results = results
	}
	return w.conn.Send(answer)
}

// channelError ends a call whose host is gone.
type channelError struct{ err error }

func (e *channelError) Error() string { return e.err.Error() }

// askHost has the host carry out a function that the module calls. The host may
// look at the memory meanwhile.
func (w *worker) askHost(index uint32, stack []uint64) {
	f := w.serving.functions[index]
	if err := w.conn.Send(&wasmwire.HostCall{Index: index, Args: stack[:len(f.Params)]}); err != nil {
		panic(&channelError{err})
	}
	for {
		frame, fds, err := w.conn.Receive()
		if err != nil {
			panic(&channelError{err})
		}
		wire.CloseAll(fds)
		switch answer := frame.(type) {
		case *wasmwire.Read, *wasmwire.Write:
			if err := w.touch(answer); err != nil {
				panic(&channelError{err})
			}
		case *wasmwire.HostReturn:
			if answer.Failed != "" {
				panic(errors.New(answer.Failed)) // it is a trap to the module
			}
			copy(stack, answer.Results)
			return
		default:
			panic(&channelError{fmt.Errorf("%T from the host during a call", frame)})
		}
	}
}

// touch reads or writes linear memory. At the end of 4 GiB wazero's arithmetic is at its
// own, and panics.
func (w *worker) touch(frame wire.Frame) (err error) {
	answer := &wasmwire.Data{}
	defer func() {
		if recover() != nil {
			err = w.conn.Send(&wasmwire.Data{})
		}
	}()
	var memory api.Memory
	if w.serving != nil {
		if err := w.renewed(); err != nil {
			return w.conn.Send(answer)
		}
		memory = w.serving.instance.Memory()
	}
	if memory != nil {
		switch f := frame.(type) {
		case *wasmwire.Read:
			if f.Size <= wasmwire.MaxData {
				answer.Bytes, answer.OK = memory.Read(f.Offset, f.Size)
			}
		case *wasmwire.Write:
			answer.OK = memory.Write(f.Offset, f.Data)
		}
	}
	return w.conn.Send(answer)
}

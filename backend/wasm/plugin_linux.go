package wasm

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"slices"
	"sync"

	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/internal/agent"
	"github.com/kavach-dev/kavach/internal/wasmwire"
	"github.com/kavach-dev/kavach/internal/wire"
)

// plugin is a worker that serves the functions of one module.
type plugin struct {
	*process
	functions map[string]backend.Signature
	host      []backend.HostFunction

	speak sync.Mutex // held by the one exchange that is going on, a call with all that happens in it
}

// Load makes an instance of a module in a worker of its own.
func (i *instance) Load(ctx context.Context, cmd backend.Cmd, m backend.Module) (_ backend.Plugin, err error) {
	if cmd.Terminal != nil {
		return nil, fmt.Errorf("a module that is loaded has no terminal: %w", errors.ErrUnsupported)
	}
	if err := checkFunctions(m.Functions); err != nil {
		return nil, err
	}
	const page = 64 << 10 // core specification, 4.2.8
	if m.Memory != 0 && m.Memory < page {
		return nil, fmt.Errorf("a bound of %d bytes of memory: a module has pages of %d", m.Memory, page)
	}
	file, err := bytesFile(m.Bytes)
	if err != nil {
		return nil, err
	}
	if file != nil {
		defer file.Close()
	}
	r, err := i.runnable(ctx, cmd, m.Memory, file)
	if err != nil {
		return nil, err
	}
	defer r.release()
	w, serve := r.worker, &wasmwire.Serve{Config: r.config}
	for _, f := range m.Functions {
		serve.Functions = append(serve.Functions, wasmwire.Function{
			Module: f.Module, Name: f.Name, Params: bytesOf(f.Params), Results: bytesOf(f.Results),
		})
	}
	p := &plugin{process: &process{Command: w.command, worker: w, over: make(chan struct{})}, host: m.Functions}
	close(p.over) // all that it says is an answer
	starting := ctx
	if m.StartTimeout > 0 {
		var cancel context.CancelFunc
		starting, cancel = context.WithTimeout(ctx, m.StartTimeout)
		defer cancel()
	}
	answer, err := p.converse(starting, serve, r.fds...)
	ready, ok := answer.(*wasmwire.Ready)
	if err == nil && !ok {
		err = fmt.Errorf("a worker answered %T in the place of a list of functions", answer)
	}
	if err == nil {
		err = r.secrets.End()
	}
	if err != nil {
		var said *refusedError
		w.end() // it has begun to run the module
		if errors.As(err, &said) {
			return nil, said.asExec(cmd)
		}
		return nil, err
	}
	p.functions = make(map[string]backend.Signature, len(ready.Functions))
	for _, f := range ready.Functions {
		p.functions[f.Name] = backend.Signature{Params: typesOf(f.Params), Results: typesOf(f.Results)}
	}
	i.prepare()
	return p, nil
}

// errBusy is for a function of the host that would call the module that waits for it.
var errBusy = errors.New("a call is going on; a function of the host uses the memory that it is handed, and cannot call the module")

// Wait waits for the end of the process, and of what is said to it.
func (p *plugin) Wait(ctx context.Context) (backend.Exit, error) {
	exit, err := p.process.Wait(ctx)
	if err == nil || errors.Is(err, backend.ErrDestroyed) {
		p.worker.conn.Close()
	}
	return exit, err
}

// checkFunctions refuses what could not be called.
func checkFunctions(list []backend.HostFunction) error {
	named := make(map[[2]string]bool)
	for _, f := range list {
		name := [2]string{f.Module, f.Name}
		wrong := ""
		switch {
		case f.Module == "" || f.Name == "":
			wrong = "it needs a Module and a Name"
		case f.Module == "wasi_snapshot_preview1":
			wrong = "that module is WASI's"
		case f.Call == nil:
			wrong = "Call is nil"
		case named[name]:
			wrong = "it is there twice"
		}
		for _, types := range [][]backend.ValueType{f.Params, f.Results} {
			for _, t := range types {
				if t < backend.F64 || t > backend.I32 {
					wrong = fmt.Sprintf("there is no type %#x", byte(t))
				}
			}
		}
		if wrong != "" {
			return fmt.Errorf("function %s.%s for a module: %s", f.Module, f.Name, wrong)
		}
		named[name] = true
	}
	return nil
}

// bytesFile is a file in memory with a module. Nil: there are none.
func bytesFile(module []byte) (*os.File, error) {
	if module == nil {
		return nil, nil
	}
	if len(module) == 0 || len(module) > wasmwire.MaxModule {
		return nil, fmt.Errorf("a module of %d bytes: one has at least a header, and at most %d MiB", len(module), wasmwire.MaxModule>>20)
	}
	f, err := memoryFile("module", int64(len(module)))
	if err != nil {
		return nil, err
	}
	if _, err = f.WriteAt(module, 0); err == nil {
		err = seal(f, int64(len(module)))
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func bytesOf(types []backend.ValueType) []byte {
	b := make([]byte, len(types))
	for i, t := range types {
		b[i] = byte(t)
	}
	return b
}

func typesOf(b []byte) []backend.ValueType {
	types := make([]backend.ValueType, len(b))
	for i := range b {
		types[i] = backend.ValueType(b[i])
	}
	return types
}

// Functions are what the module exports.
func (p *plugin) Functions() map[string]backend.Signature { return maps.Clone(p.functions) }

// Call calls a function of the module.
func (p *plugin) Call(ctx context.Context, name string, args ...uint64) ([]uint64, error) {
	signature, ok := p.functions[name]
	if !ok {
		return nil, fmt.Errorf("the module exports no function %q", name)
	}
	if len(args) != len(signature.Params) {
		return nil, fmt.Errorf("function %q takes %d arguments, and was given %d", name, len(signature.Params), len(args))
	}
	if !p.speak.TryLock() {
		return nil, errBusy
	}
	defer p.speak.Unlock()
	answer, err := p.converse(ctx, &wasmwire.Call{Name: name, Args: narrow(args, signature.Params)})
	if err != nil {
		return nil, err
	}
	returned, ok := answer.(*wasmwire.Returned)
	switch {
	case !ok:
		return nil, p.lied(fmt.Errorf("a worker answered %T to a call", answer))
	case returned.Exited || returned.Trap != "":
		return nil, &backend.TrapError{
			Function: name, Reason: agent.Printable(returned.Trap), OutOfMemory: returned.OutOfMemory, Exited: returned.Exited, Code: returned.Code,
		}
	case len(returned.Results) != len(signature.Results):
		return nil, p.lied(fmt.Errorf("a worker returned %d results of function %q, which has %d", len(returned.Results), name, len(signature.Results)))
	}
	return narrow(returned.Results, signature.Results), nil
}

// narrow takes off what is above the lower half of a value that has no more.
func narrow(values []uint64, types []backend.ValueType) []uint64 {
	values = slices.Clone(values)
	for i, t := range types {
		if t == backend.I32 || t == backend.F32 {
			values[i] &= math.MaxUint32
		}
	}
	return values
}

// lied ends a worker that said what none of ours would.
func (p *plugin) lied(err error) error {
	p.worker.end()
	return err
}

// converse sends a frame, carries out what the module asks of the host meanwhile,
// and returns the answer.
func (p *plugin) converse(ctx context.Context, f wire.Frame, fds ...int) (wire.Frame, error) {
	answer, err := p.worker.exchange(ctx, f, fds...)
	for err == nil {
		asked, ok := answer.(*wasmwire.HostCall)
		if !ok {
			return answer, nil
		}
		if int64(asked.Index) >= int64(len(p.host)) || len(asked.Args) != len(p.host[asked.Index].Params) {
			return nil, p.lied(errors.New("a worker asked for a function of the host that there is not"))
		}
		answer, err = p.worker.exchange(ctx, p.serve(ctx, &p.host[asked.Index], asked.Args))
	}
	return nil, err
}

// serve carries out a function of the host.
func (p *plugin) serve(ctx context.Context, f *backend.HostFunction, args []uint64) *wasmwire.HostReturn {
	returned := false
	defer func() {
		if !returned { // it panics, and the module waits for ever
			p.worker.end()
		}
	}()
	results, err := f.Call(ctx, within{p}, narrow(args, f.Params))
	returned = true
	switch {
	case err != nil:
		return &wasmwire.HostReturn{Failed: f.Module + "." + f.Name + ": " + err.Error()}
	case len(results) != len(f.Results):
		return &wasmwire.HostReturn{Failed: fmt.Sprintf("%s.%s returned %d results, and has %d", f.Module, f.Name, len(results), len(f.Results))}
	}
	return &wasmwire.HostReturn{Results: narrow(results, f.Results)}
}

// Renew drops the instance; what follows makes another.
func (p *plugin) Renew(ctx context.Context) error {
	if !p.speak.TryLock() {
		return errBusy
	}
	defer p.speak.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	defer context.AfterFunc(ctx, p.worker.end)()
	if err := p.worker.conn.Send(&wasmwire.Renew{}); err != nil {
		return p.worker.lost(ctx, err)
	}
	return nil
}

func (p *plugin) Read(ctx context.Context, offset, n uint32) ([]byte, error) {
	if !p.speak.TryLock() {
		return nil, errBusy
	}
	defer p.speak.Unlock()
	return within{p}.Read(ctx, offset, n)
}

func (p *plugin) Write(ctx context.Context, offset uint32, data []byte) error {
	if !p.speak.TryLock() {
		return errBusy
	}
	defer p.speak.Unlock()
	return within{p}.Write(ctx, offset, data)
}

// within is the memory of a plugin for who speaks with it already.
type within struct{ *plugin }

func (m within) Read(ctx context.Context, offset, n uint32) ([]byte, error) {
	if uint64(offset)+uint64(n) > 1<<32 {
		return nil, &backend.MemoryError{Offset: offset, Size: n}
	}
	var all []byte
	for at := uint32(0); at < n || n == 0 && at == 0; {
		size := min(n-at, wasmwire.MaxData)
		data, err := ask[*wasmwire.Data](ctx, m.worker, &wasmwire.Read{Offset: offset + at, Size: size})
		switch {
		case err != nil:
			return nil, err
		case !data.OK:
			return nil, &backend.MemoryError{Offset: offset, Size: n}
		case uint32(len(data.Bytes)) != size:
			return nil, m.lied(errors.New("a worker sent more or less of a memory than it was asked for"))
		}
		if all = append(all, data.Bytes...); n == 0 {
			break
		}
		at += size
	}
	return all, nil
}

func (m within) Write(ctx context.Context, offset uint32, data []byte) error {
	if uint64(offset)+uint64(len(data)) > 1<<32 {
		return &backend.MemoryError{Offset: offset, Size: uint32(min(len(data), math.MaxUint32))}
	}
	for at := 0; at < len(data); at += wasmwire.MaxData {
		part := data[at:min(len(data), at+wasmwire.MaxData)]
		done, err := ask[*wasmwire.Data](ctx, m.worker, &wasmwire.Write{Offset: offset + uint32(at), Data: part})
		if err != nil {
			return err
		}
		if !done.OK {
			return &backend.MemoryError{Offset: offset, Size: uint32(len(data))}
		}
	}
	return nil
}

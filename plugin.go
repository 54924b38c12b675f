package kavach

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/kavach-dev/kavach/backend"
)

// Module is a WebAssembly module whose functions are to be called.
type Module struct {
	// Args, Env, Dir, Stdin, Stdout and Stderr are as of a Cmd: Args[0] is the
	// module, by its path inside, or what Bytes is called. What the module writes
	// passes the gate. Terminal and Timeout must be zero.
	Cmd

	// Bytes, Functions and Memory are the module itself, and what it gets.
	backend.Module

	// Fresh gives each Call, and each Do, an instance of its own, so that nothing
	// is left of one call for the next. Zero: all are made to one instance.
	Fresh bool

	// CallTimeout bounds the wall time of one Call or Do, and of what the module does
	// when it is loaded, but not of compiling it. Zero, or more than
	// resources.timeout of the policy: that.
	CallTimeout time.Duration
}

// Plugin is a module that is loaded. It may be used from many goroutines at once,
// and carries out one Call or Do after the other: who needs more at once loads the
// module more than once.
//
// A call that is late is killed, and the plugin with it. One that traps ends the
// plugin unless it is Fresh, as nobody knows what it left in the instance's memory.
// Loading a module again takes milliseconds.
type Plugin struct {
	process  *Process
	plugin   backend.Plugin
	fresh    bool
	limit    time.Duration
	announce func() error

	turn chan struct{} // holds one token while somebody has the plugin
	over chan struct{} // closed when the process has ended; guards what follows
	res  *Result
	err  error

	mu    sync.Mutex // guards ended
	ended error      // why nothing can be called any more
}

// ErrNoPlugins is returned by Load where the backend only runs commands.
var ErrNoPlugins = errors.New("this backend cannot load modules; wasm can")

// Load makes an instance of a module, whose functions can then be called. The caller
// must call Close. The error is an *backend.ExecError where the module is not there,
// or is none, or cannot be linked.
func (s *Sandbox) Load(ctx context.Context, m Module) (*Plugin, error) {
	loader, ok := s.instance.(backend.Loader)
	if !ok {
		return nil, fmt.Errorf("backend %s: %w: %w", s.backend, ErrNoPlugins, errors.ErrUnsupported)
	}
	if m.CallTimeout < 0 {
		return nil, fmt.Errorf("CallTimeout is %v: leave it zero for that of the policy", m.CallTimeout)
	}
	if m.Terminal != nil || m.Timeout != 0 {
		return nil, errors.New("a module that is loaded has no terminal and no Timeout: leave both zero, and set CallTimeout")
	}
	p := &Plugin{
		fresh: m.Fresh, limit: timeout(&s.policy, m.CallTimeout),
		turn: make(chan struct{}, 1), over: make(chan struct{}),
	}
	inner := m.Module
	inner.StartTimeout = p.limit
	inner.Functions = slices.Clone(m.Functions)
	for i, f := range inner.Functions {
		if f.Call == nil {
			continue // the backend says so
		}
		inner.Functions[i].Call = func(ctx context.Context, memory backend.Memory, args []uint64) ([]uint64, error) {
			if err := p.announce(); err != nil { // its arguments leave the sandbox
				return nil, err
			}
			return f.Call(ctx, gated{p, memory}, args)
		}
	}
	var err error
	_, err = s.start(ctx, m.Cmd, 0, func(ctx context.Context, process *Process, cmd backend.Cmd) (_ backend.Process, err error) {
		p.process, p.announce = process, s.releaser(ctx, process.exec) // the module may call the host at once
		p.plugin, err = loader.Load(ctx, cmd, inner)
		return p.plugin, err
	})
	if err != nil {
		return nil, err
	}
	go func() {
		defer close(p.over)
		p.res, p.err = p.process.Wait(context.Background())
	}()
	return p, nil
}

// Functions are what the module exports.
func (p *Plugin) Functions() map[string]backend.Signature { return p.plugin.Functions() }

// Call calls a function with as many arguments as it has parameters, each in 64
// bits (backend.HostFunction). The error is a *backend.TrapError where the module is
// at fault, and matches context.DeadlineExceeded where the call was late.
func (p *Plugin) Call(ctx context.Context, name string, args ...uint64) (results []uint64, err error) {
	err = p.Do(ctx, func(ctx context.Context, i *PluginInstance) error {
		results, err = i.Call(ctx, name, args...)
		return err
	})
	return results, err
}

// PluginInstance is an instance of a module for as long as one Do.
type PluginInstance struct {
	p      *Plugin
	memory gated
}

// Call is as of Plugin.
func (i *PluginInstance) Call(ctx context.Context, name string, args ...uint64) ([]uint64, error) {
	if err := i.p.announce(); err != nil { // what it returns leaves the sandbox
		return nil, err
	}
	results, err := i.p.plugin.Call(ctx, name, args...)
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("function %q was called for too long, and the plugin was killed: %w", name, err)
	}
	return results, err
}

// Read returns n bytes of the memory, when the gate has seen them.
func (i *PluginInstance) Read(ctx context.Context, offset, n uint32) ([]byte, error) {
	return i.memory.Read(ctx, offset, n)
}

// Write writes to the memory.
func (i *PluginInstance) Write(ctx context.Context, offset uint32, data []byte) error {
	return i.memory.Write(ctx, offset, data)
}

// Do lets do call functions and touch memory of one instance, with nobody else in
// between. The instance must not be used when do has returned.
func (p *Plugin) Do(ctx context.Context, do func(ctx context.Context, i *PluginInstance) error) error {
	select {
	case p.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-p.turn }()
	if err := p.gone(); err != nil {
		return err
	}
	late := ctx
	if p.limit > 0 {
		var cancel context.CancelFunc
		late, cancel = context.WithTimeout(ctx, p.limit)
		defer cancel()
	}
	err := do(late, &PluginInstance{p, gated{p, p.plugin}})
	var trap *backend.TrapError
	switch {
	case late.Err() != nil:
		if !errors.Is(err, late.Err()) {
			err = errors.Join(err, late.Err())
		}
		p.end(fmt.Errorf("a call was late, and was killed: %w", late.Err()))
	case p.fresh:
		if renewErr := p.plugin.Renew(late); renewErr != nil { // else the next call gets what this one left
			p.end(fmt.Errorf("it could not be renewed: %w", renewErr))
			err = errors.Join(err, renewErr)
		}
	case errors.As(err, &trap):
		p.end(fmt.Errorf("a call ended it: %w", trap))
	}
	return err
}

// gone says why nothing can be called any more. Nil: it can.
func (p *Plugin) gone() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended != nil {
		return fmt.Errorf("the plugin has ended (%w); load it again", p.ended)
	}
	select {
	case <-p.over:
		return errors.Join(errors.New("the plugin's process has ended; load it again"), p.err)
	default:
		return nil
	}
}

// end kills the plugin, unless it has ended before.
func (p *Plugin) end(why error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended == nil {
		p.ended = why
		_ = p.process.process.Kill() // it may have ended by itself
	}
}

// Close ends the plugin, by killing its process, and says what it used. It may be called again, and at any
// time: a call that is going on fails.
func (p *Plugin) Close(ctx context.Context) (*Result, error) {
	p.end(errors.New("it was closed"))
	select {
	case <-p.over:
		return p.res, p.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// gated is memory that is read through the gate.
type gated struct {
	p      *Plugin
	memory backend.Memory
}

func (g gated) Write(ctx context.Context, offset uint32, data []byte) error {
	return g.memory.Write(ctx, offset, data)
}

func (g gated) Read(ctx context.Context, offset, n uint32) ([]byte, error) {
	if err := g.p.announce(); err != nil {
		return nil, err
	}
	data, err := g.memory.Read(ctx, offset, n)
	if err != nil {
		return nil, err
	}
	return g.p.process.sandbox.gateMemory(ctx, g.p.process.exec, data)
}

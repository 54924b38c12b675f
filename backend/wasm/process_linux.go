package wasm

import (
	"context"
	"slices"

	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/internal/jail"
	"github.com/kavach-dev/kavach/internal/wasmwire"
	"github.com/kavach-dev/kavach/internal/wire"
)

// process is a command: a worker that runs one module, and ends with it.
type process struct {
	*jail.Command
	worker *worker

	over  chan struct{} // closed when the worker has said all
	ended wasmwire.Ended
}

// listen takes what a worker says at its end.
func (p *process) listen() {
	defer close(p.over)
	defer p.worker.conn.Close()
	frame, fds, err := p.worker.conn.Receive() // once: what comes then is no worker's of ours
	wire.CloseAll(fds)
	if ended, ok := frame.(*wasmwire.Ended); ok && err == nil {
		p.ended = *ended // its exit status says the rest
	}
}

// Wait waits for the command's end. That a module was refused memory and came to
// grief counts as what it is on other backends, where the kernel kills for it.
func (p *process) Wait(ctx context.Context) (backend.Exit, error) {
	exit, err := p.Command.Wait(ctx)
	if err != nil {
		return exit, err
	}
	select {
	case <-p.over: // the channel ended with the worker
	case <-ctx.Done():
		return exit, ctx.Err()
	}
	// A worker's own, as it put its filter on; a module makes no system calls.
	exit.Needed = slices.DeleteFunc(exit.Needed, func(n backend.Need) bool { return n.Call == "seccomp" })
	exit.OOMKilled = exit.OOMKilled || p.ended.OutOfMemory && (exit.Code != 0 || exit.Signal != 0)
	return exit, nil
}

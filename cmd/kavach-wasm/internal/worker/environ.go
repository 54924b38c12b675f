//go:build linux

package worker

import (
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/tetratelabs/wazero/api"

	"github.com/kavach-dev/kavach/internal/locked"
	"github.com/kavach-dev/kavach/internal/wasmwire"
	"github.com/kavach-dev/kavach/internal/wire"
)

// environment is what a module is shown as its own. Wazero would take strings, and
// make copies of them on the heap: secrets are in this memory alone, until the worker
// ends, as a module may ask for them at any time.
type environment struct {
	entries [][]byte      // NAME=value, and a NUL
	held    *locked.Arena // what of these are secrets; nil: none are
}

// setEnviron makes the environment of what a frame says, and of what comes by the
// pipe that came with it, if any is to.
func (w *worker) setEnviron(c *wasmwire.Config, pipes []int) error {
	w.environ = environment{}
	e := &w.environ
	at := make(map[string]int)
	for _, kv := range c.Env {
		name, value, _ := strings.Cut(kv, "=")
		entry := []byte(name + "=" + value + "\x00")
		if i, again := at[name]; again {
			e.entries[i] = entry
			continue
		}
		at[name] = len(e.entries)
		e.entries = append(e.entries, entry)
	}
	switch {
	case len(c.Given) == 0 && len(pipes) == 0:
		return nil
	case len(c.Given) == 0 || len(pipes) != 1:
		return fmt.Errorf("%w: %d secrets by %d pipes", wire.ErrFrame, len(c.Given), len(pipes))
	}
	if wrong := c.CheckGiven(); wrong != 0 {
		return fmt.Errorf("%w: secrets: %w", wire.ErrFrame, wrong)
	}
	return e.receive(c.Given, descriptor(pipes[0]))
}

// receive reads the values of secrets to where they stay: nothing in between has a
// copy.
func (e *environment) receive(given []wasmwire.Given, from io.Reader) error {
	total := 0
	for i := range given {
		total += given[i].Size()
	}
	e.held = locked.New()
	all, err := e.held.Alloc(total)
	if err != nil {
		return err
	}
	for i := range given {
		n := given[i].Size()
		entry := all[:n:n]
		all = all[n:]
		value := entry[copy(entry, given[i].Name+"=") : n-1]
		if _, err := io.ReadFull(from, value); err != nil {
			return fmt.Errorf("receive the value of %s: %w", given[i].Name, err)
		}
		e.entries = append(e.entries, entry)
	}
	return nil
}

func (e *environment) size() (n int) {
	for _, entry := range e.entries {
		n += len(entry)
	}
	return n
}

// environSizesGet is environ_sizes_get(result: count u32, result: bytes u32).
func (w *worker) environSizesGet(m api.Module, args []uint64) uint32 {
	to := m.Memory()
	if to == nil || !to.WriteUint32Le(uint32(args[0]), uint32(len(w.environ.entries))) || !to.WriteUint32Le(uint32(args[1]), uint32(w.environ.size())) {
		return errnoFault
	}
	return errnoSuccess
}

// environGet is environ_get(pointers, bytes): where each entry is, and the entries.
func (w *worker) environGet(m api.Module, args []uint64) uint32 {
	to := m.Memory()
	pointer, at := uint64(uint32(args[0])), uint64(uint32(args[1]))
	for _, entry := range w.environ.entries {
		if to == nil || max(pointer, at) > math.MaxUint32 || !to.WriteUint32Le(uint32(pointer), uint32(at)) || !to.Write(uint32(at), entry) {
			return errnoFault
		}
		pointer, at = pointer+4, at+uint64(len(entry))
	}
	return errnoSuccess
}

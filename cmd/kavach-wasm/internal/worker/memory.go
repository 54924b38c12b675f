//go:build linux

package worker

import (
	"context"

	"github.com/tetratelabs/wazero/experimental"
	"golang.org/x/sys/unix"
)

// memories gives linear memories their pages, and knows when one was refused more.
// Addresses are reserved once, so that growing copies nothing.
type memories struct {
	limit   uint64 // bytes; 0: none
	refused bool
}

func (m *memories) with(ctx context.Context) context.Context {
	return experimental.WithMemoryAllocator(ctx, m)
}

// Allocate reserves most bytes of addresses, or what the limit lets be used of them.
func (m *memories) Allocate(_, most uint64) experimental.LinearMemory {
	if m.limit > 0 {
		most = min(most, m.limit)
	}
	l := &linear{of: m}
	if most > 0 {
		all, err := unix.Mmap(-1, 0, int(most), unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
		if err == nil {
			l.all = all
		}
	}
	return l
}

// linear is one linear memory.
type linear struct {
	of   *memories
	all  []byte // reserved
	used int    // of it, in bytes
}

// Reallocate returns the memory with another size, or nil where it may not have it.
func (l *linear) Reallocate(size uint64) []byte {
	if size > uint64(len(l.all)) {
		l.of.refused = true
		return nil
	}
	n := int(size)
	if n > l.used {
		if err := unix.Mprotect(l.all[l.used:n], unix.PROT_READ|unix.PROT_WRITE); err != nil {
			l.of.refused = true // RLIMIT_DATA
			return nil
		}
		l.used = n
	}
	if l.all == nil {
		return []byte{} // nil would be a refusal
	}
	return l.all[:n:n]
}

// Free gives the pages and the addresses back.
func (l *linear) Free() {
	if l.all != nil {
		_ = unix.Munmap(l.all) // it is what Mmap returned
		l.all = nil
	}
}

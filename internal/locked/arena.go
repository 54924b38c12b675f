// Package locked has memory for secrets: outside of Go's heap, so that no collection
// copies it; locked (mlock(2)), where the limit allows it, so that it is not swapped
// out; left out of core dumps; and zeroed when it is let go.
//
// What this package does not protect: who may read this process's memory
// (/proc/PID/mem, ptrace) reads this as well. Where RLIMIT_MEMLOCK is used up, what
// is asked for then may be swapped out. A machine that hibernates writes all of it.
package locked

import (
	"errors"
	"runtime"
	"sync"
	"unsafe"
)

// Arena hands out memory for secrets. Its zero value is not ready: New makes one. It
// may be used from many goroutines at once. One that is forgotten is let go when the
// collector finds it, so who uses memory of it must keep it.
type Arena struct{ *chunks }

type chunks struct {
	mu   sync.Mutex // guards what follows
	list [][]byte
	used int // of the last
	free bool
}

// chunkSize is the least that is asked of the kernel at once: four pages, as the
// limit of what can be locked is 64 KiB in many a container.
const chunkSize = 16 << 10

// ErrFree is returned where an Arena was let go.
var ErrFree = errors.New("the memory was let go")

// New makes an Arena, which has nothing yet.
func New() *Arena {
	a := &Arena{new(chunks)}
	runtime.AddCleanup(a, (*chunks).release, a.chunks)
	return a
}

// Alloc returns n bytes, which are zero, with nothing behind them.
func (a *Arena) Alloc(n int) ([]byte, error) {
	defer runtime.KeepAlive(a)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.free {
		return nil, ErrFree
	}
	if len(a.list) == 0 || n > len(a.list[len(a.list)-1])-a.used {
		chunk, err := acquire(max(n, chunkSize))
		if err != nil {
			return nil, err
		}
		a.list, a.used = append(a.list, chunk), 0
	}
	last := a.list[len(a.list)-1]
	p := last[a.used : a.used+n : a.used+n]
	a.used += n
	return p, nil
}

// Copy returns a copy of b.
func (a *Arena) Copy(b []byte) ([]byte, error) {
	p, err := a.Alloc(len(b))
	copy(p, b)
	return p, err
}

// Slice returns n values, which are zero, in memory of a. They must have no pointers:
// the collector does not look there.
func Slice[T any](a *Arena, n int) ([]T, error) {
	var t T
	size, align := unsafe.Sizeof(t), unsafe.Alignof(t)
	if n == 0 {
		return nil, nil
	}
	p, err := a.Alloc(n*int(size) + int(align) - 1)
	if err != nil {
		return nil, err
	}
	first := -uintptr(unsafe.Pointer(unsafe.SliceData(p))) & (align - 1)
	return unsafe.Slice((*T)(unsafe.Pointer(&p[first])), n), nil
}

// Free zeroes all that was handed out, and gives it back: it is not to be touched
// any more. It may be called again.
func (a *Arena) Free() { a.release() }

func (c *chunks) release() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, chunk := range c.list {
		Wipe(chunk)
		giveBack(chunk)
	}
	c.list, c.free = nil, true
}

// Wipe zeroes b as far as its capacity goes. The compiler does not leave it out, as
// it does not know what b is.
//
//go:noinline
func Wipe(b []byte) { clear(b[:cap(b)]) }

// Append is append, but where b has to move, what it leaves behind is zeroed.
func Append(b []byte, more ...byte) []byte { return append(Grow(b, len(more)), more...) }

// Grow is slices.Grow, but where b has to move, what it leaves behind is zeroed.
func Grow(b []byte, n int) []byte {
	if n <= cap(b)-len(b) {
		return b
	}
	// As append does it: twice as much of a little, a fourth more of much.
	const little = 256 << 10
	more := len(b)
	if more > little {
		more /= 4
	}
	grown := make([]byte, len(b), len(b)+max(n, more))
	copy(grown, b)
	Wipe(b)
	return grown
}

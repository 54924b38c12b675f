package zstd

import (
	"encoding/binary"
	"math/bits"
)

// backward reads bits from the end of b to its beginning, the highest first
// (RFC 8878, section 4.1).
type backward struct {
	b []byte // what was not loaded yet
	v uint64 // the lowest n bits are what was loaded, and not read
	n int    // negative: more was read than there is, which read as zeros
}

// newBackward begins after the highest bit that is set in the last byte.
func newBackward(b []byte) (backward, error) {
	if len(b) == 0 || b[len(b)-1] == 0 {
		return backward{}, malformed("a stream of bits has no end")
	}
	last := b[len(b)-1]
	return backward{b: b[:len(b)-1], v: uint64(last), n: bits.Len8(last) - 1}, nil
}

// load makes sure that at least 32 bits can be read, if there are as many.
func (s *backward) load() {
	if s.n >= 32 || s.n < 0 {
		return
	}
	if i := len(s.b); i >= 4 {
		s.v = s.v<<32 | uint64(binary.LittleEndian.Uint32(s.b[i-4:]))
		s.b, s.n = s.b[:i-4], s.n+32
		return
	}
	for i := len(s.b); i > 0; i = len(s.b) {
		s.v = s.v<<8 | uint64(s.b[i-1])
		s.b, s.n = s.b[:i-1], s.n+8
	}
}

// peek is the next k bits, of at most 32; after the end they are zeros.
func (s *backward) peek(k int) uint64 {
	mask := uint64(1)<<k - 1
	if s.n >= k {
		return s.v >> (s.n - k) & mask
	}
	if s.n <= 0 {
		return 0
	}
	return s.v << (k - s.n) & mask
}

// read reads k bits, of at most 32.
func (s *backward) read(k int) uint64 {
	s.load()
	v := s.peek(k)
	s.n -= k
	return v
}

// overrun reports whether more was read than there is.
func (s *backward) overrun() bool { return s.n < 0 }

// done reports whether everything was read, and no more.
func (s *backward) done() bool { return s.n == 0 && len(s.b) == 0 }

// forward reads bits from the beginning of b, the lowest first.
type forward struct {
	b   []byte
	pos int // in bits
}

func (s *forward) read(k int) (v int) {
	for i := range k {
		at := s.pos + i
		if at>>3 < len(s.b) {
			v |= int(s.b[at>>3]>>(at&7)&1) << i
		}
	}
	s.pos += k
	return v
}

package guest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// Limits of frames. From host to guest a frame holds an argv and an
// environment (at most 2 MiB for the kernel, execve(2)); from guest to host
// everything is small.
const (
	maxToGuest = 8 << 20
	maxToHost  = 64 << 10
	maxFDs     = 200 // the kernel's SCM_MAX_FD is 253
	maxList    = 1 << 20
)

// errFrame is returned for a frame that is not well-formed.
var errFrame = errors.New("malformed frame")

// encoder appends values to a frame: integers little-endian, strings with their
// length in front.
type encoder struct{ b []byte }

func (e *encoder) u8(v uint8)   { e.b = append(e.b, v) }
func (e *encoder) u32(v uint32) { e.b = binary.LittleEndian.AppendUint32(e.b, v) }
func (e *encoder) u64(v uint64) { e.b = binary.LittleEndian.AppendUint64(e.b, v) }
func (e *encoder) i64(v int64)  { e.u64(uint64(v)) }
func (e *encoder) bool(v bool) {
	if v {
		e.u8(1)
	} else {
		e.u8(0)
	}
}

func (e *encoder) str(s string) {
	e.u32(uint32(len(s)))
	e.b = append(e.b, s...)
}

func encodeList[T any](e *encoder, list []T, one func(T)) {
	e.u32(uint32(len(list)))
	for _, v := range list {
		one(v)
	}
}

// decoder takes values from a frame. After the first error each value is zero,
// and err says what was wrong.
type decoder struct {
	b   []byte
	err error
}

func (d *decoder) take(n int) []byte {
	if d.err != nil {
		return nil
	}
	if n < 0 || n > len(d.b) {
		d.err = fmt.Errorf("%w: %d bytes wanted, %d left", errFrame, n, len(d.b))
		return nil
	}
	p := d.b[:n]
	d.b = d.b[n:]
	return p
}

func (d *decoder) u8() uint8 {
	if p := d.take(1); p != nil {
		return p[0]
	}
	return 0
}

func (d *decoder) u32() uint32 {
	if p := d.take(4); p != nil {
		return binary.LittleEndian.Uint32(p)
	}
	return 0
}

func (d *decoder) u64() uint64 {
	if p := d.take(8); p != nil {
		return binary.LittleEndian.Uint64(p)
	}
	return 0
}

func (d *decoder) i64() int64  { return int64(d.u64()) }
func (d *decoder) bool() bool  { return d.u8() == 1 }
func (d *decoder) str() string { return string(d.take(int(d.u32()))) }

// bytes is nil where there are none.
func (d *decoder) bytes() []byte {
	p := d.take(int(d.u32()))
	if len(p) == 0 {
		return nil
	}
	return slices.Clone(p)
}

// decodeList reads a list whose elements take at least min bytes each, so that
// a length that cannot be true allocates nothing.
func decodeList[T any](d *decoder, min int, one func() T) []T {
	n := int(d.u32())
	if d.err == nil && (n > maxList || n*min > len(d.b)) {
		d.err = fmt.Errorf("%w: a list of %d in %d bytes", errFrame, n, len(d.b))
	}
	if d.err != nil || n == 0 {
		return nil
	}
	list := make([]T, 0, n)
	for range n {
		list = append(list, one())
		if d.err != nil {
			return nil
		}
	}
	return list
}

// end reports what was wrong, bytes left over included.
func (d *decoder) end() error {
	if d.err == nil && len(d.b) != 0 {
		d.err = fmt.Errorf("%w: %d bytes left over", errFrame, len(d.b))
	}
	return d.err
}

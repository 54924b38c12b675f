// Package wire carries typed messages between processes of ours over a stream
// socket, with descriptors beside them. Which messages there are is for whoever
// uses it to say: package guest has those of a guest, backend/wasm/worker those of
// a worker.
//
// What this package does not protect: it bounds what comes in, and refuses what is
// not well-formed; whether a message makes sense, and may be believed, it does not
// know.
package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

const (
	// MaxFDs is how many descriptors come with a message: the kernel's SCM_MAX_FD
	// is 253.
	MaxFDs  = 200
	maxList = 1 << 20
)

// ErrFrame is returned for a frame that is not well-formed.
var ErrFrame = errors.New("malformed frame")

// Frame is one message. The zero value of each is what Decode fills.
type Frame interface {
	Kind() uint8
	Encode(*Encoder)
	Decode(*Decoder)
}

// HeaderLength is that of what precedes a frame's payload: length u32, kind u8,
// descriptors u8, two bytes zero.
const HeaderLength = 8

// Protocol is what one end of a channel speaks.
type Protocol struct {
	// New makes an empty frame of a kind. Nil: there is no such kind.
	New func(kind uint8) Frame

	// MaxIn and MaxOut bound the payload of a frame that comes in, and that is sent,
	// in bytes.
	MaxIn, MaxOut int
}

// Decode reads the payload of one frame.
func (p *Protocol) Decode(kind uint8, payload []byte) (Frame, error) {
	f := p.New(kind)
	if f == nil {
		return nil, fmt.Errorf("%w: kind %#x", ErrFrame, kind)
	}
	d := &Decoder{b: payload}
	f.Decode(d)
	if err := d.End(); err != nil {
		return nil, err
	}
	return f, nil
}

// Payload is what Decode reads.
func Payload(f Frame) []byte {
	var e Encoder
	f.Encode(&e)
	return e.b
}

// Encoder appends values to a frame: integers little-endian, strings with their
// length in front.
type Encoder struct{ b []byte }

func (e *Encoder) U8(v uint8)   { e.b = append(e.b, v) }
func (e *Encoder) U32(v uint32) { e.b = binary.LittleEndian.AppendUint32(e.b, v) }
func (e *Encoder) U64(v uint64) { e.b = binary.LittleEndian.AppendUint64(e.b, v) }
func (e *Encoder) I64(v int64)  { e.U64(uint64(v)) }
func (e *Encoder) Bool(v bool) {
	if v {
		e.U8(1)
	} else {
		e.U8(0)
	}
}

func (e *Encoder) Str(s string) {
	e.U32(uint32(len(s)))
	e.b = append(e.b, s...)
}

func EncodeList[T any](e *Encoder, list []T, one func(T)) {
	e.U32(uint32(len(list)))
	for _, v := range list {
		one(v)
	}
}

// Decoder takes values from a frame. After the first error each value is zero,
// and err says what was wrong.
type Decoder struct {
	b   []byte
	err error
}

func (d *Decoder) take(n int) []byte {
	if d.err != nil {
		return nil
	}
	if n < 0 || n > len(d.b) {
		d.err = fmt.Errorf("%w: %d bytes wanted, %d left", ErrFrame, n, len(d.b))
		return nil
	}
	p := d.b[:n]
	d.b = d.b[n:]
	return p
}

func (d *Decoder) U8() uint8 {
	if p := d.take(1); p != nil {
		return p[0]
	}
	return 0
}

func (d *Decoder) U32() uint32 {
	if p := d.take(4); p != nil {
		return binary.LittleEndian.Uint32(p)
	}
	return 0
}

func (d *Decoder) U64() uint64 {
	if p := d.take(8); p != nil {
		return binary.LittleEndian.Uint64(p)
	}
	return 0
}

func (d *Decoder) I64() int64  { return int64(d.U64()) }
func (d *Decoder) Bool() bool  { return d.U8() == 1 }
func (d *Decoder) Str() string { return string(d.take(int(d.U32()))) }

// Bytes is nil where there are none.
func (d *Decoder) Bytes() []byte {
	p := d.take(int(d.U32()))
	if len(p) == 0 {
		return nil
	}
	return slices.Clone(p)
}

// DecodeList reads a list whose elements take at least min bytes each, so that
// a length that cannot be true allocates nothing.
func DecodeList[T any](d *Decoder, min int, one func() T) []T {
	n := int(d.U32())
	if d.err == nil && (n > maxList || n*min > len(d.b)) {
		d.err = fmt.Errorf("%w: a list of %d in %d bytes", ErrFrame, n, len(d.b))
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

// End reports what was wrong, bytes left over included.
func (d *Decoder) End() error {
	if d.err == nil && len(d.b) != 0 {
		d.err = fmt.Errorf("%w: %d bytes left over", ErrFrame, len(d.b))
	}
	return d.err
}

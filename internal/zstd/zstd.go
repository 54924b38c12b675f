// Package zstd uncompresses Zstandard (RFC 8878), without dictionaries.
//
// What this package does not protect: it does not look at the checksum that a
// frame may have. Its caller knows a digest of what has to come out. What comes
// out is not bounded, only the memory for it is.
package zstd

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// ErrFormat is matched by every error about the bytes of a frame.
var ErrFormat = errors.New("malformed zstd frame")

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrFormat, fmt.Sprintf(format, args...))
}

const (
	frameMagic    = 0xfd2fb528
	skippable     = 0x184d2a50 // and the 15 after it
	maxBlock      = 128 << 10  // RFC 8878, section 3.1.1.2.4
	maxWindow     = 128 << 20  // what zstd itself takes unless told otherwise (--long=27)
	windowSlack   = 32 << 20   // how much is put behind a window before it is moved
	blockRaw      = 0
	blockRLE      = 1
	blockCompress = 2
)

// Reader uncompresses frames, one after the other, up to the end of what it reads.
type Reader struct {
	r   *bufio.Reader
	err error

	hist []byte // what came out of this frame, as far back as it may be referred to
	read int    // of hist, how much was handed out

	inFrame  bool
	last     bool // the last block of the frame was read
	window   int
	checksum bool
	sized    bool   // the frame says how long it is
	left     uint64 // how much of that is missing

	block     [maxBlock]byte // as it is compressed
	literals  []byte
	repeats   [3]int
	huffman   huffman
	hasTree   bool
	sequences [3]fseTable // lengths of literals, offsets, lengths of matches
	hasTable  [3]bool
}

// NewReader uncompresses r.
func NewReader(r io.Reader) *Reader { return &Reader{r: bufio.NewReaderSize(r, 256<<10)} }

// Read uncompresses.
func (d *Reader) Read(p []byte) (int, error) {
	for d.read == len(d.hist) {
		if d.err != nil {
			return 0, d.err
		}
		if len(p) == 0 {
			return 0, nil
		}
		if d.err = d.advance(); d.err != nil && !errors.Is(d.err, io.EOF) {
			return 0, d.err
		}
	}
	n := copy(p, d.hist[d.read:])
	d.read += n
	return n, nil
}

// advance reads a frame's header, or one block.
func (d *Reader) advance() error {
	if !d.inFrame {
		return d.beginFrame()
	}
	d.slide()
	before := len(d.hist)
	if err := d.readBlock(); err != nil {
		return noEOF(err)
	}
	n := uint64(len(d.hist) - before)
	if d.sized && n > d.left {
		return malformed("it is longer than it says")
	}
	d.left -= n
	if !d.last {
		return nil
	}
	if d.sized && d.left != 0 {
		return malformed("it is shorter than it says")
	}
	d.inFrame = false
	if d.checksum {
		_, err := d.r.Discard(4)
		return noEOF(err)
	}
	return nil
}

func noEOF(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return malformed("it ends early")
	}
	return err
}

// slide forgets what cannot be referred to any more, now and then.
func (d *Reader) slide() {
	if len(d.hist) < d.window+min(d.window, windowSlack)+maxBlock {
		return
	}
	n := copy(d.hist, d.hist[len(d.hist)-d.window:])
	d.hist, d.read = d.hist[:n], n
}

// beginFrame reads a header (section 3.1.1.1). io.EOF: there is no more.
func (d *Reader) beginFrame() error {
	var magic [4]byte
	if n, err := io.ReadFull(d.r, magic[:]); err != nil {
		if n == 0 {
			return err
		}
		return noEOF(err)
	}
	m := binary.LittleEndian.Uint32(magic[:])
	if m&^0xf == skippable {
		size, err := d.bytes(4)
		if err == nil {
			_, err = io.CopyN(io.Discard, d.r, int64(size))
		}
		return noEOF(err)
	}
	if m != frameMagic {
		return malformed("it begins with %08x", m)
	}
	if err := d.readHeader(); err != nil {
		return noEOF(err)
	}
	d.hist, d.read = d.hist[:0], 0
	d.repeats = [3]int{1, 4, 8}
	d.hasTree, d.hasTable = false, [3]bool{}
	d.inFrame, d.last = true, false
	return nil
}

func (d *Reader) readHeader() error {
	descriptor, err := d.bytes(1)
	if err != nil {
		return err
	}
	single := descriptor&0x20 != 0
	d.checksum = descriptor&0x04 != 0
	if descriptor&0x08 != 0 {
		return malformed("a reserved bit is set")
	}
	window := uint64(0)
	if !single {
		b, err := d.bytes(1)
		if err != nil {
			return err
		}
		window = 1 << (10 + b>>3)
		window += window / 8 * (b & 7)
	}
	dictionary, err := d.bytes([]int{0, 1, 2, 4}[descriptor&3])
	if err != nil {
		return err
	}
	if dictionary != 0 {
		return malformed("it needs a dictionary")
	}
	size := []int{0, 2, 4, 8}[descriptor>>6]
	if size == 0 && single {
		size = 1
	}
	d.sized = size != 0
	if d.left, err = d.bytes(size); err != nil {
		return err
	}
	if size == 2 {
		d.left += 256
	}
	if single {
		window = d.left
	}
	if window > maxWindow {
		return malformed("its window has %d bytes, and %d are the most", window, maxWindow)
	}
	d.window = int(window)
	return nil
}

// bytes reads a number, little-endian.
func (d *Reader) bytes(n int) (uint64, error) {
	var b [8]byte
	_, err := io.ReadFull(d.r, b[:n])
	return binary.LittleEndian.Uint64(b[:]), err
}

// readBlock reads one block, and appends what it means (section 3.1.1.2).
func (d *Reader) readBlock() error {
	header, err := d.bytes(3)
	if err != nil {
		return err
	}
	d.last = header&1 != 0
	kind, size := header>>1&3, int(header>>3)
	limit := min(d.window, maxBlock)
	if size > limit {
		return malformed("a block has %d bytes, and %d are the most", size, limit)
	}
	if kind == blockRLE {
		b, err := d.r.ReadByte()
		if err != nil {
			return err
		}
		for range size {
			d.hist = append(d.hist, b)
		}
		return nil
	}
	block := d.block[:size]
	if _, err := io.ReadFull(d.r, block); err != nil {
		return err
	}
	switch kind {
	case blockRaw:
		d.hist = append(d.hist, block...)
		return nil
	case blockCompress:
		return d.uncompress(block, limit)
	}
	return malformed("a block is of a reserved kind")
}

func (d *Reader) uncompress(block []byte, limit int) error {
	rest, err := d.readLiterals(block, limit)
	if err != nil {
		return err
	}
	return d.readSequences(rest, limit)
}

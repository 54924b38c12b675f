package zstd

import "math/bits"

// maxHuffmanBits is the longest code (RFC 8878, section 4.2.1).
const maxHuffmanBits = 11

// huffman decodes literals: an entry is for every value of the next log bits.
type huffman struct {
	log     int
	entries [1 << maxHuffmanBits]struct{ symbol, bits uint8 }
}

// readLiterals reads the section of literals (section 3.1.1.3.1), and returns
// what comes after it.
func (d *Reader) readLiterals(b []byte, limit int) ([]byte, error) {
	if len(b) == 0 {
		return nil, malformed("a block is empty")
	}
	kind, format := b[0]&3, b[0]>>2&3
	var header [5]byte
	copy(header[:], b)
	v := uint64(header[0]) | uint64(header[1])<<8 | uint64(header[2])<<16 | uint64(header[3])<<24 | uint64(header[4])<<32
	if kind <= 1 {
		length, size := 1, int(v&0xff>>3)
		switch format {
		case 1:
			length, size = 2, int(v&0xffff>>4)
		case 3:
			length, size = 3, int(v&0xffffff>>4)
		}
		return d.plainLiterals(b, length, size, limit, kind == 1)
	}
	length, width, streams := 3, 10, 4
	switch format {
	case 0:
		streams = 1
	case 2:
		length, width = 4, 14
	case 3:
		length, width = 5, 18
	}
	mask := uint64(1)<<width - 1
	size, compressed := int(v>>4&mask), int(v>>(4+width)&mask)
	if len(b) < length+compressed || size > limit {
		return nil, malformed("literals are longer than their block")
	}
	rest := b[length+compressed:]
	b = b[length : length+compressed]
	if kind == 2 {
		n, err := d.huffman.read(b)
		if err != nil {
			return nil, err
		}
		b, d.hasTree = b[n:], true
	} else if !d.hasTree {
		return nil, malformed("literals use a tree that there is not")
	}
	d.literals = grow(d.literals, size)
	return rest, d.huffman.streams(b, d.literals, streams)
}

func grow(b []byte, n int) []byte {
	if cap(b) < n {
		return make([]byte, n)
	}
	return b[:n]
}

func (d *Reader) plainLiterals(b []byte, length, size, limit int, same bool) ([]byte, error) {
	stored := size
	if same {
		stored = 1
	}
	if len(b) < length+stored || size > limit {
		return nil, malformed("literals are longer than their block")
	}
	d.literals = grow(d.literals, size)
	if same {
		for i := range d.literals {
			d.literals[i] = b[length]
		}
	} else {
		copy(d.literals, b[length:])
	}
	return b[length+stored:], nil
}

// read reads a tree's description (section 4.2.1), and returns how long it is.
func (h *huffman) read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, malformed("a tree is missing")
	}
	var weights []uint8
	n := int(b[0])
	if n >= 128 { // four bits for each
		count := n - 127
		n = (count + 1) / 2
		if len(b) < 1+n {
			return 0, malformed("a tree has no end")
		}
		for i := range count {
			weights = append(weights, b[1+i/2]>>(4*(1-i%2))&15)
		}
	} else {
		if len(b) < 1+n {
			return 0, malformed("a tree has no end")
		}
		var err error
		if weights, err = readWeights(b[1 : 1+n]); err != nil {
			return 0, err
		}
	}
	return 1 + n, h.build(weights)
}

// readWeights decodes weights by two states in turns, until there are no more
// bits (section 4.2.1.2).
func readWeights(b []byte) ([]uint8, error) {
	const maxLog, maxWeight = 6, 255
	var t fseTable
	n, err := t.readFSE(b, maxLog, maxWeight)
	if err != nil {
		return nil, err
	}
	s, err := newBackward(b[n:])
	if err != nil {
		return nil, err
	}
	this, other := s.read(t.log), s.read(t.log)
	if s.overrun() {
		return nil, malformed("a tree has no weights")
	}
	var weights []uint8
	for {
		e := t.entries[this]
		weights = append(weights, e.symbol)
		if len(weights) > 254 {
			return nil, malformed("a tree has too many weights")
		}
		this = uint64(e.base) + s.read(int(e.bits))
		if s.overrun() {
			return append(weights, t.entries[other].symbol), nil
		}
		this, other = other, this
	}
}

// build makes the table: the lowest weights have the longest codes, and come
// first. The last symbol's weight is what is missing to a power of two.
func (h *huffman) build(weights []uint8) error {
	sum := 0
	for _, w := range weights {
		if w > maxHuffmanBits {
			return malformed("a code has more than %d bits", maxHuffmanBits)
		}
		sum += 1 << w >> 1
	}
	log := bits.Len(uint(sum))
	left := 1<<log - sum
	if sum == 0 || log > maxHuffmanBits || left&(left-1) != 0 || len(weights) > 255 {
		return malformed("a tree does not add up")
	}
	weights = append(weights, uint8(bits.Len(uint(left))))
	h.log = log
	at := 0
	for w := 1; w <= log; w++ {
		for symbol, weight := range weights {
			if int(weight) != w {
				continue
			}
			for range 1 << (w - 1) {
				h.entries[at].symbol, h.entries[at].bits = uint8(symbol), uint8(log+1-w)
				at++
			}
		}
	}
	return nil
}

// streams decodes literals that are in one stream, or in four of equal length
// (section 4.2.2).
func (h *huffman) streams(b, out []byte, count int) error {
	if count == 1 {
		return h.stream(b, out)
	}
	const jumpTable = 6
	if len(b) < jumpTable {
		return malformed("four streams have no lengths")
	}
	lengths := b[:jumpTable]
	b = b[jumpTable:]
	part := (len(out) + 3) / 4
	for i := range 4 {
		n, size := len(b), len(out)
		if i < 3 {
			n, size = int(lengths[2*i])|int(lengths[2*i+1])<<8, part
		}
		if n > len(b) || size > len(out) {
			return malformed("four streams are longer than their block")
		}
		if err := h.stream(b[:n], out[:size]); err != nil {
			return err
		}
		b, out = b[n:], out[size:]
	}
	return nil
}

func (h *huffman) stream(b, out []byte) error {
	s, err := newBackward(b)
	if err != nil {
		return err
	}
	for i := range out {
		s.load()
		e := h.entries[s.peek(h.log)]
		out[i] = e.symbol
		s.n -= int(e.bits)
	}
	if !s.done() {
		return malformed("a stream of literals has too many bits, or too few")
	}
	return nil
}

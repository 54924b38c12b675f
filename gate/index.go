package gate

import (
	"encoding/binary"
	"strings"
)

// index finds many literals at once, in any case of ASCII letters.
//
// The four bytes at each place of the text, hashed, are either of no literal, which one
// look at a table says, or name those that are compared. Of each literal those four are
// in the table that are rarest in text.
// A literal of less than four bytes is entered with each continuation that there can
// be.
type index struct {
	literals []string
	longest  int
	short    [256][]int32 // by first byte, folded: the literals of less than four bytes

	begins [256][]int32 // by first byte: the literals whose beginning partial looks for

	stride int     // which places are looked at: every so many-th
	shift  uint8   // what is left of a hash: bits, and below them three more
	may    []byte  // by hash: of the bits that the three choose, those that are in use
	head   []int32 // by the upper bits of the hash: the first entry and one; 0: none
	entry  []indexEntry
}

// indexEntry is a literal as far as eight bytes, folded.
type indexEntry struct {
	text, mask uint64
	literal    int32
	offset     int32 // of text in it
	next       int32 // as head
}

const (
	lower  = 0x20 // what all bytes are hashed with: letters in lower case, and others as others
	lower8 = lower * 0x0101010101010101

	headShift = 3 // bits of a place in may that make no difference in head
)

// newIndex makes an index for some literals, or for many: a small table leaves the
// processor's cache to others. Where each has shortest bytes or more, not all places
// need to be looked at.
func newIndex(many bool, shortest int) *index {
	bits := uint8(10)
	if many {
		bits = 16
	}
	return &index{stride: max(1, shortest-3), shift: 32 - bits - 3, may: make([]byte, 1<<bits), head: make([]int32, 1<<bits>>headShift)}
}

func (x *index) hash(four uint32) uint32 { return four * 0x9e3779b1 >> (x.shift & 31) }

// add enters a literal, which is in lower case. Next are the bytes that can follow
// one of less than four; empty: any. Partial looks for its beginning, too.
func (x *index) add(literal, next string, partial bool) (id int) {
	id = len(x.literals)
	x.literals = append(x.literals, literal)
	x.longest = max(x.longest, len(literal))
	if partial {
		x.begins[literal[0]] = append(x.begins[literal[0]], int32(id))
	}
	if len(literal) < 4 {
		first := &x.short[literal[0]|lower]
		*first = append(*first, int32(id))
	}
	if x.stride == 1 {
		x.addAt(literal, next, id, rarest(literal))
		return id
	}
	for at := range x.stride {
		x.addAt(literal, next, id, at)
	}
	return id
}

// addAt enters four bytes of a literal.
func (x *index) addAt(literal, next string, id, at int) {
	e := indexEntry{literal: int32(id), offset: int32(at)}
	text := literal[at:]
	for i := range min(len(text), 8) {
		e.text |= uint64(text[i]|lower) << (8 * i)
		e.mask |= 0xff << (8 * i)
	}
	x.enter(uint32(e.text), len(text), next, e)
}

// common are the bytes of ordinary text and code, the most frequent first.
const common = " etaonirsldcu\nmpfhg.,_vbwyk()-\"0x=1:;2/"

// rarest is where in a literal those four bytes are that ordinary text has least.
func rarest(literal string) (at int) {
	best := -1
	for i := 0; i+4 <= len(literal); i++ {
		sum := 0
		for _, c := range []byte(literal[i : i+4]) {
			if n := strings.IndexByte(common, c); n >= 0 {
				sum += n
			} else {
				sum += len(common)
			}
		}
		if sum > best {
			best, at = sum, i
		}
	}
	return at
}

// enter enters e with its first four bytes; of less than four, with all that they
// can become.
func (x *index) enter(four uint32, n int, next string, e indexEntry) {
	switch {
	case n >= 4:
		x.put(four, e)
	case next == "":
		for c := range 256 {
			if c&lower != 0 {
				x.enter(four|uint32(c)<<(8*n), n+1, next, e)
			}
		}
	default:
		for i := range len(next) {
			x.enter(four|uint32(next[i]|lower)<<(8*n), n+1, next, e)
		}
	}
}

func (x *index) put(four uint32, e indexEntry) {
	h := x.hash(four)
	head := &x.head[h>>(3+headShift)]
	x.may[h>>3] |= 1 << (h & 7)
	for i := *head; i != 0; i = x.entry[i-1].next {
		if old := &x.entry[i-1]; old.literal == e.literal && old.offset == e.offset {
			return
		}
	}
	e.next = *head
	x.entry = append(x.entry, e)
	*head = int32(len(x.entry))
}

// find calls hit for each literal in data that ends behind seen.
func (x *index) find(data []byte, seen int, hit func(literal, at int)) {
	i := max(0, seen-x.longest)
	if x.stride > 1 {
		x.findSparse(data, i, seen, hit)
		return
	}
	for ; i+11 <= len(data); i += 4 {
		v := binary.LittleEndian.Uint64(data[i:]) | lower8
		a, b := x.hash(uint32(v)), x.hash(uint32(v>>8))
		c, d := x.hash(uint32(v>>16)), x.hash(uint32(v>>24))
		// One branch for four places: it is almost never taken, and so foretold.
		if (x.may[a>>3]>>(a&7)|x.may[b>>3]>>(b&7)|x.may[c>>3]>>(c&7)|x.may[d>>3]>>(d&7))&1 == 0 {
			continue
		}
		for k, h := range [4]uint32{a, b, c, d} {
			if x.may[h>>3]>>(h&7)&1 != 0 {
				x.verify(data, h, binary.LittleEndian.Uint64(data[i+k:])|lower8, i+k, seen, hit)
			}
		}
	}
	for ; i < len(data); i++ { // the last few: as if zeros followed
		var last [8]byte
		n := copy(last[:], data[i:])
		v := binary.LittleEndian.Uint64(last[:]) | lower8
		if h := x.hash(uint32(v)); n >= 4 && x.may[h>>3]>>(h&7)&1 != 0 {
			x.verify(data, h, v, i, seen, hit)
		} else if n < 4 {
			x.verifyShort(data, i, seen, hit)
		}
	}
}

// findSparse is find from i on, where only some places need to be looked at.
func (x *index) findSparse(data []byte, i, seen int, hit func(literal, at int)) {
	for ; i+8 <= len(data); i += x.stride {
		v := binary.LittleEndian.Uint64(data[i:]) | lower8
		if h := x.hash(uint32(v)); x.may[h>>3]>>(h&7)&1 != 0 {
			x.verify(data, h, v, i, seen, hit)
		}
	}
	for ; i+4 <= len(data); i += x.stride {
		var last [8]byte
		copy(last[:], data[i:])
		v := binary.LittleEndian.Uint64(last[:]) | lower8
		x.verify(data, x.hash(uint32(v)), v, i, seen, hit)
	}
}

// verify compares what begins with v, and has the hash h, at data[at:].
func (x *index) verify(data []byte, h uint32, v uint64, at, seen int, hit func(literal, at int)) {
	for i := x.head[h>>(3+headShift)]; i != 0; {
		e := &x.entry[i-1]
		if i = e.next; (v^e.text)&e.mask != 0 {
			continue
		}
		text, start := x.literals[e.literal], at-int(e.offset)
		if end := start + len(text); start >= 0 && end <= len(data) && end > seen && sameFold(data[start:end], text) {
			hit(int(e.literal), start)
		}
	}
}

// verifyShort compares literals of less than four bytes, with nothing behind them.
func (x *index) verifyShort(data []byte, at, seen int, hit func(literal, at int)) {
	for _, id := range x.short[data[at]|lower] {
		if text := x.literals[id]; at+len(text) == len(data) && len(data) > seen && sameFold(data[at:], text) {
			hit(int(id), at)
		}
	}
}

// sameFold reports whether data is text, which is in lower case and as long.
func sameFold(data []byte, text string) bool {
	for i, c := range data {
		if 'A' <= c && c <= 'Z' {
			c |= lower
		}
		if c != text[i] {
			return false
		}
	}
	return true
}

// partial is how many bytes at the end of data may be the beginning of a literal:
// the most that may be.
func (x *index) partial(data []byte) int {
	tail := data[max(0, len(data)-x.longest+1):]
	for start, c := range tail {
		if 'A' <= c && c <= 'Z' {
			c |= lower
		}
		rest := tail[start:]
		for _, id := range x.begins[c] {
			if text := x.literals[id]; len(rest) < len(text) && sameFold(rest, text[:len(rest)]) {
				return len(rest)
			}
		}
	}
	return 0
}

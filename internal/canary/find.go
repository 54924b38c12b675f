package canary

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"sort"

	"github.com/kavach-dev/kavach/internal/locked"
)

// Hit is one place where a secret is.
type Hit struct {
	Form  string
	At    int64 // of its first byte
	Whole bool  // else it is a part: a quarter of the value or more
}

func (h Hit) String() string {
	if !h.Whole {
		return fmt.Sprintf("a part of it, %s, at %#x", h.Form, h.At)
	}
	return fmt.Sprintf("%s at %#x", h.Form, h.At)
}

// Forms are the forms of hits, each once, sorted.
func Forms(hits []Hit) (names []string) {
	for _, h := range hits {
		names = append(names, h.Form)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// windowSize is how many bytes are looked at at once.
const windowSize = 8

// window is eight bytes of a form, as a number.
type window struct {
	value    uint64
	form, at uint16
}

// Finder finds one secret. All of it that it has to know for that is in memory that
// Close zeroes.
type Finder struct {
	memory  *locked.Arena
	forms   []form
	windows []window // sorted by value: every window of every form
	filter  [filterBits / 64]uint64
	block   []byte
}

// A filter says of most windows of other data that they are in no form, from memory
// that the processor has at hand.
const filterBits = 1 << 17

func filterBit(value uint64) uint64 {
	const odd = 0x9e3779b97f4a7c15 // 2^64 / golden ratio: the upper bits of a product depend on all of value
	return value * odd >> 47       // 64 - log2(filterBits)
}

// blockSize is how much of a stream is looked at at once.
const blockSize = 1 << 20

// Finder returns what finds s. It is to be closed.
func (s *Secret) Finder() (*Finder, error) {
	f := &Finder{memory: locked.New()}
	err := s.use(func(value []byte) (err error) {
		room, err := f.memory.Alloc(maxForms * longest)
		if err != nil {
			return err
		}
		f.forms = forms(value, room)
		return f.index()
	})
	if err != nil {
		f.Close()
		return nil, err
	}
	f.block, err = f.memory.Alloc(blockSize + longest)
	return f, err
}

// Close zeroes what f knows.
func (f *Finder) Close() {
	f.memory.Free()
	f.forms, f.windows, f.block = nil, nil, nil
}

func (f *Finder) index() (err error) {
	n := 0
	for _, form := range f.forms {
		n += len(form.text) - windowSize + 1
	}
	if f.windows, err = locked.Slice[window](f.memory, n); err != nil {
		return err
	}
	list := f.windows[:0]
	for i, form := range f.forms {
		for at := range len(form.text) - windowSize + 1 {
			value := binary.LittleEndian.Uint64(form.text[at:])
			list = append(list, window{value, uint16(i), uint16(at)})
			bit := filterBit(value)
			f.filter[bit/64] |= 1 << (bit % 64)
		}
	}
	sort.Sort(byValue(f.windows)) // in place
	return nil
}

type byValue []window

func (w byValue) Len() int           { return len(w) }
func (w byValue) Less(i, j int) bool { return w[i].value < w[j].value }
func (w byValue) Swap(i, j int)      { w[i], w[j] = w[j], w[i] }

// Find looks at all that r has. Where it cannot be read any further, what was found
// until then is returned with the error.
func (f *Finder) Find(r io.Reader) (hits []Hit, err error) {
	defer locked.Wipe(f.block)
	seen := newSeen(len(f.forms))
	kept, at := 0, int64(0) // bytes of the block before, and where the block begins
	for {
		n, err := io.ReadFull(r, f.block[kept:])
		data := f.block[:kept+n]
		fresh := len(data) - longest // what begins behind that is looked at with what follows
		if err != nil {
			fresh = len(data)
		}
		hits = f.look(data, at, fresh, seen, hits)
		if err != nil {
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				err = nil
			}
			return hits, err
		}
		kept = copy(f.block, data[len(data)-longest:])
		at += int64(len(data) - kept)
	}
}

// In is Find of data.
func (f *Finder) In(data []byte) []Hit { return f.look(data, 0, len(data), newSeen(len(f.forms)), nil) }

// seen is, by form, where the last hit ended: it has many windows.
type seen []int64

func newSeen(n int) seen { return make(seen, n) }

// mostHits is enough to say what is wrong.
const mostHits = 64

// look looks at what begins in the first bytes of data, which are fresh, and stands at
// this place of all.
func (f *Finder) look(data []byte, at int64, fresh int, s seen, hits []Hit) []Hit {
	for i := 0; i < fresh && i+windowSize <= len(data) && len(hits) < mostHits; i++ {
		value := binary.LittleEndian.Uint64(data[i:])
		if value == 0 {
			i += windowSize - 1 // no form has two zeros in a row
			continue
		}
		if bit := filterBit(value); f.filter[bit/64]&(1<<(bit%64)) != 0 {
			hits = f.confirm(data, at, i, value, s, hits)
		}
	}
	return hits
}

// confirm looks how much of a form there is around a window of it. It takes a quarter:
// of some forms eight bytes are but two or three of the value, which are everywhere.
func (f *Finder) confirm(data []byte, at int64, i int, value uint64, s seen, hits []Hit) []Hit {
	first := sort.Search(len(f.windows), func(k int) bool { return f.windows[k].value >= value })
	for _, w := range f.windows[first:] {
		if w.value != value {
			break
		}
		text := f.forms[w.form].text
		back := common(data[:i], text[:w.at], true)
		size := back + common(data[i:], text[w.at:], false)
		start := at + int64(i-back)
		if size < len(text)/4 || start < s[w.form] {
			continue
		}
		s[w.form] = start + int64(size)
		hits = append(hits, Hit{f.forms[w.form].name, start, size == len(text)})
	}
	return hits
}

// common is how many bytes a and b have in common at their beginnings, or their ends.
func common(a, b []byte, ends bool) (n int) {
	for limit := min(len(a), len(b)); n < limit; n++ {
		if !ends && a[n] != b[n] || ends && a[len(a)-1-n] != b[len(b)-1-n] {
			return n
		}
	}
	return n
}

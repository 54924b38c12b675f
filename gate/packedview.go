package gate

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"github.com/kavach-dev/kavach/internal/locked"
)

// Rules of what is packed and was not looked into to its end.
const (
	// UnreadRule: only the beginning of what is packed was looked at.
	UnreadRule = "unread"

	// maxUnpacked is how many bytes of one member are unpacked, and maxInAll of all
	// members of a subject, in whatever they are.
	maxUnpacked = 64 << 20
	maxInAll    = 512 << 20

	// maxHeader is how long the header of a member can be, in bytes.
	maxHeader = 64 << 10

	// waits is how many bytes of what is packed wait for what is in it.
	waits = 64 << 10
)

var (
	gzipMagic = []byte{0x1f, 0x8b, 8}  // RFC 1952, 2.3.1: deflate
	zipMagic  = []byte{'P', 'K', 3, 4} // APPNOTE.TXT, 4.3.7
)

var unreadRule = Rule{
	ID: UnreadRule, Scanner: "views", Severity: Low, Source: "kavach",
	Description: "Something packed of which only the beginning was looked into: more comes out of it than is unpacked.",
	Match:       "a member of a gzip or zip file that unpacks to more than 64 MiB",
}

var errTooMuch = errors.New("more comes out of it than is looked at")

// budget is how much may still be unpacked, of one subject. Nil: any number.
type budget struct{ left atomic.Int64 }

func newBudget() *budget {
	b := new(budget)
	b.left.Store(maxInAll)
	return b
}

// take takes n bytes of what is left, if there are so many.
func (b *budget) take(n int) bool { return b == nil || b.left.Add(-int64(n)) >= 0 }

// spend takes all of it: nobody waits for what comes out.
func (b *budget) spend() { b.left.Store(0) }

func isPacked(head []byte) bool {
	return bytes.HasPrefix(head, gzipMagic) || bytes.HasPrefix(head, zipMagic)
}

// packedView unpacks what gzip and zip have packed, as it comes.
type packedView struct {
	subject  Subject
	scanners []Scanner

	at     int64
	member *member // nil: not in one
}

// member is one that is being unpacked, by a goroutine of its own, which works only
// while feed waits for it.
type member struct {
	layer  *layer
	name   string
	began  int64
	left   int64 // bytes that may still be unpacked
	budget *budget

	packed chan []byte // what is next; closed: nothing is
	wants  chan error  // nil: it needs more; else it is over
	ended  bool        // the goroutine has; of who waits for it
	rest   []byte      // not read yet; the goroutine's while it works
	sink   func(decoded []byte)

	found []Match // what is in it: told when its end is known
	worst Severity
}

func (v *packedView) Next(w Window, found func(Match)) Hold {
	i := max(0, int(v.at-w.Start))
	for i < len(w.Data) {
		if v.member == nil {
			at, head, ok := nextMember(w.Data, i, w.End)
			if i = at; !ok {
				break
			}
			if head.size == 0 || i+head.size < len(w.Data) && !beginsDeflate(w.Data[i+head.size]) {
				i++
				continue
			}
			v.open(w.Start+int64(i), head)
			i += head.size
		}
		i = v.feed(&w, i, found)
	}
	v.at = w.Start + int64(i)
	h := None(w)
	if m := v.member; m != nil {
		if w.End {
			v.finish(w.Tail(), found)
		} else if w.Tail()-m.began <= waits || len(m.found) > 0 {
			h.Hard = m.began
		}
	}
	h.Soft = min(h.Soft, h.Hard, v.at)
	h.Keep = min(h.Keep, v.at)
	return h
}

// beginsDeflate reports whether a first byte can be one: of the four kinds of blocks
// one is reserved (RFC 1951, 3.2.3).
func beginsDeflate(c byte) bool { return c>>1&3 != 3 }

// header is what stands before what is packed.
type header struct {
	size int // bytes; 0: nothing that can be unpacked follows
	name string
}

// nextMember finds the next header at or behind i that is all there. Not ok: there
// is none, and at is where one may begin.
func nextMember(data []byte, i int, end bool) (at int, h header, ok bool) {
	for ; ; i++ {
		g, z := bytes.Index(data[i:], gzipMagic), bytes.Index(data[i:], zipMagic)
		if g < 0 && z < 0 {
			return max(i, len(data)-max(endsWith(data, gzipMagic), endsWith(data, zipMagic))), h, false
		}
		if z < 0 || g >= 0 && g < z {
			i += g
			h.name = "gzip"
			h.size, ok = gzipHeader(data[i:])
		} else {
			i += z
			h.size, h.name, ok = zipHeader(data[i:])
		}
		switch {
		case ok:
			return i, h, true
		case !end && len(data)-i < maxHeader:
			return i, h, false // the rest of it is to come
		}
	}
}

// endsWith is how many bytes at the end of data are the beginning of magic.
func endsWith(data, magic []byte) int {
	for n := min(len(data), len(magic)-1); n > 0; n-- {
		if bytes.HasSuffix(data, magic[:n]) {
			return n
		}
	}
	return 0
}

// gzipHeader is how long the header is (RFC 1952, 2.3). Not ok: it is not all there.
func gzipHeader(d []byte) (size int, ok bool) {
	const fixed, hcrc, extra, name, comment = 10, 2, 4, 8, 16
	if len(d) < fixed {
		return 0, false
	}
	flags, size := d[3], fixed
	if flags&extra != 0 {
		if len(d) < size+2 {
			return 0, false
		}
		size += 2 + int(binary.LittleEndian.Uint16(d[size:]))
	}
	for _, text := range []byte{name, comment} {
		if flags&text == 0 {
			continue
		}
		if size > len(d) {
			return 0, false
		}
		n := bytes.IndexByte(d[size:], 0)
		if n < 0 {
			return 0, false
		}
		size += n + 1
	}
	if flags&hcrc != 0 {
		size += 2
	}
	return size, size <= len(d)
}

// zipHeader is that of a member of a zip file: size is 0 where it is not deflated, so
// that it is seen as it stands.
func zipHeader(d []byte) (size int, name string, ok bool) {
	const fixed, method, nameLen, extraLen = 30, 8, 26, 28
	if len(d) < fixed {
		return 0, "", false
	}
	n := int(binary.LittleEndian.Uint16(d[nameLen:]))
	if len(d) < fixed+n {
		return 0, "", false
	}
	size = fixed + n + int(binary.LittleEndian.Uint16(d[extraLen:]))
	if len(d) < size {
		return 0, "", false
	}
	if deflated, encrypted := d[method] == 8 && d[method+1] == 0, d[6]&1 != 0; !deflated || encrypted {
		size = 0
	}
	return size, "zip", true // its name is the program's, and may be what is not to leave
}

// flateReaders keep their 40 KiB.
var flateReaders = sync.Pool{New: func() any { return flate.NewReader(nil) }}

func (v *packedView) open(at int64, h header) {
	m := &member{
		layer: newLayer(h.name, v.subject, v.scanners, at, 0, 1), name: h.name, began: at, left: maxUnpacked, budget: v.subject.budget,
		packed: make(chan []byte), wants: make(chan error),
	}
	v.member = m
	go m.unpack()
	_ = m.wait() // it wants the first of it
}

// unpack runs until what is packed ends, or is no more.
func (m *member) unpack() { m.wants <- m.inflate() }

// inflate has nothing of it left when it returns.
func (m *member) inflate() (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &scannerPanic{p}
		}
	}()
	r := flateReaders.Get().(io.ReadCloser)
	_ = r.(flate.Resetter).Reset(m, nil) // which cannot fail
	buf, any := make([]byte, 4<<10), false
	defer func() {
		if any { // of what is no member, nothing is unpacked
			wipe(buf)
			forgetFlate(r)
		}
		flateReaders.Put(r)
	}()
	for {
		n, err := r.Read(buf)
		any = any || n > 0
		if m.left -= int64(n); m.left < 0 || !m.budget.take(n) {
			n, err = 0, errTooMuch
		}
		if n > 0 {
			m.sink(buf[:n])
		}
		if err != nil {
			return err
		}
	}
}

// forgetFlate overwrites what a reader keeps of what it has unpacked: the last 32 KiB
// (RFC 1951, 2), with as many zeros, in a block that is not packed (3.2.4).
func forgetFlate(r io.Reader) {
	const window = 32 << 10
	stored := make([]byte, 5+window)
	stored[0] = 1 // the last block, of kind 0
	binary.LittleEndian.PutUint16(stored[1:], window)
	binary.LittleEndian.PutUint16(stored[3:], ^uint16(window))
	_ = r.(flate.Resetter).Reset(bytes.NewReader(stored), nil)
	_, _ = io.Copy(io.Discard, r)
}

// Read is for unpack: it asks for more when there is none.
func (m *member) Read(p []byte) (int, error) {
	if err := m.fill(); err != nil {
		return 0, err
	}
	n := copy(p, m.rest)
	m.rest = m.rest[n:]
	return n, nil
}

// ReadByte makes package flate read no more than it needs.
func (m *member) ReadByte() (byte, error) {
	if err := m.fill(); err != nil {
		return 0, err
	}
	c := m.rest[0]
	m.rest = m.rest[1:]
	return c, nil
}

func (m *member) fill() error {
	for len(m.rest) == 0 {
		m.wants <- nil
		more, open := <-m.packed
		if !open {
			return io.ErrUnexpectedEOF
		}
		m.rest = more
	}
	return nil
}

// feed hands over what is there from i on, and returns where the member ended.
func (v *packedView) feed(w *Window, i int, found func(Match)) int {
	m := v.member
	m.sink = func(decoded []byte) { m.look(decoded, false, w.Tail()) }
	m.packed <- w.Data[i:]
	err := m.wait()
	if err == nil {
		return len(w.Data)
	}
	end := len(w.Data) - len(m.rest)
	v.over(err, w.Start+int64(end), found)
	return end
}

// look scans what was unpacked.
func (m *member) look(decoded []byte, end bool, tail int64) {
	m.layer.data = locked.Append(m.layer.data, decoded...)
	m.layer.scan(end, tail, func(match Match) {
		if worse := match.Severity > m.worst; worse || len(m.found) < maxKept {
			m.found = append(m.found, match)
			m.worst = max(m.worst, match.Severity)
		}
	})
}

// finish ends a member of which nothing more comes.
func (v *packedView) finish(tail int64, found func(Match)) {
	m := v.member
	m.sink = func(decoded []byte) { m.look(decoded, false, tail) }
	close(m.packed)
	v.over(m.wait(), tail, found)
}

// close ends a member that nobody looks at any more.
func (v *packedView) close() {
	if m := v.member; m != nil {
		v.member = nil
		defer m.layer.close()
		if m.ended { // it crashed
			return
		}
		m.sink = func([]byte) {}
		close(m.packed)
		<-m.wants //nolint:errcheck // it is over, however it ended
	}
}

// wait waits for the goroutine to want more, or to be over.
func (m *member) wait() error {
	err := <-m.wants
	m.ended = err != nil
	if crash, ok := err.(*scannerPanic); ok { //nolint:errorlint // it is sent as it is
		panic(crash.value)
	}
	return err
}

// over ends a member, tells what was in it, and says so where it was not read to its
// end. All of it is withheld: a part of what is packed cannot be redacted.
func (v *packedView) over(err error, tail int64, found func(Match)) {
	m := v.member
	v.member = nil
	defer m.layer.close()
	m.look(nil, true, tail)
	for _, match := range m.found {
		match.Start, match.End = m.began, tail
		found(match)
	}
	if errors.Is(err, errTooMuch) {
		found(Match{Rule: UnreadRule, Severity: Low, Start: m.began, End: tail, Preview: m.name})
	}
}

// scannerPanic carries a panic of a scanner to the goroutine that waits for it.
type scannerPanic struct{ value any }

func (p *scannerPanic) Error() string { return fmt.Sprint(p.value) }

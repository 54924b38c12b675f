package gate

import (
	"slices"

	"github.com/kavach-dev/kavach/internal/locked"
)

// maxDepth is how many encodings, one within the other, are looked into.
const maxDepth = 3

// newViews are the searches that decode what they see and look again. Subject is
// what is inside.
func newViews(subject Subject, scanners []Scanner) []Search {
	views := []Search{
		&runView{subject: subject, scanners: scanners},
		&escapeView{escaping: urlEscapes, subject: subject, scanners: scanners},
		&escapeView{escaping: jsonEscapes, subject: subject, scanners: scanners},
		&wideView{subject: subject, scanners: scanners},
		&packedView{subject: subject, scanners: scanners},
	}
	if i := slices.IndexFunc(scanners, func(s Scanner) bool { return s.lines && s.New != nil }); i >= 0 {
		views = append(views, &lineView{subject: subject, scanners: scanners[i : i+1]})
	}
	return views
}

// layer is what comes out of an encoding, on its way through a scan of its own. A
// decoded offset and an encoded one belong together by anchors: behind each,
// so many encoded bytes are so many decoded ones.
type layer struct {
	name  string
	inner *scan
	data  []byte // decoded, from base on
	base  int64
	fresh int // data[:fresh] was looked at

	encoded, decoded int64 // bytes of a group: 4 and 3 in base64
	escapes          bool  // a byte may be several: up to the next anchor, which is there
	anchors          []anchor
}

type anchor struct{ encoded, decoded int64 }

func newLayer(name string, subject Subject, scanners []Scanner, at, encoded, decoded int64) *layer {
	return &layer{
		name: name, inner: newScan(subject, scanners), encoded: encoded, decoded: decoded,
		anchors: []anchor{{at, 0}},
	}
}

// tail is the decoded offset of what comes next.
func (l *layer) tail() int64 { return l.base + int64(len(l.data)) }

// close ends what is inside, of a layer that may not be there, and zeroes what was
// decoded. It may be called again.
func (l *layer) close() {
	if l == nil || l.inner == nil {
		return
	}
	l.inner.close()
	l.inner = nil
	wipe(l.data)
	l.data = nil
}

// put adds a byte to what is decoded.
func (l *layer) put(c byte) {
	if len(l.data) == cap(l.data) {
		l.data = locked.Grow(l.data, 1)
	}
	l.data = append(l.data, c)
}

// anchor says that what comes next was encoded at an offset.
func (l *layer) anchor(encoded int64) {
	l.anchors = append(l.anchors, anchor{encoded, l.tail()})
}

// from is where the group begins that a decoded byte came out of, and to where it
// ends.
func (l *layer) from(d int64) int64 {
	a := l.at(d)
	return a.encoded + (d-a.decoded)/l.decoded*l.encoded
}

func (l *layer) to(d int64) int64 {
	if a := l.at(d + 1); l.escapes && a.decoded == d+1 && a.encoded > l.from(d) {
		return a.encoded
	}
	a := l.at(d)
	return a.encoded + ((d-a.decoded)/l.decoded+1)*l.encoded
}

func (l *layer) at(d int64) anchor {
	i, exact := slices.BinarySearchFunc(l.anchors, d, func(a anchor, d int64) int { return int(a.decoded - d) })
	if !exact {
		i--
	}
	for exact && i+1 < len(l.anchors) && l.anchors[i+1].decoded == d {
		i++ // what nothing came out of is before it
	}
	return l.anchors[max(i, 0)]
}

// scan looks at what was decoded since, and says what of the encoded text waits.
// tail is the encoded offset behind it.
func (l *layer) scan(end bool, tail int64, found func(Match)) Hold {
	w := Window{Data: l.data, Start: l.base, Fresh: l.fresh, End: end}
	h := l.inner.Next(w, func(m Match) {
		m.Start, m.End = l.from(m.Start), min(l.to(m.End-1), tail)
		m.View = joinViews(l.name, m.View)
		m.Instead = nil
		found(m)
	})
	encoded := func(d int64) int64 {
		if d >= w.Tail() {
			return tail
		}
		return l.from(d)
	}
	out := Hold{Keep: encoded(h.Keep), Soft: encoded(h.Soft), Hard: encoded(h.Hard)}
	drop := int(h.Keep - l.base)
	l.data = append(l.data[:0], l.data[drop:]...)
	l.base, l.fresh = h.Keep, len(l.data)
	i := slices.IndexFunc(l.anchors, func(a anchor) bool { return a.decoded > l.base })
	if i < 0 {
		i = len(l.anchors)
	}
	l.anchors = slices.Delete(l.anchors, 0, max(i-1, 0))
	return out
}

func joinViews(outer, inner string) string {
	if inner == "" {
		return outer
	}
	return outer + ">" + inner
}

// hinted are the scanners that can say whether noise holds anything, and any that
// says yes.
func hinted(scanners []Scanner, data []byte) (some []Scanner, any bool) {
	for _, s := range scanners {
		if s.hint == nil {
			continue
		}
		some = append(some, s)
		any = any || s.hint(data)
	}
	return some, any
}

// isText reports whether a beginning is that of text, or of something that is
// packed, and not noise: of noise, half are no ASCII.
func isText(head []byte) bool {
	if isPacked(head) {
		return true
	}
	zeros, high := [2]int{}, 0
	for i, c := range head {
		switch {
		case c == 0:
			zeros[i&1]++
		case c < ' ' && c != '\n' && c != '\t' && c != '\r', c == 0x7f:
			return false
		case c >= 0x80:
			high++
		}
	}
	return (zeros[0] == 0 || zeros[1] == 0) && high <= len(head)/4
}

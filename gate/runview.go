package gate

import (
	"slices"

	"github.com/kavach-dev/kavach/internal/locked"
)

const (
	minRun  = 16 // characters of base64 or hexadecimal that are worth a look
	minLine = 16 // characters of a line that may go on in the next (RFC 2045 has 76, RFC 7468 64)
)

// sextets are the values of characters in base64, standard and URL-safe.
var sextets = func() (t [256]int8) {
	for i := range t {
		t[i] = -1
	}
	for i, c := range "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/" {
		t[c] = int8(i)
	}
	t['-'], t['_'] = 62, 63
	return t
}()

// runView decodes base64 and hexadecimal: runs of their characters, also over lines.
type runView struct {
	subject  Subject
	scanners []Scanner

	at    int64   // the next byte to look at
	run   *runner // nil: not in a run
	plain []byte  // room for a run that is all there
}

// runner is a run that is being decoded.
type runner struct {
	layers []*runLayer
	line   int   // characters in this line
	broken int64 // where the line was broken; below 0: it was not
}

// runLayer is one of the ways to read a run.
type runLayer struct {
	*layer
	hex   bool
	group []byte // characters of a group that is not whole yet
	began int64  // where that group began
	over  bool   // it cannot be read so any more
}

func (v *runView) Next(w Window, found func(Match)) Hold {
	h := None(w)
	i := max(0, int(v.at-w.Start))
	for i < len(w.Data) {
		if v.run == nil {
			var whole bool
			if i, whole = nextRun(w.Data, i); !whole {
				break
			}
			if n, ok := v.noise(&w, i); ok {
				i = n
				continue
			}
			v.start(w.Data[i:], w.Start+int64(i))
		}
		i = v.feed(&w, i, found)
	}
	v.at = w.Start + int64(i)
	switch {
	case v.run != nil:
		h = v.run.scan(w.End, w.Tail(), found)
		if w.End {
			v.endRun()
		}
	case !w.End:
		h.Keep, h.Soft = min(h.Keep, v.at), min(h.Soft, v.at)
	}
	return h
}

// endRun ends the run that is being decoded, if there is one.
func (v *runView) endRun() {
	if v.run == nil {
		return
	}
	for _, l := range v.run.layers {
		l.layer.close()
	}
	v.run = nil
}

func (v *runView) close() {
	v.endRun()
	wipe(v.plain)
	v.plain = nil
}

// room makes v.plain empty, for so many characters decoded.
func (v *runView) room(n int) { v.plain = locked.Grow(v.plain[:0], n) }

// nextRun finds the next place at or behind i where minRun characters in a row are
// of base64: it looks at every such many-th only. Where there is none, i is where
// one may still begin.
func nextRun(data []byte, i int) (at int, whole bool) {
	for i+minRun <= len(data) {
		j := i + minRun - 1
		for j >= i && sextets[data[j]] >= 0 {
			j--
		}
		if j < i {
			return i, true
		}
		i = j + 1
	}
	for j := len(data) - 1; j >= i; j-- {
		if sextets[data[j]] < 0 {
			return j + 1, false
		}
	}
	return i, false
}

// noise handles a run that is all there and comes out as noise, as names and paths
// do, with as little work as possible. False: it is not such a run.
func (v *runView) noise(w *Window, i int) (next int, ok bool) {
	end := i
	for end < len(w.Data) && sextets[w.Data[end]] >= 0 {
		end++
	}
	run := w.Data[i:end]
	if end == len(w.Data) || w.Data[end] == '=' || goesOn(w.Data[end:], len(run)) || !v.hexNoise(run) {
		return 0, false
	}
	v.room(len(run))
	for g := 0; g+4 <= len(run); g += 4 {
		v.plain = decodeGroup(v.plain, run[g:g+4], false)
		if g == minRun-4 && isText(v.plain) {
			return 0, false
		}
	}
	v.plain = decodeGroup(v.plain, run[len(run)&^3:], false)
	if _, any := hinted(v.scanners, v.plain); any {
		return 0, false
	}
	return end, true
}

// onlyNoise reports whether all runs in a line, whose end is in it, are noise.
func (v *runView) onlyNoise(line []byte) bool {
	w := Window{Data: line}
	for i := 0; ; {
		at, whole := nextRun(line, i)
		if !whole {
			return true
		}
		next, ok := v.noise(&w, at)
		if !ok {
			return false
		}
		i = next
	}
}

// hexNoise is noise for the same run as hexadecimal: a hash is, and an identifier. True
// also where the run does not begin so.
func (v *runView) hexNoise(run []byte) bool {
	if !allHex(run[:minRun]) {
		return true
	}
	v.room(len(run))
	for i := 0; i+1 < len(run) && hexValue(run[i]) >= 0 && hexValue(run[i+1]) >= 0; i += 2 {
		v.plain = append(v.plain, byte(hexValue(run[i])<<4|hexValue(run[i+1])))
	}
	_, any := hinted(v.scanners, v.plain)
	return !any && !isText(v.plain[:minRun/2])
}

// goesOn reports whether a line of so many characters may go on behind rest's
// beginning, which ends it.
func goesOn(rest []byte, line int) bool {
	return line >= minLine && line%4 == 0 && (rest[0] == '\n' || rest[0] == '\r')
}

func allHex(text []byte) bool {
	return !slices.ContainsFunc(text, func(c byte) bool { return hexValue(c) < 0 })
}

func hexValue(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c|lower && c|lower <= 'f':
		return int(c|lower-'a') + 10
	}
	return -1
}

// decodeGroup appends one group, decoded, also one that is cut short.
func decodeGroup(to, group []byte, hex bool) []byte {
	if hex {
		if len(group) < 2 {
			return to
		}
		return append(to, byte(hexValue(group[0])<<4|hexValue(group[1])))
	}
	var n uint32
	for _, c := range group {
		n = n<<6 | uint32(sextets[c])
	}
	switch n <<= 6 * (4 - len(group)); len(group) {
	case 4:
		return append(to, byte(n>>16), byte(n>>8), byte(n))
	case 3:
		return append(to, byte(n>>16), byte(n>>8))
	case 2:
		return append(to, byte(n>>16))
	}
	return to
}

// start begins a run, of which data holds minRun characters at least.
func (v *runView) start(data []byte, at int64) {
	v.run = &runner{broken: -1}
	v.room(minRun)
	for g := 0; g < minRun; g += 4 {
		v.plain = decodeGroup(v.plain, data[g:g+4], false)
	}
	v.run.layers = append(v.run.layers, &runLayer{layer: newLayer("base64", v.subject, v.scannersFor(v.plain), at, 4, 3), began: at})
	if !allHex(data[:minRun]) {
		return
	}
	v.room(minRun)
	for g := 0; g < minRun; g += 2 {
		v.plain = decodeGroup(v.plain, data[g:g+2], true)
	}
	v.run.layers = append(v.run.layers, &runLayer{layer: newLayer("hex", v.subject, v.scannersFor(v.plain), at, 2, 1), hex: true, began: at})
}

// scannersFor are those for what begins with head, decoded: of noise, some.
func (v *runView) scannersFor(head []byte) []Scanner {
	if isText(head) {
		return v.scanners
	}
	some, _ := hinted(v.scanners, nil)
	return some
}

// feed decodes what is in the window of the run from i on, and returns where it
// stopped: at the end of the window, or of the run, which is over then.
func (v *runView) feed(w *Window, i int, found func(Match)) int {
	r := v.run
	for ; i < len(w.Data); i++ {
		c, at := w.Data[i], w.Start+int64(i)
		switch {
		case sextets[c] >= 0:
			if r.broken >= 0 {
				r.line, r.broken = 0, -1
				for _, l := range r.layers {
					l.resume(at)
				}
			}
			j := i + 1
			for j < len(w.Data) && sextets[w.Data[j]] >= 0 {
				j++
			}
			for _, l := range r.layers {
				l.takeAll(w.Data[i:j], at)
			}
			r.line += j - i
			i = j - 1
		case r.broken < 0 && goesOn(w.Data[i:], r.line):
			r.broken = at
		case r.broken >= 0 && c == '\n' && at == r.broken+1:
		default:
			r.scan(true, at, found)
			v.endRun()
			return i
		}
	}
	return i
}

// reserve makes room for what so many characters can become, with a group before them
// and the rest of one in the end.
func (l *runLayer) reserve(n int) {
	if !l.over {
		l.data = locked.Grow(l.data, n+3)
	}
}

// resume says that the next group begins at an offset.
func (l *runLayer) resume(at int64) {
	if len(l.group) == 0 && !l.over {
		l.anchor(at)
	}
}

// takeAll decodes characters of which the first is at an offset.
func (l *runLayer) takeAll(data []byte, at int64) {
	n := int(l.encoded)
	l.reserve(len(data))
	for len(data) > 0 && !l.over {
		if len(l.group) == 0 && len(data) >= n && !(l.hex && !allHex(data[:n])) {
			l.data = decodeGroup(l.data, data[:n], l.hex)
			data, at = data[n:], at+int64(n)
			continue
		}
		l.take(data[0], at)
		data, at = data[1:], at+1
	}
}

// take decodes one more character.
func (l *runLayer) take(c byte, at int64) {
	if l.hex && hexValue(c) < 0 {
		l.over = true
		return
	}
	if len(l.group) == 0 {
		l.began = at
	}
	if l.group = append(l.group, c); len(l.group) == int(l.encoded) {
		l.data = decodeGroup(l.data, l.group, l.hex)
		l.group = l.group[:0]
	}
}

// scan looks at what was decoded.
func (r *runner) scan(end bool, tail int64, found func(Match)) Hold {
	all := Hold{tail, tail, tail}
	for _, l := range r.layers {
		if end || l.over {
			l.data = decodeGroup(l.data, l.group, l.hex)
			l.group = l.group[:0]
		}
		if l.inner == nil {
			continue
		}
		h := l.layer.scan(end || l.over, tail, found)
		if end || l.over {
			l.close()
			continue
		}
		if len(l.group) > 0 {
			h.Keep, h.Soft = min(h.Keep, l.began), min(h.Soft, l.began)
		}
		all.Keep, all.Soft, all.Hard = min(all.Keep, h.Keep), min(all.Soft, h.Soft), min(all.Hard, h.Hard)
	}
	return all
}

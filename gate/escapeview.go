package gate

import (
	"bytes"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/kavach-dev/kavach/internal/locked"
)

// escapeView decodes what is escaped: the lines that hold an escape.
type escapeView struct {
	escaping
	subject  Subject
	scanners []Scanner

	at    int64   // the next byte to look at
	layer *layer  // nil: not in a line with an escape
	plain []byte  // room for a line that is all there
	runs  runView // what is encoded in that
}

// escaping is a way to escape.
type escaping struct {
	name    string
	mark    byte // what an escape begins with
	longest int  // bytes of an escape

	// decode appends what the escape stands for that data begins with, at most
	// utf8.UTFMax bytes. Size 0: it is none.
	decode func(to, data []byte) (text []byte, size int)
}

var (
	urlEscapes  = escaping{"url", '%', 3, urlEscape}
	jsonEscapes = escaping{"json", '\\', 12, jsonEscape}
)

// maxLine is how far before an escape its line is read.
const maxLine = 4096

func (v *escapeView) Next(w Window, found func(Match)) Hold {
	i := max(0, int(v.at-w.Start))
	for i < len(w.Data) {
		if v.layer == nil {
			p := bytes.IndexByte(w.Data[i:], v.mark)
			if p < 0 {
				i = len(w.Data)
				break
			}
			i += p
			if i+v.longest > len(w.Data) && !w.End {
				break // the rest of it is to come
			}
			v.plain = locked.Grow(v.plain[:0], utf8.UTFMax)
			if _, size := v.decode(v.plain, w.Data[i:]); size == 0 {
				i++
				continue
			}
			if next, ok := v.noise(&w, i); ok {
				i = next
				continue
			}
			first := lineBefore(w.Data, i)
			v.layer = newLayer(v.name, v.subject, v.scanners, w.Start+int64(first), 1, 1)
			v.layer.escapes = true
			v.layer.data = locked.Append(v.layer.data, w.Data[first:i]...)
		}
		if i = v.feed(&w, i, found); v.layer != nil {
			break
		}
	}
	v.at = w.Start + int64(i)
	h := None(w)
	if v.layer != nil {
		h = v.layer.scan(w.End, w.Tail(), found)
		if w.End {
			v.endLine()
		}
	}
	h.Soft = min(h.Soft, v.at)
	h.Keep = max(w.Start, min(h.Keep, h.Soft, v.at-maxLine))
	h.Hard = max(h.Hard, h.Soft)
	return h
}

// lineBefore goes back to where the line at data[i] begins.
func lineBefore(data []byte, i int) int {
	for n := 0; n < maxLine && i > 0 && !endsLine(data[i-1]); n++ {
		i--
	}
	return i
}

// endsLine reports whether nothing that is escaped goes on behind c.
func endsLine(c byte) bool { return c < ' ' && c != '\t' }

// noise handles a line that is all there and in which, decoded, there is nothing to be
// found, as in most: with as little work as possible. i is its first escape. False: it
// is not such a line.
func (v *escapeView) noise(w *Window, i int) (next int, ok bool) {
	end := i + slices.IndexFunc(w.Data[i:], endsLine)
	if end < i || !onlyHinted(v.scanners) {
		return 0, false
	}
	v.runs.scanners = v.scanners
	first := lineBefore(w.Data, i)
	v.plain = locked.Grow(v.plain[:0], end-first+utf8.UTFMax) // nothing is longer when it is decoded
	v.plain = append(v.plain, w.Data[first:i]...)
	for i < end {
		if w.Data[i] == v.mark {
			if text, size := v.decode(v.plain, w.Data[i:end]); size > 0 {
				v.plain = text
				i += size
				continue
			}
		}
		v.plain = append(v.plain, w.Data[i])
		i++
	}
	if _, any := hinted(v.scanners, v.plain); any || bytes.ContainsAny(v.plain, "\x00%\\\r\n\x1f") || bytes.Contains(v.plain, zipMagic) {
		return 0, false
	}
	return end, v.runs.onlyNoise(append(v.plain, '\n'))
}

// onlyHinted reports whether all scanners that look into encodings have a hint.
func onlyHinted(scanners []Scanner) bool {
	return !slices.ContainsFunc(scanners, func(s Scanner) bool {
		return s.hint == nil && s.Name != "terminal" && s.Name != "content"
	})
}

// urlEscape decodes %XX (RFC 3986, 2.1).
func urlEscape(to, data []byte) (text []byte, size int) {
	if len(data) < 3 || hexValue(data[1]) < 0 || hexValue(data[2]) < 0 {
		return to, 0
	}
	return append(to, byte(hexValue(data[1])<<4|hexValue(data[2]))), 3
}

// jsonEscape decodes \uXXXX, also in pairs, and the short escapes (RFC 8259, 7).
func jsonEscape(to, data []byte) (text []byte, size int) {
	if len(data) < 2 {
		return to, 0
	}
	const short, means = `"\/bfnrt`, "\"\\/\b\f\n\r\t"
	if i := strings.IndexByte(short, data[1]); i >= 0 {
		return append(to, means[i]), 2
	}
	r, ok := utf16Escape(data)
	if !ok {
		return to, 0
	}
	if low, ok := utf16Escape(data[6:]); ok && utf16.IsSurrogate(r) {
		if both := utf16.DecodeRune(r, low); both != utf8.RuneError {
			return utf8.AppendRune(to, both), 12
		}
	}
	return utf8.AppendRune(to, r), 6
}

func utf16Escape(data []byte) (r rune, ok bool) {
	if len(data) < 6 || data[0] != '\\' || data[1] != 'u' {
		return 0, false
	}
	for _, d := range data[2:6] {
		if hexValue(d) < 0 {
			return 0, false
		}
		r = r<<4 | rune(hexValue(d))
	}
	return r, true
}

// feed decodes the line from data[i] on, and returns where it stopped: at its end,
// or at an escape that is not all there.
func (v *escapeView) feed(w *Window, i int, found func(Match)) int {
	for i < len(w.Data) {
		c := w.Data[i]
		switch {
		case endsLine(c):
			v.layer.scan(true, w.Start+int64(i), found)
			v.endLine()
			return i
		case c == v.mark && i+v.longest > len(w.Data) && !w.End:
			return i
		case c == v.mark:
			v.layer.data = locked.Grow(v.layer.data, utf8.UTFMax)
			if text, size := v.decode(v.layer.data, w.Data[i:]); size > 0 {
				v.layer.anchor(w.Start + int64(i))
				v.layer.data = text
				i += size
				v.layer.anchor(w.Start + int64(i))
				continue
			}
		}
		v.layer.put(c)
		i++
	}
	return i
}

// endLine ends the line that is being decoded.
func (v *escapeView) endLine() {
	v.layer.close()
	v.layer = nil
}

func (v *escapeView) close() {
	v.endLine()
	wipe(v.plain)
	v.plain = nil
	v.runs.close()
}

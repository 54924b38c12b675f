package gate

import "bytes"

// percentView decodes what is escaped as in URLs (RFC 3986, 2.1): the lines that hold
// an escape.
type percentView struct {
	subject  Subject
	scanners []Scanner

	at    int64  // the next byte to look at
	layer *layer // nil: not in a line with an escape
}

// maxLine is how far before an escape its line is read.
const maxLine = 256

func (v *percentView) Next(w Window, found func(Match)) Hold {
	i := max(0, int(v.at-w.Start))
	for i < len(w.Data) {
		if v.layer == nil {
			p := bytes.IndexByte(w.Data[i:], '%')
			if p < 0 {
				i = len(w.Data)
				break
			}
			i += p
			if i+2 >= len(w.Data) && !w.End {
				break // the digits are to come
			}
			if _, ok := escape(w.Data[i:]); !ok {
				i++
				continue
			}
			first := lineBefore(w.Data, i)
			v.layer = newLayer("url", v.subject, v.scanners, w.Start+int64(first), 1, 1)
			v.layer.data = append(v.layer.data, w.Data[first:i]...)
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
			v.layer = nil
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

// escape decodes the %XX at the beginning of data.
func escape(data []byte) (c byte, ok bool) {
	if len(data) < 3 || data[0] != '%' || hexValue(data[1]) < 0 || hexValue(data[2]) < 0 {
		return 0, false
	}
	return byte(hexValue(data[1])<<4 | hexValue(data[2])), true
}

// feed decodes the line from data[i] on, and returns where it stopped: at its end,
// or at an escape that is not all there.
func (v *percentView) feed(w *Window, i int, found func(Match)) int {
	for i < len(w.Data) {
		c := w.Data[i]
		switch {
		case endsLine(c):
			v.layer.scan(true, w.Start+int64(i), found)
			v.layer = nil
			return i
		case c == '%' && i+2 >= len(w.Data) && !w.End:
			return i
		case c == '%':
			if d, ok := escape(w.Data[i:]); ok {
				v.layer.anchors = append(v.layer.anchors, anchor{w.Start + int64(i), v.layer.tail()})
				v.layer.data = append(v.layer.data, d)
				i += 3
				v.layer.anchor(w.Start + int64(i))
				continue
			}
		}
		v.layer.data = append(v.layer.data, c)
		i++
	}
	return i
}

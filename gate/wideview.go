package gate

import "bytes"

// minWide is how many characters of UTF-16 in a row are worth a look.
const minWide = 8

// wideView reads UTF-16, of either byte order, as far as it is ASCII.
type wideView struct {
	subject  Subject
	scanners []Scanner

	at    int64
	layer *layer // nil: not in a run
	zero  int    // where in a pair the zero is
}

func (v *wideView) Next(w Window, found func(Match)) Hold {
	i := max(0, int(v.at-w.Start))
	for i < len(w.Data) {
		if v.layer == nil {
			var whole bool
			if i, whole = v.next(&w, i); !whole {
				break
			}
			v.layer = newLayer("utf-16", v.subject, v.scanners, w.Start+int64(i), 2, 1)
		}
		var over bool
		if i, over = v.feed(&w, i); over {
			v.layer.scan(true, w.Start+int64(i), found)
			v.close()
			continue
		}
		break
	}
	v.at = w.Start + int64(i)
	h := None(w)
	if v.layer != nil {
		h = v.layer.scan(w.End, w.Tail(), found)
		if w.End {
			v.close()
		}
	}
	h.Keep = min(h.Keep, v.at)
	if w.Tail()-v.at > 1 {
		h.Soft = min(h.Soft, v.at)
	}
	return h
}

// next finds where the next run begins, at or behind i. Where there is none, i is
// where one may.
func (v *wideView) next(w *Window, i int) (at int, whole bool) {
	for i < len(w.Data) {
		z := bytes.IndexByte(w.Data[i:], 0)
		if z < 0 {
			return max(i, len(w.Data)-1), false // the last may be the first of a pair
		}
		at := i + z - 1 // the pair: a character, and a zero
		if z == 0 {
			at = i // a zero, and a character
		}
		v.zero = i + z - at
		n := v.pairs(w.Data[at:])
		switch {
		case n >= minWide:
			return at, true
		case at+2*n+1 >= len(w.Data) && !w.End:
			return at, false
		case z > 0 && i+z+1 >= len(w.Data) && !w.End:
			return i + z, false
		}
		if z > 0 { // the zero may be the first of a pair itself
			i += z
			continue
		}
		i++
	}
	return i, false
}

// pairs counts the characters that data begins with.
func (v *wideView) pairs(data []byte) (n int) {
	for ; 2*n+1 < len(data); n++ {
		if data[2*n+v.zero] != 0 || !isWide(data[2*n+1-v.zero]) {
			break
		}
	}
	return n
}

func isWide(c byte) bool { return ' ' <= c && c <= '~' || c == '\n' || c == '\r' || c == '\t' }

// feed takes what there is of the run. Over: it ends at i.
func (v *wideView) feed(w *Window, i int) (at int, over bool) {
	for ; i+1 < len(w.Data); i += 2 {
		if w.Data[i+v.zero] != 0 || !isWide(w.Data[i+1-v.zero]) {
			// Of zeros first, behind other text, the last has no zero behind it.
			if isWide(w.Data[i]) {
				v.layer.put(w.Data[i])
			}
			return i, true
		}
		v.layer.put(w.Data[i+1-v.zero])
	}
	return i, w.End && i < len(w.Data)
}

func (v *wideView) close() {
	v.layer.close()
	v.layer = nil
}

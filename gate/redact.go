package gate

import (
	"bytes"
	"slices"
)

// addSpan adds what is to be redacted, in order; what overlaps is one.
func addSpan(spans []span, n span) []span {
	i := len(spans)
	for i > 0 && spans[i-1].start > n.start {
		i--
	}
	spans = slices.Insert(spans, i, n)
	if i > 0 && spans[i-1].joins(n) {
		i--
	}
	first := &spans[i]
	j := i + 1
	for ; j < len(spans) && first.joins(spans[j]); j++ {
		if first.end = max(first.end, spans[j].end); len(first.mark) == 0 {
			first.mark = spans[j].mark
		}
	}
	return slices.Delete(spans, i+1, j)
}

// joins reports whether s and a later one are redacted as one: they overlap, or one
// mark says of both what it is.
func (s span) joins(later span) bool {
	return later.start < s.end || later.start == s.end && bytes.Equal(s.mark, later.mark)
}

const escapeByte = 0x1b

// redact appends to out the bytes of data, which is at an offset of its subject, with
// the marks of spans in the place of what they cover. It returns up to where that
// goes, which may be more than data, and the spans that are behind it.
func redact(out, data []byte, at int64, spans []span) (_ []byte, to int64, left []span) {
	end := at + int64(len(data))
	begin := at
	for len(spans) > 0 && spans[0].start < end {
		sp := spans[0]
		spans = spans[1:]
		if sp.end <= begin {
			continue
		}
		if sp.start > begin {
			out = append(out, data[begin-at:sp.start-at]...)
		}
		if n := len(out); n > 0 && out[n-1] == escapeByte && len(sp.mark) > 0 {
			out = out[:n-1] // with a mark behind it, it would begin a sequence
		}
		out = append(out, sp.mark...)
		begin = sp.end
	}
	if begin < end {
		out = append(out, data[begin-at:]...)
	}
	return out, max(begin, end), spans
}

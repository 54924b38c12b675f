package gate

import "slices"

// addSpan adds what is to be redacted, in order; what overlaps is one.
func addSpan(spans []span, n span) []span {
	i := len(spans)
	for i > 0 && spans[i-1].start > n.start {
		i--
	}
	spans = slices.Insert(spans, i, n)
	if i > 0 && spans[i-1].end > n.start {
		i--
	}
	for i+1 < len(spans) && spans[i+1].start < spans[i].end {
		a, b := spans[i], spans[i+1]
		if spans[i].end = max(a.end, b.end); len(b.mark) > 0 && len(a.mark) == 0 {
			spans[i].mark = b.mark
		}
		spans = slices.Delete(spans, i+1, i+2)
	}
	return spans
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

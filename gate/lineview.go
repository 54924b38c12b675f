package gate

import (
	"bytes"

	"github.com/kavach-dev/kavach/internal/locked"
)

// lineView joins lines: a secret that was wrapped is found as one that was not.
type lineView struct {
	subject  Subject
	scanners []Scanner
	layer    *layer // nil: nothing has been read
}

func (v *lineView) Next(w Window, found func(Match)) Hold {
	if v.layer == nil {
		v.subject.Depth = maxDepth // joined lines are looked at, and not decoded again
		v.layer = newLayer("lines", v.subject, v.scanners, w.Start, 1, 1)
	}
	at := w.Start + int64(w.Fresh)
	v.layer.data = locked.Grow(v.layer.data, len(w.Data)-w.Fresh)
	for data := w.Data[w.Fresh:]; len(data) > 0; {
		n := bytes.IndexAny(data, "\r\n")
		if n < 0 {
			n = len(data)
		}
		if n > 0 {
			v.layer.anchor(at)
			v.layer.data = append(v.layer.data, data[:n]...)
		}
		n = min(n+1, len(data))
		data, at = data[n:], at+int64(n)
	}
	h := v.layer.scan(w.End, w.Tail(), func(m Match) {
		if bytes.ContainsAny(w.Data[max(m.Start-w.Start, 0):m.End-w.Start], "\r\n") {
			found(m) // what is in one line is found without joining any
		}
	})
	return h
}

func (v *lineView) close() { v.layer.close() }

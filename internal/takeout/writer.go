package takeout

import (
	"bufio"
	"io"
	"strings"
)

// writer writes a stream. After the first error it writes nothing more.
type writer struct {
	w   *bufio.Writer
	err error
}

func newWriter(w io.Writer) *writer { return &writer{w: bufio.NewWriterSize(w, maxChunk)} }

func (w *writer) bytes(b []byte) {
	if w.err == nil {
		_, w.err = w.w.Write(b)
	}
}

func (w *writer) number(n uint32) { w.bytes(order.AppendUint32(nil, n)) }

func (w *writer) text(s string) {
	w.number(uint32(len(s)))
	w.bytes([]byte(s))
}

// reason cuts words to what a reader takes.
func (w *writer) reason(s string) {
	s = strings.ToValidUTF8(s, "\ufffd")
	if len(s) > maxReason {
		s = strings.ToValidUTF8(s[:maxReason], "")
	}
	w.text(s)
}

func (w *writer) entry(e Entry) {
	w.bytes([]byte{byte(e.Kind)})
	w.text(e.Name)
	if e.Kind == Refused {
		w.reason(e.Reason)
		return
	}
	w.number(e.Mode & permissions)
}

// chunk writes a part of the content of a file; it is not empty.
func (w *writer) chunk(b []byte) {
	w.number(uint32(len(b)))
	w.bytes(b)
}

// whole ends the content of a file. Changed says why it is not the file; empty:
// it is.
func (w *writer) whole(changed string) {
	w.number(0)
	w.reason(changed)
}

// end ends the stream. Why says what stopped it; empty: that is all.
func (w *writer) end(why string) error {
	w.bytes([]byte{byte(end)})
	w.reason(why)
	if w.err == nil {
		w.err = w.w.Flush()
	}
	return w.err
}

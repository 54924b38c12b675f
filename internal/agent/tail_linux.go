package agent

import (
	"os"
	"strings"
	"sync"
	"time"
	"unicode"
)

// Tail keeps the end of what the guest writes to its stderr, which is nothing
// unless something is wrong. It is text from inside: it is shown, never parsed.
type Tail struct {
	done chan struct{}

	mu   sync.Mutex // guards what follows
	text []byte
}

const tailSize = 4 << 10

// NewTail returns a tail and the file that it reads from, which is the caller's to
// hand on and to close.
func NewTail() (*Tail, *os.File, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	t := &Tail{done: make(chan struct{})}
	go func() {
		defer close(t.done)
		defer r.Close()
		buf := make([]byte, tailSize)
		for {
			n, err := r.Read(buf)
			t.mu.Lock()
			t.text = append(t.text, buf[:n]...)
			t.text = t.text[max(0, len(t.text)-tailSize):]
			t.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	return t, w, nil
}

// Printable is what can be shown of text from inside, which may end on a
// terminal: no control characters, and not much of it.
func Printable(text string) string {
	if len(text) > tailSize {
		text = text[:tailSize]
	}
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' || unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, text)
}

// String waits a moment for the guest's end and returns what it said.
func (t *Tail) String() string {
	select {
	case <-t.done:
	case <-time.After(100 * time.Millisecond):
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return Printable(string(t.text))
}

package jail

import (
	"os"
	"strings"
	"sync"
	"time"
	"unicode"
)

// tail keeps the end of what the guest writes to its stderr, which is nothing
// unless something is wrong. It is text from inside: it is shown, never parsed.
type tail struct {
	done chan struct{}

	mu   sync.Mutex // guards what follows
	text []byte
}

const tailSize = 4 << 10

func newTail() (*tail, *os.File, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	t := &tail{done: make(chan struct{})}
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

// printable is what can be shown of text from inside, which may end on a
// terminal: no control characters, and not much of it.
func printable(text string) string {
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
func (t *tail) String() string {
	select {
	case <-t.done:
	case <-time.After(100 * time.Millisecond):
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return printable(string(t.text))
}

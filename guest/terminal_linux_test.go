package guest

import (
	"errors"
	"os"
	"syscall"
	"testing"
)

// A size is for a terminal: what has none, has ended or never was is left alone,
// and a size that no terminal has is none.
func TestResizeOfNothing(t *testing.T) {
	g := newGuest(nil)
	g.byID[1] = &command{id: 1}
	for _, f := range []*Resize{{ID: 1, Rows: 1, Cols: 1}, {ID: 2, Rows: 1, Cols: 1}, {ID: 0}, {ID: 1<<32 - 1, Rows: 1<<32 - 1}} {
		g.resize(f)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	hungUp := &terminal{master: r, slave: -1}
	if err := hungUp.resize(1<<16, 1); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("more rows than there can be: %v", err)
	}
	hungUp.close()
	g.byID[1].terminal = hungUp
	g.resize(&Resize{ID: 1, Rows: 1, Cols: 1})
	hungUp.ended()
}

package agent

import (
	"fmt"
	"os"

	"github.com/kavach-dev/kavach/backend"
)

// Pouring is the values of secrets on their way to a guest, or a worker, by a pipe:
// written one after another from the memory that they are in, so that the kernel has
// the only copy.
type Pouring struct {
	From *os.File // what is handed on, to be read

	to   *os.File
	over chan struct{} // closed when nothing touches the values any more
	err  error         // that not all was read; set before over is closed
}

// Pour begins it.
func Pour(secrets []backend.Secret) (*Pouring, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	p := &Pouring{From: r, to: w, over: make(chan struct{})}
	go func() {
		defer close(p.over)
		for _, s := range secrets {
			if len(s.Value()) == 0 {
				continue // of which nothing is read, so that the pipe may be closed by now
			}
			if _, p.err = w.Write(s.Value()); p.err != nil {
				return
			}
		}
	}()
	return p, nil
}

// End ends it, also where nobody reads, and says whether the pipe took all: who says
// that it has begun has read all, so that nothing is waited for. Nil is nothing.
func (p *Pouring) End() error {
	if p == nil {
		return nil
	}
	p.From.Close()
	p.to.Close() // also in the middle of a Write
	<-p.over
	if p.err != nil {
		return fmt.Errorf("the guest, or worker, did not read the secrets that it was given: %w", p.err)
	}
	return nil
}

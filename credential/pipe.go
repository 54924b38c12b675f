package credential

import (
	"os"
)

// pipe writes a value into a pipe, from which the command reads it: the kernel has it
// then, and the command. Back drains what was not read; whoever still has the pipe
// finds its end.
func (l *Lease) pipe(value []byte) (r *os.File, back func() error, err error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	done := make(chan struct{})
	l.pipes.Go(func() {
		defer close(done)
		defer w.Close()
		_, _ = w.Write(value) // a command need not read it
	})
	return r, func() error {
		w.Close() // also in the middle of a Write
		<-done
		drain(r)
		return r.Close()
	}, nil
}

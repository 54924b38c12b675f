package agent

import (
	"os"

	"github.com/kavach-dev/kavach/backend"
)

// pour writes the values of secrets into a pipe, one after another, from the memory
// that they are in: the kernel has the only copy. A guest that does not read them is
// not waited for: done ends it, and returns when nothing touches the values any more.
func pour(secrets []backend.Secret) (from *os.File, done func(), err error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	over := make(chan struct{})
	go func() {
		defer close(over)
		defer w.Close()
		for _, s := range secrets {
			if _, err := w.Write(s.Value()); err != nil {
				return // who reads it finds too little
			}
		}
	}()
	return r, func() {
		r.Close()
		w.Close() // also in the middle of a Write
		<-over
	}, nil
}

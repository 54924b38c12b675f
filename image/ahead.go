package image

import (
	"io"
	"sync"
)

// ahead reads in a goroutine of its own, so that one core uncompresses and hashes
// while another makes files.
type ahead struct {
	full chan chunk  // what was read, in order
	free chan []byte // what may be read into
	quit chan struct{}
	wait sync.WaitGroup
	now  chunk
	rest []byte // of now.b
}

type chunk struct {
	b   []byte // as it came from free
	n   int
	err error
}

// Of how much is read ahead.
const (
	aheadChunks = 4
	aheadSize   = 256 << 10
)

func readAhead(r io.Reader) *ahead {
	a := &ahead{full: make(chan chunk, aheadChunks), free: make(chan []byte, aheadChunks), quit: make(chan struct{})}
	for range aheadChunks {
		a.free <- make([]byte, aheadSize)
	}
	a.wait.Go(func() { a.fill(r) })
	return a
}

func (a *ahead) fill(r io.Reader) {
	defer close(a.full)
	for {
		var b []byte
		select {
		case b = <-a.free:
		case <-a.quit:
			return
		}
		n, err := io.ReadFull(r, b)
		if err == io.ErrUnexpectedEOF {
			err = io.EOF
		}
		a.full <- chunk{b, n, err} // has room for all there are
		if err != nil {
			return
		}
	}
}

func (a *ahead) Read(p []byte) (int, error) {
	for len(a.rest) == 0 {
		if a.now.err != nil {
			return 0, a.now.err
		}
		if a.now.b != nil {
			a.free <- a.now.b
		}
		a.now = <-a.full
		a.rest = a.now.b[:a.now.n]
	}
	n := copy(p, a.rest)
	a.rest = a.rest[n:]
	return n, nil
}

// stop ends the goroutine, and waits for it.
func (a *ahead) stop() {
	close(a.quit)
	a.wait.Wait()
}

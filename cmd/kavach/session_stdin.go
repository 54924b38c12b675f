package main

import (
	"errors"
	"io"
	"sync"
)

// maxQueued is how much input of one command waits while the command does not
// read. A client that waits for the reply to each stdin request never gets
// there.
const maxQueued = 16 << 20

var errInputEnded = errors.New("the command has ended or has closed its stdin")

// stdinParams are the params of stdin.
type stdinParams struct {
	Exec   int    `json:"exec"`
	Data   string `json:"data"`
	Base64 []byte `json:"data_base64"`
	EOF    bool   `json:"eof"`
}

// stdin hands input to a command. It replies when the command's pipe has taken
// it, so that a client that waits for the reply is slowed down as by a pipe.
func (s *session) stdin(r request) (any, error) {
	var params stdinParams
	if err := decode("params", r.Params, &params); err != nil {
		return nil, err
	}
	if params.Data != "" && len(params.Base64) > 0 {
		return nil, refusef(errParams, "params: data and data_base64 are both there; send one of them")
	}
	e, err := s.find(params.Exec)
	if err != nil {
		return nil, err
	}
	if e.input == nil {
		return nil, refusef(errNoStdin, `command %d was started without "stdin": true`, params.Exec)
	}
	data := params.Base64
	if params.Data != "" {
		data = []byte(params.Data)
	}
	err = e.input.queue(data, params.EOF, func(err error) {
		if err != nil {
			err = refusef(errNoStdin, "%v", err)
		}
		s.wire.reply(r.ID, empty{}, err)
	})
	if err != nil {
		return nil, err
	}
	return later{}, nil
}

// execInput is the stdin of a command: a queue of what the client sent.
type execInput struct {
	wake chan struct{} // capacity 1

	mu     sync.Mutex // guards what follows
	pieces []piece
	bytes  int   // in pieces
	ended  bool  // the last piece has eof
	closed error // set when nobody reads any more
}

// piece is the input of one request.
type piece struct {
	data []byte
	eof  bool
	done func(error) // replies
}

func newExecInput() *execInput { return &execInput{wake: make(chan struct{}, 1)} }

// queue appends a piece. done is called once, when it was written, or cannot be.
func (in *execInput) queue(data []byte, eof bool, done func(error)) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	switch {
	case in.closed != nil:
		return refusef(errNoStdin, "%v", in.closed)
	case in.ended:
		return refusef(errNoStdin, "the stdin of the command was ended by eof")
	case in.bytes > 0 && in.bytes+len(data) > maxQueued:
		return refusef(errBusy, "%d bytes of stdin wait for the command to read; send on when their replies have come", in.bytes)
	}
	in.pieces = append(in.pieces, piece{data, eof, done})
	in.bytes += len(data)
	in.ended = eof
	select {
	case in.wake <- struct{}{}:
	default:
	}
	return nil
}

// WriteTo writes the pieces as they come; io.Copy prefers it to Read. It ends
// with eof, or when the command does not read any more.
func (in *execInput) WriteTo(w io.Writer) (n int64, err error) {
	for range in.wake {
		for {
			p, ok := in.next()
			if !ok {
				break
			}
			m, err := w.Write(p.data)
			n += int64(m)
			if err != nil {
				in.close(errInputEnded)
				p.done(errInputEnded)
				return n, nil
			}
			p.done(nil)
			if p.eof {
				return n, nil
			}
		}
	}
	return n, nil
}

// Read is there for io.Reader. Nothing calls it: see WriteTo.
func (in *execInput) Read([]byte) (int, error) { return 0, errors.ErrUnsupported }

func (in *execInput) next() (piece, bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.closed != nil || len(in.pieces) == 0 {
		return piece{}, false
	}
	p := in.pieces[0]
	in.pieces = in.pieces[1:]
	in.bytes -= len(p.data)
	return p, true
}

// close ends the queue: what waits in it cannot be written any more.
func (in *execInput) close(why error) {
	in.mu.Lock()
	waiting := in.pieces
	first := in.closed == nil
	in.pieces, in.bytes = nil, 0
	if first {
		in.closed = why
	}
	in.mu.Unlock()
	if first {
		close(in.wake)
	}
	for _, p := range waiting {
		p.done(why)
	}
}

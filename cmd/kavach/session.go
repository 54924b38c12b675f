package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"sync"
	"time"

	"github.com/kavach-dev/kavach"
	"github.com/kavach-dev/kavach/backend/all"
	"github.com/kavach-dev/kavach/workspace"
)

// maxLine is how long a request may be, in bytes without its newline.
const maxLine = 8 << 20

func sessionCommand() *command {
	runtime := ""
	return &command{
		name: "session", short: "drive one sandbox with JSON lines over stdin and stdout",
		long: `Read requests from stdin and write replies and events to stdout, one JSON object
a line, for programs in any language. The sandbox ends with stdin.

docs/session.md describes each request, reply and event.`,
		flags: func(f *flags) { registerRuntime(f, &runtime) },
		run: func([]string) error {
			stop := catch()
			s := newSession(stop.ctx, &kavach.Runtime{Backends: all.Using(runtime), Gate: theGate()}, os.Stdout)
			s.wire.gone = func(error) { stop.cancel(nil) }
			return s.serve(stop, os.Stdin)
		},
	}
}

// session is one sandbox and its commands.
type session struct {
	ctx     context.Context //nolint:containedctx // the session is what it bounds
	runtime *kavach.Runtime
	wire    *wire

	// For the reader of requests alone.
	guard  secretGuard
	count  int                // of commands, which are numbered from 1
	listed []workspace.Change // what changes listed last; nil: nothing yet

	running sync.WaitGroup // a goroutine for each command

	mu      sync.Mutex      // guards what follows
	sandbox *kavach.Sandbox // nil: not created; written by the reader of requests only
	execs   map[int]*sessionExec
}

func newSession(ctx context.Context, rt *kavach.Runtime, out io.Writer) *session {
	return &session{ctx: ctx, runtime: rt, wire: &wire{out: out}, execs: make(map[int]*sessionExec)}
}

// serve answers requests until stdin ends or kavach is stopped, and removes the
// sandbox then.
func (s *session) serve(stop *stopper, in io.Reader) error {
	lines := make(chan line)
	// Not waited for: a read of stdin cannot be called off.
	go readLines(in, lines, s.ctx.Done())
	answered := make(chan error, 1)
	go func() { answered <- s.answer(lines) }()
	var err error
	select {
	case err = <-answered:
	case <-s.ctx.Done():
		select {
		case err = <-answered:
		case <-time.After(endPatience): // it may hang in a write that nobody reads
		}
	}
	s.mu.Lock()
	sb := s.sandbox
	s.mu.Unlock()
	if sb != nil {
		if destroyErr := sb.Destroy(context.WithoutCancel(s.ctx)); destroyErr != nil {
			err = errors.Join(err, &leftoverError{destroyErr})
		}
		s.rest(endPatience)
	}
	return errors.Join(err, stop.instead(nil))
}

// rest waits for the exit events of all commands, but not for a client that
// does not read them.
func (s *session) rest(patience time.Duration) {
	done := make(chan struct{})
	go func() { s.running.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(patience):
	}
}

// answer answers requests until there are no more.
func (s *session) answer(lines <-chan line) error {
	for {
		select {
		case <-s.ctx.Done():
			return nil
		case l, open := <-lines:
			if !open {
				return nil
			}
			if l.err != nil {
				return l.err
			}
			s.handle(l)
		}
	}
}

// line is one line of input.
type line struct {
	text    []byte
	tooLong bool
	err     error // why there are no more lines, where it is not the end
}

// readLines sends the lines of in that are not blank. Of a line that is too
// long, nothing but that is kept.
func readLines(in io.Reader, lines chan<- line, done <-chan struct{}) {
	defer close(lines)
	send := func(l line) bool {
		select {
		case lines <- l:
			return true
		case <-done:
			return false
		}
	}
	r := bufio.NewReaderSize(in, 64<<10)
	var l line
	for {
		part, err := r.ReadSlice('\n')
		if len(l.text)+len(bytes.TrimSuffix(part, []byte("\n"))) > maxLine {
			l = line{tooLong: true}
		}
		if !l.tooLong {
			l.text = append(l.text, part...)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if l.tooLong || len(bytes.TrimSpace(l.text)) > 0 {
			if !send(l) {
				return
			}
		}
		l = line{}
		if err != nil {
			if !errors.Is(err, io.EOF) {
				send(line{err: err})
			}
			return
		}
	}
}

// wire is where replies and events go, one a line.
type wire struct {
	gone func(error) // called when nobody reads any more

	mu  sync.Mutex // held for one line
	out io.Writer
}

func (w *wire) send(v any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := writeJSON(w.out, v); err != nil && w.gone != nil {
		w.gone(err)
	}
}

// reply answers a request.
type reply struct {
	ID     json.RawMessage `json:"id"`
	Result any             `json:"result,omitempty"`
	Error  *sessionError   `json:"error,omitempty"`
}

func (w *wire) reply(id json.RawMessage, result any, err error) {
	r := reply{ID: id, Result: result}
	if id == nil {
		r.ID = json.RawMessage("null")
	}
	if err != nil {
		r.Result, r.Error = nil, asSessionError(err)
	}
	w.send(r)
}

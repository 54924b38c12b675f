package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
)

// Bounds of what a plugin can make its host hold or do.
const (
	maxLine   = 1 << 20 // bytes of an answer
	maxNoise  = 1 << 20 // bytes of stderr between two answers
	tailSize  = 4 << 10 // bytes of stderr that are kept, to say why a plugin died
	maxCalls  = 64      // calls that wait for their answers
	tailSlack = 2 * tailSize
)

// Why a plugin is ended by its host.
var (
	errHung  = errors.New("it did not answer in time")
	errFlood = errors.New("it wrote more than a plugin may")
	errTalk  = errors.New("it does not speak the protocol")
)

type request struct {
	ID     int64  `json:"id"`
	Method string `json:"method"`
	Params any    `json:"params,omitempty"`
}

type answer struct {
	ID     int64           `json:"id"`
	Result json.RawMessage `json:"result"`
	Error  string          `json:"error"`
}

// conn is one life of a plugin: what goes to its stdin, what comes from its
// stdout and stderr, and the calls that wait for answers. All that comes is
// hostile: it is bounded, and whoever breaks the protocol is ended.
type conn struct {
	die   func(error)   // ends the plugin; set before anything else happens
	queue chan []byte   // requests; unbuffered: the plugin takes one when it reads
	slots chan struct{} // holds one for each call that waits
	eof   chan struct{} // closed: no more requests
	ended chan struct{} // closed: no more answers

	rest []byte // of the request that is being read; for Read alone
	line []byte // the beginning of an answer; for the writer of stdout alone

	mu      sync.Mutex // guards what follows
	last    int64      // id
	waiting map[int64]chan answer
	noise   int    // bytes of stderr since the last answer
	tail    []byte // the end of stderr
	why     error  // set before ended is closed
	closed  bool   // eof is
}

func newConn() *conn {
	return &conn{
		queue: make(chan []byte), slots: make(chan struct{}, maxCalls),
		eof: make(chan struct{}), ended: make(chan struct{}), waiting: make(map[int64]chan answer),
	}
}

// call sends a request and waits for its answer. When ctx ends because the call
// took too long, the plugin is ended; when the caller lost interest, the answer
// is dropped when it comes.
func (c *conn) call(ctx context.Context, method string, params any) (json.RawMessage, error) {
	select {
	case c.slots <- struct{}{}:
	case <-c.ended:
		return nil, c.why
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	id, mine := c.register()
	text, err := json.Marshal(request{id, method, params})
	if err != nil {
		c.forget(id)
		return nil, err
	}
	select {
	case c.queue <- append(text, '\n'):
	case <-c.ended:
		return nil, c.why
	case <-c.eof:
		return nil, errors.New("the plugin is being closed")
	case <-ctx.Done():
		c.forget(id)
		return nil, c.late(ctx)
	}
	select {
	case a := <-mine:
		if a.Error != "" {
			return nil, fmt.Errorf("the plugin says: %s", a.Error)
		}
		return a.Result, nil
	case <-c.ended:
		return nil, c.why
	case <-ctx.Done():
		return nil, c.late(ctx)
	}
}

// late says why a call has no answer, and ends a plugin that owes it.
func (c *conn) late(ctx context.Context) error {
	err := context.Cause(ctx)
	if errors.Is(err, errHung) {
		c.die(err)
	}
	return err
}

func (c *conn) register() (int64, chan answer) {
	mine := make(chan answer, 1) // so that nobody waits for a caller who is gone
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last++
	c.waiting[c.last] = mine
	return c.last, mine
}

// forget ends the wait for a request that was not sent.
func (c *conn) forget(id int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.waiting, id)
	<-c.slots
}

// Read hands requests to the plugin: conn is its stdin.
func (c *conn) Read(p []byte) (int, error) {
	if len(c.rest) == 0 {
		select {
		case c.rest = <-c.queue:
		case <-c.eof:
			return 0, io.EOF
		case <-c.ended:
			return 0, io.EOF
		}
	}
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

// Write takes answers from the plugin: conn is its stdout. It is called by one
// goroutine.
func (c *conn) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		part, after, whole := bytes.Cut(rest, []byte("\n"))
		rest = after
		if len(c.line)+len(part) > maxLine {
			return 0, c.refuse(fmt.Errorf("%w: a line of more than %d bytes", errFlood, maxLine))
		}
		c.line = append(c.line, part...)
		if !whole {
			break
		}
		err := c.deliver(c.line)
		c.line = c.line[:0]
		if err != nil {
			return 0, c.refuse(err)
		}
	}
	return len(p), nil
}

// refuse ends the plugin; that Write fails makes Kavach drop what comes after.
func (c *conn) refuse(err error) error {
	c.die(err)
	return err
}

// deliver hands an answer to the call that waits for it.
func (c *conn) deliver(line []byte) error {
	var a answer
	if err := json.Unmarshal(line, &a); err != nil {
		return fmt.Errorf("%w: %w", errTalk, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	mine, found := c.waiting[a.ID]
	if !found {
		return fmt.Errorf("%w: nobody asked for answer %d", errTalk, a.ID)
	}
	delete(c.waiting, a.ID)
	<-c.slots
	c.noise = 0
	mine <- a
	return nil
}

// stderr keeps the end of what a plugin complains of.
type stderr struct{ *conn }

func (s stderr) Write(p []byte) (int, error) {
	c := s.conn
	c.mu.Lock()
	c.noise += len(p)
	flood := c.noise > maxNoise
	c.tail = append(c.tail, p...)
	if len(c.tail) > tailSlack {
		c.tail = append(c.tail[:0], c.tail[len(c.tail)-tailSize:]...)
	}
	c.mu.Unlock()
	if flood {
		return 0, c.refuse(fmt.Errorf("%w: %d bytes on stderr without an answer", errFlood, maxNoise))
	}
	return len(p), nil
}

// complaint is the last line on stderr.
func (c *conn) complaint() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	lines := bytes.Split(bytes.TrimSpace(c.tail), []byte("\n"))
	last := lines[len(lines)-1]
	return string(last[max(0, len(last)-tailSize):])
}

// hangUp lets no more requests through, and tells the plugin so by the end of
// its stdin.
func (c *conn) hangUp() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.closed = true
		close(c.eof)
	}
}

// end tells all who wait that the plugin is gone.
func (c *conn) end(why error) {
	c.why = why
	close(c.ended)
}

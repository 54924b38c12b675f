package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

// launch runs a plugin until it ends by itself, or ctx does. The error says how
// it ended; nil: by itself, with exit code 0.
type launch func(ctx context.Context, stdin io.Reader, stdout, stderr io.Writer) error

// plugin is a command that answers calls. Whenever it ends it is launched again.
type plugin struct {
	name     string
	launch   launch
	deadline time.Duration // of one call; a plugin that misses it is ended
	pauses   pauses
	log      func(string)

	kill context.CancelFunc // for good
	done chan struct{}      // closed when it will not run again

	mu      sync.Mutex    // guards what follows
	conn    *conn         // nil: between two lives
	changed chan struct{} // closed, and made anew, when conn changes
	over    error         // why there is to be no other life; nil: there is
}

// pauses say how long to wait before a plugin that ended is launched again:
// first, twice as long each time, at most longest. A life longer than steady
// begins them anew.
type pauses struct{ first, longest, steady time.Duration }

var (
	errClosed = errors.New("the plugin is closed")

	// errNever says that this machine cannot confine the plugin as it must be,
	// and that trying again is of no use.
	errNever = errors.New("it cannot be run here")
)

// start starts a plugin, and keeps it running until close.
func (p *plugin) start() {
	ctx, kill := context.WithCancel(context.Background())
	p.kill, p.done, p.changed = kill, make(chan struct{}), make(chan struct{})
	go func() {
		defer close(p.done)
		p.keep(ctx)
	}()
}

func (p *plugin) keep(ctx context.Context) {
	pause := p.pauses.first
	for {
		began := time.Now()
		why, again := p.live(ctx)
		if !again {
			if errors.Is(why, errNever) {
				p.log(fmt.Sprintf("plugin %s: %v", p.name, why))
			}
			return
		}
		if time.Since(began) > p.pauses.steady {
			pause = p.pauses.first
		}
		p.log(fmt.Sprintf("plugin %s: %v; it is started again in %v", p.name, why, pause))
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
		pause = min(2*pause, p.pauses.longest)
	}
}

// live is one life of the plugin. It says how it ended, and whether there is to
// be another.
func (p *plugin) live(parent context.Context) (why error, again bool) {
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	c := newConn()
	c.die = func(why error) {
		cancel(why)
		p.drop(c) // the next call waits for the next life
	}
	if !p.put(c) {
		return errClosed, false
	}
	why = p.launch(ctx, c, c, stderr{c})
	switch {
	case context.Cause(ctx) != nil: // its host ended it
		why = context.Cause(ctx)
	case why == nil:
		why = errors.New("exited with code 0")
	}
	if text := c.complaint(); text != "" {
		why = fmt.Errorf("%w: %q", why, text)
	}
	if errors.Is(why, errNever) {
		p.endAfter(why)
	}
	again = p.drop(c)
	c.end(fmt.Errorf("plugin %s ended: %w", p.name, why))
	return why, again
}

// put sets the life that calls go to, unless there are to be no more.
func (p *plugin) put(c *conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over != nil {
		return false
	}
	p.conn = c
	close(p.changed)
	p.changed = make(chan struct{})
	return true
}

// drop lets no more calls go to a life that ends. It reports whether there is to
// be another.
func (p *plugin) drop(c *conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.conn == c {
		p.conn = nil
	}
	return p.over == nil
}

// endAfter makes the life that there is the last, and returns it; nil: there is
// none.
func (p *plugin) endAfter(why error) *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over == nil {
		p.over = why
		close(p.changed)
		p.changed = make(chan struct{})
	}
	return p.conn
}

// call calls the plugin, which may be between two lives: then the call waits
// for the next. What a call that failed has done before it did, only the plugin
// could know, so no call is made twice.
func (p *plugin) call(ctx context.Context, method string, params any) (json.RawMessage, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, p.deadline, errHung)
	defer cancel()
	for {
		p.mu.Lock()
		c, changed, over := p.conn, p.changed, p.over
		p.mu.Unlock()
		switch {
		case c != nil:
			return c.call(ctx, method, params)
		case over != nil:
			return nil, fmt.Errorf("plugin %s: %w", p.name, over)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, fmt.Errorf("plugin %s is not running: %w", p.name, context.Cause(ctx))
		}
	}
}

// close lets a plugin end by itself: its stdin ends. When ctx does, it is
// killed.
func (p *plugin) close(ctx context.Context) {
	defer p.kill()
	if c := p.endAfter(errClosed); c != nil {
		c.hangUp()
	} else {
		p.kill() // it is dying, or waits for its next life
	}
	select {
	case <-p.done:
	case <-ctx.Done():
		p.kill()
		<-p.done
	}
}

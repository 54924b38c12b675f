package gate

import (
	"fmt"
	"sync"
	"time"

	"github.com/kavach-dev/kavach/internal/locked"
)

// guard runs searches so that one that crashes, or takes too long, is an error, and
// nothing else is harmed. One that takes too long is left behind, with the bytes that
// it looks at: no goroutine can be ended from outside.
type guard struct {
	open    func() Search // called with the first bytes: what nobody writes to costs nothing
	search  Search
	timeout time.Duration
	budget  *budget
	known   *knowing // nil: nothing
	failed  error    // why nothing more can be looked at
	late    *call    // that was left behind; nil: none
	handed  bool     // what it looks at is its own, to be zeroed
	closed  bool
}

// call is one call of a search.
type call struct {
	mu    sync.Mutex // guards what follows
	ended bool
	then  []func()
}

// after calls f when the call has ended: now, where it has.
func (c *call) after(f func()) {
	c.mu.Lock()
	ended := c.ended
	if !ended {
		c.then = append(c.then, f)
	}
	c.mu.Unlock()
	if ended {
		f()
	}
}

func (c *call) end() {
	c.mu.Lock()
	c.ended = true
	then := c.then
	c.then = nil
	c.mu.Unlock()
	for _, f := range then {
		f()
	}
}

// next is Search.Next. The matches are in the order in which they were found. After an
// error the data is not the caller's any more: see discard.
func (g *guard) next(w Window) (h Hold, found []Match, err error) {
	if g.failed != nil {
		return h, nil, g.failed
	}
	if g.search == nil && len(w.Data) == 0 {
		return None(w), nil, nil
	}
	type outcome struct {
		hold  Hold
		found []Match
		crash any
	}
	g.known.refresh()
	done := make(chan outcome, 1)
	this := new(call)
	go func() {
		var o outcome
		defer this.end()
		defer func() { done <- o }()
		defer func() { o.crash = recover() }()
		if g.search == nil {
			g.search = g.open()
		}
		o.hold = g.search.Next(w, func(m Match) { o.found = append(o.found, m) })
	}()
	late := time.NewTimer(g.timeout)
	defer late.Stop()
	select {
	case o := <-done:
		if o.crash != nil {
			g.failed = fmt.Errorf("a scanner crashed: %v", o.crash)
		}
		return o.hold, o.found, g.failed
	case <-late.C:
		g.budget.spend()
		g.failed = fmt.Errorf("the scanners did not come to an end within %v", g.timeout)
		g.late = this
		this.after(g.end)
		return h, nil, g.failed
	}
}

// discard zeroes the data for which next has returned an error, as soon as nothing
// looks at it any more.
func (g *guard) discard(data []byte) {
	if g.late == nil || g.handed { // of a guard that has failed, nothing looks at more
		wipe(data)
		return
	}
	g.handed = true
	g.late.after(func() { wipe(data) })
}

// close ends the search, which may not have seen the end of its subject. Where it was
// left behind, it ends itself, when it does. It may be called again.
func (g *guard) close() {
	if g.closed {
		return
	}
	g.closed = true
	if g.late == nil {
		g.end()
	}
}

// end is called once, when nothing of the search is at work.
func (g *guard) end() {
	defer g.known.letGo()
	defer func() { _ = recover() }() // it may have crashed before
	if c, ok := g.search.(closer); ok {
		c.close()
	}
}

// wipe zeroes what may hold a secret. Tests leave that out, to see that they see it.
var wipe = locked.Wipe

// reader shows a search a subject piece by piece, and keeps what it needs again.
type reader struct {
	guard guard
	data  []byte // from start on
	start int64
}

// next looks at one more piece, and calls found for each match, with what was matched
// where that is at hand.
func (r *reader) next(piece []byte, end bool, found func(m Match, text []byte)) error {
	fresh := len(r.data)
	r.data = locked.Append(r.data, piece...)
	tail := r.start + int64(len(r.data))
	hold, matches, err := r.guard.next(Window{Data: r.data, Start: r.start, Fresh: fresh, End: end})
	if err != nil {
		r.guard.discard(r.data)
		r.data = nil
		return err
	}
	for _, m := range matches {
		var text []byte
		if m.Start >= r.start && m.End <= tail {
			text = r.data[m.Start-r.start : m.End-r.start]
		}
		found(m, text)
	}
	keep := min(hold.Keep, tail)
	r.data = append(r.data[:0], r.data[keep-r.start:]...)
	r.start = keep
	return nil
}

// close ends it. It may be called again.
func (r *reader) close() {
	r.guard.close()
	wipe(r.data)
	r.data = nil
}

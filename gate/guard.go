package gate

import (
	"fmt"
	"sync/atomic"
	"time"
)

// guard runs searches so that one that crashes, or takes too long, is an error, and
// nothing else is harmed. One that takes too long is left behind, with the bytes that
// it looks at: no goroutine can be ended from outside.
type guard struct {
	open    func() Search // called with the first bytes: what nobody writes to costs nothing
	search  Search
	timeout time.Duration
	budget  *budget
	failed  error // why nothing more can be looked at
}

// next is Search.Next. The matches are in the order in which they were found.
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
	done := make(chan outcome, 1)
	left := new(atomic.Bool) // nobody waits for it any more
	go func() {
		var o outcome
		defer func() {
			done <- o
			if left.Load() {
				g.end()
			}
		}()
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
		left.Store(true)
		g.budget.spend()
		g.failed = fmt.Errorf("the scanners did not come to an end within %v", g.timeout)
		return h, nil, g.failed
	}
}

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
	r.data = append(r.data, piece...)
	tail := r.start + int64(len(r.data))
	hold, matches, err := r.guard.next(Window{Data: r.data, Start: r.start, Fresh: fresh, End: end})
	if err != nil {
		r.data = nil // it may still be looked at
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

// end ends a search that may not have seen the end of its subject.
func (g *guard) end() {
	defer func() { _ = recover() }() // it may have crashed before
	if c, ok := g.search.(closer); ok {
		c.close()
	}
}

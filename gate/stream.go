package gate

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kavach-dev/kavach/internal/locked"
)

const (
	// pieceSize is how much is looked at in one go.
	pieceSize = 64 << 10

	// maxHeld is how many bytes of a live stream wait at most. A scanner that wants
	// more to wait has everything withheld that follows.
	maxHeld = 1 << 20

	// silence is how long what may be the beginning of a match waits for the rest.
	silence = 5 * time.Millisecond

	// maxSpans is how many places of a stream are redacted until it is let out.
	maxSpans = 1 << 20

	// maxCollected is how many bytes of one stream are kept until the verdict.
	maxCollected = 256 << 20
)

// stream is one output of a command on its way through the gate.
type stream struct {
	session *Session
	name    string
	live    bool
	shown   bool         // on a terminal
	others  *atomic.Bool // set when a stream of the same command is stopped
	guard   guard
	ledger  ledger

	mu       sync.Mutex // guards what follows
	out      io.Writer
	data     []byte // from start on
	start    int64
	fresh    int   // data[:fresh] was looked at
	released int64 // what is before it has been let out, or never will be
	firm     int64 // what may be the beginning of a match, and most of one
	hard     int64 // what waits also when nothing comes
	spans    []span
	flush    *time.Timer // nil: nothing waits
	over     bool
	stopped  error  // why nothing more is let out
	failed   error  // of out
	zero     int64  // where the first zero byte is, from which on this is no text; below 0: there is none yet
	whole    bool   // what was found cannot be redacted
	raw      []byte // collected: all of it; live: what was withheld
	many     bool   // there is more to redact than is remembered
	lost     bool   // there was more to withhold than is kept
}

var errTooMany = fmt.Errorf("there are more than %d places to redact", maxSpans)

// span is what is redacted.
type span struct {
	start, end int64
	mark       []byte
}

func newStream(s *Session, subject Subject, out io.Writer, how How, others *atomic.Bool) *stream {
	return &stream{
		session: s, name: subject.Name, live: !how.Collected && !s.Collected(), shown: how.Shown || subject.Terminal,
		out: out, guard: s.guard(subject), zero: -1, others: others,
	}
}

// Write takes what the command wrote. An error says why this and all that follows
// is withheld.
func (s *stream) Write(p []byte) (n int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(p) > 0 {
		piece := p[:min(len(p), pieceSize)]
		s.take(piece, false)
		p, n = p[len(piece):], n+len(piece)
	}
	if s.guard.failed != nil {
		return n, s.guard.failed
	}
	return n, s.failed
}

// close ends the stream: all of it has been looked at then, and, if it is live, let
// out as far as it may be.
func (s *stream) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return
	}
	s.take(nil, true)
	s.over = true
	s.guard.close()
	if s.flush != nil {
		s.flush.Stop()
	}
}

// forget zeroes what the command wrote, of a stream that is closed.
func (s *stream) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	s.guard.close()
	wipe(s.data)
	wipe(s.raw)
	s.data, s.raw = nil, nil
}

// cut drops what waits.
func (s *stream) cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over || s.guard.failed != nil || s.firm >= s.tail() {
		return
	}
	s.spans = addSpan(s.spans, span{max(s.firm, s.released), s.tail(), nil})
}

func (s *stream) tail() int64 { return s.start + int64(len(s.data)) }

// take looks at a piece, and lets out what need not wait.
func (s *stream) take(piece []byte, end bool) {
	if i := bytes.IndexByte(piece, 0); i >= 0 && s.zero < 0 {
		s.zero = s.tail() + int64(i)
	}
	if s.live && s.others.Load() {
		s.stop(errors.New("another stream of the command was withheld"))
	}
	s.data = locked.Append(s.data, piece...)
	s.save(piece)
	hold, found, err := s.guard.next(Window{Data: s.data, Start: s.start, Fresh: s.fresh, End: end})
	if err != nil {
		s.stop(err)
		s.guard.discard(s.data)
		s.data, s.fresh = nil, 0
		return
	}
	s.fresh, s.firm = len(s.data), hold.Hard
	cut := s.tail() // what is behind it is withheld
	var why error
	for _, m := range found {
		if s.note(m) && m.Start <= cut {
			cut, why = m.Start, fmt.Errorf("%s was found", m.Rule)
		}
	}
	if s.many {
		s.stop(errTooMany)
	}
	if s.live && s.stopped == nil {
		s.hard = max(s.released, hold.Hard)
		s.release(min(cut, max(hold.Soft, s.line(hold))))
		if why != nil {
			s.stop(why)
		} else if s.tail()-s.released > maxHeld {
			s.stop(fmt.Errorf("more than %d bytes of %s would have to wait", maxHeld, s.name))
		}
	}
	s.arm()
	keep := min(hold.Keep, s.tail())
	if s.live && s.stopped == nil {
		keep = min(keep, s.released)
	}
	if drop := int(keep - s.start); drop > 0 {
		s.data = append(s.data[:0], s.data[drop:]...)
		s.start, s.fresh = keep, s.fresh-drop
	}
}

// line is the end of the last line that may be let out.
func (s *stream) line(h Hold) int64 {
	from := max(s.released, s.start)
	if h.Hard <= from {
		return from
	}
	return from + int64(bytes.LastIndexByte(s.data[from-s.start:h.Hard-s.start], '\n')) + 1
}

// note takes down a match. It reports whether all that follows is withheld for it.
func (s *stream) note(m Match) bool {
	var text []byte
	if m.Start >= s.start && m.End <= s.tail() {
		text = s.data[m.Start-s.start : m.End-s.start]
	}
	binary := s.zero >= 0 && s.zero < m.Start
	if binary && !s.shown && isOurs(m.Rule, "terminal-") {
		return false // pictures and archives hold such bytes, and no terminal sees them
	}
	if isOurs(m.Rule, "archive-") {
		m.Severity = Info // of how an archive is made nothing can be redacted: files are withheld for it
	}
	if m.Severity = s.session.counts(m, text); m.Severity == 0 {
		return false
	}
	gone := min(max(s.released-m.Start, 0), m.End-m.Start) // of a stream that is collected, nothing
	s.ledger.add(s.name, m, gone)
	verdict := s.session.levels.verdict(m.Severity)
	if verdict == Pass {
		return false
	}
	if verdict == Redact && isPackedView(m.View) { // with a mark in it, it could not be unpacked
		s.whole, verdict = true, Quarantined
	}
	if m.End > s.released {
		s.spans = addSpan(s.spans, span{m.Start, m.End, mark(m, binary)})
	}
	if len(s.spans) > maxSpans {
		s.many, s.spans = true, nil // nothing of it is let out
	}
	return verdict != Redact
}

// isOurs reports whether a rule of our own scanners has a name that begins so: those of
// programs have a slash in them.
func isOurs(rule, prefix string) bool {
	return strings.HasPrefix(rule, prefix) && !strings.Contains(rule, "/")
}

// mark is what stands in the place of a match. In what is no text it is as long as
// that: lengths and places count there.
func mark(m Match, binary bool) []byte {
	switch {
	case m.Instead != nil && len(m.Instead) == 0:
		return []byte("␛") // with nothing there, what is around it would join
	case m.Instead != nil:
		return m.Instead
	}
	text := []byte("[redacted:" + m.Rule + "]")
	for binary && int64(len(text)) < m.End-m.Start {
		text = append(text, '*')
	}
	if binary {
		text = text[:m.End-m.Start]
	}
	return text
}

// isPackedView reports whether something was found in a member of gzip or zip.
func isPackedView(view string) bool {
	return strings.Contains(view, "zip")
}

// stop lets nothing more out of a live stream, and keeps what waits.
func (s *stream) stop(why error) {
	if s.stopped != nil {
		return
	}
	s.stopped = why
	s.others.Store(true)
	if s.live && s.released >= s.start && s.released <= s.tail() {
		s.save(s.data[s.released-s.start:])
	}
}

// save keeps what may have to be quarantined.
func (s *stream) save(piece []byte) {
	if s.live && s.stopped == nil {
		return
	}
	if s.lost || len(s.raw)+len(piece) > maxCollected {
		s.lost = true
		return
	}
	s.raw = locked.Append(s.raw, piece...)
}

// release lets out what is before an offset, redacted.
func (s *stream) release(to int64) {
	if s.stopped != nil || to <= s.released {
		return
	}
	var out []byte
	out, s.released, s.spans = redact(out, s.data[s.released-s.start:to-s.start], s.released, s.spans)
	if len(out) == 0 {
		return
	}
	if s.failed == nil {
		_, s.failed = s.out.Write(out)
	}
}

// arm sees to it that what waits softly does so for a moment only.
func (s *stream) arm() {
	if !s.live || s.stopped != nil || s.released >= min(s.hard, s.tail()) {
		return
	}
	if s.flush == nil {
		s.flush = time.AfterFunc(silence, s.quiet)
		return
	}
	s.flush.Reset(silence)
}

// quiet lets out what waits for no more than silence.
func (s *stream) quiet() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.over && s.stopped == nil && !s.others.Load() {
		s.release(min(s.hard, s.tail()))
	}
}

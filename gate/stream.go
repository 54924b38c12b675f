package gate

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

const (
	// pieceSize is how much is looked at in one go.
	pieceSize = 64 << 10

	// maxHeld is how many bytes of a live stream wait at most. A scanner that wants
	// more to wait has everything withheld that follows.
	maxHeld = 1 << 20

	// silence is how long what may be the beginning of a match waits for the rest.
	silence = 5 * time.Millisecond

	// maxCollected is how many bytes of one stream are kept until the verdict.
	maxCollected = 256 << 20
)

// stream is one output of a command on its way through the gate.
type stream struct {
	session *Session
	name    string
	live    bool
	guard   guard
	ledger  ledger

	mu       sync.Mutex // guards what follows
	out      io.Writer
	data     []byte // from start on
	start    int64
	fresh    int   // data[:fresh] was looked at
	released int64 // what is before it has been let out, or never will be
	hard     int64 // what waits also when nothing comes
	spans    []span
	flush    *time.Timer // nil: nothing waits
	over     bool
	stopped  error  // why nothing more is let out
	failed   error  // of out
	raw      []byte // collected: all of it; live: what was withheld
	lost     bool   // there was more to withhold than is kept
}

// span is what is redacted.
type span struct {
	start, end int64
	mark       []byte
}

func newStream(s *Session, subject Subject, out io.Writer, live bool) *stream {
	return &stream{
		session: s, name: subject.Name, live: live, out: out,
		guard: s.guard(subject),
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
	if s.flush != nil {
		s.flush.Stop()
	}
}

func (s *stream) tail() int64 { return s.start + int64(len(s.data)) }

// take looks at a piece, and lets out what need not wait.
func (s *stream) take(piece []byte, end bool) {
	s.data = append(s.data, piece...)
	s.save(piece)
	hold, found, err := s.guard.next(Window{Data: s.data, Start: s.start, Fresh: s.fresh, End: end})
	if err != nil {
		s.stop(err)
		s.data, s.fresh = nil, 0 // they may still be looked at
		return
	}
	s.fresh = len(s.data)
	for _, m := range found {
		s.note(m)
	}
	if s.live && s.stopped == nil {
		s.hard = max(s.released, hold.Hard)
		s.release(max(hold.Soft, s.line(hold)))
		if s.tail()-s.released > maxHeld {
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

// note takes down a match, and what follows from it.
func (s *stream) note(m Match) {
	var text []byte
	if m.Start >= s.start && m.End <= s.tail() {
		text = s.data[m.Start-s.start : m.End-s.start]
	}
	if strings.HasPrefix(m.Rule, "archive-") {
		m.Severity = Info // of how an archive is made nothing can be redacted: files are withheld for it
	}
	if m.Severity = s.session.counts(m, text); m.Severity == 0 {
		return
	}
	gone := min(max(s.released-m.Start, 0), m.End-m.Start) // of a stream that is collected, nothing
	s.ledger.add(s.name, m, gone)
	verdict := s.session.levels.verdict(m.Severity)
	if verdict == Pass {
		return
	}
	if m.End > s.released {
		s.spans = addSpan(s.spans, span{m.Start, m.End, mark(m)})
	}
	if s.live && verdict != Redact && s.stopped == nil {
		s.release(max(m.Start, s.released)) // what was before it
		s.stop(fmt.Errorf("%s was found", m.Rule))
	}
}

// mark is what stands in the place of a match.
func mark(m Match) []byte {
	if m.Instead != nil {
		return m.Instead
	}
	return []byte("[redacted:" + m.Rule + "]")
}

// stop lets nothing more out of a live stream, and keeps what waits.
func (s *stream) stop(why error) {
	if s.stopped != nil {
		return
	}
	s.stopped = why
	if s.live && s.released >= s.start && s.released <= s.tail() {
		s.save(s.data[s.released-s.start:])
	}
}

// save keeps what may have to be quarantined.
func (s *stream) save(piece []byte) {
	if s.live && s.stopped == nil {
		return
	}
	if len(s.raw)+len(piece) > maxCollected {
		s.lost = true
		return
	}
	s.raw = append(s.raw, piece...)
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
	if !s.over && s.stopped == nil {
		s.release(min(s.hard, s.tail()))
	}
}

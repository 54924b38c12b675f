package gate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// Command is the gate of one command's output.
type Command struct {
	session  *Session
	exec     int
	terminal bool
	streams  []*stream
	inputs   []*input
	stopped  atomic.Bool // one of them lets nothing more out
}

// Command opens the gate for a command. Terminal says that its output is what a
// terminal of the sandbox's own shows.
func (s *Session) Command(exec int, terminal bool) *Command {
	return &Command{session: s, exec: exec, terminal: terminal}
}

// How says how a stream is released.
type How struct {
	// Collected has nothing released before Finish. Zero: as the policy says.
	Collected bool

	// Shown says that a terminal shows what is released, so that escape sequences
	// count in whatever they stand. Zero: in text.
	Shown bool
}

// Stream returns what one output of the command is written to. What may be released
// is written to out, as it comes or by Finish. An error of Write withholds all that
// follows; why, Finish says.
func (c *Command) Stream(name string, out io.Writer, how How) io.Writer {
	if c.session.Off() {
		return out
	}
	s := newStream(c.session, Subject{Name: name, Terminal: c.terminal}, out, how, &c.stopped)
	c.streams = append(c.streams, s)
	return s
}

// Input returns a reader of r, which the command is given, that notes what it was
// given, where the policy allows that to come out again.
func (c *Command) Input(r io.Reader) io.Reader {
	if r == nil || c.session.input == nil {
		return r
	}
	i := &input{session: c.session, from: r, seen: reader{guard: c.session.guard(Subject{Name: "stdin"})}}
	c.inputs = append(c.inputs, i)
	return i
}

// Cut says that a stream was cut off in the middle: what may be the beginning of a
// match at its end is not released then, as it may be most of one.
func (c *Command) Cut(name string) {
	for _, s := range c.streams {
		if s.name == name {
			s.cut()
		}
	}
}

// Finish closes the streams, decides, and releases what was collected. It is called
// once, when nothing is written any more. An error says that something could not be
// written, or kept: what was withheld stays so. What the command wrote is zeroed.
func (c *Command) Finish(ctx context.Context) (Report, error) {
	defer c.forget()
	if c.session.Off() {
		return Report{}, nil
	}
	r := Report{Verdict: Pass}
	var worst Severity
	var broken []error
	for _, s := range c.streams {
		s.close()
		broken = append(broken, s.guard.failed, c.look(ctx, s))
		if s.lost && !s.live {
			broken = append(broken, fmt.Errorf("%s is more than the %d bytes that are kept until the verdict", s.name, maxCollected))
		}
		if s.many {
			broken = append(broken, errTooMany)
		}
		worst = max(worst, s.ledger.worst)
	}
	r.Findings, r.More = c.findings()
	r.Verdict = c.session.levels.verdict(worst)
	if r.Verdict == Redact && slices.ContainsFunc(c.streams, func(s *stream) bool { return s.whole }) {
		r.Verdict = Quarantined
	}
	if r.Withheld() {
		r.Reason = because(r.Findings, worst)
	}
	if why := reasons(broken); why != "" {
		r.Verdict, r.Reason, r.Failed = Quarantined, why, true
		if c.session.levels.quarantine == 0 {
			r.Verdict = Block
		}
	}
	for _, s := range c.streams {
		if s.stopped != nil && !r.Withheld() { // too much would have had to wait
			r.Verdict, r.Reason = Block, s.stopped.Error()
		}
	}
	if r.Withheld() {
		c.keep(ctx, &r)
		return r, c.failed()
	}
	for _, s := range c.streams {
		if !s.live {
			out, _, _ := redact(nil, s.raw, 0, s.spans)
			_, err := s.out.Write(out)
			s.failed = errors.Join(s.failed, err)
		}
	}
	return r, c.failed()
}

// forget lets go of all that went through.
func (c *Command) forget() {
	for _, s := range c.streams {
		s.forget()
	}
	for _, i := range c.inputs {
		i.close()
	}
}

// reasons are those of errors, in one line, each once.
func reasons(list []error) string {
	var all []string
	for _, err := range list {
		if err != nil && !slices.Contains(all, err.Error()) {
			all = append(all, err.Error())
		}
	}
	return strings.Join(all, "; ")
}

// look has the programs of the policy look at a stream, all of which is there.
func (c *Command) look(ctx context.Context, s *stream) error {
	if s.live || s.lost {
		return nil
	}
	for i := range c.session.external {
		found, err := runExternal(ctx, &c.session.external[i], Subject{Name: s.name, Terminal: c.terminal}, int64(len(s.raw)), bytes.NewReader(s.raw))
		if err != nil {
			return err
		}
		if len(found) > 0 {
			wipe(s.data)
			s.start, s.data = 0, s.raw
		}
		for _, m := range found {
			s.note(m)
		}
	}
	return nil
}

// failed is what went wrong with writing to the streams' outs.
func (c *Command) failed() error {
	var all error
	for _, s := range c.streams {
		all = errors.Join(all, s.failed)
	}
	return all
}

// keep puts what was not let out into the quarantine.
func (c *Command) keep(ctx context.Context, r *Report) {
	var parts []Part
	for _, s := range c.streams {
		if len(s.raw) > 0 {
			parts = append(parts, Part{s.name, bytes.NewReader(s.raw)})
		}
	}
	if len(parts) == 0 {
		if r.Verdict == Quarantined {
			r.Verdict = Block
		}
		return
	}
	c.session.keep(ctx, r, Held{Exec: c.exec}, parts...)
}

// findings are those of all streams, and how many more of each rule there were.
func (c *Command) findings() (list []Finding, more map[string]int) {
	for _, s := range c.streams {
		list = append(list, s.ledger.findings()...)
		more = s.ledger.more(more)
	}
	return slices.Clip(list), more
}

// input notes what is found in what a command is given.
type input struct {
	session *Session
	from    io.Reader

	mu   sync.Mutex // guards what follows
	seen reader
	over bool // nothing is noted any more
}

// Read has noted what it returns. Where the scanners fail, nothing is noted, so that
// it counts when it comes out. So it is behind Finish, when who reads may still wait.
func (i *input) Read(p []byte) (int, error) {
	n, err := i.from.Read(p)
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.over {
		return n, err
	}
	end := errors.Is(err, io.EOF)
	_ = i.seen.next(p[:n], end, i.session.remember)
	if end {
		i.end()
	}
	return n, err
}

func (i *input) close() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.end()
}

func (i *input) end() {
	i.over = true
	i.seen.close()
}

package gate

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// File is a file that is to leave.
type File struct {
	Name string // its path, for findings
	Mode uint32 // its permissions
	Dest string // where it is to go on the host

	// Open opens its content, from the beginning, as often as that is needed.
	Open func() (io.ReadCloser, error)

	// Given opens what the host has in its place now. Nil: nothing.
	Given func() (io.ReadCloser, error)
}

// File looks at a file, all of it, and decides. A file is never redacted: where its
// worst finding is high, or the redacting begins higher, it is quarantined, unless
// the policy says something for that severity. An error says that it could not be
// looked at or kept; it does not leave then.
func (s *Session) File(ctx context.Context, f File) (Report, error) {
	if s.Off() {
		return Report{Verdict: Pass}, nil
	}
	if f.Given != nil && s.input != nil {
		err := s.each(ctx, f, f.Given, s.remember)
		if ctx.Err() != nil {
			return Report{Verdict: Block}, err
		} // what cannot be read counts as nothing given
	}
	var l ledger
	err := s.each(ctx, f, f.Open, func(m Match, text []byte) {
		if m.Severity = s.counts(m, text); m.Severity > 0 {
			l.add(f.Name, m, 0)
		}
	})
	var crash *withholdError
	if err != nil && !errors.As(err, &crash) {
		return Report{Verdict: Block}, err
	}
	if crash == nil {
		err = s.programs(ctx, f, &l)
		_ = errors.As(err, &crash)
	}
	r := Report{Verdict: s.levels.ofFile(l.worst), Findings: l.findings()}
	r.More = l.more(nil)
	r.Reason = because(r.Findings, l.worst)
	if err != nil {
		r.Verdict, r.Reason, r.Failed = Quarantined, err.Error(), true
	}
	if !r.Withheld() {
		r.Reason = ""
		return r, nil
	}
	if r.Verdict != Quarantined {
		return r, nil
	}
	content, err := f.Open()
	if err != nil {
		return Report{Verdict: Block}, err
	}
	defer content.Close()
	s.keep(ctx, &r, Held{Path: f.Dest, Mode: f.Mode}, Part{"file", content})
	return r, nil
}

// ofFile is what the worst severity in a file calls for.
func (l levels) ofFile(worst Severity) Verdict {
	switch v := l.verdict(worst); {
	case v == Redact && worst < max(l.redact, High):
		return Pass
	case v == Redact:
		return Quarantined
	default:
		return v
	}
}

// withholdError says that scanners did not come to an end of their own: what they
// looked at does not leave.
type withholdError struct{ err error }

func (e *withholdError) Error() string { return e.err.Error() }
func (e *withholdError) Unwrap() error { return e.err }

// each calls found for each match in a content, with what was matched where that is
// at hand.
func (s *Session) each(ctx context.Context, f File, open func() (io.ReadCloser, error), found func(m Match, text []byte)) error {
	content, err := open()
	if err != nil {
		return err
	}
	defer content.Close()
	r := reader{guard: s.guard(Subject{Name: f.Name, File: true, Mode: f.Mode})}
	defer r.close()
	piece, used := make([]byte, pieceSize), 0
	defer func() { wipe(piece[:used:used]) }()
	for end := false; !end; {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		n, err := io.ReadFull(content, piece)
		used = max(used, n)
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			end = true
		case err != nil:
			return fmt.Errorf("read %q: %w", f.Name, err)
		}
		if err := r.next(piece[:n], end, found); err != nil {
			return &withholdError{err}
		}
	}
	return nil
}

// programs has the programs of the policy look at a file.
func (s *Session) programs(ctx context.Context, f File, l *ledger) error {
	for i := range s.external {
		content, err := f.Open()
		if err != nil {
			return err
		}
		found, err := runExternal(ctx, &s.external[i], Subject{Name: f.Name, File: true, Mode: f.Mode}, -1, content)
		content.Close()
		if err != nil {
			return &withholdError{err}
		}
		for _, m := range found {
			if m.Severity = s.counts(m, nil); m.Severity > 0 {
				l.add(f.Name, m, 0)
			}
		}
	}
	return nil
}

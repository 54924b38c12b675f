package quarantine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
)

const (
	// around is how much of the text before and after a finding is shown.
	around = 1 << 10

	// maxShown is how much of a part is shown in all, marks included.
	maxShown = 64 << 10

	// maxFindings is after how many findings of a part nothing more of it is shown.
	// A gate tells of the first thousand of each rule, but for those that say what
	// another says: whatever comes after these may be found as well.
	maxFindings = 250
)

// Masked writes what is around the findings of a part, with a mark in the place
// of each. Bytes are as the command wrote them: who shows them on a terminal
// escapes them. Content of which no finding says which bytes to mask is not shown.
func (s *Store) Masked(ctx context.Context, id, part string, ids Identities, w io.Writer) error {
	d, err := s.open()
	if err != nil {
		return err
	}
	defer d.close()
	rec, err := d.read(id)
	if err != nil {
		return err
	}
	content, err := d.content(ctx, &rec, part, ids)
	if err != nil {
		return err
	}
	defer content.Close()
	size := rec.Parts[slices.Index(rec.names(), part)].Bytes
	spans, err := rec.spans(part, size)
	if err != nil {
		return err
	}
	if err := d.aligned(ctx, &rec, part, ids); err != nil {
		return err
	}
	return writeMasked(w, withContext{ctx, content}, size, spans)
}

// span is what a mark stands for.
type span struct {
	start, end int64
	rule       string
}

// spans are the bytes of a part that findings are about, in their order, those
// that overlap or touch as one. A finding that fits no part counts for each. Of very
// many the last has all that follows.
func (r *Record) spans(part string, size int64) ([]span, error) {
	var all []span
	if len(r.Held.Findings) == 0 {
		return nil, unmasked(r.ID, part, "it was withheld without a finding")
	}
	for _, f := range r.Held.Findings {
		if slices.Contains(r.names(), f.Stream) && f.Stream != part {
			continue
		}
		if f.Length == 0 || f.Offset+f.Length > size {
			return nil, unmasked(r.ID, part, fmt.Sprintf("finding %q does not say which of its bytes", f.Rule))
		}
		all = append(all, span{f.Offset, f.Offset + f.Length, f.Rule})
	}
	slices.SortStableFunc(all, func(a, b span) int { return int(min(max(a.start-b.start, -1), 1)) })
	if len(all) > maxFindings {
		last := all[maxFindings-1]
		all = append(all[:maxFindings], span{last.start, size, last.rule})
	}
	var merged []span
	for _, next := range all {
		if n := len(merged); n > 0 && next.start <= merged[n-1].end {
			merged[n-1].end = max(merged[n-1].end, next.end)
			continue
		}
		merged = append(merged, next)
	}
	return merged, nil
}

func unmasked(id, part, why string) error {
	return refusef("kavach quarantine show --reveal shows it as it is", "part %q of item %s cannot be shown masked: %s", part, id, why)
}

// errShown says that as much was shown as is shown.
var errShown = errors.New("enough was shown")

// masker copies a part, and knows where it is.
type masker struct {
	w     io.Writer
	r     io.Reader
	at    int64
	shown int
}

func writeMasked(w io.Writer, r io.Reader, size int64, spans []span) error {
	m := &masker{w: w, r: r}
	err := m.all(size, spans)
	if errors.Is(err, errShown) {
		_, err = fmt.Fprintf(w, "\n[… %d more bytes]\n", size-m.at)
	}
	return err
}

func (m *masker) all(size int64, spans []span) error {
	for i, s := range spans {
		until := size // of what may be shown after it
		if i+1 < len(spans) {
			until = spans[i+1].start
		}
		if err := m.gap(s.start - around); err != nil {
			return err
		}
		if err := m.show(s.start); err != nil {
			return err
		}
		if err := m.mark(fmt.Sprintf("[%s: %d bytes]", s.rule, s.end-s.start), s.end); err != nil {
			return err
		}
		if err := m.show(min(s.end+around, until)); err != nil {
			return err
		}
	}
	return m.gap(size)
}

// gap passes over what is far from any finding.
func (m *masker) gap(to int64) error {
	if to <= m.at {
		return nil
	}
	return m.mark(fmt.Sprintf("\n[… %d bytes]\n", to-m.at), to)
}

// mark writes a mark in the place of what is there up to to.
func (m *masker) mark(text string, to int64) error {
	if m.shown += len(text); m.shown > maxShown {
		return errShown
	}
	if _, err := io.WriteString(m.w, text); err != nil {
		return err
	}
	return m.copy(io.Discard, to)
}

// show copies what is there up to to.
func (m *masker) show(to int64) error {
	if to-m.at > int64(maxShown-m.shown) {
		return errShown
	}
	m.shown += int(to - m.at)
	return m.copy(m.w, to)
}

func (m *masker) copy(w io.Writer, to int64) error {
	n, err := io.CopyN(w, m.r, to-m.at)
	m.at += n
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return err
}

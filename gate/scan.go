package gate

import (
	"cmp"
	"slices"
)

// scan is all searches of one subject, as one.
type scan struct{ searches []Search }

// newScan starts them. Each looks at the subject as it is, and at what is encoded
// in it, so deep.
func newScan(subject Subject, scanners []Scanner) *scan {
	s := &scan{}
	for _, sc := range scanners {
		if sc.New == nil {
			continue
		}
		if search := sc.New(subject); search != nil {
			s.searches = append(s.searches, search)
		}
	}
	if subject.Depth < maxDepth && len(s.searches) > 0 {
		inside := subject
		inside.Depth++
		s.searches = append(s.searches, newViews(inside, scanners)...)
	}
	return s
}

func (s *scan) Next(w Window, found func(Match)) Hold {
	all := None(w)
	for _, search := range s.searches {
		h := search.Next(w, found)
		all.Keep = min(all.Keep, h.Keep)
		all.Soft = min(all.Soft, h.Soft)
		all.Hard = min(all.Hard, h.Hard)
	}
	if w.End {
		return None(w)
	}
	all.Soft = min(all.Soft, all.Hard)
	all.Keep = max(w.Start, all.Keep)
	return all
}

// closer is a Search that has something to end where it is not shown the end of its
// subject.
type closer interface{ close() }

func (s *scan) close() {
	for _, search := range s.searches {
		if c, ok := search.(closer); ok {
			c.close()
		}
	}
}

// Whole looks at bytes that are all there, and returns what was found, in the order
// of their offsets.
func Whole(subject Subject, data []byte, scanners ...Scanner) []Finding {
	var l ledger
	newScan(subject, scanners).Next(Window{Data: data, End: true}, func(m Match) { l.add(subject.Name, m, 0) })
	return l.findings()
}

// ledger collects findings. Of a flood of one rule it keeps the first, and counts
// the others: the worst severity is known whatever comes before it.
type ledger struct {
	kept  []Finding
	count map[ledgerKey]int
	high  map[ledgerKey]Severity // the worst of those that are kept
	worst Severity
}

type ledgerKey struct{ rule, stream string }

// maxKept is how many findings of one rule in one stream are told one by one.
const maxKept = 1000

func (l *ledger) add(stream string, m Match, released int64) {
	if l.count == nil {
		l.count, l.high = make(map[ledgerKey]int), make(map[ledgerKey]Severity)
	}
	k := ledgerKey{m.Rule, stream}
	l.count[k]++
	l.worst = max(l.worst, m.Severity)
	if l.count[k] > maxKept && m.Severity <= l.high[k] {
		return
	}
	l.high[k] = max(l.high[k], m.Severity)
	l.kept = append(l.kept, Finding{
		Rule: m.Rule, Severity: m.Severity, Stream: stream, Offset: m.Start, Length: m.End - m.Start,
		Preview: m.Preview, View: m.View, Released: released,
	})
}

// more adds to a map, which may be nil, how many findings of each rule are not told.
func (l *ledger) more(to map[string]int) map[string]int {
	for k, n := range l.count {
		if n <= maxKept {
			continue
		}
		if to == nil {
			to = make(map[string]int)
		}
		to[k.rule] += n - maxKept
	}
	return to
}

// findings are those that were kept, in order, without those that say of the same
// bytes what another says, or less.
func (l *ledger) findings() []Finding {
	slices.SortStableFunc(l.kept, func(a, b Finding) int {
		return cmp.Or(
			cmp.Compare(a.Stream, b.Stream), cmp.Compare(a.Offset, b.Offset), cmp.Compare(b.Length, a.Length),
			cmp.Compare(b.Severity, a.Severity), cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.View, b.View))
	})
	var out []Finding
	for i, f := range l.kept {
		if !l.outdone(i, f) {
			out = append(out, f)
		}
	}
	return out
}

// outdone reports whether another finding says as much as f, which is l.kept[i].
func (l *ledger) outdone(i int, f Finding) bool {
	end := f.Offset + f.Length
	const near = 64 // findings that are looked at before and behind
	for j := max(0, i-near); j < min(len(l.kept), i+near); j++ {
		o := l.kept[j]
		if j == i || o.Stream != f.Stream || o.Offset >= end || o.Offset+o.Length <= f.Offset {
			continue // they do not overlap
		}
		covers := o.Offset <= f.Offset && o.Offset+o.Length >= end
		switch {
		case o.Severity > f.Severity && f.Severity <= Low:
			return true // it guessed at what another knows
		case o.Rule == f.Rule && covers && o.Severity >= f.Severity && (o.Length > f.Length || j < i):
			return true
		}
	}
	return false
}

package gate

// Personal finds data about people: payment cards, bank accounts, national ids,
// e-mail addresses, telephone numbers and network addresses. What has a check
// digit counts only where that is right, and what is weak even so only beside a
// word that says what it is.
func Personal() Scanner {
	return Scanner{
		Name: "personal", Version: "1",
		Rules: personalRules,
		New:   func(Subject) Search { return &personalSearch{} },
	}
}

// How far a decision looks back from the byte that leads to it: over a word, what
// is before that, and for a keyword before both.
const (
	personalWord = 64 // the longest local part of an address (RFC 5321, 4.5.3.1.1)
	personalBack = 2*personalWord + personalNear
	personalNear = 48
)

// personalSearch goes from one digit or @ to the next.
type personalSearch struct {
	next  int64 // what is before it has been decided
	colon int64 // the end of the last run of hexadecimal digits and colons
	hits  []personalHit
	best  int // how many of hits are of this place
	tried personalNumber
}

type personalHit struct {
	rule       string
	severity   Severity
	start, end int
}

func (s *personalSearch) Next(w Window, found func(Match)) Hold {
	p := peek{b: w.Data, end: w.End}
	i := int(s.next - w.Start)
	colon := s.colon
	for {
		if i = personalTrigger(w.Data, i); i >= len(w.Data) {
			break
		}
		s.hits = s.hits[:0]
		next := s.at(&p, i, w.Start)
		if p.short {
			s.colon = colon // it is looked at again
			break
		}
		for _, h := range s.hits {
			found(Match{
				Rule: h.rule, Severity: h.severity,
				Start: w.Start + int64(h.start), End: w.Start + int64(h.end),
				Preview: Mask(w.Data[h.start:h.end]),
			})
		}
		p.short, i, colon = false, next, s.colon
	}
	s.next = w.Start + int64(i)
	soft := w.Tail()
	if !w.End {
		soft = w.Start + int64(personalSoft(w.Data, i))
	}
	return Hold{Keep: max(w.Start, s.next-personalBack), Soft: soft, Hard: w.Tail()}
}

// personalTrigger is the next byte that may be a part of anything.
func personalTrigger(b []byte, i int) int {
	for ; i < len(b); i++ {
		if personalClass[b[i]]&asTrigger != 0 {
			break
		}
	}
	return i
}

// personalSoft is where something begins that the byte at i may be a part of.
func personalSoft(b []byte, i int) int {
	start := i
	for start > 0 && i-start < personalWord && personalClass[b[start-1]]&asSoft != 0 {
		start--
	}
	// The letters of an insurance number may stand alone.
	if start > 2 && b[start-1] == ' ' && capital(b[start-2]) && capital(b[start-3]) {
		return start - 3
	}
	return start
}

// at looks at what has the byte at i in it, and says where to go on.
func (s *personalSearch) at(p *peek, i int, base int64) (next int) {
	if p.b[i] == '@' {
		s.email(p, i)
		return i + 1
	}
	start := i
	for i-start <= personalWord && wordly(p.at(start-1)) {
		start--
	}
	end := i
	for wordly(p.at(end)) {
		if end++; end-start > personalWord {
			return s.long(p, end)
		}
	}
	if p.short {
		return end
	}
	s.addressV6(p, start, end, base)
	length := end - start
	digits := i == start
	for k := i; digits && k < end; k++ {
		digits = numeral(p.b[k])
	}
	s.best = len(s.hits)
	switch {
	case digits && p.at(start-1) == '+':
		s.phone(p, start)
	case digits:
		s.number(p, start, length)
	default:
		s.code(p, start, length)
	}
	if len(s.hits) > 0 {
		return max(end, s.hits[len(s.hits)-1].end)
	}
	return end
}

// long goes to the end of a word that is too long to mean a person. It is a part
// of a word that long also for the next window, so that no more is needed of it.
func (s *personalSearch) long(p *peek, i int) int {
	for i < len(p.b) && wordly(p.b[i]) {
		i++
	}
	return i
}

// add is for what was found at one place by all but the addresses of networks and
// people: the worst of it counts.
func (s *personalSearch) add(rule string, severity Severity, start, end int) {
	if severity == 0 {
		return
	}
	h := personalHit{rule, severity, start, end}
	if len(s.hits) == s.best {
		s.hits = append(s.hits, h)
	} else if was := s.hits[s.best]; severity > was.severity || severity == was.severity && end > was.end {
		s.hits[s.best] = h
	}
}

// peek reads bytes, and knows when one was asked for that has not come yet: what
// was decided then does not count. What is beyond the ends is zero.
type peek struct {
	b     []byte
	end   bool // nothing comes after b
	short bool
}

func (p *peek) at(i int) byte {
	if uint(i) < uint(len(p.b)) {
		return p.b[i]
	}
	if i >= 0 && !p.end {
		p.short = true
	}
	return 0
}

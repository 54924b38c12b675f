package gate

// Terminal finds escape sequences that harm the terminal which shows them: what
// writes to its clipboard, makes it type answers, shows links that lead elsewhere,
// or paints over what was shown before. Colours, and what progress bars do within
// a line, pass without a finding.
//
// Sequences are those of ECMA-48, with what xterm, VTE, kitty, iTerm2 and Windows
// Terminal have added.
func Terminal() Scanner {
	return Scanner{
		Name: "terminal", Version: "1",
		Rules: terminalRules,
		New: func(s Subject) Search {
			if s.File || s.Depth > 0 {
				return nil // no terminal shows it as it is
			}
			return &terminalSearch{own: s.Terminal}
		},
	}
}

const (
	// terminalLongest is how long a sequence may be. Terminals take longer ones,
	// and until they end show nothing of what comes.
	terminalLongest = 4096

	// terminalBefore is how far is looked back for what is no text.
	terminalBefore = 16
)

// terminalSearch goes from sequence to sequence. What is cut short by the next is
// held with it: terminals forget it, and if the next alone were taken away, it
// could go on with what comes after.
type terminalSearch struct {
	own  bool     // it is a terminal of the sandbox's own
	next int64    // what is before it has been decided
	torn int64    // one more than where what is cut short began; 0: nothing is
	link Severity // of the link that is open

	// removed is where the last ended that was found. What it hides may be cut
	// out, so that nothing is judged by it.
	removed int64
}

// sequence is what begins at one place.
type sequence struct {
	rule     string // empty: it does no harm
	severity Severity
	end      int
	torn     bool // the next one cuts it short
	link     bool // it opens or closes a link
}

func (s *terminalSearch) Next(w Window, found func(Match)) Hold {
	p := peek{b: w.Data, end: w.End}
	i, soft := int(s.next-w.Start), false
	for {
		from := i
		if i = terminalTrigger(w.Data, i); i > from {
			s.torn = 0
		}
		if i >= len(w.Data) {
			break
		}
		seq := s.read(&p, w.Start, i)
		if p.short {
			soft = w.Data[i] >= 0x80 && w.Data[i] != utf8C1
			break
		}
		s.take(w, i, seq, found)
		i = seq.end
	}
	s.next = w.Start + int64(i)
	held := s.next
	if s.torn > 0 {
		held, soft = s.torn-1, false
	}
	hold := Hold{Keep: max(w.Start, held-terminalBefore), Soft: held, Hard: held}
	if soft {
		hold.Hard = w.Tail() // in text of another encoding it is a letter
	}
	return hold
}

// take reports a sequence, with those before it that it cuts short.
func (s *terminalSearch) take(w Window, start int, seq sequence, found func(Match)) {
	if seq.link {
		was := s.link
		if s.link = seq.severity; seq.rule == "" && was > 0 { // it closes one that is reported
			seq.rule, seq.severity = "terminal-link", was
			s.link = 0
		}
	}
	began := w.Start + int64(start)
	if s.torn > 0 {
		began = s.torn - 1
	}
	end := w.Start + int64(seq.end)
	tooLong := seq.torn && end-began >= terminalLongest
	if tooLong && seq.severity < Medium {
		seq.rule, seq.severity = "terminal-unterminated", Medium
	}
	if seq.rule != "" {
		s.removed = end
		found(Match{
			Rule: seq.rule, Severity: seq.severity, Start: began, End: end,
			Preview: Mask(w.Data[began-w.Start : seq.end]),
			Instead: []byte{},
		})
	}
	if s.torn = 0; seq.torn && !tooLong {
		s.torn = began + 1
	}
}

package gate

import (
	"encoding/binary"
	"unicode/utf8"
)

const (
	ctrlENQ = 0x05
	ctrlBEL = 0x07
	ctrlCAN = 0x18
	ctrlSUB = 0x1a
	ctrlESC = 0x1b
	ctrlDEL = 0x7f

	// utf8C1 begins the UTF-8 of the controls from 0x80 to 0x9f (C1; ECMA-48, 5.3),
	// which most terminals obey, as they do ESC and a byte that is 0x40 less.
	utf8C1 = 0xc2
	ofC1   = 0x40

	// halves is how many of it, each without its rest, are looked over.
	halves = 16
)

// terminalTrigger is the next byte that may begin a sequence, or that is cut off
// from the rest of a character by the end.
func terminalTrigger(b []byte, i int) int {
	const each, high = 0x0101010101010101, 0x8080808080808080
	for i < len(b) {
		for i+8 <= len(b) {
			x := binary.LittleEndian.Uint64(b[i:])
			esc, enq := x^each*ctrlESC, x^each*ctrlENQ
			if (x|(esc-each)|(enq-each))&high != 0 {
				break
			}
			i += 8
		}
		if i == len(b) {
			break
		}
		switch c := b[i]; {
		case c == ctrlESC, c == ctrlENQ, c == utf8C1:
			return i
		case c < utf8.RuneSelf:
			i++
		default:
			if i = skipWide(b, i); i < len(b) && b[i] >= utf8.RuneSelf && b[i] != utf8C1 {
				if isC1(b[i]) || len(b)-i < utf8.UTFMax && !utf8.FullRune(b[i:]) {
					return i
				}
				i++
			}
		}
	}
	return i
}

// skipWide goes over characters of several bytes, up to what is none.
func skipWide(b []byte, i int) int {
	for i+2 < len(b) {
		c, second, third := b[i], b[i+1]&0xc0, b[i+2]&0xc0
		switch {
		case c > utf8C1 && c < 0xe0 && second == utf8.RuneSelf:
			i += 2
		case c > 0xe0 && c < 0xf0 && c != 0xed && second == utf8.RuneSelf && third == utf8.RuneSelf:
			i += 3
		case c < utf8.RuneSelf || c == utf8C1 || isC1(c):
			return i
		default:
			r, size := utf8.DecodeRune(b[i:])
			if r == utf8.RuneError && size == 1 {
				return i
			}
			i += size
		}
	}
	for i < len(b) && b[i] != utf8C1 && b[i] >= utf8.RuneSelf {
		r, size := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && size == 1 {
			return i
		}
		i += size
	}
	return i
}

// isC1 says that a control begins a sequence, or is one that moves the cursor.
func isC1(c byte) bool {
	switch c - ofC1 {
	case 'M', 'P', 'X', 'Z', '[', ']', '^', '_':
		return c >= utf8.RuneSelf
	}
	return false
}

// read reads what begins at i.
func (s *terminalSearch) read(p *peek, base int64, i int) sequence {
	switch c := p.b[i]; {
	case c == ctrlENQ:
		return s.enquiry(p, base, i)
	case c == ctrlESC:
		return s.escape(p, i, i+1)
	case c == utf8C1:
		next := p.at(i + 1)
		switch {
		case isC1(next):
			return s.dispatch(p, i, i+2, next-ofC1)
		case next >= utf8.RuneSelf && next < 0xc0:
			return sequence{end: i + 2}
		}
		return sequence{end: i + 1, torn: s.begins(p, i+1)}
	case isC1(c):
		return s.bare(p, i)
	default: // a character whose rest has not come, or never will
		if !utf8.FullRune(p.b[i:]) && !p.end {
			p.short = true
		}
		return sequence{end: i + 1}
	}
}

// begins says that a sequence begins there, which cuts off what is before it.
func (s *terminalSearch) begins(p *peek, i int) bool {
	c := p.at(i)
	switch {
	case c == ctrlESC, c == ctrlENQ:
		return true
	case c == utf8C1:
		// Alone it is half a character, which what is cut out behind it could
		// make a control.
		for k := i + 1; k-i < halves; k++ {
			if next := p.at(k); next != utf8C1 {
				return next == ctrlESC || next == ctrlENQ || isC1(next)
			}
		}
		return true
	}
	return isC1(c)
}

// bare reads a control of one byte that is no part of a character. In other
// encodings it is a letter, so that it counts only where a whole sequence follows.
func (s *terminalSearch) bare(p *peek, i int) sequence {
	kind, next := p.b[i]-ofC1, p.at(i+1)
	if param := next >= '0' && next <= '?'; !param && (kind != '_' || next != 'G') {
		return sequence{end: i + 1, torn: s.begins(p, i+1)}
	}
	seq := s.dispatch(p, i, i+1, kind)
	if !seq.torn && seq.rule == "terminal-unterminated" {
		return sequence{end: i + 1}
	}
	return seq
}

// enquiry is answered with what the user has set, seldom anything. In bytes that
// are no text it means nothing.
func (s *terminalSearch) enquiry(p *peek, base int64, i int) sequence {
	for k := max(0, i-terminalBefore, int(s.removed-base)); k < i; k++ {
		if noText(p.b[k]) {
			return sequence{end: i + 1}
		}
	}
	return s.query(i + 1)
}

// noText is for bytes that are neither in text nor in sequences.
func noText(c byte) bool {
	switch {
	case c >= 0xf5, c == 0xc0, c == 0xc1: // in no UTF-8
		return true
	case c == ctrlENQ, c == ctrlCAN, c == ctrlSUB, c == ctrlESC:
		return false
	}
	return c < ctrlBEL || c > 0x0f && c < ' '
}

// query is what makes a terminal type an answer, as if the user had.
func (s *terminalSearch) query(end int) sequence {
	return sequence{rule: "terminal-query", severity: s.less(Medium, Low), end: end}
}

// less is the severity where it is a terminal of the sandbox's own.
func (s *terminalSearch) less(usual, own Severity) Severity {
	if s.own {
		return own
	}
	return usual
}

// escape reads what comes after ESC, at j.
func (s *terminalSearch) escape(p *peek, start, j int) sequence {
	enquired := false
	between := byte(0)
	for ; ; j++ {
		c := p.at(j)
		switch {
		case p.short:
			return sequence{}
		case j >= len(p.b), j-start >= terminalLongest:
			return unterminated(j)
		case s.begins(p, j) && c != ctrlENQ:
			return sequence{end: j, torn: true}
		case c == ctrlCAN || c == ctrlSUB || c >= utf8.RuneSelf:
			return sequence{end: j}
		case c < ' ' || c == ctrlDEL:
			enquired = enquired || c == ctrlENQ // the sequence goes on
			continue
		case c < '0':
			between = c
			continue
		}
		seq := sequence{end: j + 1}
		if between == 0 {
			seq = s.dispatch(p, start, j+1, c)
		} else if between == '#' && c == '8' { // DECALN fills the screen
			seq = s.cursor(j+1, Medium)
		}
		if enquired && seq.severity < Medium {
			seq.rule, seq.severity = "terminal-query", Medium
		}
		return seq
	}
}

func unterminated(end int) sequence {
	return sequence{rule: "terminal-unterminated", severity: Medium, end: end}
}

// dispatch goes by the byte after ESC; body is what comes after that.
func (s *terminalSearch) dispatch(p *peek, start, body int, kind byte) sequence {
	switch kind {
	case '[':
		return s.control(p, start, body)
	case ']', 'P', 'X', '^', '_', 'k':
		return s.string(p, start, body, kind)
	case 'Z': // DECID
		return s.query(body)
	case 'c', 'M', '8': // RIS, RI, DECRC
		if kind == '8' {
			return s.cursor(body, Low)
		}
		return s.cursor(body, Medium)
	case '=', '>': // DECKPAM, DECKPNM
		return s.keys(body)
	}
	return sequence{end: body}
}

// cursor is what lets a program paint over what was shown before.
func (s *terminalSearch) cursor(end int, severity Severity) sequence {
	return sequence{rule: "terminal-cursor", severity: s.less(severity, Info), end: end}
}

// keys is what changes, also for the next program, what keys and the mouse send.
func (s *terminalSearch) keys(end int) sequence {
	return sequence{rule: "terminal-keys", severity: s.less(Low, Info), end: end}
}

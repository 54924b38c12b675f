package gate

import (
	"strings"
	"unicode/utf8"
)

// controlSequence is CSI with its parameters (ECMA-48, 5.4). More of them than
// fit are counted, and not kept.
type controlSequence struct {
	private byte // < = > or ?
	between byte // the last of what is between the parameters and the end
	params  [32]int
	colon   [32]bool // a colon is before the parameter: it belongs to the one before
	n       int      // how many there are, empty ones too
	final   byte
}

// control reads a control sequence. Control characters within it do their own work
// and it goes on: terminals obey ESC [ 2 NUL J.
func (s *terminalSearch) control(p *peek, start, j int) sequence {
	const biggest = 1 << 20
	var c controlSequence
	enquired, began := false, j
	for ; ; j++ {
		b := p.at(j)
		switch {
		case p.short:
			return sequence{}
		case j >= len(p.b), j-start >= terminalLongest:
			return unterminated(j)
		case s.begins(p, j) && b != ctrlENQ:
			return sequence{end: j, torn: true}
		case b == ctrlCAN || b == ctrlSUB || b >= utf8.RuneSelf:
			return sequence{end: j}
		case b < ' ' || b == ctrlDEL:
			enquired = enquired || b == ctrlENQ
		case b >= '0' && b <= '9':
			c.n = max(c.n, 1)
			if k := c.n - 1; k < len(c.params) && c.params[k] < biggest {
				c.params[k] = c.params[k]*10 + int(b-'0')
			}
		case b == ';' || b == ':':
			c.n = max(c.n, 1) + 1
			if k := c.n - 1; k < len(c.params) {
				c.colon[k] = b == ':'
			}
		case b >= '<' && b <= '?':
			if c.private = b; j > began {
				c.private = '?' // nobody means this
			}
		case b < '0':
			c.between = b
		default:
			c.final = b
			seq := s.judge(&c)
			seq.end = j + 1
			if enquired && seq.severity < Medium {
				seq.rule, seq.severity = "terminal-query", Medium
			}
			return seq
		}
	}
}

// judge says what a control sequence does (xterm, ctlseqs; kitty's protocols).
func (s *terminalSearch) judge(c *controlSequence) sequence {
	if c.n > len(c.params) {
		return s.cursor(0, Medium) // nobody means so many, and terminals differ in which they take
	}
	if c.between != 0 {
		return s.judgeBetween(c)
	}
	first := c.params[0]
	switch c.final {
	case 'A', 'F', 'L', 'M', 'S', 'u', 'T', 'J':
		return s.judgeUp(c, first)
	case 'H', 'f', 'd', 'r':
		if c.private == 0 {
			return s.cursor(0, Medium)
		}
		return s.keys(0) // ? r gives modes back
	case 'h', 'l', 's':
		return s.judgeModes(c)
	case 'm':
		switch c.private {
		case '>':
			return s.keys(0)
		case '?':
			return s.query(0)
		}
		return s.judgeColours(c)
	case 'n':
		if c.private == '>' {
			return s.keys(0)
		}
		return s.query(0)
	case 'c':
		if c.private != '?' { // ? c is how Linux shapes its cursor
			return s.query(0)
		}
	case 'x':
		return s.query(0)
	case 'q':
		if c.private == '>' {
			return s.query(0)
		}
	case 't':
		return s.judgeWindow(c, first)
	case 'i':
		return sequence{rule: "terminal-print", severity: Medium}
	case 'p':
		if c.private == 0 && c.n > 1 { // ANSI.SYS
			return sequence{rule: "terminal-keys", severity: High}
		}
	}
	return sequence{}
}

// judgeUp is about what leaves the line: low where progress bars do it too.
func (s *terminalSearch) judgeUp(c *controlSequence, first int) sequence {
	switch {
	case c.final == 'u' && c.private == '?':
		return s.query(0)
	case c.final == 'u' && c.private != 0: // kitty's keyboard
		return s.keys(0)
	case c.final == 'S' && c.private == '?':
		return s.query(0)
	case c.final == 'J':
		if first == 0 {
			return sequence{} // what is below
		}
		return s.cursor(0, Medium)
	case c.final == 'T':
		return s.cursor(0, Medium)
	}
	return s.cursor(0, Low)
}

// judgeBetween is about sequences with one more byte before their end.
func (s *terminalSearch) judgeBetween(c *controlSequence) sequence {
	switch both := string([]byte{c.between, c.final}); both {
	case "$p", "$w", "$u", "*y", "#R", "#|", "'|", "'w", "'z", "'{", "\"v", "+x": // they ask for modes, state, sums of what is shown
		return s.query(0)
	case "$r", "$t", "$v", "$x", "$z", "${", "#Q":
		return s.cursor(0, Medium)
	case "\"p", "\"q":
		return sequence{}
	}
	if c.between == '"' && c.n > 0 { // ANSI.SYS: a key and, in quotes, what it is to type
		return sequence{rule: "terminal-keys", severity: High}
	}
	return sequence{}
}

// judgeModes is about what stays switched on or off.
func (s *terminalSearch) judgeModes(c *controlSequence) (worst sequence) {
	if c.final == 's' && c.private != '?' {
		return sequence{}
	}
	for _, mode := range c.params[:c.n] {
		var seq sequence
		switch {
		case c.private == 0 && (mode == 2 || mode == 20): // KAM, LNM
			seq = s.keys(0)
		case c.private == 0 && mode == 4: // IRM
			seq = s.cursor(0, Low)
		case c.private == 0:
		case mode == 47, mode == 1047, mode == 1048, mode == 1049, mode == 3, mode == 6, mode == 40: // other screens, DECCOLM, DECOM
			seq = s.cursor(0, Medium)
		case mode == 5, mode == 69:
			seq = s.cursor(0, Low)
		case mode == 1, mode == 8, mode == 9, mode == 66, mode == 67, mode >= 1000 && mode <= 1016, mode >= 1034 && mode <= 1061, mode == 2004, mode == 2031, mode == 2048:
			seq = s.keys(0)
		}
		if seq.severity > worst.severity {
			worst = seq
		}
	}
	return worst
}

// judgeColours looks for what hides text, which is 8 where it is no part of a
// colour (38;5;8).
func (s *terminalSearch) judgeColours(c *controlSequence) sequence {
	for i := 0; i < c.n; i++ {
		if c.colon[i] {
			continue
		}
		switch c.params[i] {
		case 38, 48, 58:
			if i+1 < c.n && !c.colon[i+1] {
				switch c.params[i+1] {
				case 5:
					i += 2
				case 2:
					i += 4
				}
			}
		case 8:
			return s.cursor(0, Medium)
		}
	}
	return sequence{}
}

// judgeWindow is about the window: its title, its place, and questions.
func (s *terminalSearch) judgeWindow(c *controlSequence, first int) sequence {
	switch {
	case c.private != 0:
		return sequence{rule: "terminal-title", severity: Low}
	case first == 20 || first == 21: // the terminal types what a program has set
		return sequence{rule: "terminal-title", severity: High}
	case first == 22 || first == 23:
		return sequence{rule: "terminal-title", severity: Low}
	case first >= 11 && first <= 19:
		return s.query(0)
	}
	return sequence{rule: "terminal-window", severity: Low}
}

// leadingNumber reads the digits that something begins with; -1: there are none.
func leadingNumber(text string) (n int, rest string) {
	rest = strings.TrimLeft(text, "0123456789")
	const most = 6
	digits := strings.TrimLeft(text[:len(text)-len(rest)], "0")
	if len(rest) == len(text) || len(digits) > most {
		return -1, rest
	}
	for _, d := range []byte(digits) {
		n = n*10 + int(d-'0')
	}
	return n, rest
}

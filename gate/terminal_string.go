package gate

import (
	"strings"
	"unicode/utf8"
)

// How a string of a sequence ends.
type stringEnd int

const (
	stringDone stringEnd = iota
	stringTorn           // another sequence begins
	stringOver           // it goes on for too long, or there is nothing more
)

// string reads a sequence that has a text in it: OSC, DCS, APC, PM, SOS, and what
// screen takes for a title.
func (s *terminalSearch) string(p *peek, start, body int, kind byte) sequence {
	end, after, how := s.stringEnd(p, start, body, kind)
	if p.short {
		// Pictures are long: as much as says what they are is enough.
		if seq, ok := s.picture(p.b[body:], body, kind); ok {
			p.short = false
			return seq
		}
		return sequence{}
	}
	if seq, ok := s.picture(p.b[body:end], body, kind); ok {
		return seq
	}
	var seq sequence
	text := withoutControls(p.b[body:end])
	switch kind {
	case ']':
		seq = s.command(p, text, after, how)
	case 'P':
		seq = s.device(text)
	case '_':
		seq = s.application(text)
	case 'k':
		seq = sequence{rule: "terminal-title", severity: Low}
	}
	seq.end = after
	switch how {
	case stringTorn:
		seq.torn = true
	case stringOver:
		if seq.rule == "" || seq.severity < Medium {
			seq.rule, seq.severity = "terminal-unterminated", Medium
		}
	}
	return seq
}

// withoutControls is what terminals see of a string: they pass control characters
// over, so that 5 NUL 2 is 52.
func withoutControls(b []byte) string {
	text := make([]byte, 0, len(b))
	for _, c := range b {
		if c >= ' ' && c != ctrlDEL {
			text = append(text, c)
		}
	}
	return string(text)
}

// stringEnd looks for the end of a string. after is what comes behind that.
func (s *terminalSearch) stringEnd(p *peek, start, j int, kind byte) (end, after int, how stringEnd) {
	for {
		for j < len(p.b) && p.b[j] >= ' ' && p.b[j] < utf8.RuneSelf && j-start < terminalLongest {
			j++
		}
		c := p.at(j)
		switch {
		case p.short:
			return j, j, stringOver
		case j >= len(p.b), j-start >= terminalLongest:
			return j, j, stringOver
		case c == ctrlBEL && kind == ']', c == ctrlCAN, c == ctrlSUB:
			return j, j + 1, stringDone
		case c == ctrlESC:
			if p.at(j+1) == '\\' {
				return j, j + 2, stringDone
			}
			return j, j, stringTorn
		case c == utf8C1 && p.at(j+1) == 0x9c:
			return j, j + 2, stringDone
		case c < utf8.RuneSelf:
			j++
		case c == 0x9c:
			return j, j + 1, stringDone
		case s.begins(p, j):
			return j, j, stringTorn
		default:
			if !utf8.FullRune(p.b[j:]) && !p.end {
				p.short = true
				return j, j, stringOver
			}
			_, size := utf8.DecodeRune(p.b[j:])
			j += size
		}
	}
}

// picture knows pictures that come whole in what is written, by how they begin.
func (s *terminalSearch) picture(text []byte, body int, kind byte) (sequence, bool) {
	const most = 256 // of what is before the data
	head := text[:min(len(text), most)]
	seq := sequence{rule: "terminal-file", severity: Info}
	switch kind {
	case 'P': // sixel, ReGIS
		i := 0
		for i < len(head) && (head[i] >= '0' && head[i] <= '9' || head[i] == ';') {
			i++
		}
		if i < len(head) && (head[i] == 'q' || head[i] == 'p' && string(head[:i]) != "1000" && string(head[:i]) != "2000") {
			seq.end = body + i + 1
			return seq, true
		}
	case '_': // kitty's graphics, with the data in them
		i := strings.IndexByte(string(head), ';')
		if len(head) == 0 || head[0] != 'G' || i < 0 || kittyReads(string(head[:i])) || kittyAsks(string(head[:i])) {
			return seq, false
		}
		seq.end = body + i + 1
		return seq, true
	}
	return seq, false
}

// kittyReads says that the terminal is to read a file, and perhaps to remove it.
func kittyReads(keys string) bool {
	for _, key := range strings.Split(strings.TrimPrefix(keys, "G"), ",") {
		if key == "t=f" || key == "t=t" || key == "t=s" {
			return true
		}
	}
	return false
}

func kittyAsks(keys string) bool {
	return strings.Contains(","+strings.TrimPrefix(keys, "G")+",", ",a=q,")
}

// application is about APC.
func (s *terminalSearch) application(text string) sequence {
	keys, _, _ := strings.Cut(text, ";")
	switch {
	case !strings.HasPrefix(text, "G"):
		return sequence{}
	case kittyReads(keys):
		return sequence{rule: "terminal-file", severity: High}
	case kittyAsks(keys):
		return s.query(0)
	}
	return sequence{rule: "terminal-file", severity: Info}
}

// device is about DCS.
func (s *terminalSearch) device(text string) sequence {
	rest := strings.TrimLeft(text, "0123456789;")
	params := text[:len(text)-len(rest)]
	switch {
	case strings.HasPrefix(rest, "$q"), strings.HasPrefix(rest, "+q"): // DECRQSS, XTGETTCAP
		return s.query(0)
	case strings.HasPrefix(rest, "|"): // DECUDK: what keys type
		return sequence{rule: "terminal-keys", severity: High}
	case strings.HasPrefix(rest, "{"): // DECDLD: letters that look like others
		return s.cursor(0, Medium)
	case strings.HasPrefix(rest, "+p"):
		return s.keys(0)
	case strings.HasPrefix(rest, "p") && (params == "1000" || params == "2000"): // tmux -CC, it2ssh
		return sequence{rule: "terminal-command", severity: High}
	}
	return sequence{}
}

// command is about OSC.
func (s *terminalSearch) command(p *peek, text string, after int, how stringEnd) sequence {
	n, rest := leadingNumber(text)
	if rest != "" && rest[0] != ';' {
		n = -1
	}
	rest = strings.TrimPrefix(rest, ";")
	asks := rest == "?" || strings.HasPrefix(rest, "?;") || strings.Contains(rest, ";?")
	switch {
	case n == 8:
		return s.hyperlink(p, rest, after, how)
	case n == 52, n == 5522:
		return sequence{rule: "terminal-clipboard", severity: High}
	case n < 0 && text != "" && strings.IndexByte("lLI", text[0]) >= 0, n >= 0 && n <= 3:
		return sequence{rule: "terminal-title", severity: Low}
	case n >= 4 && n <= 6, n >= 10 && n <= 19, n == 21, n == 50:
		if asks {
			return s.query(0)
		}
		return sequence{rule: "terminal-colour", severity: Low}
	case n >= 104 && n <= 119, n == 30001, n == 30101, n < 0 && strings.HasPrefix(text, "P") || n < 0 && strings.HasPrefix(text, "R"):
		return sequence{rule: "terminal-colour", severity: Low}
	case n == 60, n == 61, n == 62:
		return s.query(0)
	case n == 9 && strings.HasPrefix(rest, "4;"): // progress in the bar of tasks
		return sequence{rule: "terminal-notify", severity: Info}
	case n == 9, n == 99, n == 777:
		return sequence{rule: "terminal-notify", severity: Low}
	case n == 51, n == 5113: // Emacs and Vim call functions; kitty sends files
		return sequence{rule: "terminal-command", severity: High}
	case n == 1337:
		return s.iterm(rest)
	}
	return sequence{}
}

// iterm is about what only iTerm2 and its likes know.
func (s *terminalSearch) iterm(text string) sequence {
	name, _, _ := strings.Cut(text, "=")
	name, _, _ = strings.Cut(name, ";")
	switch strings.ToLower(name) {
	case "requestupload":
		return sequence{rule: "terminal-file", severity: High}
	case "file", "multipartfile", "filepart", "fileend":
		return sequence{rule: "terminal-file", severity: Medium}
	case "copy", "copytoclipboard", "endcopy", "pasteboard":
		return sequence{rule: "terminal-clipboard", severity: High}
	case "reportcellsize", "reportvariable", "capabilities":
		return s.query(0)
	case "openurl":
		return sequence{rule: "terminal-link", severity: Medium}
	case "clearscrollback":
		return s.cursor(0, Medium)
	case "setcolors", "setprofile", "setbackgroundimagefile":
		return sequence{rule: "terminal-colour", severity: Low}
	case "stealfocus", "requestattention":
		return sequence{rule: "terminal-notify", severity: Low}
	case "setkeylabel", "pushkeylabels", "popkeylabels":
		return s.keys(0)
	}
	return sequence{}
}

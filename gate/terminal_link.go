package gate

import (
	"bytes"
	"strings"
)

// terminalLinkText is how much of what a link shows is looked at.
const terminalLinkText = 2048

// hyperlink is about OSC 8: params;URI opens a link, and without a URI closes it.
func (s *terminalSearch) hyperlink(p *peek, rest string, after int, how stringEnd) sequence {
	_, uri, _ := strings.Cut(rest, ";")
	if uri == "" {
		return sequence{link: true}
	}
	if how != stringDone {
		return sequence{rule: "terminal-link", severity: Medium}
	}
	text := s.linkText(p, after)
	severity := Info
	if !honestLink(uri, text) {
		severity = Medium
	}
	return sequence{rule: "terminal-link", severity: severity, link: true}
}

// linkText is what the link shows: what is before the next OSC 8, without the
// sequences in it.
func (s *terminalSearch) linkText(p *peek, i int) string {
	var text []byte
	limit := i + terminalLinkText
	for i < limit {
		c := p.at(i)
		if p.short || i >= len(p.b) {
			break
		}
		if c != ctrlESC {
			text = append(text, c)
			i++
			continue
		}
		kind := p.at(i + 1)
		end := i + 2
		switch kind {
		case '[':
			for end < limit && (p.at(end) < '@' || p.at(end) > '~') && end < len(p.b) {
				end++
			}
			end++
		case ']':
			if p.at(i+2) == '8' && p.at(i+3) == ';' {
				return string(text)
			}
			_, end, _ = s.stringEnd(p, i, i+2, kind)
		}
		i = max(end, i+1)
	}
	return string(text)
}

// honestLink says that a link leads to where its text says. A text that says
// nothing about that is honest.
func honestLink(uri, text string) bool {
	scheme, rest, ok := strings.Cut(uri, ":")
	if !ok {
		return false
	}
	scheme = strings.ToLower(scheme)
	switch scheme {
	case "file", "mailto":
		shown := shownHost(text)
		return shown == "" || !strings.Contains(text, "://") && !strings.HasPrefix(shown, "www.")
	case "http", "https", "ftp":
	default:
		return false
	}
	host, ok := linkHost(rest)
	if !ok {
		return false
	}
	shown := shownHost(text)
	if shown == "" || shown == host {
		return true
	}
	shown = strings.TrimPrefix(shown, "www.")
	if strings.TrimPrefix(host, "www.") == shown || strings.HasSuffix(host, "."+shown) {
		return true
	}
	return !strings.Contains(text, "://") && isFileName(shown) && strings.HasSuffix(uri, "/"+strings.TrimSpace(text))
}

// linkHost is the host of //user@host:port/path, as browsers find it (WHATWG URL):
// \ is /, and the last @ counts. not ok: they would not all find the same.
func linkHost(rest string) (host string, ok bool) {
	rest = strings.TrimLeft(rest, "/\\")
	if end := strings.IndexAny(rest, "/\\?#"); end >= 0 {
		rest = rest[:end]
	}
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		rest = rest[at+1:]
	}
	if !strings.HasPrefix(rest, "[") {
		rest, _, _ = strings.Cut(rest, ":")
	}
	for _, c := range []byte(rest) {
		if c <= ' ' || c == '%' || c >= ctrlDEL {
			return "", false
		}
	}
	return strings.TrimSuffix(strings.ToLower(rest), "."), rest != ""
}

// shownHost is the host that a text shows: of a URL, or of a name that is one.
// Empty: it shows words.
func shownHost(text string) string {
	for _, word := range strings.Fields(text) {
		word = strings.Trim(word, "<>()[]{}\"'`,;!")
		if _, rest, ok := strings.Cut(word, "://"); ok {
			host, _ := linkHost(rest)
			return host
		}
		host, _ := linkHost(word)
		if looksLikeHost(host) {
			return host
		}
	}
	return ""
}

// looksLikeHost says that it is letters, digits, dashes and dots, and that the last
// of its labels is one that there could be.
func looksLikeHost(name string) bool {
	dot := strings.LastIndexByte(name, '.')
	if dot <= 0 || !isTopDomain([]byte(name[dot+1:])) {
		return false
	}
	for _, c := range []byte(name) {
		if !letterOrNumeral(c) && c != '-' && c != '.' {
			return false
		}
	}
	return true
}

// isFileName says that the name ends as files do whose endings are countries too.
func isFileName(name string) bool {
	for _, end := range []string{".md", ".rs", ".py", ".sh", ".pl", ".go", ".so", ".cc", ".ml", ".ps", ".st", ".tf", ".mk", ".hs", ".rb", ".cpp", ".patch"} {
		if bytes.HasSuffix([]byte(name), []byte(end)) {
			return true
		}
	}
	return false
}

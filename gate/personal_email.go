package gate

// noDomains end the names of files, units and classes, and not those of hosts
// that get mail: logo@2x.png, getty@tty1.service.
const noDomains = " png jpg jpeg gif svg webp avif ico bmp js mjs cjs ts tsx jsx css scss html htm json yaml yml toml xml txt map lock log conf cfg gz zip tar exe dll jar class service socket timer target mount slice scope path device git local localdomain internal "

// email looks at the address that the @ at i may be in.
func (s *personalSearch) email(p *peek, i int) {
	const longest = 253 // RFC 1035, 3.1, as text
	start := i
	for i-start <= personalWord && personalClass[p.at(start-1)]&asLocal != 0 {
		start--
	}
	if i == start || i-start > personalWord {
		return
	}
	for start < i && !wordly(p.b[start]) {
		start++ // quotes and dots before it are not its own
	}
	if start == i || p.b[i-1] == '.' {
		return
	}
	if c := p.at(start - 1); c == '/' || c == '@' || c == ':' && isUserinfo(p, start-1) {
		return
	}
	end, label, labels := i+1, i+1, 1
	for {
		c := p.at(end)
		if end-i > longest {
			return
		}
		if c == '.' && end > label && letterOrNumeral(p.at(end+1)) {
			label, labels = end+1, labels+1
		} else if !letterOrNumeral(c) && (c != '-' || end == label) {
			break
		}
		end++
	}
	// A program that is called, and a host with a path or a port, are no people.
	if c := p.at(end); p.short || labels < 2 || c == '_' || c == '(' || c == '@' || c == ':' && wordly(p.at(end+1)) || c == '/' && wordly(p.at(end+1)) {
		return
	}
	for p.b[end-1] == '-' {
		end--
	}
	if !isTopDomain(p.b[label:end]) {
		return
	}
	severity := Low
	if isExampleDomain(p.b[i+1 : end]) {
		severity = Info
	}
	s.hits = append(s.hits, personalHit{"email", severity, start, end})
}

// isUserinfo says that the colon is of //user:password@host.
func isUserinfo(p *peek, colon int) bool {
	i := colon
	for colon-i < personalWord && personalClass[p.at(i-1)]&asLocal != 0 {
		i--
	}
	return p.at(i-1) == '/'
}

// isTopDomain says that hosts may end so: letters, of one case.
func isTopDomain(label []byte) bool {
	const longest = 24 // of all that there are (IANA, 2026)
	if len(label) < 2 || len(label) > longest {
		return false
	}
	var room [longest + 2]byte
	text := append(room[:0], ' ')
	for _, c := range label {
		if !letter(c) || capital(c) != capital(label[len(label)-1]) {
			return false
		}
		text = append(text, c|0x20)
	}
	text = append(text, ' ')
	return !textIn(noDomains, text)
}

// isExampleDomain says that it is one that nobody has (RFC 2606, RFC 6761).
func isExampleDomain(domain []byte) bool {
	for _, end := range []string{"example.com", "example.org", "example.net", ".example", ".test", ".invalid", ".localhost"} {
		if k := len(domain) - len(end); k >= 0 && string(domain[k:]) == end && (k == 0 || end[0] == '.' || domain[k-1] == '.') {
			return true
		}
	}
	return false
}

func textIn(in string, text []byte) bool {
	for i := 0; i+len(text) <= len(in); i++ {
		if in[i:i+len(text)] == string(text) {
			return true
		}
	}
	return false
}

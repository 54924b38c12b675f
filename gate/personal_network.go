package gate

import "net/netip"

// addressV4 looks at four numbers with dots, of which the first begins at start,
// and says whether they are there.
func (s *personalSearch) addressV4(p *peek, start int) bool {
	var a [4]byte
	i := start
	for k := range a {
		v, digits := 0, 0
		for ; digits < 4 && numeral(p.at(i)); i++ {
			v = v*10 + int(p.at(i)-'0')
			digits++
		}
		if digits == 0 || digits > 3 || v > 255 || digits > 1 && p.at(i-digits) == '0' {
			return false
		}
		a[k] = byte(v)
		if k < 3 {
			if p.at(i) != '.' {
				return false
			}
			i++
		}
	}
	if s.standsAddress(p, start, i) && !p.versioned(start) {
		s.add("ip-address", addressSeverity(netip.AddrFrom4(a)), start, i)
	}
	return true
}

// standsAddress allows for what stands beside addresses: ports, prefixes, ranges.
func (s *personalSearch) standsAddress(p *peek, start, end int) bool {
	before, after := p.at(start-1), p.at(end)
	if wordly(before) || wordly(after) {
		return false
	}
	switch before {
	case '.', '-', '+', '~', '^', '>', '<', '$', '#':
		return false
	case '/':
		return p.at(start-2) == '/'
	case '=':
		return p.at(start-2) != '=' // a version that is asked for
	case '@':
		return wordly(p.at(start - 2))
	}
	switch after {
	case '.', '-', '+', '~':
		return !wordly(p.at(end+1)) || after == '-' && numeral(p.at(end+1))
	}
	return true
}

// versioned says that the number is a version of something.
func (p *peek) versioned(start int) bool {
	const close = 16
	var text [close]byte
	from := max(0, start-close)
	n := copy(text[:], p.b[from:start])
	for i, c := range text[:n] {
		text[i] = c | 0x20
	}
	for _, word := range []string{"version", "release", "ver", "rev", "oid", "firmware", "build", "driver"} {
		if containsWord(text[:n], word) {
			return true
		}
	}
	return false
}

// addressSeverity is info for addresses that are nobody's own.
func addressSeverity(a netip.Addr) Severity {
	if !a.IsGlobalUnicast() || a.IsPrivate() {
		return Info
	}
	if a.Is4() {
		b := a.As4()
		switch {
		case b[0] == 0, b[0] >= 240,
			b[0] == 192 && b[1] == 0 && (b[2] == 2 || b[2] == 0), b[0] == 198 && b[1] == 51 && b[2] == 100,
			b[0] == 203 && b[1] == 0 && b[2] == 113, // RFC 5737
			b[0] == 198 && b[1]&^1 == 18,            // RFC 2544
			b[0] == 100 && b[1]&0xc0 == 64:          // RFC 6598
			return Info
		}
		return Low
	}
	b := a.As16()
	if b[0] == 0x20 && b[1] == 0x01 && b[2] == 0x0d && b[3] == 0xb8 || b[0]&0xe0 != 0x20 { // RFC 3849, RFC 4291
		return Info
	}
	return Low
}

// addressV6 looks at the run of hexadecimal digits and colons that a word is in,
// once for each run.
func (s *personalSearch) addressV6(p *peek, start, end int, base int64) {
	const longest = 45 // with an address of version 4 at its end
	if p.at(start-1) != ':' && p.at(end) != ':' || base+int64(start) < s.colon {
		return
	}
	from, to := start, start
	for start-from <= longest && isColonHex(p.at(from-1)) {
		from--
	}
	colons, double := 0, false
	for ; to-from <= longest && (isColonHex(p.at(to)) || p.at(to) == '.' && numeral(p.at(to+1))); to++ {
	}
	for i := from; i < to && i < len(p.b); i++ {
		if p.b[i] == ':' {
			colons++
			double = double || i+1 < to && p.at(i+1) == ':'
		}
	}
	if p.short || to-from > longest || colons < 2 {
		return
	}
	s.colon = base + int64(to)
	if p.b[to-1] == ':' && p.b[to-2] != ':' {
		to-- // what follows an address, as in a list
	}
	if wordly(p.at(from-1)) || wordly(p.at(to)) || !double && colons != 7 && (colons != 6 || p.b[to-1] == ':') {
		return
	}
	if a, err := netip.ParseAddr(string(p.b[from:to])); err == nil && isSaidV6(p.b[from:to], double, a) {
		s.hits = append(s.hits, personalHit{"ip-address", addressSeverity(a.Unmap()), from, to})
	}
}

// isSaidV6 tells addresses from fingerprints, which have two digits in each
// group, and from names in programs, such as fee::Add.
func isSaidV6(text []byte, double bool, a netip.Addr) bool {
	if !double {
		return len(text) != 8*2+7
	}
	if text[0] == ':' {
		return a.IsLoopback() || a.Is4In6()
	}
	const group = 4
	digit := false
	for _, c := range text[:min(group, len(text))] {
		if c == ':' {
			return false
		}
		digit = digit || numeral(c)
	}
	return digit
}

func isColonHex(c byte) bool { return c == ':' || personalClass[c]&asHex != 0 }

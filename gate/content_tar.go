package gate

import (
	"bytes"
	"strconv"
	"strings"
)

const (
	tarBlock = 512

	// tarSpecial is how much is read of what stands before a member: its names may
	// be as long as paths (PATH_MAX), and more is there for attributes.
	tarSpecial = 16 << 10

	// tarSpecials is how much there may be of all that stands before one member.
	tarSpecials = 32 << 10
)

// tarWalk goes from header to header of a tar archive (POSIX.1-2017, pax; GNU tar
// manual, "Basic Tar Format").
type tarWalk struct {
	at       int64 // the next header
	began    int64 // where what stands before the next member begins, or at
	names    []string
	targets  []string
	size     int64 // of the next member, where a record says so; otherwise -1
	real     int64 // how long a sparse file says that it is
	extended int64 // the data after more blocks of a map; -1: there are none
	links    *linkPaths
	broken   bool
	unseen   bool
}

func newTarWalk() *tarWalk { return &tarWalk{size: -1, extended: -1, links: newLinkPaths()} }

// isTar says that something begins with a header.
func isTar(b []byte) bool {
	return len(b) >= tarBlock && tarSumIsRight(b[:tarBlock])
}

// mayBeTar says that something may begin with a header that names an ordinary
// file: most text does not from the end of its first line on.
func mayBeTar(b []byte) bool {
	const name, fields = 100, 148 // the name; mode, owner, size, time
	ended := false
	for i, c := range b[:min(len(b), fields)] {
		switch {
		case i >= name:
			if c != 0 && c != ' ' && (c < '0' || c > '7') && c < 0x80 {
				return false
			}
		case c == 0:
			ended = true
		case ended || c < ' ':
			return false
		}
	}
	return true
}

// tarSumIsRight allows for sums of signed bytes, which some old programs made.
func tarSumIsRight(h []byte) bool {
	want, ok := tarNumber(h[148:156])
	if !ok {
		return false
	}
	var unsigned, signed int64
	for i, c := range h {
		if i >= 148 && i < 156 {
			c = ' '
		}
		unsigned += int64(c)
		signed += int64(int8(c))
	}
	return want == unsigned || want == signed
}

// tarNumber reads octal digits, or a number to the base 256 (GNU).
func tarNumber(b []byte) (n int64, ok bool) {
	const most = 1 << 60
	if b[0]&0x80 != 0 {
		if b[0]&0x40 != 0 {
			return 0, false // below zero
		}
		for i, c := range b {
			if i == 0 {
				c &= 0x3f
			}
			if n >= most>>8 {
				return 0, false
			}
			n = n<<8 | int64(c)
		}
		return n, true
	}
	text, _, _ := strings.Cut(strings.Trim(string(b), " \x00"), "\x00")
	if text == "" {
		return 0, true
	}
	v, err := strconv.ParseUint(strings.TrimRight(text, " "), 8, 60)
	return int64(v), err == nil
}

func (t *tarWalk) next(s *contentSearch, w Window) int64 {
	for t.at < w.Tail() {
		b := w.Data[t.at-w.Start:]
		if len(b) < tarBlock && !w.End {
			break
		}
		if len(b) < tarBlock {
			t.at = w.Tail()
			break
		}
		if !t.block(s, b, w.End) {
			break
		}
	}
	return min(t.began, t.at, w.Tail())
}

// block reads one block that is no data. false: more must be there.
func (t *tarWalk) block(s *contentSearch, b []byte, end bool) bool {
	h := b[:tarBlock]
	if t.extended >= 0 {
		t.at += tarBlock
		if h[504] == 0 {
			t.at += t.extended
			t.extended = -1
			t.reset()
		}
		return true
	}
	if !tarSumIsRight(h) {
		if !t.broken && len(bytes.Trim(h, "\x00")) > 0 {
			t.broken = true // what comes may be read by some and not by others
			s.found("archive-mismatch", Medium, t.at, t.at+tarBlock)
		}
		t.at += tarBlock
		t.reset()
		return true
	}
	size, ok := tarNumber(h[124:136])
	if !ok {
		s.found("archive-mismatch", Medium, t.at, t.at+tarBlock)
		size = 0
	}
	switch h[156] {
	case 'x', 'g', 'L', 'K':
		take := min(size, tarSpecial)
		if int64(len(b)) < tarBlock+take {
			if !end {
				return false
			}
			take = int64(len(b)) - tarBlock
		}
		if !t.special(h[156], b[tarBlock:tarBlock+take]) || size > tarSpecial {
			s.found("archive-mismatch", Medium, t.at, t.at+tarBlock)
		}
		t.at += tarBlock + size + -size&(tarBlock-1)
		if t.at-t.began > tarSpecials { // more than anybody writes
			s.found("archive-mismatch", Medium, t.began, t.began+tarBlock)
			t.began = t.at
		}
		return true
	}
	t.member(s, h, size)
	return true
}

// special reads what stands before a member.
func (t *tarWalk) special(kind byte, body []byte) (ok bool) {
	text, _, _ := strings.Cut(string(body), "\x00")
	switch kind {
	case 'L':
		t.names = append(t.names, text)
		return true
	case 'K':
		t.targets = append(t.targets, text)
		return true
	}
	for rest := string(body); rest != ""; {
		digits, _, found := strings.Cut(rest, " ")
		n, err := strconv.ParseUint(digits, 10, 31)
		if !found || err != nil || int(n) > len(rest) || int(n) < len(digits)+len(" =\n") {
			return false
		}
		key, value, found := strings.Cut(strings.TrimSuffix(rest[len(digits)+1:n], "\n"), "=")
		if !found || kind == 'g' && key != "comment" { // programs differ in what is for all
			return false
		}
		rest = rest[n:]
		switch key {
		case "path", "GNU.sparse.name":
			t.names = append(t.names, value)
		case "linkpath":
			t.targets = append(t.targets, value)
		case "size", "GNU.sparse.realsize", "GNU.sparse.size":
			v, err := strconv.ParseInt(value, 10, 60)
			if err != nil || v < 0 {
				return false
			}
			if key == "size" {
				t.size = v
			} else {
				t.real = v
			}
		}
	}
	return true
}

// member looks at a header, and at what stands before it, and goes behind the data.
func (t *tarWalk) member(s *contentSearch, h []byte, size int64) {
	kind, end := h[156], t.at+tarBlock
	cut := func(b []byte) string { text, _, _ := strings.Cut(string(b), "\x00"); return text }
	name := cut(h[0:100])
	if string(h[257:263]) == "ustar\x00" && h[345] != 0 {
		name = cut(h[345:500]) + "/" + name
	}
	names, targets := append(t.names, name), append(t.targets, cut(h[157:257]))
	if t.size >= 0 {
		size = t.size
	}
	if severity := t.leaves(kind, names, targets); severity > 0 {
		s.found("archive-traversal", severity, t.began, end)
	}
	switch kind {
	case '3', '4', '6':
		s.found("archive-device", Medium, t.began, end)
	}
	switch kind {
	case '1', '2', '3', '4', '5', '6':
		if size != 0 { // to some it has data, to others the next member begins
			s.found("archive-mismatch", Medium, t.began, end)
		}
		size = 0
	case 'S':
		if real, ok := tarNumber(h[483:495]); ok {
			t.real = real
		}
	}
	if t.real > bombSize && t.real/bombRatio > size {
		s.found("archive-bomb", Medium, t.began, end)
	}
	for _, name := range names {
		if kind == '2' || kind == '1' && t.links.through(targets[0]) {
			t.links.add(name)
		}
	}
	if t.links.full && !t.unseen { // members below the links that come are not known
		t.unseen = true
		s.found("archive-opaque", Info, t.began, end)
	}
	t.at = end
	data := size + -size&(tarBlock-1)
	if kind == 'S' && h[482] != 0 {
		t.extended = data
		return
	}
	t.at += data
	t.reset()
}

// leaves judges where a member would be written to, by each of its names.
func (t *tarWalk) leaves(kind byte, names, targets []string) (worst Severity) {
	for _, name := range names {
		if pathLeaves(name) || kind != '5' && kind != '2' && t.links.through(name) || t.links.through(parentOf(name)) {
			return High
		}
	}
	for _, target := range targets {
		switch kind {
		case '1':
			if pathLeaves(target) {
				return High
			}
		case '2':
			for _, name := range names {
				leaves, rooted := t.links.leaves(name, target)
				switch {
				case rooted: // archives of whole systems are full of them
					worst = max(worst, Medium)
				case leaves:
					return High
				}
			}
		}
	}
	return worst
}

func parentOf(name string) string {
	parts := cleanParts(name)
	return strings.Join(parts[:max(len(parts)-1, 0)], "/")
}

func (t *tarWalk) reset() {
	t.began, t.size, t.real = t.at, -1, 0
	t.names, t.targets = nil, nil
}

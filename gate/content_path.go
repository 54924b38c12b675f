package gate

import (
	"hash/maphash"
	"strings"
)

// pathLeaves says that what is unpacked by that name may come to be outside of
// where it is unpacked, on some system.
func pathLeaves(name string) bool {
	if name == "" {
		return false
	}
	if isRooted(name) || strings.IndexByte(name, 0) >= 0 {
		return true
	}
	for _, part := range pathParts(name) {
		if strings.TrimRight(part, " ") == ".." { // Windows drops blanks at the end
			return true
		}
	}
	return false
}

func isRooted(name string) bool {
	return name[0] == '/' || name[0] == '\\' || len(name) > 1 && name[1] == ':' && letter(name[0])
}

func pathParts(name string) []string {
	return strings.FieldsFunc(name, func(c rune) bool { return c == '/' || c == '\\' })
}

// linkPaths are the links of an archive so far, by what their names hash to.
type linkPaths struct {
	seed  maphash.Seed
	paths map[uint64]struct{}
	full  bool // there are more: any name may be one
}

// maxLinks bounds what is kept of links.
const maxLinks = 4096

func newLinkPaths() *linkPaths {
	return &linkPaths{seed: maphash.MakeSeed(), paths: make(map[uint64]struct{})}
}

func (l *linkPaths) hash(parts []string) uint64 {
	return maphash.String(l.seed, strings.Join(parts, "/"))
}

func (l *linkPaths) add(name string) {
	if len(l.paths) >= maxLinks {
		l.full = true
		return
	}
	l.paths[l.hash(cleanParts(name))] = struct{}{}
}

func (l *linkPaths) has(parts []string) bool {
	if len(l.paths) == 0 {
		return false
	}
	_, ok := l.paths[l.hash(parts)]
	return ok
}

// through says that the name is below a link, or is one itself.
func (l *linkPaths) through(name string) bool {
	if len(l.paths) == 0 {
		return false
	}
	parts := cleanParts(name)
	for i := range parts {
		if l.has(parts[:i+1]) {
			return true
		}
	}
	return false
}

// leaves says that a link of that name leads outside, and that it is because its
// target begins at the root.
func (l *linkPaths) leaves(name, target string) (leaves, rooted bool) {
	if target == "" {
		return false, false
	}
	if isRooted(target) {
		return true, true
	}
	at := cleanParts(name)
	at = at[:max(len(at)-1, 0):max(len(at)-1, 0)]
	linked := false
	for _, part := range pathParts(target) {
		switch part {
		case ".":
		case "..":
			// After a link it leads up from where that leads to.
			if len(at) == 0 || linked {
				return true, false
			}
			at = at[:len(at)-1]
		default:
			at = append(at, part)
			linked = linked || l.has(at)
		}
	}
	return false, false
}

// cleanParts are the parts of a name that say something.
func cleanParts(name string) []string {
	all := pathParts(name)
	parts := all[:0]
	for _, part := range all {
		if part != "." {
			parts = append(parts, part)
		}
	}
	return parts
}

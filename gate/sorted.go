package gate

import (
	"sort"
	"strings"
	"unsafe"

	"github.com/kavach-dev/kavach/gate/rules"
)

// sortedLiterals finds literals by halving, which needs nothing to be made before.
type sortedLiterals struct {
	list    []rules.Literal
	longest int
}

func newSortedLiterals(list []rules.Literal) sortedLiterals {
	s := sortedLiterals{list: list}
	for i := range list {
		s.longest = max(s.longest, len(list[i].Text))
	}
	return s
}

// from is the place of the first literal that is text or behind it.
func (s sortedLiterals) from(text string) int {
	return sort.Search(len(s.list), func(i int) bool { return s.list[i].Text >= text })
}

// foldedString is data in lower case, until forget zeroes it.
func foldedString(data []byte) (text string, forget func()) {
	folded := foldASCII(data)
	return unsafe.String(unsafe.SliceData(folded), len(folded)), func() { wipe(folded) }
}

func (s sortedLiterals) find(data []byte, seen int, hit func(literal, at int)) {
	from := max(0, seen-s.longest)
	text, forget := foldedString(data[from:])
	defer forget()
	const shortest = 2
	for at := 0; at+shortest <= len(text); at++ {
		for i := s.from(text[at : at+shortest]); i < len(s.list) && s.list[i].Text[:shortest] == text[at:at+shortest]; i++ {
			if l := s.list[i].Text; strings.HasPrefix(text[at:], l) && from+at+len(l) > seen {
				hit(i, from+at)
			}
		}
	}
}

func (s sortedLiterals) partial(data []byte) int {
	tail, forget := foldedString(data[max(0, len(data)-s.longest+1):])
	defer forget()
	for start := range len(tail) {
		rest := tail[start:]
		for i := s.from(rest); i < len(s.list) && strings.HasPrefix(s.list[i].Text, rest); i++ {
			if s.list[i].Whole && len(s.list[i].Text) > len(rest) {
				return len(rest)
			}
		}
	}
	return 0
}

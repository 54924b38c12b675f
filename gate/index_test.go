package gate

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// plainly is what find finds, by comparing everywhere.
func plainly(literals []string, data []byte, seen int) (found []string) {
	low := bytes.ToLower(data)
	for id, l := range literals {
		for at := 0; at+len(l) <= len(data); at++ {
			if string(low[at:at+len(l)]) == l && at+len(l) > seen {
				found = append(found, fmt.Sprint(id, " ", at))
			}
		}
	}
	slices.Sort(found)
	return found
}

func FuzzIndex(f *testing.F) {
	f.Add("key secret ghp_ :// -----begin", []byte("The KEY=ghp_ secre? secret, http://-----BEGIN"), uint8(3))
	f.Add("aaaa aaaaa ab", []byte("aaaaaaAb"), uint8(0))
	f.Add("$1$ ##\x00\x01", []byte("##\x00\x01$1$"), uint8(7))
	f.Fuzz(func(t *testing.T, words string, data []byte, seen uint8) {
		var literals []string
		for _, w := range strings.FieldsFunc(words, func(r rune) bool { return r == ' ' || r >= 0x80 }) {
			if l := string(foldASCII([]byte(w))); len(l) >= 3 && !slices.Contains(literals, l) {
				literals = append(literals, l)
			}
		}
		if len(literals) == 0 || len(literals) > 20 || len(data) > 500 || slices.ContainsFunc(data, func(c byte) bool { return c >= 0x80 }) {
			t.Skip() // bytes.ToLower knows other letters than we do
		}
		shortest := len(slices.MinFunc(literals, func(a, b string) int { return cmp.Compare(len(a), len(b)) }))
		for _, x := range []*index{newIndex(false, 0), newIndex(true, 0), newIndex(false, shortest)} {
			for _, l := range literals {
				x.add(l, "", true)
			}
			from := min(int(seen), len(data))
			var found []string
			x.find(data, from, func(id, at int) { found = append(found, fmt.Sprint(id, " ", at)) })
			slices.Sort(found)
			if want := plainly(literals, data, from); !slices.Equal(found, want) {
				t.Errorf("%q in %q from %d, stride %d: %q, want %q", literals, data, from, x.stride, found, want)
			}
			if got, want := x.partial(data), partly(literals, data); got != want {
				t.Errorf("%q at the end of %q: %d, want %d", literals, data, got, want)
			}
		}
	})
}

// Both ways to find literals find the same, but for short ones behind which something
// comes that no rule has there: only the index looks at that.
func TestSorted(t *testing.T) {
	set := secretSet()
	for _, text := range append(samples(), material(t, "src/net/http/request.go", 64<<10)) {
		for _, seen := range []int{0, len(text) / 2, len(text)} {
			var one, other []string
			note := func(to *[]string) func(id, at int) {
				return func(id, at int) {
					if len(set.sorted.list[id].Text) >= 4 {
						*to = append(*to, fmt.Sprint(id, " ", at))
					}
				}
			}
			set.sorted.find(text, seen, note(&one))
			set.index().find(text, seen, note(&other))
			slices.Sort(one)
			slices.Sort(other)
			if !slices.Equal(one, other) {
				t.Errorf("%.60q from %d: %d and %d", text, seen, len(one), len(other))
			}
		}
		for n := range min(len(text), 300) {
			if a, b := set.sorted.partial(text[:n]), set.index().partial(text[:n]); a != b {
				t.Errorf("%.60q: %d and %d", text[:n], a, b)
			}
		}
	}
}

// partly is how much of a literal is at the end of data.
func partly(literals []string, data []byte) int {
	low := bytes.ToLower(data)
	most := 0
	for _, l := range literals {
		for n := 1; n < len(l); n++ {
			if bytes.HasSuffix(low, []byte(l[:n])) {
				most = max(most, n)
			}
		}
	}
	return most
}

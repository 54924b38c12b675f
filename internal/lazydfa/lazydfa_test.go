package lazydfa

import (
	"regexp"
	"testing"
)

// longest is what Cache says of a match that begins at start, in pieces.
func longest(t *testing.T, expr string, text []byte, start int, cuts ...int) int {
	t.Helper()
	e, err := Compile(expr)
	if err != nil {
		t.Fatal(err)
	}
	c := e.NewCache()
	prev := rune(-1)
	if start > 0 {
		prev = rune(text[start-1])
	}
	s, at, end := c.Start(prev), start, -1
	for _, cut := range append(cuts, len(text)) {
		cut = min(cut, len(text))
		if s == nil || cut <= at {
			continue
		}
		var e int
		if s, e = c.Run(s, text[at:cut]); e >= 0 {
			end = at + e
		}
		at = cut
	}
	if s != nil && c.End(s) {
		end = len(text)
	}
	return end
}

// reference is what package regexp says of the same, with each byte a character.
func reference(t *testing.T, expr string, text []byte, start int) int {
	t.Helper()
	before, whole := latin1(text[:start]), latin1(text)
	re, err := regexp.Compile(`\A(?s:` + regexp.QuoteMeta(before) + `)(` + expr + `)`)
	if err != nil {
		t.Skip(err)
	}
	re.Longest()
	m := re.FindStringIndex(whole)
	if m == nil {
		return -1
	}
	return len([]rune(whole[:m[1]]))
}

func latin1(b []byte) string {
	r := make([]rune, len(b))
	for i, c := range b {
		r[i] = rune(c)
	}
	return string(r)
}

func TestLongest(t *testing.T) {
	tests := []struct {
		expr, text string
		start      int
		why        string
	}{
		{`abc`, "abc", 0, "as it is"},
		{`abc`, "xabcabc", 1, "from the middle"},
		{`a|ab|abcd`, "abcde", 0, "the longest of several"},
		{`\babc\b`, "xabc", 1, "no boundary before"},
		{`\babc\b`, " abcd", 1, "no boundary behind"},
		{`\babc\b`, " abc", 1, "the end of the text is a boundary"},
		{`a(?:['"\s]|$)`, "a", 0, "the end of the text"},
		{`(?m)^a$`, "b\na\nc", 2, "lines"},
		{`a*?`, "aaa", 0, "also what is not greedy goes as far as it can"},
		{`(?i)Straße`, "STRA\xdfE", 0, "a character of Latin 1, in the other case of its neighbours"},
		{`[^a]{3}`, "\xff\x00\x80", 0, "bytes that are no UTF-8"},
		{`a{2,4}b{0,3}`, "aaaabbbb", 0, "counted"},
		{`\z`, "", 0, "nothing"},
		{`x`, "y", 0, "no match"},
	}
	for _, tt := range tests {
		want := reference(t, tt.expr, []byte(tt.text), tt.start)
		for cut := range len(tt.text) + 1 {
			if got := longest(t, tt.expr, []byte(tt.text), tt.start, cut); got != want {
				t.Errorf("%s: %q on %q cut at %d: %d, want %d", tt.why, tt.expr, tt.text, cut, got, want)
			}
		}
	}
}

// A cache that forgets its states goes on with those that it has.
func TestForget(t *testing.T) {
	e, err := Compile(`[ab]*a[ab]{14}c`) // 2^14 states
	if err != nil {
		t.Fatal(err)
	}
	c := e.NewCache()
	text := make([]byte, 1<<17)
	for i, x := 0, uint32(1); i < len(text); i++ {
		x = x*1664525 + 1013904223
		text[i] = 'a' + byte(x>>31)
	}
	text[len(text)-15] = 'a'
	s, end := c.Run(c.Start(-1), append(text, 'c'))
	if s == nil || end >= 0 || !c.End(s) || len(c.states) > maxStates {
		t.Errorf("%v, %d, %d states", s != nil, end, len(c.states))
	}
}

func FuzzLongest(f *testing.F) {
	f.Add(`\b(ghp_[0-9a-zA-Z]{3,5})(?:['"\s]|$)`, []byte("x ghp_abcd\n"), uint8(2), uint8(5))
	f.Add(`(?i)[\w.-]{0,5}?key[\s'"]{0,3}(?:=|>|:{1,3}=|\|\|)[\w=]{3,}`, []byte("my.key = \xffabc"), uint8(0), uint8(3))
	f.Add(`(?m)^.*?$`, []byte("a\nb\n"), uint8(2), uint8(3))
	f.Add(`\B\w|\W\b`, []byte("ab cd"), uint8(1), uint8(2))
	f.Fuzz(func(t *testing.T, expr string, text []byte, start, cut uint8) {
		if len(expr) > 100 || len(text) > 200 || int(start) > len(text) {
			t.Skip()
		}
		if _, err := Compile(expr); err != nil {
			t.Skip()
		}
		want := reference(t, expr, text, int(start))
		if got := longest(t, expr, text, int(start), int(cut)); got != want {
			t.Errorf("%q on %q from %d, cut at %d: %d, want %d", expr, text, start, cut, got, want)
		}
	})
}

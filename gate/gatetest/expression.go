package gatetest

import (
	"math/rand/v2"
	"regexp"
	"regexp/syntax"
	"strings"
	"unicode"
)

// writer writes random strings that an expression matches.
type writer struct {
	strings.Builder
	r *rand.Rand

	// source is the expression, for the case in which its author wrote a literal.
	source string

	// least writes as few repetitions as there may be.
	least bool

	// One secret has one case, where its issuer does not mix them.
	hex, folded func(rune) rune
}

// newWriter decides on the cases of one secret. Hexadecimal digits are nearly
// always small letters; so is much of what an expression takes in any case.
func newWriter(r *rand.Rand, source string) *writer {
	same := func(c rune) rune { return c }
	w := &writer{r: r, source: source, hex: unicode.ToLower, folded: unicode.ToLower}
	if r.IntN(8) == 0 {
		w.hex = unicode.ToUpper
	}
	if r.IntN(3) == 0 {
		w.folded = same
	}
	return w
}

func (w *writer) write(re *syntax.Regexp) {
	switch re.Op {
	case syntax.OpLiteral:
		w.literal(string(re.Rune), re.Flags&syntax.FoldCase != 0)
	case syntax.OpCharClass:
		w.class(re.Rune)
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		w.WriteByte('.') // somebody forgot to escape it
	case syntax.OpCapture:
		w.write(re.Sub[0])
	case syntax.OpConcat:
		for _, sub := range re.Sub {
			w.write(sub)
		}
	case syntax.OpAlternate:
		w.write(pick(w.r, re.Sub))
	case syntax.OpStar:
		w.repeat(re.Sub[0], 0, -1)
	case syntax.OpPlus:
		w.repeat(re.Sub[0], 1, -1)
	case syntax.OpQuest:
		w.repeat(re.Sub[0], 0, 1)
	case syntax.OpRepeat:
		w.repeat(re.Sub[0], re.Min, re.Max)
	}
}

// literal writes what is taken in any case as it stands in the expression, which is
// how the issuer writes it; the parser has forgotten that.
func (w *writer) literal(s string, anyCase bool) {
	const telling = 2 // a single letter stands in classes too
	if anyCase && len(s) >= telling {
		s = strings.ToLower(s)
		if at := strings.Index(strings.ToLower(w.source), regexp.QuoteMeta(s)); at >= 0 {
			s = strings.ReplaceAll(w.source[at:at+len(regexp.QuoteMeta(s))], `\`, "")
		}
	}
	w.WriteString(s)
}

// more is how many repetitions above the least are written at most: enough for
// the length to vary, and for what has no least length to look like something.
const more = 24

func (w *writer) repeat(re *syntax.Regexp, least, most int) {
	if most < 0 || most > least+more {
		most = least + more
	}
	n := least
	if !w.least {
		n += w.r.IntN(most - least + 1)
	}
	for range n {
		if re.Op == syntax.OpAnyChar || re.Op == syntax.OpAnyCharNotNL {
			w.WriteByte(pick(w.r, []byte(base64s)))
		} else {
			w.write(re)
		}
	}
}

// long is a letter that only an expression in any case has in its class: it folds
// to s.
const long = 'ſ'

func (w *writer) class(ranges []rune) {
	var in []rune
	folded, hex := false, true
	for i := 0; i < len(ranges); i += 2 {
		folded = folded || ranges[i] <= long && long <= ranges[i+1]
		for c := max(ranges[i], ' '); c <= min(ranges[i+1], '~'); c++ {
			in = append(in, c)
			hex = hex && unicode.Is(unicode.ASCII_Hex_Digit, c)
		}
	}
	if len(in) == 0 {
		in = []rune{'\n'}
	}
	if len(in) > 70 { // what is not some character: nothing odd from it
		in = []rune(base64s)
	}
	c := pick(w.r, in)
	switch {
	case hex:
		if s := w.hex(c); strings.ContainsRune(string(in), s) {
			c = s
		}
	case folded:
		c = w.folded(c)
	}
	w.WriteRune(c)
}

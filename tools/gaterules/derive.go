package main

import (
	"fmt"
	"math"
	"regexp/syntax"
	"slices"
	"strings"
)

// derived is what a search knows of an expression without running it.
type derived struct {
	core     string
	literals []string
	before   [2]int
	next     string
	secret   int
}

const (
	maxLiterals = 160 // of one rule
	maxBefore   = 200 // bytes between the beginning of a match and a literal
	maxClass    = 10  // characters of a class that is taken for literals
	endless     = math.MaxInt32
)

// derive finds the literals of a rule: of all places in the expression that every
// match passes, the one with the best.
func derive(r *rule) (derived, error) {
	re, err := syntax.Parse(r.Regex, syntax.Perl)
	if err != nil {
		return derived{}, err
	}
	parts := flatten(re)
	for len(parts) > 1 && nullable(parts[0]) && parts[0].Op != syntax.OpCapture && !asserts(parts[0]) {
		parts = parts[1:]
	}
	d := derived{core: r.Regex}
	if len(parts) < len(flatten(re)) {
		d.core = (&syntax.Regexp{Op: syntax.OpConcat, Sub: parts}).String()
	}
	if len(r.Literals) > 0 {
		d.literals, d.before, d.secret = digits(r.Literals), [2]int{r.Before[0], r.Before[1]}, -r.Before[1]
		d.next = nextOf(r.Next)
		return d, nil
	}
	best, at := math.Inf(-1), -1
	lo, hi := 0, 0
	for i := range parts {
		if hi > maxBefore {
			break
		}
		if set, _ := literals(parts[i:]); len(set) > 0 {
			if q := quality(set, hi-lo); q > best {
				best, at = q, i
				d.literals, d.before = set, [2]int{lo, hi}
			}
		}
		l, h := width(parts[i])
		lo, hi = lo+l, min(hi+h, endless)
	}
	if at < 0 {
		return d, fmt.Errorf("no literals can be derived from %s: name them", d.core)
	}
	d.literals = leastPrefixes(d.literals)
	if d.secret = secretAt(parts, at, d.before[1]); r.SecretGroup < 0 {
		d.secret = -d.before[1] // the whole of it
	}
	if slices.ContainsFunc(d.literals, func(l string) bool { return len(l) < 4 }) {
		d.next = following(parts[at:], d.literals)
	}
	for _, l := range d.literals {
		if len(l) < 2 || len(l) < 3 && d.next == "" {
			return d, fmt.Errorf("literal %q is too short: name longer ones", l)
		}
	}
	return d, nil
}

// quality prefers long literals, few of them, near the beginning.
func quality(set []string, spread int) float64 {
	return 2*float64(min(shortest(set), 8)) - math.Log2(float64(len(set))) - float64(spread)/8
}

// leastPrefixes leaves out what begins with another of the sorted set.
func leastPrefixes(set []string) (least []string) {
	for _, l := range set {
		if len(least) == 0 || !strings.HasPrefix(l, least[len(least)-1]) {
			least = append(least, l)
		}
	}
	return least
}

func shortest(set []string) int {
	n := len(set[0])
	for _, l := range set {
		n = min(n, len(l))
	}
	return n
}

// flatten takes the sequences within a sequence apart.
func flatten(re *syntax.Regexp) []*syntax.Regexp {
	if re.Op != syntax.OpConcat {
		return []*syntax.Regexp{re}
	}
	var all []*syntax.Regexp
	for _, s := range re.Sub {
		all = append(all, flatten(s)...)
	}
	return all
}

func asserts(re *syntax.Regexp) bool {
	switch re.Op {
	case syntax.OpBeginLine, syntax.OpEndLine, syntax.OpBeginText, syntax.OpEndText, syntax.OpWordBoundary, syntax.OpNoWordBoundary:
		return true
	}
	return slices.ContainsFunc(re.Sub, asserts)
}

func nullable(re *syntax.Regexp) bool { lo, _ := width(re); return lo == 0 }

// width is the least and the greatest length of what re matches.
func width(re *syntax.Regexp) (lo, hi int) {
	switch re.Op {
	case syntax.OpLiteral:
		return len(re.Rune), len(re.Rune)
	case syntax.OpCharClass, syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return 1, 1
	case syntax.OpCapture:
		return width(re.Sub[0])
	case syntax.OpConcat:
		for _, s := range re.Sub {
			l, h := width(s)
			lo, hi = lo+l, min(hi+h, endless)
		}
		return lo, hi
	case syntax.OpAlternate:
		lo = endless
		for _, s := range re.Sub {
			l, h := width(s)
			lo, hi = min(lo, l), max(hi, h)
		}
		return lo, hi
	case syntax.OpStar:
		return 0, endless
	case syntax.OpPlus:
		l, _ := width(re.Sub[0])
		return l, endless
	case syntax.OpQuest:
		_, h := width(re.Sub[0])
		return 0, h
	case syntax.OpRepeat:
		l, h := width(re.Sub[0])
		if re.Max < 0 {
			return l * re.Min, endless
		}
		return l * re.Min, min(h*re.Max, endless)
	}
	return 0, 0
}

// literals are strings one of which begins whatever parts match, in lower case.
// Exact says that they are all that is matched. None: there is no such set.
func literals(parts []*syntax.Regexp) (set []string, exact bool) {
	set, exact = []string{""}, true
	for _, p := range parts {
		more, all := literal(p)
		if more == nil || len(set)*len(more) > maxLiterals || len(more) > 1 && shortest(set) >= 4 && class(p, 256) != nil {
			exact = false
			break
		}
		var product []string
		for _, a := range set {
			for _, b := range more {
				product = append(product, a+b)
			}
		}
		set = product
		if exact = all; !all {
			break
		}
	}
	slices.Sort(set)
	set = slices.Compact(set)
	if set[0] == "" && !exact {
		return nil, false
	}
	return set, exact
}

func literal(re *syntax.Regexp) (set []string, exact bool) {
	switch re.Op {
	case syntax.OpLiteral:
		return []string{strings.ToLower(string(re.Rune))}, true
	case syntax.OpCharClass:
		return class(re, maxClass), true
	case syntax.OpCapture:
		return literals(flatten(re.Sub[0]))
	case syntax.OpConcat:
		return literals(flatten(re))
	case syntax.OpAlternate:
		exact = true
		for _, s := range re.Sub {
			more, all := literal(s)
			if more == nil || len(set)+len(more) > maxLiterals {
				return nil, false
			}
			set, exact = append(set, more...), exact && all
		}
		return set, exact
	case syntax.OpQuest:
		more, all := literal(re.Sub[0])
		if more == nil || !all {
			return nil, false
		}
		return append([]string{""}, more...), true
	case syntax.OpPlus:
		set, _ = literal(re.Sub[0])
		return set, false
	case syntax.OpRepeat:
		if re.Min == 0 {
			return nil, false
		}
		times := make([]*syntax.Regexp, min(re.Min, 3))
		for i := range times {
			times[i] = re.Sub[0]
		}
		set, exact = literals(times)
		return set, exact && re.Min == re.Max && re.Min == len(times)
	case syntax.OpEmptyMatch, syntax.OpBeginLine, syntax.OpEndLine, syntax.OpBeginText, syntax.OpEndText, syntax.OpWordBoundary, syntax.OpNoWordBoundary:
		return []string{""}, true
	}
	return nil, false
}

// class are the characters of a class, or of a class several times, in lower case;
// nil: it is none, or there are more than most.
func class(re *syntax.Regexp, most int) []string {
	var set []string
	for re.Op == syntax.OpRepeat || re.Op == syntax.OpPlus {
		re = re.Sub[0]
	}
	if re.Op != syntax.OpCharClass {
		return nil
	}
	for c := range 256 {
		in := false
		for i := 0; i+1 < len(re.Rune); i += 2 {
			in = in || re.Rune[i] <= rune(c) && rune(c) <= re.Rune[i+1]
		}
		low := strings.ToLower(string(rune(c)))
		if in && c < 128 && !slices.Contains(set, low) {
			set = append(set, low)
		}
		if in && c >= 128 {
			return nil
		}
	}
	if len(set) > most {
		return nil
	}
	return set
}

// following are the characters that can come behind literals that parts begin
// with: behind those of two bytes, twice. Empty: nobody knows.
func following(parts []*syntax.Regexp, lits []string) string {
	prog, err := syntax.Compile((&syntax.Regexp{Op: syntax.OpConcat, Sub: parts}).Simplify())
	if err != nil {
		return ""
	}
	var next []bool = make([]bool, 256)
	for _, l := range lits {
		if len(l) >= 4 {
			continue
		}
		at := []uint32{uint32(prog.Start)}
		for _, c := range l {
			at = step(prog, at, func(in *syntax.Inst) bool { return in.MatchRune(c) || in.MatchRune(upper(c)) })
		}
		for range max(1, 4-len(l)) {
			for c := range 256 {
				if len(step(prog, at, func(in *syntax.Inst) bool { return in.MatchRune(rune(c)) })) > 0 {
					if c < 128 {
						c = int(strings.ToLower(string(rune(c)))[0])
					}
					next[c] = true
				}
			}
			at = step(prog, at, func(*syntax.Inst) bool { return true })
		}
	}
	var s []byte
	for c, in := range next {
		if in {
			s = append(s, byte(c))
		}
	}
	if len(s) > 100 {
		return ""
	}
	return string(s)
}

func upper(r rune) rune { return []rune(strings.ToUpper(string(r)))[0] }

// step is where a program is after one more character; what asserts is taken to
// hold.
func step(prog *syntax.Prog, at []uint32, match func(*syntax.Inst) bool) []uint32 {
	seen := make(map[uint32]bool)
	var out []uint32
	var follow func(pc uint32)
	follow = func(pc uint32) {
		if seen[pc] {
			return
		}
		seen[pc] = true
		in := &prog.Inst[pc]
		switch in.Op {
		case syntax.InstAlt, syntax.InstAltMatch:
			follow(in.Out)
			follow(in.Arg)
		case syntax.InstCapture, syntax.InstNop, syntax.InstEmptyWidth:
			follow(in.Out)
		case syntax.InstRune, syntax.InstRune1, syntax.InstRuneAny, syntax.InstRuneAnyNotNL:
			if match(in) {
				out = append(out, in.Out)
			}
		}
	}
	for _, pc := range at {
		follow(pc)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// secretAt is how far behind the literal, which begins with parts[at], the first
// group begins at least; below 0, so far before it at most.
func secretAt(parts []*syntax.Regexp, at, before int) int {
	grouped := func(re *syntax.Regexp) bool { return re.MaxCap() > 0 }
	first := slices.IndexFunc(parts, grouped)
	if first <= at { // also where there is none: the secret is the whole match
		return -before
	}
	distance := 0
	for _, p := range parts[at:first] {
		lo, _ := width(p)
		distance += lo
	}
	return distance
}

// alternatives are the rule, or, where it is several expressions that have no
// literal in common, one rule of the same name for each.
func (r rule) alternatives() []rule {
	re, err := syntax.Parse(r.Regex, syntax.Perl)
	if err != nil {
		return []rule{r} // which write refuses
	}
	if _, err := derive(&r); err == nil || re.Op != syntax.OpAlternate || len(r.Literals) > 0 {
		return []rule{r}
	}
	var all []rule
	for _, s := range re.Sub {
		one := r
		one.Regex = s.String()
		all = append(all, one)
	}
	return all
}

// digits are the literals with each # in them in the place of any digit.
func digits(lits []string) (all []string) {
	for _, l := range lits {
		before, after, found := strings.Cut(l, "#")
		if !found {
			all = append(all, l)
			continue
		}
		for d := '0'; d <= '9'; d++ {
			all = append(all, digits([]string{before + string(d) + after})...)
		}
	}
	return all
}

// nextOf is what follows short literals, where extra.toml says so.
func nextOf(expr string) string {
	if expr == "" {
		return ""
	}
	re, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return ""
	}
	return strings.Join(class(re, 100), "")
}

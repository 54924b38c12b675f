package gatetest

import (
	"fmt"
	"math"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"sync"

	"github.com/kavach-dev/kavach/gate/rules"
)

// form is a rule, ready to write secrets and to judge them by the letter: with the
// standard library's regexp, and without the engine that is measured.
type form struct {
	rules.Rule
	re    *regexp.Regexp
	allow []judge
	tree  *syntax.Regexp
	parts []parts
}

type judge struct {
	rules.Allow
	re []*regexp.Regexp
}

func newForm(rule rules.Rule) (*form, error) {
	f := &form{Rule: rule}
	var err error
	if f.re, err = regexp.Compile(rule.Regex); err != nil {
		return nil, fmt.Errorf("compile rule %s: %w", rule.ID, err)
	}
	if f.tree, err = syntax.Parse(rule.Regex, syntax.Perl); err != nil {
		return nil, fmt.Errorf("parse rule %s: %w", rule.ID, err)
	}
	f.parts = f.split(f.tree)
	f.allow = []judge{global()}
	for _, a := range rule.Allow {
		f.allow = append(f.allow, newJudge(a))
	}
	return f, nil
}

// newJudge panics where an expression of the table is none: the table's own tests
// have seen it.
func newJudge(a rules.Allow) judge {
	j := judge{Allow: a}
	for _, expr := range a.Regexes {
		j.re = append(j.re, regexp.MustCompile(expr))
	}
	for i, word := range a.Words {
		if i == 0 {
			j.Words = slices.Clone(a.Words)
		}
		j.Words[i] = strings.ToLower(word)
	}
	return j
}

var global = sync.OnceValue(func() judge { return newJudge(*rules.Global()) })

// find is the first secret in a text that the rule's letter does not let pass.
func (f *form) find(text string) (start, end int, ok bool) {
	for _, m := range f.re.FindAllStringSubmatchIndex(text, -1) {
		start, end := m[0], m[1]
		if f.Group > 0 {
			start, end = m[2*f.Group], m[2*f.Group+1]
		} else {
			for g := 2; g < len(m); g += 2 {
				if m[g+1] > m[g] {
					start, end = m[g], m[g+1]
					break
				}
			}
		}
		if f.counts(text, m[0], m[1], start, end) {
			return start, end, true
		}
	}
	return 0, 0, false
}

func (f *form) counts(text string, from, to, start, end int) bool {
	secret := text[start:end]
	if f.Entropy > 0 && entropy(secret) <= f.Entropy {
		return false
	}
	if hasChecksum(secret) && withChecksum(secret) != secret {
		return false
	}
	line := text[strings.LastIndexByte(text[:from], '\n')+1 : to]
	return !slices.ContainsFunc(f.allow, func(j judge) bool { return j.passes(secret, text[from:to], line) })
}

// passes leaves out what is about paths: a sample is output, but for the few
// rules that want a file.
func (j *judge) passes(secret, match, line string) bool {
	if j.All && len(j.Paths) > 0 {
		return false
	}
	target := map[string]string{"": secret, "match": match, "line": line}[j.Target]
	small := strings.ToLower(secret)
	return slices.ContainsFunc(j.re, func(re *regexp.Regexp) bool { return re.MatchString(target) }) ||
		slices.ContainsFunc(j.Words, func(w string) bool { return strings.Contains(small, w) })
}

// entropy is Shannon's, in bits a byte.
func entropy(s string) float64 {
	var count [256]int
	for i := range len(s) {
		count[s[i]]++
	}
	sum := 0.0
	for _, n := range count {
		if n > 0 {
			p := float64(n) / float64(len(s))
			sum -= p * math.Log2(p)
		}
	}
	return sum
}

// parts are an expression's pieces: what names the secret, and the secret.
type parts struct {
	name   []*syntax.Regexp // up to the operator; nil: the secret stands for itself
	secret *syntax.Regexp
}

// split takes the alternatives of a rule apart. A rule without a group, or with as
// many groups as there are ways to write it, is all secret.
func (f *form) split(tree *syntax.Regexp) []parts {
	if tree.Op == syntax.OpAlternate {
		var all []parts
		for _, sub := range tree.Sub {
			all = append(all, f.split(sub)...)
		}
		return all
	}
	const few = 4
	whole := []parts{{secret: tree}}
	if f.tree.MaxCap() > few || tree.Op != syntax.OpConcat {
		return whole
	}
	// A group before the operator is a part of the name. What ends a secret may
	// look like an operator, but no group follows it.
	isGroup := func(re *syntax.Regexp) bool { return re.Op == syntax.OpCapture }
	op := slices.IndexFunc(tree.Sub, isOperator)
	if !slices.ContainsFunc(tree.Sub[op+1:], isGroup) {
		op = -1
	}
	at := slices.IndexFunc(tree.Sub[op+1:], isGroup)
	if at < 0 {
		return whole
	}
	p := parts{secret: tree.Sub[op+1+at]}
	if op > 0 {
		p.name = tree.Sub[:op]
	}
	return []parts{p}
}

// isOperator knows what gitleaks' rules put between a name and its value.
func isOperator(re *syntax.Regexp) bool {
	if re.Op != syntax.OpAlternate && re.Op != syntax.OpCharClass {
		return false
	}
	whole, err := regexp.Compile("^(?:" + re.String() + ")$")
	return err == nil && whole.MatchString("=") && whole.MatchString(":")
}

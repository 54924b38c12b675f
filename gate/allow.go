package gate

import (
	"regexp"
	"sync"

	"github.com/kavach-dev/kavach/gate/rules"
	"github.com/kavach-dev/kavach/internal/lazydfa"
)

// allowance is a rules.Allow, compiled.
type allowance struct {
	*rules.Allow
	regexes []*matcher
	words   *index // nil: none
	paths   []*regexp.Regexp
}

var allowances sync.Map // *rules.Allow → *allowance

func allowanceOf(a *rules.Allow) *allowance {
	if c, ok := allowances.Load(a); ok {
		return c.(*allowance)
	}
	c := &allowance{Allow: a}
	for _, expr := range a.Regexes {
		c.regexes = append(c.regexes, &matcher{expr: mustDFA(`(?s:.*)(?:` + expr + `)`)})
	}
	if len(a.Words) > 0 {
		c.words = newIndex(len(a.Words) > 100, 0)
		for _, w := range a.Words {
			c.words.add(w, "", false)
		}
	}
	for _, p := range a.Paths {
		c.paths = append(c.paths, regexp.MustCompile(p))
	}
	kept, _ := allowances.LoadOrStore(a, c)
	return kept.(*allowance)
}

// says reports whether what was found is no secret.
func (a *allowance) says(secret, match, line []byte, subject Subject) bool {
	target := secret
	switch a.Target {
	case "match":
		target = match
	case "line":
		target = line
	}
	held := make([]bool, 0, 3)
	if len(a.regexes) > 0 {
		held = append(held, anyMatches(a.regexes, target))
	}
	if a.words != nil {
		held = append(held, holdsAny(a.words, secret))
	}
	if len(a.paths) > 0 {
		in := false
		for _, p := range a.paths {
			in = in || subject.File && p.MatchString(subject.Name)
		}
		held = append(held, in)
	}
	for _, h := range held {
		if h != a.All {
			return h
		}
	}
	return a.All && len(held) > 0
}

func anyMatches(list []*matcher, text []byte) bool {
	for _, m := range list {
		if m.in(text) {
			return true
		}
	}
	return false
}

// matcher finds out whether an expression matches anywhere.
type matcher struct {
	expr   *lazydfa.Expr // it begins with what matches anything
	caches sync.Pool
}

func (m *matcher) in(text []byte) bool {
	c, ok := m.caches.Get().(*lazydfa.Cache)
	if !ok {
		c = m.expr.NewCache()
	}
	defer m.caches.Put(c)
	state, end := c.Run(c.Start(-1), text)
	return end >= 0 || state != nil && c.End(state)
}

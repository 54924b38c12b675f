package gate

import (
	"bytes"
	"math"
	"regexp"
	"sync"
	"unicode/utf8"

	"github.com/kavach-dev/kavach/gate/rules"
	"github.com/kavach-dev/kavach/internal/lazydfa"
)

type (
	ruleCache = lazydfa.Cache
	ruleState = *lazydfa.State
)

// secretRule is a rule, compiled as far as it has been needed.
type secretRule struct {
	*rules.Rule

	compile sync.Once
	expr    *lazydfa.Expr
	caches  sync.Pool // of *ruleCache

	judges sync.Once
	groups [2]*regexp.Regexp // the expression, without and with a byte before it
	allow  []*allowance
}

func (r *secretRule) core() string {
	if r.Core != "" {
		return r.Core
	}
	return r.Regex
}

// acquire returns a cache that nobody else uses until release.
func (r *secretRule) acquire() *ruleCache {
	r.compile.Do(func() { r.expr = mustDFA(r.core()) })
	if c, ok := r.caches.Get().(*ruleCache); ok {
		return c
	}
	return r.expr.NewCache()
}

func (r *secretRule) release(c *ruleCache) *ruleCache {
	if c != nil {
		r.caches.Put(c)
	}
	return nil
}

// mustDFA compiles what tools/gaterules has compiled before.
func mustDFA(expr string) *lazydfa.Expr {
	e, err := lazydfa.Compile(expr)
	if err != nil {
		panic(err)
	}
	return e
}

// concerns reports whether the rule is for such a subject.
func (r *secretRule) concerns(s Subject) bool {
	if r.Path == "" {
		return true
	}
	return s.File && regexp.MustCompile(r.Path).MatchString(s.Name)
}

// judge decides whether the match of data between two offsets is a secret.
func (r *secretRule) judge(w *Window, from, to int64, subject Subject) (Match, bool) {
	r.judges.Do(r.compileJudges)
	begin, end := r.secret(w, int(from-w.Start), int(to-w.Start))
	secret := w.Data[begin:end]
	m := Match{
		Rule: r.ID, Severity: severityOf(r.Severity), Preview: Mask(secret),
		Start: w.Start + int64(begin), End: w.Start + int64(end),
	}
	if len(secret) == 0 || r.Entropy > 0 && entropy(secret) <= r.Entropy {
		return m, false
	}
	matched := matchBegin(w.Data, int(from-w.Start), r.Core != "")
	line := w.Data[lineBegin(w.Data, matched):int(to-w.Start)]
	for _, a := range r.allow {
		if a.says(secret, w.Data[matched:int(to-w.Start)], line, subject) {
			return m, false
		}
	}
	if c, ok := checks[r.Check]; ok && !c.passes(secret) {
		m.Severity = c.otherwise
	}
	return m, true
}

// secret is the place of the group that holds the secret, in data.
func (r *secretRule) secret(w *Window, from, to int) (begin, end int) {
	if r.Group < 0 {
		return from, to
	}
	before := min(from, 1)
	for _, behind := range []int{min(len(w.Data)-to, 1), 0} { // an expression may ask for what is around it
		text, forget := latin1(w.Data[from-before : to+behind])
		defer forget()
		m := r.groups[before].FindSubmatchIndex(text)
		if m == nil || utf8.RuneCount(text[:m[1]]) != to-from+before {
			continue
		}
		g := r.Group
		for i := 1; g == 0 && i < len(m)/2; i++ {
			if m[2*i] < m[2*i+1] {
				g = i
			}
		}
		if g == 0 || m[2*g] < 0 {
			return from, to
		}
		at := from - before
		return at + utf8.RuneCount(text[:m[2*g]]), at + utf8.RuneCount(text[:m[2*g+1]])
	}
	return from, to // the whole of it, where the groups cannot be told
}

// latin1 is text of which each character is a byte of b, until forget zeroes it. Where
// b is ASCII, it is b itself.
func latin1(b []byte) (text []byte, forget func()) {
	if i := bytes.IndexFunc(b, func(r rune) bool { return r >= utf8.RuneSelf }); i < 0 {
		return b, func() {}
	}
	text = make([]byte, 0, 2*len(b))
	for _, c := range b {
		text = utf8.AppendRune(text, rune(c))
	}
	return text, func() { wipe(text) }
}

// matchBegin goes back over what Core has left out of an expression.
func matchBegin(data []byte, at int, left bool) int {
	const most = 50
	for n := 0; left && n < most && at > 0 && isName(data[at-1]); n++ {
		at--
	}
	return at
}

func isName(c byte) bool {
	return 'a' <= c|lower && c|lower <= 'z' || '0' <= c && c <= '9' || c == '_' || c == '.' || c == '-'
}

func lineBegin(data []byte, at int) int {
	low := max(0, at-lookBehind/2)
	return low + bytes.LastIndexByte(data[low:at], '\n') + 1
}

// entropy is that of the bytes of b, in bits a byte (Shannon 1948).
func entropy(b []byte) float64 {
	var counts [256]int
	for _, c := range b {
		counts[c]++
	}
	var sum float64
	for _, n := range counts {
		if n > 0 {
			p := float64(n) / float64(len(b))
			sum -= p * math.Log2(p)
		}
	}
	return sum
}

func (r *secretRule) compileJudges() {
	for i, before := range []string{"", `(?s:.)`} {
		r.groups[i] = regexp.MustCompile(`\A` + before + `(?:` + r.core() + `)`)
		r.groups[i].Longest()
	}
	list := []*rules.Allow{rules.Global()}
	if r.Source == "kavach" {
		list = append(list, rules.Placeholders())
	}
	for i := range r.Allow {
		list = append(list, &r.Allow[i])
	}
	for _, a := range list {
		r.allow = append(r.allow, allowanceOf(a))
	}
}

func severityOf(name string) Severity {
	var s Severity
	if err := s.UnmarshalText([]byte(name)); err != nil {
		panic(err) // the table is generated
	}
	return s
}

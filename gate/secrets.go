package gate

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/kavach-dev/kavach/gate/rules"
)

// Secrets looks for what has the form of a secret: the rules of package gate/rules.
// Nothing of them is compiled before there is something to look at, and a rule not
// before one of its literals is seen.
func Secrets() Scanner {
	return Scanner{
		Name: "secrets", Version: "gitleaks 8.30.1 and kavach 1",
		Rules: secretRules,
		New:   func(s Subject) Search { return newSecretSearch(secretSet(), s) },
		hint:  func(data []byte) bool { return secretSet().hint(data) },
	}
}

func secretRules() []Rule {
	var list []Rule
	for _, r := range rules.All() {
		if len(list) > 0 && list[len(list)-1].ID == r.ID {
			list[len(list)-1].Match += "|" + r.Regex
			continue
		}
		list = append(list, Rule{
			ID: r.ID, Scanner: "secrets", Severity: severityOf(r.Severity), Description: r.Description, Match: r.Regex + conditions(&r), Source: r.Source,
		})
	}
	return list
}

// conditions are what else a match of a rule must have.
func conditions(r *rules.Rule) (text string) {
	if r.Entropy > 0 {
		text += fmt.Sprintf("; more than %v bits of entropy a byte", r.Entropy)
	}
	if c, ok := checks[r.Check]; ok {
		text += fmt.Sprintf("; %s where the checksum or header is wrong", c.otherwise)
	}
	if len(r.Allow) > 0 {
		text += "; not what is known to be none"
	}
	return text
}

const (
	// lookBehind is how much before a match is looked at: what it is assigned to,
	// and the line before it.
	lookBehind = 256

	// maxRun is how long a match can be, in bytes: what is longer is found as far as
	// that.
	maxRun = 64 << 10

	// firm is how many bytes of what may be a secret are held on to.
	firm = 16
)

// ruleSet is all rules, as far as they have been needed.
type ruleSet struct {
	rules  []atomic.Pointer[secretRule]
	behind int64 // bytes before a literal at which a match may begin
	sorted sortedLiterals
	index  func() *index // made when there is more than a little to look at
	made   atomic.Bool   // it is
}

var secretSet = sync.OnceValue(func() *ruleSet {
	s := &ruleSet{rules: make([]atomic.Pointer[secretRule], len(rules.All())), sorted: newSortedLiterals(rules.Literals())}
	for i := range rules.All() {
		s.behind = max(s.behind, int64(rules.All()[i].Before[1]))
	}
	s.index = sync.OnceValue(func() *index {
		x := newIndex(true, 0)
		for _, l := range rules.Literals() {
			x.add(l.Text, l.Next, l.Whole)
		}
		s.made.Store(true)
		return x
	})
	return s
})

// little is how many bytes of a subject are looked at without an index: making it
// takes longer.
const little = 4 << 10

// finder is what finds the literals in so many bytes.
func (s *ruleSet) finder(size int64) literalFinder {
	if size <= little && !s.made.Load() {
		return s.sorted
	}
	return s.index()
}

// literalFinder finds literals, by their places in rules.Literals.
type literalFinder interface {
	find(data []byte, seen int, hit func(literal, at int))
	partial(data []byte) int
}

// rule is that at a place in rules.All.
func (s *ruleSet) rule(id int32) *secretRule {
	if r := s.rules[id].Load(); r != nil {
		return r
	}
	s.rules[id].CompareAndSwap(nil, &secretRule{Rule: &rules.All()[id]})
	return s.rules[id].Load()
}

// hint reports whether there may be anything in data.
func (s *ruleSet) hint(data []byte) bool {
	return holdsAny(s.finder(int64(len(data))), data)
}

// holdsAny reports whether a literal is in data.
func holdsAny(f literalFinder, data []byte) bool {
	in := false
	f.find(data, 0, func(int, int) { in = true })
	return in
}

// secretSearch runs the expressions where literals are.
type secretSearch struct {
	set     *ruleSet
	subject Subject
	runs    map[int32]*ruleRun // rules that are at work, or have been
	busy    []*ruleRun         // those with threads
}

// ruleRun is one rule at work.
type ruleRun struct {
	rule    *secretRule
	cache   *ruleCache // nil: no thread
	threads []thread   // by start
	starts  []start    // found in this window
}

// start is where a match may begin, and from where on that would be a secret.
type start struct{ at, secret int64 }

// thread is a match that may be in progress.
type thread struct {
	start
	state ruleState
	last  int64 // where the longest match so far ends; below 0: none does
}

func newSecretSearch(set *ruleSet, s Subject) *secretSearch {
	return &secretSearch{set: set, subject: s, runs: make(map[int32]*ruleRun)}
}

func (s *secretSearch) Next(w Window, found func(Match)) Hold {
	finder := s.set.finder(w.Tail())
	finder.find(w.Data, w.Fresh, func(literal, at int) {
		for _, id := range rules.Literals()[literal].Rules {
			s.begin(id, w.Start+int64(at))
		}
	})
	h := None(w)
	h.Keep = max(w.Start, h.Keep-int64(s.set.sorted.longest)-s.set.behind-lookBehind)
	if !w.End {
		h.Soft -= int64(finder.partial(w.Data))
	}
	busy := s.busy[:0]
	for _, run := range s.busy {
		run.advance(&w, s.subject, found)
		if len(run.threads) == 0 {
			run.cache = run.rule.release(run.cache)
			continue
		}
		busy = append(busy, run)
		for _, t := range run.threads {
			h.Keep = min(h.Keep, max(w.Start, t.at-lookBehind))
			if h.Soft = min(h.Soft, t.secret); w.Tail()-t.secret >= firm {
				h.Hard = min(h.Hard, t.secret)
			}
		}
	}
	s.busy = busy
	h.Soft = min(h.Soft, h.Hard)
	return h
}

// begin notes that rule id has a literal at an offset of the subject.
func (s *secretSearch) begin(id int32, at int64) {
	run := s.runs[id]
	if run == nil {
		run = &ruleRun{rule: s.set.rule(id)}
		if !run.rule.concerns(s.subject) {
			run.rule = nil
		}
		s.runs[id] = run
	}
	if run.rule == nil {
		return
	}
	r := run.rule.Rule
	idle := len(run.threads) == 0 && len(run.starts) == 0
	for before := int64(r.Before[1]); before >= int64(r.Before[0]); before-- {
		if b := (start{at - before, at + int64(r.Secret)}); b.at >= 0 {
			b.secret = max(b.secret, b.at)
			run.starts = append(run.starts, b)
		}
	}
	if idle && len(run.starts) > 0 {
		s.busy = append(s.busy, run)
	}
}

// advance takes the threads of a rule to the end of the window, from one start to
// the next.
func (r *ruleRun) advance(w *Window, subject Subject, found func(Match)) {
	if r.cache == nil {
		r.cache = r.rule.acquire()
	}
	slices.SortFunc(r.starts, func(a, b start) int { return cmp.Compare(a.at, b.at) })
	at := w.Start + int64(w.Fresh)
	if len(r.threads) == 0 {
		at = r.starts[0].at
	}
	for i := 0; ; i++ {
		var next int64
		if i < len(r.starts) {
			if i > 0 && r.starts[i].at == r.starts[i-1].at {
				continue
			}
			next = r.starts[i].at
		} else {
			next = w.Tail()
		}
		if next > at {
			r.feed(w, at, next, subject, found)
			at = next
		}
		if i >= len(r.starts) {
			break
		}
		r.spawn(w, r.starts[i], at, subject, found)
	}
	r.starts = r.starts[:0]
	if w.End {
		for _, t := range r.threads {
			if r.cache.End(t.state) {
				t.last = w.Tail()
			}
			r.finish(w, t, subject, found)
		}
		r.threads = r.threads[:0]
	}
}

// spawn starts a thread; one that begins before where the others are catches up.
func (r *ruleRun) spawn(w *Window, b start, at int64, subject Subject, found func(Match)) {
	if b.at < w.Start {
		return // before what is kept: no rule reaches so far
	}
	prev := rune(-1)
	if b.at > 0 {
		if b.at == w.Start {
			return
		}
		prev = rune(w.Data[b.at-w.Start-1])
	}
	t := thread{start: b, state: r.cache.Start(prev), last: -1}
	if b.at < at && !r.run(w, &t, b.at, at) {
		r.finish(w, t, subject, found)
		return
	}
	if len(r.threads) >= manyThreads {
		r.merge()
	}
	r.threads = append(r.threads, t)
}

// manyThreads is how many threads a rule has before those that are in one state
// become one: from there on they match the same. Until then each is judged by where
// it began.
const manyThreads = 32

// merge leaves of the threads that are in one state the first, or, where what stands
// before a secret is no part of it, the last: then less speaks for it.
func (r *ruleRun) merge() {
	live := r.threads[:0]
	for _, t := range r.threads {
		same := slices.IndexFunc(live, func(o thread) bool { return o.state == t.state })
		switch {
		case same < 0:
			live = append(live, t)
		case r.rule.Rule.Secret > 0:
			t.secret, t.last = min(t.secret, live[same].secret), max(t.last, live[same].last)
			live[same] = t
		default:
			live[same].last = max(t.last, live[same].last)
		}
	}
	r.threads = live
}

// feed takes all threads from one offset to another.
func (r *ruleRun) feed(w *Window, from, to int64, subject Subject, found func(Match)) {
	live := r.threads[:0]
	for _, t := range r.threads {
		if !r.run(w, &t, from, to) {
			r.finish(w, t, subject, found)
			continue
		}
		live = append(live, t)
	}
	r.threads = live
}

// run takes one thread on. It reports whether a match may end further on.
func (r *ruleRun) run(w *Window, t *thread, from, to int64) bool {
	limit := min(to, t.at+maxRun)
	if from < limit {
		state, end := r.cache.Run(t.state, w.Data[from-w.Start:limit-w.Start])
		if end >= 0 {
			t.last = from + int64(end)
		}
		t.state = state
	}
	return t.state != nil && limit == to
}

// finish reports what a thread has found, if that is a secret.
func (r *ruleRun) finish(w *Window, t thread, subject Subject, found func(Match)) {
	if t.last < 0 {
		return
	}
	if m, ok := r.rule.judge(w, t.at, t.last, subject); ok {
		found(m)
	}
}

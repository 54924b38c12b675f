package gate

import (
	"cmp"
	"slices"
	"sync"

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
			ID: r.ID, Scanner: "secrets", Severity: severityOf(r.Severity), Description: r.Description, Match: r.Regex, Source: r.Source,
		})
	}
	return list
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

// ruleSet is all rules, and the index of their literals.
type ruleSet struct {
	rules  []*secretRule
	index  *index
	users  [][]int32 // by literal: which rules
	behind int64     // bytes before a literal at which a match may begin
}

var secretSet = sync.OnceValue(newRuleSet)

func newRuleSet() *ruleSet {
	s := &ruleSet{index: newIndex(true, 0)}
	all := rules.All()
	compiled := make([]secretRule, len(all))
	known := make(map[string]*ruleLiteral, 2*len(all))
	var order []string
	for i := range all {
		r := &all[i]
		compiled[i].Rule = r
		s.rules = append(s.rules, &compiled[i])
		s.behind = max(s.behind, int64(r.Before[1]))
		for _, text := range r.Literals {
			l := known[text]
			if l == nil {
				l = new(ruleLiteral)
				known[text] = l
				order = append(order, text)
			}
			l.users = append(l.users, int32(i))
			l.next += r.Next
			l.whole = l.whole || r.Secret <= 0
			l.any = l.any || r.Next == ""
		}
	}
	for _, text := range order {
		l := known[text]
		if l.any {
			l.next = ""
		}
		s.index.add(text, l.next, l.whole)
		s.users = append(s.users, l.users)
	}
	return s
}

// ruleLiteral is a literal, and all that the rules that have it say of it.
type ruleLiteral struct {
	users []int32
	next  string
	any   bool // anything can follow it
	whole bool // it is a part of the secret
}

// hint reports whether a literal is in data.
func (s *ruleSet) hint(data []byte) bool {
	in := false
	s.index.find(data, 0, func(int, int) { in = true })
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
	s.set.index.find(w.Data, w.Fresh, func(literal, at int) {
		for _, id := range s.set.users[literal] {
			s.begin(id, w.Start+int64(at))
		}
	})
	h := None(w)
	h.Keep = max(w.Start, h.Keep-int64(s.set.index.longest)-s.set.behind-lookBehind)
	if !w.End {
		h.Soft -= int64(s.set.index.partial(w.Data))
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
		run = &ruleRun{rule: s.set.rules[id]}
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

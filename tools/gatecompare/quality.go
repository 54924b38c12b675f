package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/kavach-dev/kavach/gate/gatetest"
	"github.com/kavach-dev/kavach/gate/rules"
)

// tally counts for each engine, by rule, format or kind.
type tally map[string]map[string]int

func (t tally) add(engine, key string, n int) {
	if t[engine] == nil {
		t[engine] = map[string]int{}
	}
	t[engine][key] += n
}

func (t tally) total(engine string) int {
	sum := 0
	for _, n := range t[engine] {
		sum += n
	}
	return sum
}

// counts is all that is counted.
type counts struct {
	of         map[string]int // true secrets, by rule
	true       tally          // those found, by whichever rule
	held       tally          // those found with a severity of medium or above
	whole      tally          // secrets of which no byte is outside of what was found, of rules and formats
	forms      map[string]int // true secrets, by format
	formsTrue  tally
	formsHeld  tally
	likes      map[string]int // look-alikes, by way
	likesWrong tally
	plain      map[string]int // bytes of ordinary material, by kind
	plainWrong tally

	// right and wrong are by the rule that found something, of medium or above: the
	// samples in which it found the secret, and those in which it found anything
	// else. A paragraph that is repeated counts once.
	right, wrong tally
}

func quality(b *strings.Builder, o options, engines []engine) error {
	all := rules.All()
	secrets, err := gatetest.Secrets(all, o.seed, o.each)
	if err != nil {
		return err
	}
	c := counts{
		of: map[string]int{}, true: tally{}, right: tally{}, wrong: tally{}, held: tally{}, whole: tally{}, forms: map[string]int{}, formsTrue: tally{}, formsHeld: tally{},
		likes: map[string]int{}, likesWrong: tally{}, plain: map[string]int{}, plainWrong: tally{},
	}
	c.secrets(o, secrets, engines, c.of, c.true, c.held)
	c.secrets(o, gatetest.Formats(o.seed, o.each), engines, c.forms, c.formsTrue, c.formsHeld)
	const likes = 3 // of each kind and rule
	for _, s := range gatetest.LookAlikes(all, o.seed, likes) {
		c.likes[s.How]++
		c.harmless(o, &s, s.How, engines, c.likesWrong)
	}
	const generated = 512 << 10 // bytes of each kind
	for _, s := range gatetest.Ordinary(o.seed, generated) {
		c.plain[s.Kind] += len(s.Text)
		c.harmless(o, &s, s.Kind, engines, c.plainWrong)
	}
	c.summary(b, engines, all)
	c.materialTable(b, "Ordinary material, generated", engines, c.plain, c.plainWrong)
	if o.megabytes > 0 {
		foundMaterial(b, o, engines)
	}
	c.formTable(b, engines)
	c.ruleTable(b, engines, all)
	return nil
}

// secrets counts those that are found, by the span, whatever the rule. What is
// found beside the secret is wrong.
func (c *counts) secrets(o options, samples []gatetest.Sample, engines []engine, of map[string]int, found, held tally) {
	for i := range samples {
		s := &samples[i]
		of[s.Kind]++
		for _, e := range engines {
			hits := e.find(s)
			over := slices.ContainsFunc(hits, func(h hit) bool { return s.Overlaps(h.offset, h.length) })
			heavy := slices.ContainsFunc(hits, func(h hit) bool { return !h.minor && s.Overlaps(h.offset, h.length) })
			c.judge(e.name(), s, hits)
			if covers(s, hits) {
				c.whole.add(e.name(), s.Kind, 1)
			}
			if heavy {
				held.add(e.name(), s.Kind, 1)
			}
			if over {
				found.add(e.name(), s.Kind, 1)
			} else if o.shows(e, s.Kind) {
				fmt.Printf("missed %s (%s): %q\n", s.Kind, s.How, s.Text)
			}
		}
	}
}

// covers says whether no byte of the secret would be left where all hits are
// redacted.
func covers(s *gatetest.Sample, hits []hit) bool {
	slices.SortFunc(hits, func(a, b hit) int { return cmp.Compare(a.offset, b.offset) })
	at := int64(s.Start)
	for _, h := range hits {
		if h.offset <= at {
			at = max(at, h.offset+h.length)
		}
	}
	return at >= int64(s.End)
}

// judge counts the rules that are right in a sample, and those that are wrong.
func (c *counts) judge(engine string, s *gatetest.Sample, hits []hit) {
	right, wrong := map[string]bool{}, map[string]bool{}
	for _, h := range hits {
		switch {
		case h.minor:
		case s.Overlaps(h.offset, h.length):
			right[h.rule] = true
		default:
			wrong[h.rule] = true
		}
	}
	for rule := range right {
		c.right.add(engine, rule, 1)
	}
	for rule := range wrong {
		c.wrong.add(engine, rule, 1)
	}
}

// harmless counts what is found where nothing is.
func (c *counts) harmless(o options, s *gatetest.Sample, key string, engines []engine, wrong tally) {
	for _, e := range engines {
		hits := e.find(s)
		c.judge(e.name(), s, hits)
		for _, h := range hits {
			if h.minor {
				continue
			}
			wrong.add(e.name(), key, 1)
			if o.shows(e, h.rule) {
				fmt.Printf("wrong %s in %s (%s): %q\n", h.rule, s.Kind, s.How, s.Text[h.offset:min(int64(len(s.Text)), h.offset+h.length)])
			}
		}
	}
}

// shows says whether what Kavach does with a rule or a format is to be printed.
func (o *options) shows(e engine, kind string) bool {
	_, ours := e.(*kavach)
	return ours && (o.show == "all" || o.show == kind)
}

func (c *counts) summary(b *strings.Builder, engines []engine, all []rules.Rule) {
	t := table{{"all rules and formats", engines[0].name(), engines[1].name()}}
	row := func(name string, cell func(e string) string) {
		t = append(t, []string{name, cell(engines[0].name()), cell(engines[1].name())})
	}
	n, forms, likes := sum(c.of), sum(c.forms), sum(c.likes)
	row(fmt.Sprintf("recall, %d secrets written from the rules", n), func(e string) string { return percent(c.true.total(e), n) })
	theirs := imported(all)
	row(fmt.Sprintf("recall, the %d of them that are of gitleaks' own rules", count(c.of, theirs)), func(e string) string {
		return percent(count(c.true[e], theirs), count(c.of, theirs))
	})
	row(fmt.Sprintf("recall, %d secrets written from issuers' formats", forms), func(e string) string { return percent(c.formsTrue.total(e), forms) })
	row("recall, all of them, and not a byte of the secret outside of what was found", func(e string) string { return percent(c.whole.total(e), n+forms) })
	row("recall, all of them, with a severity of medium or above", func(e string) string {
		return percent(c.held.total(e)+c.formsHeld.total(e), n+forms)
	})
	row(fmt.Sprintf("precision, with %d look-alikes and %d kinds of generated ordinary material", likes, len(c.plain)), func(e string) string {
		right := c.held.total(e) + c.formsHeld.total(e)
		return percent(right, right+c.wrong.total(e))
	})
	fmt.Fprint(b, "## In short\n\nRecall: a finding overlaps the secret. Precision: of the texts in which a rule finds something of severity medium or above (gitleaks has no severities), those in which it is the secret; a text is one secret in its context, one look-alike, or all that was generated of one kind of ordinary material.\n\nBoth programs do well on secrets written from rules, since the rules are what both have. Formats are the harder question, and it is not quite a fair one: they were written down by those who added to gitleaks' rules what Kavach has beyond them, so that gitleaks knows fewer of them.\n\n")
	t.write(b)
	fmt.Fprint(b, "A token whose checksum is wrong is still found, with severity medium: it may be of a later format. What is crossed out and still taken is under rules of gitleaks that give no least entropy.\n\n")
	t = table{{"look-alikes taken for secrets", "of", engines[0].name(), engines[1].name()}}
	for _, how := range sorted(c.likes) {
		t = append(t, []string{how, fmt.Sprint(c.likes[how]), fmt.Sprint(c.likesWrong[engines[0].name()][how]), fmt.Sprint(c.likesWrong[engines[1].name()][how])})
	}
	t.write(b)
}

func (c *counts) formTable(b *strings.Builder, engines []engine) {
	fmt.Fprint(b, "## By format\n\nSecrets written from what issuers and specifications say, and from no rule, in contexts of all kinds. Found, of all; and of these, what Kavach found with a severity of medium or above, and redacts or withholds: the rest it tells of.\n\n")
	t := table{{"format", "of", engines[0].name(), engines[1].name(), engines[1].name() + ", medium"}}
	for _, name := range sorted(c.forms) {
		t = append(t, []string{name, fmt.Sprint(c.forms[name]), fmt.Sprint(c.formsTrue[engines[0].name()][name]), fmt.Sprint(c.formsTrue[engines[1].name()][name]), fmt.Sprint(c.formsHeld[engines[1].name()][name])})
	}
	t.write(b)
}

func (c *counts) ruleTable(b *strings.Builder, engines []engine, all []rules.Rule) {
	fmt.Fprint(b, "## By rule\n\nRecall is of the rule's own secrets, by whichever rule; precision, of the texts in which the rule itself finds something of medium or above, those where that is a secret. Severities are Kavach's: what is low is told, and passes by default. A rule that is only Kavach's shows for gitleaks what its other rules find. No precision: it found nothing, or there is no such rule.\n\n")
	g, k := engines[0].name(), engines[1].name()
	t := table{{"rule", "severity", "recall " + g, "recall " + k, "wrong " + g, "wrong " + k, "precision " + g, "precision " + k}}
	var last string
	for _, rule := range all {
		n := c.of[rule.ID]
		if n == 0 || rule.ID == last {
			continue
		}
		last = rule.ID
		cell := []string{rule.ID, rule.Severity}
		for _, e := range []string{g, k} {
			cell = append(cell, percent(c.true[e][rule.ID], n))
		}
		for _, e := range []string{g, k} {
			cell = append(cell, fmt.Sprint(c.wrong[e][rule.ID]))
		}
		for _, e := range []string{g, k} {
			cell = append(cell, percent(c.right[e][rule.ID], c.right[e][rule.ID]+c.wrong[e][rule.ID]))
		}
		t = append(t, cell)
	}
	t.write(b)
}

// imported are the rules that Kavach has from gitleaks, some of them changed.
func imported(all []rules.Rule) map[string]bool {
	ids := map[string]bool{}
	for _, rule := range all {
		if strings.HasPrefix(rule.Source, "gitleaks") {
			ids[rule.ID] = true
		}
	}
	return ids
}

// count is the sum over some keys.
func count(of map[string]int, keys map[string]bool) int {
	n := 0
	for key := range keys {
		n += of[key]
	}
	return n
}

func sum(of map[string]int) int {
	n := 0
	for _, v := range of {
		n += v
	}
	return n
}

func sorted(of map[string]int) []string {
	var keys []string
	for k := range of {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func percent(part, whole int) string {
	if whole == 0 {
		return ""
	}
	return fmt.Sprintf("%.1f %%", 100*float64(part)/float64(whole))
}

package main

import (
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
	of          map[string]int // true secrets, by rule
	true, wrong tally          // by rule
	held        tally          // true ones found with a severity of medium or above, by rule
	forms       map[string]int // true secrets, by format
	formsTrue   tally
	formsHeld   tally
	likes       map[string]int // look-alikes, by way
	likesWrong  tally
	plain       map[string]int // bytes of ordinary material, by kind
	plainWrong  tally
}

func quality(b *strings.Builder, o options, engines []engine) error {
	all := rules.All()
	secrets, err := gatetest.Secrets(all, o.seed, o.each)
	if err != nil {
		return err
	}
	c := counts{
		of: map[string]int{}, true: tally{}, wrong: tally{}, held: tally{}, forms: map[string]int{}, formsTrue: tally{}, formsHeld: tally{},
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
func (c *counts) secrets(o options, samples []gatetest.Sample, engines []engine, of map[string]int, right, held tally) {
	for i := range samples {
		s := &samples[i]
		of[s.Kind]++
		for _, e := range engines {
			over, heavy := false, false
			for _, h := range e.find(s) {
				if s.Overlaps(h.offset, h.length) {
					over, heavy = true, heavy || !h.minor
				} else if !h.minor {
					c.wrong.add(e.name(), h.rule, 1)
				}
			}
			if heavy {
				held.add(e.name(), s.Kind, 1)
			}
			if over {
				right.add(e.name(), s.Kind, 1)
			} else if _, ours := e.(*kavach); ours && (o.show == "all" || o.show == s.Kind) {
				fmt.Printf("missed %s (%s): %q\n", s.Kind, s.How, s.Text)
			}
		}
	}
}

// harmless counts what is found where nothing is.
func (c *counts) harmless(o options, s *gatetest.Sample, key string, engines []engine, wrong tally) {
	for _, e := range engines {
		for _, h := range e.find(s) {
			if h.minor {
				continue
			}
			wrong.add(e.name(), key, 1)
			c.wrong.add(e.name(), h.rule, 1)
			if _, ours := e.(*kavach); ours && (o.show == "all" || o.show == h.rule) {
				fmt.Printf("wrong %s in %s (%s): %q\n", h.rule, s.Kind, s.How, s.Text[h.offset:min(int64(len(s.Text)), h.offset+h.length)])
			}
		}
	}
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
	row("the same, found with a severity of medium or above", func(e string) string {
		return percent(c.held.total(e)+c.formsHeld.total(e), n+forms)
	})
	row(fmt.Sprintf("precision, with %d look-alikes and %.1f MB of generated ordinary material", likes, float64(sum(c.plain))/1e6), func(e string) string {
		right := c.held.total(e) + c.formsHeld.total(e)
		return percent(right, right+c.wrong.total(e))
	})
	fmt.Fprint(b, "## In short\n\nRecall: a finding overlaps the secret. Precision: of all findings of severity medium or above (gitleaks has no severities), those that do. Both programs do well on secrets written from rules, since the rules are what both have; formats are the harder question.\n\n")
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
	fmt.Fprint(b, "## By rule\n\nRecall is of the rule's own secrets, by whichever rule; precision, of the rule's findings over its own secrets and elsewhere in generated material, where findings below medium do not count. Severities are Kavach's: what is low is told, and passes by default. A rule that is only Kavach's shows for gitleaks what its other rules find. No figure: it found nothing.\n\n")
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
			cell = append(cell, percent(c.true[e][rule.ID], c.true[e][rule.ID]+c.wrong[e][rule.ID]))
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

package gatetest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/kavach-dev/kavach/gate/rules"
)

// tries is how often a secret is written anew until its entropy is enough, no
// allowed word is in it by chance, and a context agrees with the expression.
const tries = 400

// Secrets writes n samples for each rule: text that the rule's own expression
// matches, with the issuer's checksum, in a context that agrees with it. Rules for
// names of files only are left out. The error names the rules for which nothing
// could be written; the samples of the others are there all the same.
func Secrets(all []rules.Rule, seed uint64, n int) ([]Sample, error) {
	var samples []Sample
	var errs []error
	for _, rule := range all {
		if rule.Regex == "" {
			continue
		}
		f, err := newForm(rule)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		r := random(seed, rule.ID)
		for range n {
			s, ok := f.sample(r)
			if !ok {
				errs = append(errs, fmt.Errorf("no secret of rule %s could be written in %d tries", rule.ID, tries))
				break
			}
			samples = append(samples, s)
		}
	}
	return samples, errors.Join(errs...)
}

// sample writes one secret, into a context that the rule agrees with.
func (f *form) sample(r *rand.Rand) (Sample, bool) {
	if write := writtenFor(f.ID); write != nil {
		for range tries { // its entropy may be too low by chance
			if s, ok := f.accept(write(r), "written", r); ok {
				return s, true
			}
		}
		return Sample{}, false
	}
	for range tries {
		p := pick(r, f.parts)
		w := newWriter(r, f.Regex)
		w.write(p.secret)
		secret := withChecksum(trimmed(w.String()))
		c := pick(r, contexts)
		text, start := c.fill(f.name(r, p), secret)
		if s, ok := f.accept(span{text, start, start + len(secret)}, c.how, r); ok {
			return s, true
		}
	}
	for range tries { // no context agrees: as the expression has it, all of it
		w := newWriter(r, f.Regex)
		w.write(f.tree)
		if start, end, ok := f.find(w.String()); ok {
			return f.accept(span{w.String(), start, end}, "as the rule has it", r)
		}
	}
	return Sample{}, false
}

// trimmed takes off what an expression asks for around a secret rather than in it.
func trimmed(s string) string { return strings.Trim(s, " \"'`\n;,()<>:=") + padding(s) }

func padding(s string) string {
	s = strings.TrimRight(s, " \"'`\n;,()<>:")
	return s[len(strings.TrimRight(s, "=")):]
}

// span is a text and where its secret is.
type span struct {
	text       string
	start, end int
}

// accept takes a text whose secret the rule finds, by the letter, where it is.
func (f *form) accept(s span, how string, r *rand.Rand) (Sample, bool) {
	text, shift := framed(r, s.text)
	start, end, ok := f.find(text)
	s.start, s.end = s.start+shift, s.end+shift
	if !ok || start >= s.end || end <= s.start {
		return Sample{}, false
	}
	return Sample{Kind: f.ID, How: how, Name: paths[f.ID], Text: []byte(text), Start: s.start, End: s.end}, true
}

// endings are what people add to a vendor's name.
var endings = []string{"", "_token", "_api_key", "_key", "_secret", "_access_token", "-token", ".key"}

// name is what the rule wants to see before the operator, or the vendor's.
func (f *form) name(r *rand.Rand, p parts) string {
	vendor, _, _ := strings.Cut(f.ID, "-")
	if p.name != nil {
		w := newWriter(r, f.Regex)
		w.least = true
		for _, re := range p.name {
			w.write(re)
		}
		vendor = strings.Trim(w.String(), " '\",")
	}
	return vendor + pick(r, endings)
}

package policy

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"
)

// credentialRule intersects what commands are given: a secret that one policy does
// not give is one that it keeps from them.
func credentialRule() rule {
	return rule{
		rows: []Rule{
			{"credentials", "what both give; what only one gives is not given"},
			{"credentials.name", "by it, credentials are the same"},
			{"credentials.source", "no order: two that differ are an error"},
			{"credentials.as", "no order, where empty is env:NAME: two that differ are an error"},
			{"credentials.lifetime", "the shorter, where empty is command: the shorter of two durations, and a duration before command before sandbox"},
			{"credentials.shared", "false is stricter than true"},
		},
		merge: mergeCredentials,
		covers: func(a, b *Policy) bool {
			inA := credentialsByName(a)
			return !slices.ContainsFunc(b.Credentials, func(c Credential) bool {
				other, there := inA[c.Name]
				return !there || !sameWay(other, c) || !c.within(other)
			})
		},
		diff:   diffCredentials,
		values: credentialValues,
	}
}

func mergeCredentials(ps *problems, to, a, b *Policy) {
	inA, inB := credentialsByName(a), credentialsByName(b)
	for _, name := range credentialNames(inA, inB) {
		first, there := inA[name]
		second, both := inB[name]
		if !there || !both {
			continue
		}
		const fix = "make them the same, or give one of the credentials another name"
		if first.Source != second.Source {
			ps.add(credentialField(name)+".source", fmt.Sprintf("%s and %s cannot be merged", plain(first.Source), plain(second.Source)), fix)
		}
		if first.target() != second.target() {
			ps.add(credentialField(name)+".as", fmt.Sprintf("%s and %s cannot be merged", plain(first.target()), plain(second.target())), fix)
		}
		if second.lasts(first) < 0 {
			first.Lifetime = second.Lifetime
		}
		first.Shared = first.Shared && second.Shared
		to.Credentials = append(to.Credentials, first)
	}
}

// lasts compares for how long c and d are given.
func (c Credential) lasts(d Credential) int {
	rank := func(c Credential) (int, time.Duration) {
		after, _ := c.Expires()
		return slices.Index([]string{LifetimeCommand, LifetimeSandbox}, c.Effective().Lifetime), after // -1 is a duration
	}
	first, after := rank(c)
	second, later := rank(d)
	return cmp.Or(cmp.Compare(first, second), cmp.Compare(after, later))
}

// sameWay reports whether c and d come from one place and go to one.
func sameWay(c, d Credential) bool { return c.Source == d.Source && c.target() == d.target() }

// within reports whether c, which goes the way of d, is given no longer, and read
// from no file that d does not allow.
func (c Credential) within(d Credential) bool { return c.lasts(d) <= 0 && (d.Shared || !c.Shared) }

// target is As, whether it is said or not.
func (c Credential) target() string { return c.Effective().As }

// lifetime is Lifetime in one spelling.
func (c Credential) lifetime() string {
	if after, expires := c.Expires(); expires {
		return Duration(after).String()
	}
	return c.Effective().Lifetime
}

func diffCredentials(from, to *Policy) []Difference {
	before, after := credentialsByName(from), credentialsByName(to)
	var list []Difference
	for _, name := range credentialNames(before, after) {
		old, was := before[name]
		now, is := after[name]
		d := Difference{Field: credentialField(name), From: "not given", To: "not given"}
		switch {
		case was && is:
			list = append(list, diffCredential(d.Field, old, now)...)
			continue
		case was:
			d.From, d.Effect = old.words(), Stricter
		default:
			d.To, d.Effect = now.words(), Weaker
		}
		list = append(list, d)
	}
	return list
}

// diffCredential compares two credentials of one name.
func diffCredential(field string, from, to Credential) []Difference {
	var list []Difference
	if from.Source != to.Source {
		list = append(list, Difference{Field: field + ".source", From: plain(from.Source), To: plain(to.Source), Effect: Different})
	}
	if from.target() != to.target() {
		list = append(list, Difference{Field: field + ".as", From: plain(from.target()), To: plain(to.target()), Effect: Different})
	}
	lifetime := Difference{
		Field: field + ".lifetime", From: from.lifetime(), To: to.lifetime(),
		Effect: effect(to.lasts(from) <= 0, from.lasts(to) <= 0),
	}
	shared := Difference{
		Field: field + ".shared", From: strconv.FormatBool(from.Shared), To: strconv.FormatBool(to.Shared),
		Effect: effect(from.Shared || !to.Shared, to.Shared || !from.Shared),
	}
	return append(append(list, lifetime.unless(Same)...), shared.unless(Same)...)
}

func credentialValues(p *Policy) []Value {
	named := credentialsByName(p)
	var list []Value
	for _, name := range credentialNames(named, nil) {
		list = append(list, Value{Field: credentialField(name), Value: named[name].words()})
	}
	if len(list) == 0 {
		list = append(list, Value{Field: "credentials", Value: "none"})
	}
	return list
}

// words is a credential in a few words: "env:GH, as env:GITHUB_TOKEN, command".
func (c Credential) words() string {
	text := fmt.Sprintf("%s, as %s, %s", plain(c.Source), plain(c.target()), c.lifetime())
	if c.Shared {
		text += ", shared"
	}
	return text
}

func credentialsByName(p *Policy) map[string]Credential {
	named := make(map[string]Credential, len(p.Credentials))
	for _, c := range p.Credentials {
		named[c.Name] = c
	}
	return named
}

func credentialNames(a, b map[string]Credential) []string {
	return sorted(slices.Concat(slices.Collect(maps.Keys(a)), slices.Collect(maps.Keys(b))))
}

func credentialField(name string) string { return fmt.Sprintf("credentials[%q]", name) }

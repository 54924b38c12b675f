package policy

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
)

// externalRule unites the programs: with each more of them less leaves. By what
// they do to the host they have no order: a program of either policy runs there.
func externalRule() rule {
	return rule{
		rows: []Rule{
			{"gate.external", "the programs of both"},
			{"gate.external.name", "by it, programs are the same"},
			{"gate.external.command", "no order: two that differ are an error"},
			{"gate.external.timeout", "no order, where zero is the default: two that differ are an error"},
		},
		merge: mergeExternal,
		covers: func(a, b *Policy) bool {
			inB := externalByName(b)
			return !slices.ContainsFunc(a.Gate.External, func(x ExternalScanner) bool {
				other, there := inB[x.Name]
				return !there || !x.same(other)
			})
		},
		diff:   diffExternal,
		values: externalValues,
	}
}

func mergeExternal(ps *problems, to, a, b *Policy) {
	inA, inB := externalByName(a), externalByName(b)
	for _, name := range scannerNames(inA, inB) {
		first, there := inA[name]
		second, both := inB[name]
		if !there {
			first = second
		}
		if there && both {
			if !slices.Equal(first.Command, second.Command) {
				ps.add(externalField(name)+".command", fmt.Sprintf("%s and %s cannot be merged", listText(first.Command, ""), listText(second.Command, "")),
					"make them the same, or give one of the programs another name")
			}
			if first.timeout() != second.timeout() {
				ps.add(externalField(name)+".timeout", fmt.Sprintf("%s and %s cannot be merged", first.timeout(), second.timeout()), "make them the same")
			}
		}
		first.Command = slices.Clone(first.Command)
		to.Gate.External = append(to.Gate.External, first)
	}
}

func diffExternal(from, to *Policy) []Difference {
	before, after := externalByName(from), externalByName(to)
	var list []Difference
	for _, name := range scannerNames(before, after) {
		old, was := before[name]
		now, is := after[name]
		d := Difference{Field: externalField(name), From: "none", To: "none", Effect: Different}
		if was {
			d.From, d.Effect = old.words(), Weaker
		}
		if is {
			d.To, d.Effect = now.words(), Stricter
		}
		if was && is {
			if old.same(now) {
				continue
			}
			d.Effect = Different
		}
		list = append(list, d)
	}
	return list
}

func externalValues(p *Policy) []Value {
	named := externalByName(p)
	var list []Value
	for _, name := range scannerNames(named, nil) {
		list = append(list, Value{Field: externalField(name), Value: named[name].words()})
	}
	if len(list) == 0 {
		list = append(list, Value{Field: "gate.external", Value: "none"})
	}
	return list
}

func (x ExternalScanner) timeout() Duration { return cmp.Or(x.Timeout, DefaultScanTimeout) }

// same reports whether x and y are the same program, whatever they are called.
func (x ExternalScanner) same(y ExternalScanner) bool {
	return slices.Equal(x.Command, y.Command) && x.timeout() == y.timeout()
}

// words is a program in a few words: "[/usr/bin/clamdscan, -], 30s".
func (x ExternalScanner) words() string {
	return fmt.Sprintf("%s, %s", listText(x.Command, ""), x.timeout())
}

func externalByName(p *Policy) map[string]ExternalScanner {
	named := make(map[string]ExternalScanner, len(p.Gate.External))
	for _, x := range p.Gate.External {
		named[x.Name] = x
	}
	return named
}

func scannerNames(a, b map[string]ExternalScanner) []string {
	return sorted(slices.Concat(slices.Collect(maps.Keys(a)), slices.Collect(maps.Keys(b))))
}

func externalField(name string) string { return fmt.Sprintf("gate.external[%q]", name) }

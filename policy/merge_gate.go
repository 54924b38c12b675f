package policy

import (
	"cmp"
	"maps"
	"slices"
)

// gateModeRule is of the mode, whose zero depends on the external scanners. Those
// of both are kept, so a mode that is collected for their sake stays so.
func gateModeRule() rule {
	const name = "gate.mode"
	modes := []string{GateCollected, GateLive, GateOff}
	rank := func(p *Policy) int { return slices.Index(modes, p.Gate.mode()) }
	value := func(p *Policy) Value { return Value{name, p.Gate.mode(), p.Gate.Mode == ""} }
	return rule{
		rows: []Rule{{name, "the first of collected, live, off, where empty is live, and with gate.external collected"}},
		merge: func(_ *problems, to, a, b *Policy) {
			stricter := a
			if rank(b) < rank(a) {
				stricter = b
			}
			to.Gate.Mode = stricter.Gate.Mode
		},
		covers: func(a, b *Policy) bool { return rank(b) <= rank(a) },
		diff: func(from, to *Policy) []Difference {
			d := Difference{Field: name, From: value(from).String(), To: value(to).String(), Effect: effect(rank(to) <= rank(from), rank(from) <= rank(to))}
			return d.unless(Same)
		},
		values: func(p *Policy) []Value { return []Value{value(p)} },
	}
}

// threshold is the rule of a severity from which on something is done: where it is
// done from a milder one on, it is done more often.
func threshold(name, zero string, at func(*Policy) *string) rule {
	return rankedFrom(name, "the lower severity, where off is above all, and empty is "+zero, zero, at, severitiesOrOff()...)
}

// allScanners are the scanners that a or b names.
func allScanners(a, b []string) ([]string, bool) { return effectiveScanners(slices.Concat(a, b)), true }

// asRuled stands for the severity that a rule has by itself, where a policy does
// not raise it.
const asRuled = "as it is"

// severityRule has no need of what a rule has by itself, which a policy does not
// know: the higher of that and of two others is never less than with one of them.
func severityRule() rule {
	const name = "gate.severity"
	return rule{
		rows: []Rule{{name, "for each rule that one of them names, the higher"}},
		merge: func(_ *problems, to, a, b *Policy) {
			for _, id := range ruleIDs(a, b) {
				if to.Gate.Severity == nil {
					to.Gate.Severity = make(map[string]string)
				}
				to.Gate.Severity[id] = Severities()[max(raisedTo(a, id), raisedTo(b, id))]
			}
		},
		covers: func(a, b *Policy) bool {
			return !slices.ContainsFunc(ruleIDs(a, a), func(id string) bool { return raisedTo(a, id) > raisedTo(b, id) })
		},
		diff: diffSeverities,
		values: func(p *Policy) []Value {
			var list []Value
			for _, id := range ruleIDs(p, p) {
				list = append(list, Value{Field: severityField(id), Value: p.Gate.Severity[id]})
			}
			if len(list) == 0 {
				list = append(list, Value{Field: name, Value: asRuled})
			}
			return list
		},
	}
}

func diffSeverities(from, to *Policy) []Difference {
	var list []Difference
	for _, id := range ruleIDs(from, to) {
		before, after := raisedTo(from, id), raisedTo(to, id)
		d := Difference{
			Field: severityField(id), From: cmp.Or(from.Gate.Severity[id], asRuled), To: cmp.Or(to.Gate.Severity[id], asRuled),
			Effect: effect(before <= after, after <= before),
		}
		list = append(list, d.unless(Same)...)
	}
	return list
}

// raisedTo is the place in Severities of what a rule has at least. No rule has less
// than the mildest, so that raises nothing, and stands for a rule that is not named.
func raisedTo(p *Policy, id string) int {
	return max(0, slices.Index(Severities(), p.Gate.Severity[id]))
}

// ruleIDs are the rules that a or b raises.
func ruleIDs(a, b *Policy) []string {
	ids := slices.Concat(slices.Collect(maps.Keys(a.Gate.Severity)), slices.Collect(maps.Keys(b.Gate.Severity)))
	return sorted(ids)
}

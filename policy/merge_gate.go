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
// not name the rule.
const asRuled = "as it is"

// severityOrder has the strictest first. What a rule has by itself is not known
// here, so its place is a decision: it is taken to be stricter than low, and milder
// than medium. So of the rules that one policy names and the other does not, those
// that it lowers that far stay as they are, and the others get what it says, even
// where that is less than they have by themselves. A policy that must not be
// weakened so names the rule.
func severityOrder() []string {
	return []string{SeverityCritical, SeverityHigh, SeverityMedium, asRuled, SeverityLow, SeverityInfo, Off}
}

func severityRule() rule {
	return rule{
		rows: []Rule{{"gate.severity", "for each rule the higher, where off is the lowest; of a rule that only one names, off, info and low are dropped, and others kept"}},
		merge: func(_ *problems, to, a, b *Policy) {
			for _, id := range ruleIDs(a, b) {
				first, second := severityRank(a, id), severityRank(b, id)
				if stricter := severityOrder()[min(first, second)]; stricter != asRuled {
					if to.Gate.Severity == nil {
						to.Gate.Severity = make(map[string]string)
					}
					to.Gate.Severity[id] = stricter
				}
			}
		},
		covers: func(a, b *Policy) bool {
			return !slices.ContainsFunc(ruleIDs(a, b), func(id string) bool { return severityRank(b, id) > severityRank(a, id) })
		},
		diff: diffSeverities,
		values: func(p *Policy) []Value {
			var list []Value
			for _, id := range ruleIDs(p, p) {
				list = append(list, Value{Field: severityField(id), Value: p.Gate.Severity[id]})
			}
			if len(list) == 0 {
				list = append(list, Value{Field: "gate.severity", Value: asRuled})
			}
			return list
		},
	}
}

func diffSeverities(from, to *Policy) []Difference {
	var list []Difference
	for _, id := range ruleIDs(from, to) {
		before, after := severityRank(from, id), severityRank(to, id)
		order := severityOrder()
		d := Difference{
			Field: severityField(id), From: order[before], To: order[after],
			Effect: effect(after <= before, before <= after),
		}
		if d.Effect != Same && (undecided(d.From, d.To) || undecided(d.To, d.From)) {
			d.Effect = Different
		}
		list = append(list, d.unless(Same)...)
	}
	return list
}

// undecided reports whether first is what a rule has by itself, and second may be
// more or less than that: critical is never less, info and off never more.
func undecided(first, second string) bool {
	return first == asRuled && slices.Contains([]string{SeverityLow, SeverityMedium, SeverityHigh}, second)
}

// severityRank is the place of the rule's severity in severityOrder.
func severityRank(p *Policy, id string) int {
	return slices.Index(severityOrder(), cmp.Or(p.Gate.Severity[id], asRuled))
}

// ruleIDs are the rules that a or b names.
func ruleIDs(a, b *Policy) []string {
	ids := slices.Concat(slices.Collect(maps.Keys(a.Gate.Severity)), slices.Collect(maps.Keys(b.Gate.Severity)))
	return sorted(ids)
}

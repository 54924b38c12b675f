package policy

import (
	"errors"
	"fmt"
	"maps"
	"slices"
)

// Merge is the policy that allows what both a and b allow: the stricter of each
// field, by the table of Rules. A field that is not set has the value that its
// zero stands for, so the zero policy denies in a merge too: what it does not
// show, allow or name is not shown, allowed or named by the result.
//
// Merge is idempotent, commutative but for Name, associative where no step is an
// error, and Covers(a, m) and Covers(b, m) hold of what it returns. It changes
// neither policy, and shares no memory with them.
//
// The error is what errors.Join makes of one *FieldError a problem, in the order
// of the fields: those of Validate where a or b is not valid, else one for each
// field that has no value as strict as both. There is no result then.
func Merge(a, b Policy) (Policy, error) {
	if err := errors.Join(a.Validate(), b.Validate()); err != nil {
		return Policy{}, err
	}
	var found problems
	var merged Policy
	for _, r := range rules() {
		r.merge(&found, &merged, &a, &b)
	}
	if err := errors.Join(found...); err != nil {
		return Policy{}, err
	}
	return merged, nil
}

// nameRule joins the names. They mean nothing, so they are not compared.
func nameRule() rule {
	return rule{
		rows: []Rule{{"name", "no meaning: both, joined by +, where they differ"}},
		merge: func(_ *problems, to, a, b *Policy) {
			switch {
			case a.Name == b.Name || b.Name == "":
				to.Name = a.Name
			case a.Name == "":
				to.Name = b.Name
			default:
				to.Name = a.Name + " + " + b.Name
			}
		},
		covers: func(_, _ *Policy) bool { return true },
		diff:   func(_, _ *Policy) []Difference { return nil },
		values: func(p *Policy) []Value { return []Value{{Field: "name", Value: textOf("none")(p.Name)}} },
	}
}

// envRule unites the variables: one of them grants nothing, and a command that
// one side gives it to may need it.
func envRule() rule {
	return rule{
		rows: []Rule{{"process.env", "no order: the variables of both; values that differ are an error"}},
		merge: func(ps *problems, to, a, b *Policy) {
			for _, name := range slices.Sorted(maps.Keys(a.Process.Env)) {
				if value, both := b.Process.Env[name]; both && value != a.Process.Env[name] {
					// Not which: errors are logged, and a value may be a secret.
					ps.add(envField(name), "two different values cannot be merged", "make them the same, or leave one out")
				}
			}
			if len(a.Process.Env)+len(b.Process.Env) > 0 {
				to.Process.Env = maps.Clone(b.Process.Env)
				if to.Process.Env == nil {
					to.Process.Env = make(map[string]string)
				}
				maps.Copy(to.Process.Env, a.Process.Env)
			}
		},
		covers: func(a, b *Policy) bool {
			for name, value := range a.Process.Env {
				if got, set := b.Process.Env[name]; !set || got != value {
					return false
				}
			}
			return true
		},
		diff:   diffEnv,
		values: envValues,
	}
}

func diffEnv(from, to *Policy) []Difference {
	names := maps.Clone(from.Process.Env)
	if names == nil {
		names = make(map[string]string)
	}
	maps.Copy(names, to.Process.Env)
	var list []Difference
	for _, name := range slices.Sorted(maps.Keys(names)) {
		d := Difference{Field: envField(name), From: "not set", To: "not set", Effect: Different}
		before, was := from.Process.Env[name]
		after, is := to.Process.Env[name]
		if was {
			d.From = quote(before)
		}
		if is {
			d.To = quote(after)
		}
		if was != is || before != after {
			list = append(list, d)
		}
	}
	return list
}

func envValues(p *Policy) []Value {
	var list []Value
	for _, name := range slices.Sorted(maps.Keys(p.Process.Env)) {
		list = append(list, Value{Field: envField(name), Value: quote(p.Process.Env[name])})
	}
	if len(list) == 0 {
		list = append(list, Value{Field: "process.env", Value: "none"})
	}
	return list
}

func envField(name string) string { return fmt.Sprintf("process.env[%q]", name) }

package policy

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// Rule says what Merge makes of one field, and by which order Diff and Covers
// compare it. docs/policies.md shows the table.
type Rule struct {
	// Field is its key in a policy file.
	Field string

	// Stricter is which of two values is the stricter, and what comes of two
	// that differ and have no order.
	Stricter string
}

// Rules has a Rule for each field, in the order of the fields.
func Rules() []Rule {
	var list []Rule
	for _, r := range rules() {
		list = append(list, r.rows...)
	}
	return list
}

// rule is a Rule, or those of fields that make sense only together, with what
// it does.
type rule struct {
	rows []Rule

	// merge sets the field in to, or notes why it cannot.
	merge func(ps *problems, to, a, b *Policy)

	// covers reports whether a allows here all that b allows.
	covers func(a, b *Policy) bool

	diff   func(from, to *Policy) []Difference
	values func(p *Policy) []Value
}

// rules is the one table. A field may look at what was merged above it.
func rules() []rule {
	return []rule{
		nameRule(),
		rootRule(),
		mountRule(),
		listed("filesystem.protected", "what both name; nothing in common: none",
			func(p *Policy) *[]string { return &p.Filesystem.Protected }, sorted[string], intersection[string], "none"),
		toggle("filesystem.writable", func(p *Policy) *bool { return &p.Filesystem.Writable }),
		limit("filesystem.tmp_size", "the smaller; zero: no place is writable", 0, func(p *Policy) *Bytes { return &p.Filesystem.TmpSize }),
		ranked("filesystem.landlock", func(p *Policy) *string { return &p.Filesystem.Landlock }, On, Off),
		ranked("seccomp.profile", func(p *Policy) *string { return &p.Seccomp.Profile }, SeccompStrict, SeccompDefault, Off),
		listed("seccomp.files", "all files of both: a call must be allowed by each",
			func(p *Policy) *[]string { return &p.Seccomp.Files }, sorted[string], union[string], "none"),
		ranked("seccomp.mode", func(p *Policy) *string { return &p.Seccomp.Mode }, SeccompEnforce, SeccompLog),
		toggle("network.loopback", func(p *Policy) *bool { return &p.Network.Loopback }),
		limit("resources.memory", smaller, DefaultMemory, func(p *Policy) *Bytes { return &p.Resources.Memory }),
		limit("resources.swap", "the smaller; zero: none", 0, func(p *Policy) *Bytes { return &p.Resources.Swap }),
		limit("resources.io_read", bounded, Unlimited, func(p *Policy) *Bytes { return &p.Resources.IORead }),
		limit("resources.io_write", bounded, Unlimited, func(p *Policy) *Bytes { return &p.Resources.IOWrite }),
		limit("resources.cpus", smaller, DefaultCPUs, func(p *Policy) *float64 { return &p.Resources.CPUs }),
		limit("resources.pids", smaller, DefaultPIDs, func(p *Policy) *int { return &p.Resources.PIDs }),
		limit("resources.output", smaller, DefaultOutput, func(p *Policy) *Bytes { return &p.Resources.Output }),
		limit("resources.timeout", smaller, DefaultTimeout, func(p *Policy) *Duration { return &p.Resources.Timeout }),
		demand("process.user", func(p *Policy) *string { return &p.Process.User }),
		envRule(),
		demand("process.workdir", func(p *Policy) *string { return &p.Process.Workdir }),
		listed("wasm.modules", "what both name, where empty is any; nothing in common is an error",
			func(p *Policy) *[]string { return &p.Wasm.Modules }, sorted[string], someOfNamed, "any"),
		demand("wasm.clock", func(p *Policy) *string { return &p.Wasm.Clock }),
		demand("wasm.seed", func(p *Policy) *string { return &p.Wasm.Seed }),
		gateModeRule(),
		listed("gate.scanners", "those of both, where empty is secrets, terminal, content",
			func(p *Policy) *[]string { return &p.Gate.Scanners }, effectiveScanners, allScanners, "none"),
		threshold("gate.redact", SeverityMedium, func(p *Policy) *string { return &p.Gate.Redact }),
		threshold("gate.quarantine", Off, func(p *Policy) *string { return &p.Gate.Quarantine }),
		threshold("gate.block", Off, func(p *Policy) *string { return &p.Gate.Block }),
		severityRule(),
		listed("gate.ignore", "what both name; nothing in common: each rule counts",
			func(p *Policy) *[]string { return &p.Gate.Ignore }, sorted[string], intersection[string], "none"),
		ranked("gate.input", func(p *Policy) *string { return &p.Gate.Input }, InputCounts, InputAllowed),
		externalRule(),
		credentialRule(),
		field("require.min_score", "the higher",
			func(p *Policy) *int { return &p.Require.MinScore }, same[int], higher, strconv.Itoa),
		listed("require.backends", "what both name, where empty is all but noop; nothing in common is an error",
			func(p *Policy) *[]string { return &p.Require.Backends }, backendsOf, someOf, "none"),
		listed("best_effort", "what both name; nothing in common: each control is needed",
			func(p *Policy) *[]Control { return &p.BestEffort }, sorted[Control], intersection[Control], "none"),
	}
}

const (
	smaller = "the smaller, where zero is the default and unlimited the largest"
	bounded = "the smaller, where zero is unlimited, and that the largest"
)

// field is the rule of one value. normal gives all values that mean the same
// one form. meet is what is as strict as each of two normal values and no
// stricter; false: nothing is. b is as strict as a where meet(a, b) is b.
func field[T any](name, stricter string, at func(*Policy) *T, normal func(T) T, meet func(a, b T) (T, bool), text func(T) string) rule {
	value := func(p *Policy) Value {
		said, meant := reflect.ValueOf(at(p)).Elem(), normal(*at(p))
		return Value{name, text(meant), said.IsZero() && !reflect.ValueOf(&meant).Elem().IsZero()}
	}
	covers := func(a, b *Policy) bool {
		met, ok := meet(normal(*at(a)), normal(*at(b)))
		return ok && reflect.DeepEqual(met, normal(*at(b)))
	}
	return rule{
		rows:   []Rule{{name, stricter}},
		covers: covers,
		merge: func(ps *problems, to, a, b *Policy) {
			met, ok := meet(normal(*at(a)), normal(*at(b)))
			switch {
			case !ok:
				ps.add(name, fmt.Sprintf("%s and %s cannot be merged", value(a), value(b)), "make them the same, or leave one out")
			case covers(b, a): // a has the stricter value, and spells it as it likes
				*at(to) = *at(a)
			case covers(a, b):
				*at(to) = *at(b)
			default:
				*at(to) = met
			}
		},
		diff: func(from, to *Policy) []Difference {
			d := Difference{Field: name, From: value(from).String(), To: value(to).String(), Effect: effect(covers(from, to), covers(to, from))}
			return d.unless(Same)
		},
		values: func(p *Policy) []Value { return []Value{value(p)} },
	}
}

// listed is the rule of a list whose order means nothing. What is merged is
// never a part of a policy that was merged.
func listed[T ~string](name, stricter string, at func(*Policy) *[]T, normal func([]T) []T, meet func(a, b []T) ([]T, bool), none string) rule {
	r := field(name, stricter, at, normal, meet, func(list []T) string { return listText(list, none) })
	merge := r.merge
	r.merge = func(ps *problems, to, a, b *Policy) {
		merge(ps, to, a, b)
		*at(to) = slices.Clone(*at(to))
	}
	return r
}

// toggle is the rule of something that is allowed or not.
func toggle(name string, at func(*Policy) *bool) rule {
	both := func(a, b bool) (bool, bool) { return a && b, true }
	return field(name, "false is stricter than true", at, same[bool], both, strconv.FormatBool)
}

// ranked is the rule of a name. The strictest stands first, and for "".
func ranked(name string, at func(*Policy) *string, names ...string) rule {
	return rankedFrom(name, "the first of "+strings.Join(names, ", "), names[0], at, names...)
}

// rankedFrom is ranked, where "" is not the strictest.
func rankedFrom(name, stricter, zero string, at func(*Policy) *string, names ...string) rule {
	normal := func(s string) string { return cmp.Or(s, zero) }
	meet := func(a, b string) (string, bool) {
		return names[min(slices.Index(names, a), slices.Index(names, b))], true
	}
	return field(name, stricter, at, normal, meet, textOf(""))
}

// limit is the rule of a number that bounds, and for which zero stands for what.
func limit[T int | float64 | Bytes | Duration](name, stricter string, zero T, at func(*Policy) *T) rule {
	normal := func(v T) T { return cmp.Or(v, zero) }
	meet := func(a, b T) (T, bool) {
		if a == Unlimited {
			return b, true
		}
		if b == Unlimited {
			return a, true
		}
		return min(a, b), true
	}
	text := func(v T) string {
		if v == Unlimited {
			return unlimitedText
		}
		return fmt.Sprint(v)
	}
	return field(name, stricter, at, normal, meet, text)
}

// demand is the rule of a value that grants nothing, and that either side may
// leave to the other.
func demand(name string, at func(*Policy) *string) rule {
	r := field(name, "no order: what one leaves empty, the other says; two that differ are an error",
		at, same[string], eitherSays, textOf("not set"))
	r.diff = differently(r.diff)
	return r
}

// differently is diff without an order.
func differently(diff func(from, to *Policy) []Difference) func(from, to *Policy) []Difference {
	return func(from, to *Policy) []Difference {
		list := diff(from, to)
		for i := range list {
			list[i].Effect = Different
		}
		return list
	}
}

// eitherSays is what one of two texts says where the other is empty.
func eitherSays(a, b string) (string, bool) {
	switch {
	case a == b:
		return a, true
	case a != "" && b != "":
		return "", false
	}
	return a + b, true
}

func higher(a, b int) (int, bool) { return max(a, b), true }

func same[T any](v T) T { return v }

// sorted is list in one order, and nil where it is empty.
func sorted[T ~string](list []T) []T {
	if len(list) == 0 {
		return nil
	}
	return slices.Compact(slices.Sorted(slices.Values(list)))
}

func intersection[T ~string](a, b []T) ([]T, bool) {
	inB := make(map[T]bool, len(b))
	for _, item := range b {
		inB[item] = true
	}
	var both []T
	for _, item := range a {
		if inB[item] {
			both = append(both, item)
		}
	}
	return both, true
}

func union[T ~string](a, b []T) ([]T, bool) { return sorted(slices.Concat(a, b)), true }

// backendsOf is what a list of require.backends lets be chosen, weakest first.
// Noop is chosen only where it is named, so an empty list does not hold it.
func backendsOf(list []string) []string {
	return slices.DeleteFunc(BackendNames(), func(name string) bool {
		if len(list) == 0 {
			return name == "noop"
		}
		return !slices.Contains(list, name)
	})
}

// someOf is intersection where an empty list would allow what neither does.
func someOf(a, b []string) ([]string, bool) {
	both, _ := intersection(a, b)
	return both, len(both) > 0
}

// someOfNamed is someOf for lists of which an empty one names all there are.
func someOfNamed(a, b []string) ([]string, bool) {
	if len(a) == 0 || len(b) == 0 {
		return slices.Concat(a, b), true
	}
	return someOf(a, b)
}

// textOf is how a text is told, with a word for one that is empty.
func textOf(empty string) func(string) string {
	return func(s string) string { return cmp.Or(plain(s), empty) }
}

// plain is s, quoted where it would not be one word on one line.
func plain(s string) string {
	if quoted := quote(s); quoted != `"`+s+`"` || strings.ContainsAny(s, " ,()") {
		return quoted
	}
	return s
}

func listText[T ~string](list []T, none string) string {
	if len(list) == 0 {
		return none
	}
	words := make([]string, len(list))
	for i, item := range list {
		words[i] = plain(string(item))
	}
	return "[" + strings.Join(words, ", ") + "]"
}

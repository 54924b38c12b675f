package seccomp

import (
	"fmt"
	"slices"
	"strings"
)

// decision says what one call is answered: by the first clause that holds, or
// else otherwise.
type decision struct {
	clauses   []clause
	otherwise uint32
}

type clause struct {
	when   alternative
	answer uint32
}

// list is a profile as the compiler sees it: a decision for each call that the
// machine has, in its order.
type list struct {
	calls []*decision

	// unknown answers numbers that the tables do not know, but for those of x32.
	unknown uint32
}

// action is an answer without its errno, in the kernel's order (seccomp(2)): of
// several filters' answers the lowest counts, as a signed number.
func action(answer uint32) int32 { return int32(answer & 0xffff_0000) }

// stricter is the answer that counts of two. Of two errnos it is the first.
func stricter(a, b uint32) uint32 {
	if action(b) < action(a) {
		return b
	}
	return a
}

// passes reports whether an answer lets a call through.
func passes(answer uint32) bool { return answer == retAllow || answer == retLog }

// eval is what a decision comes to for these arguments.
func (d *decision) eval(args [6]uint64) uint32 {
	for _, c := range d.clauses {
		if c.when.holds(args) {
			return c.answer
		}
	}
	return d.otherwise
}

func (a alternative) holds(args [6]uint64) bool {
	return !slices.ContainsFunc(a, func(t test) bool { return !t.holds(args) })
}

func (t *test) holds(args [6]uint64) bool {
	v := args[t.arg] & t.mask
	if t.least {
		return (v >= t.values[0]) != t.not
	}
	return slices.Contains(t.values, v) != t.not
}

// simplify drops the clauses at the end that change nothing.
func (d *decision) simplify() {
	for n := len(d.clauses); n > 0 && d.clauses[n-1].answer == d.otherwise; n-- {
		d.clauses = d.clauses[:n-1]
	}
}

// both is the decision of two filters that are asked one after the other.
func both(a, b *decision) (*decision, error) {
	if len(a.clauses) > 0 && len(b.clauses) >= maxInstructions/len(a.clauses) {
		return nil, fmt.Errorf("%d and %d rules on the arguments of one call are more than the kernel takes", len(a.clauses), len(b.clauses))
	}
	out := &decision{otherwise: stricter(a.otherwise, b.otherwise)}
	for _, x := range append(slices.Clone(a.clauses), clause{nil, a.otherwise}) {
		for _, y := range append(slices.Clone(b.clauses), clause{nil, b.otherwise}) {
			out.clauses = append(out.clauses, clause{slices.Concat(x.when, y.when), stricter(x.answer, y.answer)})
		}
	}
	out.clauses = out.clauses[:len(out.clauses)-1] // the last is otherwise
	out.simplify()
	return out, nil
}

// combine is what lists of one machine that hold side by side answer together.
func combine(m machine, lists ...list) (list, error) {
	out := lists[0]
	for _, next := range lists[1:] {
		type pair struct{ a, b *decision }
		made := make(map[pair]*decision)
		calls := make([]*decision, len(m.calls))
		for i := range calls {
			p := pair{out.calls[i], next.calls[i]}
			if made[p] == nil {
				d, err := both(p.a, p.b)
				if err != nil {
					return list{}, fmt.Errorf("compile seccomp filter: %s: %w", m.calls[i].name, err)
				}
				made[p] = d
			}
			calls[i] = made[p]
		}
		out = list{calls, stricter(out.unknown, next.unknown)}
	}
	return out, nil
}

// translate answers otherwise: what to makes of each answer.
func (l list) translate(to func(uint32) uint32) list {
	made := make(map[*decision]*decision)
	out := list{make([]*decision, len(l.calls)), to(l.unknown)}
	for i, from := range l.calls {
		d := made[from]
		if d == nil {
			d = &decision{otherwise: to(from.otherwise)}
			for _, c := range from.clauses {
				d.clauses = append(d.clauses, clause{c.when, to(c.answer)})
			}
			d.simplify()
			made[from] = d
		}
		out.calls[i] = d
	}
	return out
}

// listOf is a list of the tables.
func listOf(in profiles, m machine) list {
	refusal := &decision{otherwise: retErrno | errEPERM}
	absent := &decision{otherwise: retErrno | errENOSYS}
	allow := &decision{otherwise: retAllow}
	decided := make(map[string]*decision, len(syscallsAMD64))
	for _, table := range [...][]group{allowed[:], refused[:]} {
		for i := range table {
			g := &table[i]
			d := allow
			switch {
			case g.absent:
				d = absent
			case g.in&in == 0:
				continue
			case g.when != nil:
				d = &decision{otherwise: refusal.otherwise}
				for _, a := range g.when {
					d.clauses = append(d.clauses, clause{a, retAllow})
				}
			}
			for name := range strings.FieldsSeq(g.calls) {
				decided[name] = d
			}
		}
	}
	l := list{make([]*decision, len(m.calls)), retErrno | errENOSYS}
	for i, c := range m.calls {
		if l.calls[i] = decided[c.name]; l.calls[i] == nil {
			l.calls[i] = refusal
		}
	}
	return l
}

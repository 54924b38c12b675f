package seccomp

import (
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

// ruling is what a call is answered by decisions that hold side by side: the
// strictest of their answers.
type ruling struct{ parts []*decision }

// list is a profile as the compiler sees it, or several that hold side by side:
// a ruling for each call that the machine has, in its order.
type list struct {
	calls []*ruling

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

// eval is what a ruling comes to for these arguments.
func (r *ruling) eval(args [6]uint64) uint32 {
	answer := uint32(retAllow)
	for _, d := range r.parts {
		answer = stricter(answer, d.eval(args))
	}
	return answer
}

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

// combine is what lists of one machine that hold side by side answer together.
func combine(lists ...list) list {
	out := lists[0]
	for _, next := range lists[1:] {
		type pair struct{ a, b *ruling }
		made := make(map[pair]*ruling)
		calls := make([]*ruling, len(out.calls))
		for i := range calls {
			p := pair{out.calls[i], next.calls[i]}
			if made[p] == nil {
				made[p] = &ruling{slices.Concat(p.a.parts, p.b.parts)}
			}
			calls[i] = made[p]
		}
		out = list{calls, stricter(out.unknown, next.unknown)}
	}
	return out
}

// translate puts other answers into the decisions of a list. To must keep their
// order, or what is combined answers something else.
func (l list) translate(to func(uint32) uint32) list {
	made := make(map[*ruling]*ruling)
	out := list{make([]*ruling, len(l.calls)), to(l.unknown)}
	for i, from := range l.calls {
		r := made[from]
		if r == nil {
			r = new(ruling)
			for _, part := range from.parts {
				d := &decision{otherwise: to(part.otherwise)}
				for _, c := range part.clauses {
					d.clauses = append(d.clauses, clause{c.when, to(c.answer)})
				}
				d.simplify()
				r.parts = append(r.parts, d)
			}
			made[from] = r
		}
		out.calls[i] = r
	}
	return out
}

// always is the ruling that is the same whatever the arguments.
func always(answer uint32) *ruling { return &ruling{[]*decision{{otherwise: answer}}} }

// listOf is a list of the tables.
func listOf(in profiles, m machine) list {
	refusal, absent, allow := always(retErrno|errEPERM), always(retErrno|errENOSYS), always(retAllow)
	decided := make(map[string]*ruling, len(syscallsAMD64))
	for _, table := range [...][]group{allowed[:], refused[:]} {
		for i := range table {
			g := &table[i]
			r := allow
			switch {
			case g.absent:
				r = absent
			case g.in&in == 0:
				continue
			case g.when != nil:
				r = allowIf(g.when)
			}
			for name := range strings.FieldsSeq(g.calls) {
				decided[name] = r
			}
		}
	}
	return fill(m, decided, refusal, retErrno|errENOSYS)
}

// allowIf refuses what a rule does not hold for.
func allowIf(when rule) *ruling {
	d := &decision{otherwise: retErrno | errEPERM}
	for _, a := range when {
		d.clauses = append(d.clauses, clause{a, retAllow})
	}
	return &ruling{[]*decision{d}}
}

// fill makes a list of rulings by name.
func fill(m machine, decided map[string]*ruling, otherwise *ruling, unknown uint32) list {
	l := list{make([]*ruling, len(m.calls)), unknown}
	for i, c := range m.calls {
		if l.calls[i] = decided[c.name]; l.calls[i] == nil {
			l.calls[i] = otherwise
		}
	}
	return l
}

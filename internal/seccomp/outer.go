package seccomp

import "math/bits"

// Refusal is a rule that the JSON of the OCI runtime specification can say: these
// calls are refused, whatever their arguments or where Arg holds.
type Refusal struct {
	Calls []string
	Arg   *Arg // nil: whatever they are
}

// Arg holds where argument Index, masked, is Value (SCMP_CMP_MASKED_EQ).
type Arg struct {
	Index       int
	Mask, Value uint64
}

// Outer is what can be kept from a whole container, from its first instruction
// on, by whoever starts it: what no profile lets pass. The guest is in there, and
// has yet to confine itself, so there is nothing in it that the guest needs; and
// what it takes more than one condition to say is left to the guest's own filter.
//
// The answer is to be SECCOMP_RET_TRACE: without a tracer that is ENOSYS, and each
// answer of the guest's filter but ALLOW precedes it (seccomp(2)), so that the
// listener still is asked about what it is to count. Empty: there is no filter.
func (f *Filters) Outer() []Refusal {
	if !f.any {
		return nil
	}
	var always []string
	var list []Refusal
	for i, r := range f.outer().calls {
		name := f.machine.calls[i].name
		args, all := r.refusals()
		if all {
			always = append(always, name)
		}
		for _, arg := range args {
			list = append(list, Refusal{Calls: []string{name}, Arg: &arg})
		}
	}
	if len(always) > 0 {
		list = append(list, Refusal{Calls: always})
	}
	return list
}

// outer is what Outer is made of: where a named profile holds, all that none of
// them allows, else what must be refused in any case.
func (f *Filters) outer() list {
	guard := guardList(f.machine, retAllow)
	if !f.named {
		return guard
	}
	return combine(listOf(inDefault, f.machine), guard)
}

// refusals are conditions under each of which a call is refused: all says that it
// is whatever its arguments. Where they cannot be said so, they are left out.
func (r *ruling) refusals() (args []Arg, all bool) {
	for _, d := range r.parts {
		switch {
		case passes(d.otherwise): // nothing of ours refuses but what is listed
		case len(d.clauses) == 0:
			return nil, true
		case len(d.clauses) == 1 && passes(d.clauses[0].answer):
			for _, t := range d.clauses[0].when {
				args = append(args, t.fails()...)
			}
		}
	}
	return args, false
}

// mostBits bounds the conditions that one test becomes: a mask of the harmless
// flags leaves many that are not.
const mostBits = 32

// fails are conditions under each of which a test does not hold, if it can be
// said so.
func (t *test) fails() (args []Arg) {
	switch {
	case t.least:
	case t.not:
		for _, v := range t.values {
			args = append(args, Arg{t.arg, t.mask, v})
		}
	case len(t.values) == 1 && t.values[0] == 0:
		mask := t.mask
		if bits.OnesCount64(mask) > mostBits {
			mask &= low
		}
		for ; mask != 0; mask &= mask - 1 {
			bit := mask & -mask
			args = append(args, Arg{t.arg, bit, bit})
		}
	}
	return args
}

package seccomp

import "fmt"

// compile writes the program of a list, with what to makes of its answers; nil:
// as they are. Its order is: the architecture, a search for the number, rules on
// arguments, answers.
func compile(l list, m machine, to func(uint32) uint32) ([]Instruction, error) {
	b := &builder{answers: make(map[uint32]label), to: to}
	kill := b.answer(retKillProcess)
	b.search(b.spans(l, m.calls))
	number := b.put(opLoad, offNumber)
	b.branch(opJEq, m.audit, number, kill)
	b.put(opLoad, offArch)

	if n := len(b.reversed); n > maxInstructions {
		return nil, fmt.Errorf("compile seccomp filter: %d instructions, the kernel takes %d", n, maxInstructions)
	}
	return b.program(), nil
}

// span is a run of numbers, up to the next span, with the same target.
type span struct {
	first uint32
	to    label
}

// x32Bit is __X32_SYSCALL_BIT (asm/unistd.h): numbers with it are the calls of
// another ABI of amd64, which no list of ours means.
const x32Bit = 0x4000_0000

// spans writes the rules on arguments and returns where each number leads.
// Numbers without a call are unknown: gaps, and those above the highest call,
// up to those of x32, which are ENOSYS, with all that is above them: as unsigned
// numbers these include negative ones.
func (b *builder) spans(l list, calls []syscall) []span {
	absent, unknown := b.answer(retErrno|errENOSYS), b.answer(l.unknown)
	made := make(map[*ruling]label)
	runs := []span{{0, unknown}}
	add := func(nr uint32, to label) {
		last := &runs[len(runs)-1]
		switch {
		case last.to == to:
		case last.first == nr:
			last.to = to
		default:
			runs = append(runs, span{nr, to})
		}
	}
	next := uint32(0)
	for i, c := range calls {
		if c.nr > next {
			add(next, unknown)
		}
		r := l.calls[i]
		to, ok := made[r]
		if !ok {
			to = (&writer{b, r.parts, make(map[place]label)}).write(place{0, retAllow})
			made[r] = to
		}
		add(c.nr, to)
		next = c.nr + 1
	}
	add(next, unknown)
	add(x32Bit, absent)
	return runs
}

// search writes a binary search. That of more than one run starts with what is
// written last.
func (b *builder) search(runs []span) label {
	if len(runs) == 1 {
		return runs[0].to
	}
	middle := len(runs) / 2
	above := b.search(runs[middle:])
	below := b.search(runs[:middle])
	return b.branch(opJGe, runs[middle].first, above, below)
}

// answer returns where the program ends so.
func (b *builder) answer(k uint32) label {
	if b.to != nil {
		k = b.to(k)
	}
	at, ok := b.answers[k]
	if !ok {
		at = b.put(opRet, k)
		b.answers[k] = at
	}
	return at
}

// writer writes one ruling. Where two ways lead to the same place, what comes
// from there on is written once.
type writer struct {
	*builder
	parts   []*decision
	written map[place]label
}

// place is where a ruling is when the parts before next have come to answer.
type place struct {
	next   int
	answer uint32
}

func (w *writer) write(at place) label {
	if at.next == len(w.parts) {
		return w.answer(at.answer)
	}
	if to, ok := w.written[at]; ok {
		return to
	}
	d := w.parts[at.next]
	after := func(answer uint32) label {
		return w.write(place{at.next + 1, stricter(at.answer, answer)})
	}
	to := after(d.otherwise)
	for i := len(d.clauses) - 1; i >= 0 && len(w.reversed) <= maxInstructions; i-- {
		c := d.clauses[i]
		then := after(c.answer)
		for j := len(c.when) - 1; j >= 0 && then != to; j-- {
			then = w.test(c.when[j], then, to)
		}
		to = then
	}
	w.written[at] = to
	return to
}

// test writes one comparison a value. The upper half of the argument is read
// only if the mask has bits there.
func (b *builder) test(t test, yes, no label) label {
	if t.not {
		yes, no = no, yes
	}
	offset := uint32(offArgs + t.arg*argSize)
	switch {
	case t.least:
		return b.testLeast(t, offset, yes, no)
	case t.mask>>32 != 0:
		return b.testWhole(t, offset, yes, no)
	}
	for i := len(t.values) - 1; i >= 0; i-- {
		if t.values[i]>>32 != 0 {
			continue // the mask has no such bits
		}
		no = b.branch(opJEq, uint32(t.values[i]), yes, no)
	}
	return b.half(offset, uint32(t.mask))
}

func (b *builder) testWhole(t test, offset uint32, yes, no label) label {
	for i := len(t.values) - 1; i >= 0; i-- {
		v := t.values[i]
		b.branch(opJEq, uint32(v), yes, no)
		lower := b.half(offset, uint32(t.mask))
		b.branch(opJEq, uint32(v>>32), lower, no)
		no = b.half(offset+highHalf, uint32(t.mask>>32))
	}
	return no
}

// testLeast compares two words as one number.
func (b *builder) testLeast(t test, offset uint32, yes, no label) label {
	v := t.values[0]
	b.branch(opJGe, uint32(v), yes, no)
	lower := b.half(offset, uint32(t.mask))
	equal := b.branch(opJEq, uint32(v>>32), lower, no)
	b.branch(opJGt, uint32(v>>32), yes, equal)
	return b.half(offset+highHalf, uint32(t.mask>>32))
}

// half writes the load of half an argument in front of what compares it, which
// was written last.
func (b *builder) half(offset, mask uint32) label {
	if mask != low {
		b.put(opAnd, mask)
	}
	return b.put(opLoad, offset)
}

package seccomp

import (
	"fmt"
	"strings"
)

// outcome are the places where a program ends.
type outcome struct {
	kill, absent, refused, allowed label
}

// compile writes the program of one list. Its order is: the architecture, a
// search for the number, rules on arguments, answers.
func compile(in profiles, o Options, refusal uint32) ([]Instruction, error) {
	m, err := machineOf(o.Arch)
	if err != nil {
		return nil, err
	}
	var b builder
	out := outcome{
		kill:    b.put(opRet, retKillProcess),
		absent:  b.put(opRet, retErrno|errENOSYS),
		refused: b.put(opRet, refusal),
		allowed: b.put(opRet, retAllow),
	}
	tables := [][]group{allowed[:], refused[:]}
	if o.NoSetID {
		tables = append(tables, noSetID[:])
	}
	b.search(b.spans(m.calls, b.targets(tables, in, out), out))
	number := b.put(opLoad, offNumber)
	b.branch(opJEq, m.audit, number, out.kill)
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

// spans writes the rules on arguments and returns where each number leads.
// Numbers without a call lead to absent: gaps, and all those above the highest
// call, which as unsigned numbers include negative ones and those of x32 (bit
// 30, __X32_SYSCALL_BIT).
func (b *builder) spans(calls []syscall, targets map[string]label, out outcome) []span {
	runs := []span{{0, out.absent}}
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
	for _, c := range calls {
		if c.nr > next {
			add(next, out.absent)
		}
		to, ok := targets[c.name]
		if !ok {
			to = out.refused
		}
		add(c.nr, to)
		next = c.nr + 1
	}
	add(next, out.absent)
	return runs
}

// targets returns where the calls lead that are not simply refused; what a later
// table says of a call holds.
func (b *builder) targets(tables [][]group, in profiles, out outcome) map[string]label {
	targets := make(map[string]label, len(syscallsAMD64))
	for _, table := range tables {
		for i := range table {
			g := &table[i]
			var to label
			switch {
			case g.absent:
				to = out.absent
			case g.in&in == 0:
				continue
			case g.when == nil:
				to = out.allowed
			default:
				to = b.rule(g.when, out)
			}
			for name := range strings.FieldsSeq(g.calls) {
				targets[name] = to
			}
		}
	}
	return targets
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

func (b *builder) rule(r rule, out outcome) label {
	otherwise := out.refused
	for i := len(r) - 1; i >= 0; i-- {
		then := out.allowed
		for j := len(r[i]) - 1; j >= 0; j-- {
			then = b.test(r[i][j], then, otherwise)
		}
		otherwise = then
	}
	return otherwise
}

// test writes one comparison a value. The upper half of the argument is read
// only if the mask has bits there.
func (b *builder) test(t test, yes, no label) label {
	if t.not {
		yes, no = no, yes
	}
	offset := uint32(offArgs + t.arg*argSize)
	if t.mask>>32 != 0 {
		return b.testWhole(t, offset, yes, no)
	}
	for i := len(t.values) - 1; i >= 0; i-- {
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

// half writes the load of half an argument in front of what compares it, which
// was written last.
func (b *builder) half(offset, mask uint32) label {
	if mask != low {
		b.put(opAnd, mask)
	}
	return b.put(opLoad, offset)
}

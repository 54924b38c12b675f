// Package lazydfa runs regular expressions over bytes, a byte at a time, in time
// that is linear in their number, and remembers where it was between two pieces of
// a stream.
//
// A byte is the character of its number (ISO 8859-1), so nothing that a program
// writes is beyond an expression's sight, as invalid UTF-8 is beyond package
// regexp's. A run is anchored where it starts and finds the longest match; what
// the groups hold is package regexp's to say, on those few bytes.
//
// States are made when they are first reached and kept in a Cache; where there are
// too many of them they are forgotten and made again.
//
// What this package does not protect: an expression whose states are many is slow,
// if never wrong.
package lazydfa

import (
	"encoding/binary"
	"fmt"
	"regexp/syntax"
	"slices"
)

// Expr is a compiled expression. It may be used by many goroutines at once.
type Expr struct {
	prog    *syntax.Prog
	class   [256]uint8 // of each byte: bytes of one class are the same to the expression
	sample  []rune     // a byte of each class
	context bool       // it asks for what is before or after: \b, ^, $
}

// Compile compiles an expression in the syntax of package regexp.
func Compile(expr string) (*Expr, error) {
	parsed, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return nil, fmt.Errorf("compile %q: %w", expr, err)
	}
	prog, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return nil, fmt.Errorf("compile %q: %w", expr, err)
	}
	e := &Expr{prog: prog}
	e.classify()
	return e, nil
}

// classify finds which bytes no instruction tells apart.
func (e *Expr) classify() {
	type set struct {
		runes string
		fold  rune
	}
	var insts []*syntax.Inst
	seen := make(map[set]bool)
	for i := range e.prog.Inst {
		in := &e.prog.Inst[i]
		switch in.Op {
		case syntax.InstRune, syntax.InstRune1:
			if s := (set{string(in.Rune), rune(in.Arg)}); !seen[s] {
				seen[s] = true
				insts = append(insts, in)
			}
		case syntax.InstRuneAny, syntax.InstRuneAnyNotNL:
			insts = append(insts, in)
		case syntax.InstEmptyWidth:
			e.context = true
		}
	}
	classes := make(map[string]uint8)
	for b := range 256 {
		var signature []byte
		for _, in := range insts {
			signature = append(signature, bit(in.MatchRune(rune(b))))
		}
		if e.context {
			signature = append(signature, bit(syntax.IsWordChar(rune(b))), bit(b == '\n'))
		}
		c, known := classes[string(signature)]
		if !known {
			c = uint8(len(classes))
			classes[string(signature)] = c
			e.sample = append(e.sample, rune(b))
		}
		e.class[b] = c
	}
}

func bit(b bool) byte {
	if b {
		return 1
	}
	return 0
}

// Of the bytes before a state, what an expression can ask for.
const (
	afterNothing = iota
	afterNewline
	afterWord
	afterOther
	noContext // nothing: the expression does not ask
)

// samples are a character of each kind; -1 is the beginning of the text.
var samples = [...]rune{afterNothing: -1, afterNewline: '\n', afterWord: 'a', afterOther: ' ', noContext: ' '}

func (e *Expr) kind(r rune) byte {
	switch {
	case !e.context:
		return noContext
	case r < 0:
		return afterNothing
	case r == '\n':
		return afterNewline
	case syntax.IsWordChar(r):
		return afterWord
	}
	return afterOther
}

// State is where a run is: which instructions come next. It is of one Cache.
type State struct {
	pcs  []uint32 // sorted; not yet followed over what matches the empty string
	kind byte     // of the byte before
	next []edge   // by class; the last is the end of the text
}

// edge is what one more byte does.
type edge struct {
	to     *State // nil: not known yet
	accept bool   // a match ends before that byte
}

// maxStates is how many states are remembered: some 2 MiB.
const maxStates = 4096

// Cache is what one goroutine at a time knows of an expression's states. Its zero
// value is not ready; NewCache makes one.
type Cache struct {
	expr   *Expr
	states map[string]*State
	dead   *State
	starts [noContext + 1]*State

	// Room to work in.
	stack, set, out []uint32
	mark            []uint32 // by instruction: the round in which it was seen
	round           uint32
	key             []byte
}

// NewCache makes a cache.
func (e *Expr) NewCache() *Cache {
	return &Cache{
		expr: e, states: make(map[string]*State),
		dead: &State{kind: noContext}, mark: make([]uint32, len(e.prog.Inst)),
	}
}

// Start is the state before any byte; prev is the byte before, or -1 at the
// beginning of the text.
func (c *Cache) Start(prev rune) *State {
	k := c.expr.kind(prev)
	if c.starts[k] == nil {
		c.starts[k] = c.state([]uint32{uint32(c.expr.prog.Start)}, k)
	}
	return c.starts[k]
}

// Run goes over data from s on. It returns the state behind data, nil where no
// match can end any further on, and the place in data where the longest match so
// far ends: -1 where none does. A match is known to end when the byte behind it has
// been seen, or with End.
func (c *Cache) Run(s *State, data []byte) (after *State, end int) {
	end = -1
	class := &c.expr.class
	for i, b := range data {
		e := &s.next[class[b]]
		if e.to == nil {
			c.step(s, int(class[b]))
		}
		if e.accept {
			end = i
		}
		if s = e.to; s == c.dead {
			return nil, end
		}
	}
	return s, end
}

// End reports whether a match ends at the end of the text.
func (c *Cache) End(s *State) bool {
	last := len(s.next) - 1
	if s.next[last].to == nil {
		c.step(s, last)
	}
	return s.next[last].accept
}

// step finds out what a byte of a class does in s.
func (c *Cache) step(s *State, class int) {
	next := rune(-1)
	if class < len(c.expr.sample) {
		next = c.expr.sample[class]
	}
	accept := c.closure(s.pcs, syntax.EmptyOpContext(samples[s.kind], next))
	c.out = c.out[:0]
	if next >= 0 {
		for _, pc := range c.set {
			if in := &c.expr.prog.Inst[pc]; in.MatchRune(next) {
				c.out = append(c.out, in.Out)
			}
		}
	}
	to := c.dead
	if len(c.out) > 0 {
		slices.Sort(c.out)
		to = c.state(slices.Compact(c.out), c.expr.kind(next))
	}
	s.next[class] = edge{to, accept}
}

// closure follows pcs over all that matches the empty string here, and leaves in
// c.set what reads a byte. It reports whether the whole expression matches.
func (c *Cache) closure(pcs []uint32, flags syntax.EmptyOp) (accept bool) {
	c.round++
	c.set, c.stack = c.set[:0], append(c.stack[:0], pcs...)
	for len(c.stack) > 0 {
		pc := c.stack[len(c.stack)-1]
		c.stack = c.stack[:len(c.stack)-1]
		if c.mark[pc] == c.round {
			continue
		}
		c.mark[pc] = c.round
		in := &c.expr.prog.Inst[pc]
		switch in.Op {
		case syntax.InstAlt, syntax.InstAltMatch:
			c.stack = append(c.stack, in.Out, in.Arg)
		case syntax.InstCapture, syntax.InstNop:
			c.stack = append(c.stack, in.Out)
		case syntax.InstEmptyWidth:
			if syntax.EmptyOp(in.Arg)&^flags == 0 {
				c.stack = append(c.stack, in.Out)
			}
		case syntax.InstMatch:
			accept = true
		case syntax.InstFail:
		default:
			c.set = append(c.set, pc)
		}
	}
	return accept
}

// state is the one with these instructions.
func (c *Cache) state(pcs []uint32, kind byte) *State {
	c.key = append(c.key[:0], kind)
	for _, pc := range pcs {
		c.key = binary.LittleEndian.AppendUint32(c.key, pc)
	}
	if s := c.states[string(c.key)]; s != nil {
		return s
	}
	if len(c.states) >= maxStates { // those that are still in use stay good
		clear(c.states)
		clear(c.starts[:])
	}
	s := &State{pcs: slices.Clone(pcs), kind: kind, next: make([]edge, len(c.expr.sample)+1)}
	c.states[string(c.key)] = s
	return s
}

package seccomp

import (
	"slices"
	"testing"
)

// A program so long that its jumps do not fit into a byte.
func TestFarJumps(t *testing.T) {
	const runs = 1500
	var b builder
	odd, even := b.put(opRet, 1), b.put(opRet, 2)
	deep := b.branch(opJEq, runs, odd, even)
	var spans []span
	for i := range uint32(runs) {
		to := []label{odd, even, deep}[i%3]
		spans = append(spans, span{i, to})
	}
	b.search(spans)
	b.put(opLoad, offNumber)
	program := b.program()
	if len(program) < 1000 || !slices.ContainsFunc(program, func(i Instruction) bool { return i.Code == opJump }) {
		t.Fatalf("%d instructions do not need far jumps", len(program))
	}
	v := newVM(t, program)
	for i := range uint32(runs) {
		want := []uint32{1, 2, 2}[i%3]
		if got := v.run(t, data{nr: i}); got != want {
			t.Fatalf("%d leads to %d, want %d", i, got, want)
		}
	}
	if got := v.run(t, data{nr: ^uint32(0)}); got != 2 {
		t.Errorf("the highest number leads to %d, want 2", got)
	}
}

func TestMarshal(t *testing.T) {
	each(t, commands, func(t *testing.T, _ filter, _ machine, program []Instruction) {
		b := Marshal(program)
		back, err := Unmarshal(b)
		if err != nil || !slices.Equal(back, program) {
			t.Fatalf("the program does not survive: %v", err)
		}
		if want := []byte{opLoad, 0, 0, 0, offArch, 0, 0, 0}; !slices.Equal(b[:8], want) {
			t.Errorf("the first record is %v, want %v", b[:8], want)
		}
	})
	for _, n := range []int{0, 1, 7, 9, maxInstructions*8 + 8} {
		if _, err := Unmarshal(make([]byte, n)); err == nil {
			t.Errorf("%d bytes are a program", n)
		}
	}
}

func FuzzUnmarshal(f *testing.F) {
	f.Add([]byte{})
	f.Add(Marshal([]Instruction{{opLoad, 0, 0, offArch}, {opRet, 0, 0, retAllow}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		program, err := Unmarshal(b)
		if err != nil {
			return
		}
		if !slices.Equal(Marshal(program), b) {
			t.Error("what was read is written otherwise")
		}
	})
}

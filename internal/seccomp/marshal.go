package seccomp

import (
	"encoding/binary"
	"fmt"
)

const (
	// instructionSize is sizeof(struct sock_filter).
	instructionSize = 8

	// maxInstructions is BPF_MAXINSNS (linux/bpf_common.h); seccomp(2) answers
	// EINVAL to a longer program.
	maxInstructions = 4096
)

// Marshal returns a program as struct sock_filter lies in memory on amd64 and
// arm64: records of 8 bytes, little-endian.
func Marshal(program []Instruction) []byte {
	b := make([]byte, 0, len(program)*instructionSize)
	for _, i := range program {
		b = binary.LittleEndian.AppendUint16(b, i.Code)
		b = append(b, i.JT, i.JF)
		b = binary.LittleEndian.AppendUint32(b, i.K)
	}
	return b
}

// Unmarshal is the reverse of [Marshal]. It refuses what cannot be a program
// by its length, and leaves the instructions to the kernel's own check.
func Unmarshal(b []byte) ([]Instruction, error) {
	n := len(b) / instructionSize
	if len(b)%instructionSize != 0 || n == 0 || n > maxInstructions {
		return nil, fmt.Errorf("read seccomp program: %d bytes, want 1 to %d records of %d", len(b), maxInstructions, instructionSize)
	}
	program := make([]Instruction, n)
	for i := range program {
		r := b[i*instructionSize:]
		program[i] = Instruction{
			Code: binary.LittleEndian.Uint16(r),
			JT:   r[2],
			JF:   r[3],
			K:    binary.LittleEndian.Uint32(r[4:]),
		}
	}
	return program, nil
}

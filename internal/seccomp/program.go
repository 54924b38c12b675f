package seccomp

import "slices"

// Operations of classic BPF that seccomp(2) allows and this package uses
// (linux/bpf_common.h). The kernel's bitmap of calls that are always allowed
// understands all of them but loads of arguments (seccomp_is_const_allow).
const (
	opLoad = 0x20 // BPF_LD | BPF_W | BPF_ABS
	opAnd  = 0x54 // BPF_ALU | BPF_AND | BPF_K
	opJump = 0x05 // BPF_JMP | BPF_JA
	opJEq  = 0x15 // BPF_JMP | BPF_JEQ | BPF_K
	opJGe  = 0x35 // BPF_JMP | BPF_JGE | BPF_K, unsigned
	opJGt  = 0x25 // BPF_JMP | BPF_JGT | BPF_K, unsigned
	opRet  = 0x06 // BPF_RET | BPF_K
)

// Offsets in struct seccomp_data (linux/seccomp.h). The halves of an argument
// are in the order of little-endian machines, which amd64 and arm64 are.
const (
	offNumber = 0
	offArch   = 4
	offArgs   = 16
	argSize   = 8
	highHalf  = 4
)

// Answers of a filter (linux/seccomp.h); the errno is in the low 16 bits.
const (
	retKillProcess = 0x80000000
	retKillThread  = 0x00000000
	retTrap        = 0x00030000
	retErrno       = 0x00050000
	retUserNotif   = 0x7fc00000
	retTrace       = 0x7ff00000
	retLog         = 0x7ffc0000
	retAllow       = 0x7fff0000

	errEPERM  = 1
	errENOSYS = 38
)

// maxNear is how far the byte-sized offsets of a conditional jump reach.
const maxNear = 255

// label is the place of an instruction, counted from the end of the program.
type label int

// builder writes a program from its last instruction to its first. As BPF jumps
// only forwards, every target is known when a jump to it is written.
type builder struct {
	reversed []Instruction
	answers  map[uint32]label
	to       func(uint32) uint32 // nil: what a list answers is what the program does
}

func (b *builder) put(code uint16, k uint32) label {
	b.reversed = append(b.reversed, Instruction{Code: code, K: k})
	return b.last()
}

func (b *builder) last() label { return label(len(b.reversed) - 1) }

// distance is the offset of a jump, which is about to be written, to target.
func (b *builder) distance(target label) int { return len(b.reversed) - int(target) - 1 }

// branch writes a conditional jump. Where a target is too far for it, the
// target is repeated nearby, or reached over an unconditional jump.
func (b *builder) branch(code uint16, k uint32, yes, no label) label {
	for b.distance(yes) > maxNear || b.distance(no) > maxNear {
		if b.distance(yes) > maxNear {
			yes = b.nearby(yes)
		} else {
			no = b.nearby(no)
		}
	}
	b.reversed = append(b.reversed, Instruction{
		Code: code,
		JT:   uint8(b.distance(yes)),
		JF:   uint8(b.distance(no)),
		K:    k,
	})
	return b.last()
}

func (b *builder) nearby(target label) label {
	if i := b.reversed[target]; i.Code == opRet {
		return b.put(opRet, i.K)
	}
	return b.put(opJump, uint32(b.distance(target)))
}

func (b *builder) program() []Instruction {
	p := slices.Clone(b.reversed)
	slices.Reverse(p)
	return p
}

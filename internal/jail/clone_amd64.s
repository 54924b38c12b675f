#include "textflag.h"

// func rawClone(trap, a1, a2, a3 uintptr) (pid, errno uintptr)
//
// The child is on its parent's stack, and returns first: what it calls then
// overwrites the slot that the return address was in. So that is in a register
// over the system call; the kernel keeps R12 for both.
TEXT ·rawClone(SB), NOSPLIT|NOFRAME, $0-48
	MOVQ	trap+0(FP), AX
	MOVQ	a1+8(FP), DI
	MOVQ	a2+16(FP), SI
	MOVQ	a3+24(FP), DX
	XORL	R10, R10
	XORL	R8, R8
	POPQ	R12
	SYSCALL
	PUSHQ	R12
	CMPQ	AX, $0xfffffffffffff001
	JCC	failed
	MOVQ	AX, pid+32(FP)
	MOVQ	$0, errno+40(FP)
	RET
failed:
	NEGQ	AX
	MOVQ	$0, pid+32(FP)
	MOVQ	AX, errno+40(FP)
	RET

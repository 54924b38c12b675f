#include "textflag.h"

// func cloneOnStack(trap, a1, a2, a3 uintptr, s *cloneSpec) (errno uintptr)
//
// The child has a stack of its own, with nothing on it, and so nowhere to return
// to.
TEXT ·cloneOnStack(SB), NOSPLIT, $0-48
	MOVQ	trap+0(FP), AX
	MOVQ	a1+8(FP), DI
	MOVQ	a2+16(FP), SI
	MOVQ	a3+24(FP), DX
	MOVQ	s+32(FP), R12
	XORL	R10, R10
	XORL	R8, R8
	SYSCALL
	TESTQ	AX, AX
	JNZ	parent
	SUBQ	$16, SP
	MOVQ	R12, 0(SP)
	CALL	·runGuestChild(SB)
	INT	$3
parent:
	CMPQ	AX, $0xfffffffffffff001
	JCC	failed
	MOVQ	$0, errno+40(FP)
	RET
failed:
	NEGQ	AX
	MOVQ	AX, errno+40(FP)
	RET

#include "textflag.h"

// func cloneOnStack(trap, a1, a2, a3 uintptr, run func(unsafe.Pointer), with unsafe.Pointer) (errno uintptr)
//
// The child has a stack of its own, with nothing on it, and so nowhere to return
// to. It is called as Go calls a func value (ABIInternal: its argument in AX, the
// value itself in DX, room to spill): the wrapper by which assembly calls a Go
// function is instrumented in race builds, whatever go:norace says of that.
TEXT ·cloneOnStack(SB), NOSPLIT, $0-56
	MOVQ	trap+0(FP), AX
	MOVQ	a1+8(FP), DI
	MOVQ	a2+16(FP), SI
	MOVQ	a3+24(FP), DX
	MOVQ	run+32(FP), R12
	MOVQ	with+40(FP), R13
	XORL	R10, R10
	XORL	R8, R8
	SYSCALL
	TESTQ	AX, AX
	JNZ	parent
	SUBQ	$64, SP
	MOVQ	R12, DX
	MOVQ	R13, AX
	XORPS	X15, X15
	MOVQ	(DX), CX
	CALL	CX
	INT	$3
parent:
	CMPQ	AX, $0xfffffffffffff001
	JCC	failed
	MOVQ	$0, errno+48(FP)
	RET
failed:
	NEGQ	AX
	MOVQ	AX, errno+48(FP)
	RET

#include "textflag.h"

// func cloneOnStack(trap, a1, a2, a3 uintptr, run func(unsafe.Pointer), with unsafe.Pointer) (errno uintptr)
//
// The child has a stack of its own, with nothing on it, and so nowhere to return
// to. It is called as Go calls a func value (ABIInternal: its argument in R0, the
// value itself in R26, room to spill): the wrapper by which assembly calls a Go
// function is instrumented in race builds, whatever go:norace says of that.
TEXT ·cloneOnStack(SB), NOSPLIT, $0-56
	MOVD	trap+0(FP), R8
	MOVD	a1+8(FP), R0
	MOVD	a2+16(FP), R1
	MOVD	a3+24(FP), R2
	MOVD	run+32(FP), R20
	MOVD	with+40(FP), R21
	MOVD	ZR, R3
	MOVD	ZR, R4
	SVC
	CBNZ	R0, parent
	SUB	$64, RSP
	MOVD	R20, R26
	MOVD	R21, R0
	MOVD	(R26), R1
	CALL	(R1)
	BRK	$0
parent:
	CMN	$4095, R0
	BCS	failed
	MOVD	ZR, errno+48(FP)
	RET
failed:
	NEG	R0, R0
	MOVD	R0, errno+48(FP)
	RET

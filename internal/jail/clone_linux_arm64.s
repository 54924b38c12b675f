#include "textflag.h"

// func cloneOnStack(trap, a1, a2, a3 uintptr, s *cloneSpec) (errno uintptr)
//
// The child has a stack of its own, with nothing on it, and so nowhere to return
// to.
TEXT ·cloneOnStack(SB), NOSPLIT, $0-48
	MOVD	trap+0(FP), R8
	MOVD	a1+8(FP), R0
	MOVD	a2+16(FP), R1
	MOVD	a3+24(FP), R2
	MOVD	s+32(FP), R20
	MOVD	ZR, R3
	MOVD	ZR, R4
	SVC
	CBNZ	R0, parent
	SUB	$32, RSP
	MOVD	R20, 8(RSP)
	CALL	·runGuestChild(SB)
	BRK	$0
parent:
	CMN	$4095, R0
	BCS	failed
	MOVD	ZR, errno+40(FP)
	RET
failed:
	NEG	R0, R0
	MOVD	R0, errno+40(FP)
	RET

#include "textflag.h"

// func rawVfork() (pid, errno uintptr)
//
// The return address is in the link register, which the kernel keeps for parent
// and child; nothing is on the stack that the child could overwrite.
TEXT ·rawVfork(SB), NOSPLIT|NOFRAME, $0-16
	MOVD	$0x4111, R0 // CLONE_VM|CLONE_VFORK|SIGCHLD
	MOVD	ZR, R1      // the same stack
	MOVD	ZR, R2
	MOVD	ZR, R3
	MOVD	ZR, R4
	MOVD	$220, R8    // SYS_clone
	SVC
	CMN	$4095, R0
	BCS	failed
	MOVD	R0, pid+0(FP)
	MOVD	ZR, errno+8(FP)
	RET
failed:
	NEG	R0, R0
	MOVD	ZR, pid+0(FP)
	MOVD	R0, errno+8(FP)
	RET

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

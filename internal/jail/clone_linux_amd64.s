#include "textflag.h"

// func rawVfork() (pid, errno uintptr)
//
// The child is on its parent's stack, and returns first: what it calls then
// overwrites the slot that the return address was in. So that is in a register
// over the system call; the kernel keeps R12 for both.
TEXT ·rawVfork(SB), NOSPLIT|NOFRAME, $0-16
	MOVQ	$0x4111, DI // CLONE_VM|CLONE_VFORK|SIGCHLD
	XORL	SI, SI      // the same stack
	XORL	DX, DX
	XORL	R10, R10
	XORL	R8, R8
	MOVQ	$56, AX     // SYS_clone
	POPQ	R12
	SYSCALL
	PUSHQ	R12
	CMPQ	AX, $0xfffffffffffff001
	JCC	failed
	MOVQ	AX, pid+0(FP)
	MOVQ	$0, errno+8(FP)
	RET
failed:
	NEGQ	AX
	MOVQ	$0, pid+0(FP)
	MOVQ	AX, errno+8(FP)
	RET

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

#include "textflag.h"

// func rawVfork() (pid, errno uintptr)
//
// The child returns first, and what it calls then overwrites the slot that the
// return address was in. So that is in a register over the system call; the
// kernel keeps R12 for both.
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

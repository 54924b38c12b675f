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

#include "textflag.h"

// func cloneKeeper(poll unsafe.Pointer, low, lowLen, high, highLen uintptr) int
//
// The child runs nothing but these instructions: no stack, no Go. poll points
// to a struct pollfd in a page that the child keeps mapped.
TEXT ·cloneKeeper(SB), NOSPLIT, $0-48
	MOVQ poll+0(FP), R12
	MOVQ low+8(FP), R13
	MOVQ lowLen+16(FP), BX
	MOVQ high+24(FP), R9
	MOVQ highLen+32(FP), R15
	MOVQ $0x411, DI              // CLONE_FILES|SIGCHLD
	XORQ SI, SI                  // the same stack, in a copy of the memory
	XORQ DX, DX
	XORQ R10, R10
	XORQ R8, R8
	MOVQ $56, AX                 // clone
	SYSCALL
	TESTQ AX, AX
	JZ   child
	MOVQ AX, ret+40(FP)
	RET

child:
	MOVQ $112, AX                // setsid: signals for the engine's group pass by
	SYSCALL
	MOVQ $15, DI                 // PR_SET_NAME
	LEAQ keeperName<>(SB), SI
	MOVQ $157, AX                // prctl
	SYSCALL
	MOVQ R13, DI
	MOVQ BX, SI
	MOVQ $11, AX                 // munmap
	SYSCALL
	MOVQ R9, DI
	MOVQ R15, SI
	MOVQ $11, AX
	SYSCALL

sleep:
	MOVQ R12, DI
	MOVQ $1, SI
	XORQ DX, DX                  // for ever
	XORQ R10, R10
	XORQ R8, R8
	MOVQ $271, AX                // ppoll
	SYSCALL
	CMPQ AX, $-4                 // EINTR, after a stop and its end
	JEQ  sleep
	XORQ DI, DI
	MOVQ $231, AX                // exit_group
	SYSCALL
	JMP  sleep

DATA keeperName<>+0(SB)/8, $"tcpcni-k"
DATA keeperName<>+8(SB)/8, $"eeper\x00\x00\x00"
GLOBL keeperName<>(SB), RODATA, $16

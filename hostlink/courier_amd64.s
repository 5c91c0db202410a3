#include "textflag.h"

// Offsets in a struct courierWork, see courier.go.
#define STATE 0
#define LISTENER 4
#define WAKEFD 8
#define REQUEST 16
#define RESULT 40
#define ONE 48

// func cloneCourier(work unsafe.Pointer) int
//
// The thread runs nothing but these instructions: no stack, no Go, no signals.
TEXT ·cloneCourier(SB), NOSPLIT, $0-16
	MOVQ work+0(FP), R12
	MOVQ $0xd0f00, DI            // threadCloneFlags, lockdown.go
	XORQ SI, SI                  // the same stack, which it does not touch
	XORQ DX, DX
	XORQ R10, R10
	XORQ R8, R8                  // no thread-local storage
	MOVQ $56, AX                 // clone
	SYSCALL
	TESTQ AX, AX
	JZ   rest
	MOVQ AX, ret+8(FP)
	RET

rest:
	MOVL STATE(R12), DX
	TESTL $1, DX                 // posted
	JNZ  deliver
	TESTL $8, DX
	JNZ  end
	LEAQ STATE(R12), DI
	MOVQ $128, SI                // FUTEX_WAIT|FUTEX_PRIVATE_FLAG, while it is DX
	XORQ R10, R10                // for ever
	XORQ R8, R8
	XORQ R9, R9
	MOVQ $202, AX                // futex
	SYSCALL
	JMP  rest

deliver:
	MOVL LISTENER(R12), DI
	MOVL $0x40182103, SI         // SECCOMP_IOCTL_NOTIF_ADDFD
	LEAQ REQUEST(R12), DX
	MOVQ $16, AX                 // ioctl
	SYSCALL
	MOVQ AX, RESULT(R12)
	MOVL $2, AX
	XCHGL AX, STATE(R12)         // a barrier, too
	CMPL AX, $3
	JEQ  waited
	CMPL AX, $5
	JNE  rest
	MOVL WAKEFD(R12), DI
	LEAQ ONE(R12), SI
	MOVQ $8, DX
	MOVQ $1, AX                  // write
	SYSCALL
	JMP  rest

waited:
	LEAQ STATE(R12), DI
	MOVQ $129, SI                // FUTEX_WAKE|FUTEX_PRIVATE_FLAG
	MOVQ $1, DX
	MOVQ $202, AX                // futex
	SYSCALL
	JMP  rest

end:
	MOVL $16, AX
	XCHGL AX, STATE(R12)         // from here on the memory may be gone
	LEAQ STATE(R12), DI
	MOVQ $129, SI                // FUTEX_WAKE|FUTEX_PRIVATE_FLAG
	MOVQ $1, DX
	MOVQ $202, AX                // futex
	SYSCALL

exit:
	XORQ DI, DI
	MOVQ $60, AX                 // exit, of this thread
	SYSCALL
	JMP  exit

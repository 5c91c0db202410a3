package oci

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// A call is what a filter sees of a system call.
type call struct {
	nr   uint32
	arch uint32
	args [numArgs]uint64
}

// run interprets a filter as the kernel does (seccomp_check_filter allows these
// instructions), and returns its action.
func run(prog []unix.SockFilter, c call) (uint32, error) {
	var acc, x uint32
	var mem [16]uint32
	for pc := 0; pc < len(prog); pc++ {
		in := prog[pc]
		switch in.Code {
		case unix.BPF_LD | unix.BPF_W | unix.BPF_ABS:
			switch {
			case in.K == 0:
				acc = c.nr
			case in.K == 4:
				acc = c.arch
			case in.K >= 16 && in.K < 64 && in.K%8 == 0:
				acc = uint32(c.args[(in.K-16)/8])
			case in.K >= 16 && in.K < 64 && in.K%8 == 4:
				acc = uint32(c.args[(in.K-16)/8] >> 32)
			default:
				return 0, fmt.Errorf("load at %d", in.K)
			}
		case unix.BPF_LD | unix.BPF_MEM:
			acc = mem[in.K]
		case unix.BPF_LDX | unix.BPF_MEM:
			x = mem[in.K]
		case unix.BPF_ST:
			mem[in.K] = acc
		case unix.BPF_MISC | unix.BPF_TAX:
			x = acc
		case unix.BPF_MISC | unix.BPF_TXA:
			acc = x
		case unix.BPF_ALU | unix.BPF_AND | unix.BPF_K:
			acc &= in.K
		case unix.BPF_JMP | unix.BPF_JA:
			pc += int(in.K)
		case unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K:
			pc += branch(acc == in.K, in)
		case unix.BPF_JMP | unix.BPF_JGT | unix.BPF_K:
			pc += branch(acc > in.K, in)
		case unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K:
			pc += branch(acc >= in.K, in)
		case unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K:
			pc += branch(acc&in.K != 0, in)
		case unix.BPF_RET | unix.BPF_K:
			return in.K, nil
		default:
			return 0, fmt.Errorf("instruction %d: code %#x", pc, in.Code)
		}
	}
	return 0, fmt.Errorf("the program has no end")
}

func branch(yes bool, in unix.SockFilter) int {
	if yes {
		return int(in.Jt)
	}
	return int(in.Jf)
}

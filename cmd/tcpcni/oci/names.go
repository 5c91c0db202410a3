package oci

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/tcpcni/tcpcni/hostlink"
)

// callNames are the names, as libseccomp has them, of the calls in
// hostlink.SandboxRules. Every libseccomp that knows notifications (2.5) knows
// them all; a runtime drops rules for names that it does not know.
var callNames = map[uint32]string{
	unix.SYS_SOCKET:            "socket",
	unix.SYS_SOCKETPAIR:        "socketpair",
	unix.SYS_BIND:              "bind",
	unix.SYS_LISTEN:            "listen",
	unix.SYS_ACCEPT:            "accept",
	unix.SYS_ACCEPT4:           "accept4",
	unix.SYS_CONNECT:           "connect",
	unix.SYS_GETSOCKNAME:       "getsockname",
	unix.SYS_GETPEERNAME:       "getpeername",
	unix.SYS_GETSOCKOPT:        "getsockopt",
	unix.SYS_SETSOCKOPT:        "setsockopt",
	unix.SYS_SHUTDOWN:          "shutdown",
	unix.SYS_SENDTO:            "sendto",
	unix.SYS_RECVFROM:          "recvfrom",
	unix.SYS_SENDMSG:           "sendmsg",
	unix.SYS_RECVMSG:           "recvmsg",
	unix.SYS_SENDMMSG:          "sendmmsg",
	unix.SYS_RECVMMSG:          "recvmmsg",
	unix.SYS_IOCTL:             "ioctl",
	unix.SYS_FCNTL:             "fcntl",
	unix.SYS_READ:              "read",
	unix.SYS_CLOSE:             "close",
	unix.SYS_DUP2:              "dup2",
	unix.SYS_DUP3:              "dup3",
	unix.SYS_SPLICE:            "splice",
	unix.SYS_SENDFILE:          "sendfile",
	unix.SYS_IO_URING_SETUP:    "io_uring_setup",
	unix.SYS_IO_URING_ENTER:    "io_uring_enter",
	unix.SYS_IO_URING_REGISTER: "io_uring_register",
}

// ints tells, a bit for each, which arguments of a call the kernel takes as int
// or unsigned int. The calls are those that profiles compare arguments of, and
// their like; for others all 64 bits of each register count.
var ints = map[uint32]uint{
	unix.SYS_SOCKET:     0b111,
	unix.SYS_SOCKETPAIR: 0b111,
	unix.SYS_BIND:       0b101,
	unix.SYS_LISTEN:     0b11,
	unix.SYS_ACCEPT:     0b1,
	unix.SYS_ACCEPT4:    0b1001,
	unix.SYS_CONNECT:    0b101,
	unix.SYS_GETSOCKOPT: 0b111,
	unix.SYS_SETSOCKOPT: 0b10111,
	unix.SYS_SHUTDOWN:   0b11,
	unix.SYS_SENDTO:     0b101001,
	unix.SYS_RECVFROM:   0b1001,
	unix.SYS_SENDMSG:    0b101,
	unix.SYS_RECVMSG:    0b101,
	unix.SYS_SENDMMSG:   0b1101,
	unix.SYS_RECVMMSG:   0b1101,
	unix.SYS_IOCTL:      0b11,
}

// callName names a call of the table.
func callName(nr uint32) (string, error) {
	name, ok := callNames[nr]
	if !ok {
		return "", fmt.Errorf("the sandbox's rules name system call %d, for which there is no name", nr)
	}
	return name, nil
}

// holds returns the calls for which all conditions of a case hold.
func holds(when []hostlink.Cond) ([]cell, error) {
	cells := []cell{{}}
	for i := range when {
		list, err := condPatterns(&when[i])
		if err != nil {
			return nil, err
		}
		if cells, err = narrow(cells, when[i].Arg, list); err != nil {
			return nil, err
		}
	}
	return cells, nil
}

// narrow keeps of the cells the calls whose argument is in the list.
func narrow(cells []cell, arg int, list []pattern) ([]cell, error) {
	if arg < 0 || arg >= numArgs {
		return nil, fmt.Errorf("index: %d: accepted: 0 to %d", arg, numArgs-1)
	}
	var out []cell
	for _, c := range cells {
		for _, p := range list {
			var d cell
			d[arg] = p
			if both, ok := c.and(d); ok {
				out = append(out, both)
			}
		}
	}
	if len(out) > maxParts {
		return nil, errTooManyParts
	}
	return out, nil
}

// condPatterns returns the registers for which a condition of the table holds.
func condPatterns(c *hostlink.Cond) ([]pattern, error) {
	mask := uint64(c.Mask)
	switch {
	case c.Wide:
		mask = wholeReg
	case mask == 0:
		mask = lowHalf
	}
	in := []cell{}
	out := []cell{{}}
	for _, v := range c.In {
		if uint64(v)&^mask != 0 {
			continue // no masked value is equal to it
		}
		rest, taken, err := take(out, cell{{mask, uint64(v)}})
		if err != nil {
			return nil, err
		}
		in, out = append(in, taken...), rest
	}
	if c.Not {
		in = out
	}
	list := make([]pattern, len(in))
	for i := range in {
		list[i] = in[i][0]
	}
	return list, nil
}

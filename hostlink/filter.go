package hostlink

// The seccomp filter of a sandbox: seccomp(2), classic BPF over struct
// seccomp_data (linux/seccomp.h, linux/filter.h).

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// An Action is what the filter does with a call.
type Action uint32

// Actions. ActionNotify hands the call to the engine, ActionKill ends the whole
// process as SIGSYS does, and cannot be caught.
const (
	ActionAllow  Action = unix.SECCOMP_RET_ALLOW
	ActionNotify Action = unix.SECCOMP_RET_USER_NOTIF
	ActionKill   Action = unix.SECCOMP_RET_KILL_PROCESS
)

// ActionErrno makes the call fail with e.
func ActionErrno(e unix.Errno) Action {
	return unix.SECCOMP_RET_ERRNO | Action(e)&unix.SECCOMP_RET_DATA
}

// A Cond is a test of one argument register. Arguments that the kernel takes as
// int are tested by their low half only, as the kernel ignores the other.
type Cond struct {
	Arg  int    // 0 to 5
	Wide bool   // all 64 bits count: a pointer
	Mask uint32 // applied to a narrow argument; 0 means all bits
	Not  bool   // holds when the value is none of In
	In   []uint32
}

// A Case is an action for calls whose arguments meet every condition.
type Case struct {
	When []Cond
	Do   Action
}

// A Rule says what happens to one system call: the first case that applies, or
// else Do.
type Rule struct {
	Call  uint32
	Cases []Case
	Do    Action
}

// x32Bit marks calls of the x32 ABI, which share the architecture's code.
const x32Bit = 0x40000000

// sioCOutQNSD is SIOCOUTQNSD (linux/sockios.h): bytes not yet sent.
const sioCOutQNSD = 0x894B

// sockTypeMask takes the type out of socket(2)'s second argument; the rest are
// SOCK_CLOEXEC and SOCK_NONBLOCK.
const sockTypeMask = 0xf

var (
	isInet    = Cond{Arg: 0, In: []uint32{unix.AF_INET, unix.AF_INET6}}
	isFamily  = func(f ...uint32) Cond { return Cond{Arg: 0, In: f} }
	hasPtr    = func(arg int) Cond { return Cond{Arg: arg, Wide: true, Not: true, In: []uint32{0}} }
	hasFlag   = func(arg int, bit uint32) Cond { return Cond{Arg: arg, Mask: bit, In: []uint32{bit}} }
	isRaw     = Cond{Arg: 1, Mask: sockTypeMask, In: []uint32{unix.SOCK_RAW}}
	plainType = Cond{Arg: 1, Mask: ^uint32(sockTypeMask | unix.SOCK_CLOEXEC | unix.SOCK_NONBLOCK), In: []uint32{0}}
)

// SandboxRules is the filter's table. No rule of isolation looks at memory: all
// that is decided here lies in registers.
var SandboxRules = []Rule{
	{Call: unix.SYS_SOCKET, Cases: []Case{
		{When: []Cond{isFamily(unix.AF_UNIX)}, Do: ActionAllow},
		// Raw sockets need CAP_NET_RAW on the host, too: its error.
		{When: []Cond{isInet, isRaw, plainType}, Do: ActionErrno(unix.EPERM)},
		{When: []Cond{isInet}, Do: ActionNotify},
		// Interfaces and addresses are asked for by rtnetlink; the other
		// protocols reach into the host's kernel (audit, sock_diag, netfilter).
		{When: []Cond{isFamily(unix.AF_NETLINK), {Arg: 2, In: []uint32{unix.NETLINK_ROUTE}}}, Do: ActionAllow},
		{When: []Cond{isFamily(unix.AF_NETLINK)}, Do: ActionErrno(unix.EPROTONOSUPPORT)},
		// What container runtimes answer for families that exist but are refused.
		{When: []Cond{isFamily(unix.AF_PACKET, unix.AF_VSOCK, unix.AF_ALG)}, Do: ActionErrno(unix.EPERM)},
		// All others look as in a kernel that was built without them, which is
		// the case that programs are written for.
	}, Do: ActionErrno(unix.EAFNOSUPPORT)},

	{Call: unix.SYS_BIND, Do: ActionNotify},
	{Call: unix.SYS_LISTEN, Do: ActionNotify},
	{Call: unix.SYS_ACCEPT, Do: ActionNotify},
	{Call: unix.SYS_ACCEPT4, Do: ActionNotify},
	{Call: unix.SYS_CONNECT, Do: ActionNotify},
	{Call: unix.SYS_GETSOCKNAME, Do: ActionNotify},
	{Call: unix.SYS_GETPEERNAME, Do: ActionNotify},
	{Call: unix.SYS_GETSOCKOPT, Do: ActionNotify},
	{Call: unix.SYS_SETSOCKOPT, Do: ActionNotify},
	{Call: unix.SYS_SHUTDOWN, Do: ActionNotify},

	// send and recv are sendto and recvfrom without an address: the data path,
	// native. The others keep what decides in memory, behind a msghdr.
	{Call: unix.SYS_SENDTO, Cases: []Case{
		{When: []Cond{hasPtr(4)}, Do: ActionNotify},
		{When: []Cond{hasFlag(3, unix.MSG_FASTOPEN)}, Do: ActionNotify},
	}, Do: ActionAllow},
	{Call: unix.SYS_RECVFROM, Cases: []Case{
		{When: []Cond{hasPtr(4)}, Do: ActionNotify},
		{When: []Cond{hasFlag(3, unix.MSG_ERRQUEUE)}, Do: ActionNotify},
		{When: []Cond{hasFlag(3, unix.MSG_TRUNC)}, Do: ActionNotify}, // of TCP: bytes are discarded
	}, Do: ActionAllow},
	{Call: unix.SYS_SENDMSG, Do: ActionNotify},
	{Call: unix.SYS_RECVMSG, Do: ActionNotify},
	{Call: unix.SYS_SENDMMSG, Do: ActionNotify},
	{Call: unix.SYS_RECVMMSG, Do: ActionNotify},

	// An AF_UNIX socket of the sandbox's namespace answers the interface
	// requests that do not concern a protocol (SIOCGIFCONF, SIOCGIFINDEX,
	// SIOCGIFHWADDR, …); those about IPv4 addresses, and what is not yet
	// acknowledged, are the engine's. FIONREAD stays native: event libraries ask
	// it before every read.
	{Call: unix.SYS_IOCTL, Cases: []Case{
		{When: []Cond{{Arg: 1, In: []uint32{
			unix.SIOCGIFADDR, unix.SIOCGIFBRDADDR, unix.SIOCGIFNETMASK, unix.SIOCGIFDSTADDR,
			unix.SIOCOUTQ, sioCOutQNSD,
		}}}, Do: ActionNotify},
	}, Do: ActionAllow},

	// io_uring makes socket calls that no filter sees.
	{Call: unix.SYS_IO_URING_SETUP, Do: ActionErrno(unix.ENOSYS)},
	{Call: unix.SYS_IO_URING_ENTER, Do: ActionErrno(unix.ENOSYS)},
	{Call: unix.SYS_IO_URING_REGISTER, Do: ActionErrno(unix.ENOSYS)},
}

// PollRules come beside SandboxRules in a sandbox whose system's poll(2) shows
// other events than Linux's. The engine answers where the difference is and leaves
// all else to the kernel; what a program makes of its memory in between harms
// nobody but itself.
var PollRules = []Rule{
	{Call: unix.SYS_POLL, Do: ActionNotify},
	{Call: unix.SYS_PPOLL, Do: ActionNotify},
}

// Offsets in struct seccomp_data.
const (
	offNr   = 0
	offArch = 4
	offArgs = 16
)

// Assemble turns rules into a program. Calls that no rule names are allowed;
// calls of another architecture than x86_64, or of x32, give ENOSYS.
//
// The head of the program only looks at the architecture and the number: the
// kernel recognises that and lets calls without a rule pass without running the
// program at all.
func Assemble(rules []Rule) ([]unix.SockFilter, error) {
	return assemble(rules, ActionAllow, ActionErrno(unix.ENOSYS))
}

// assemble is Assemble with actions for calls that no rule names and for calls
// of another entry into the kernel.
func assemble(rules []Rule, other, foreign Action) ([]unix.SockFilter, error) {
	a := &assembler{}
	a.emit(bpfLoad, offArch)
	a.jump(bpfJeq, unix.AUDIT_ARCH_X86_64, 1, 0)
	a.emit(bpfRet, uint32(foreign))
	a.emit(bpfLoad, offNr)
	a.jump(bpfJset, x32Bit, 0, 1)
	a.emit(bpfRet, uint32(foreign))
	for i := range rules {
		body := &assembler{}
		if err := body.rule(&rules[i]); err != nil {
			return nil, fmt.Errorf("filter: call %d: %w", rules[i].Call, err)
		}
		if len(body.prog) > 255 {
			return nil, fmt.Errorf("filter: call %d: %d instructions, a jump reaches 255", rules[i].Call, len(body.prog))
		}
		a.jump(bpfJeq, rules[i].Call, 0, uint8(len(body.prog)))
		a.prog = append(a.prog, body.prog...)
	}
	a.emit(bpfRet, uint32(other))
	if len(a.prog) > unix.BPF_MAXINSNS {
		return nil, fmt.Errorf("filter: %d instructions, the kernel takes %d", len(a.prog), unix.BPF_MAXINSNS)
	}
	return a.prog, nil
}

// Instruction codes.
const (
	bpfLoad = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
	bpfAnd  = unix.BPF_ALU | unix.BPF_AND | unix.BPF_K
	bpfJeq  = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
	bpfJset = unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K
	bpfRet  = unix.BPF_RET | unix.BPF_K
)

type assembler struct{ prog []unix.SockFilter }

func (a *assembler) emit(code uint16, k uint32) {
	a.prog = append(a.prog, unix.SockFilter{Code: code, K: k})
}

func (a *assembler) jump(code uint16, k uint32, yes, no uint8) {
	a.prog = append(a.prog, unix.SockFilter{Code: code, Jt: yes, Jf: no, K: k})
}

// rule emits the cases in order and the default. Every path ends in a return.
func (a *assembler) rule(r *Rule) error {
	for i := range r.Cases {
		c := &assembler{}
		if err := c.conds(r.Cases[i].When, r.Cases[i].Do); err != nil {
			return err
		}
		a.prog = append(a.prog, c.prog...)
	}
	a.emit(bpfRet, uint32(r.Do))
	return nil
}

// conds emits code that returns do when all conditions hold and else falls out
// of its end.
func (a *assembler) conds(when []Cond, do Action) error {
	if len(when) == 0 {
		a.emit(bpfRet, uint32(do))
		return nil
	}
	rest := &assembler{}
	if err := rest.conds(when[1:], do); err != nil {
		return err
	}
	test := &assembler{}
	if err := test.cond(&when[0], len(rest.prog)); err != nil {
		return err
	}
	a.prog = append(append(a.prog, test.prog...), rest.prog...)
	return nil
}

// cond emits one test that goes on behind itself when it holds and skips the
// following n instructions when not.
func (a *assembler) cond(c *Cond, n int) error {
	if c.Arg < 0 || c.Arg > 5 || len(c.In) == 0 || n > 200 {
		return fmt.Errorf("condition on argument %d with %d values over %d instructions", c.Arg, len(c.In), n)
	}
	low := uint32(offArgs + 8*c.Arg)
	if c.Wide {
		if !c.Not || len(c.In) != 1 || c.In[0] != 0 {
			return fmt.Errorf("a wide argument can only be tested for not being zero")
		}
		a.emit(bpfLoad, low)
		a.jump(bpfJeq, 0, 0, 2)
		a.emit(bpfLoad, low+4)
		a.jump(bpfJeq, 0, uint8(n), 0)
		return nil
	}
	a.emit(bpfLoad, low)
	if c.Mask != 0 {
		a.emit(bpfAnd, c.Mask)
	}
	for i, v := range c.In {
		left := len(c.In) - 1 - i // tests that follow this one
		hit, miss := left, 0
		if left == 0 {
			miss = n
		}
		if c.Not {
			hit, miss = left+n, 0
		}
		a.jump(bpfJeq, v, uint8(hit), uint8(miss))
	}
	return nil
}

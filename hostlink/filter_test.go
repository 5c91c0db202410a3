package hostlink

import (
	"encoding/binary"
	"testing"

	"golang.org/x/sys/unix"
)

// interpret runs a filter as the kernel does, for the instructions that Assemble
// emits.
func interpret(t *testing.T, prog []unix.SockFilter, nr, arch uint32, args [6]uint64) Action {
	t.Helper()
	var data [64]byte
	binary.LittleEndian.PutUint32(data[offNr:], nr)
	binary.LittleEndian.PutUint32(data[offArch:], arch)
	for i, a := range args {
		binary.LittleEndian.PutUint64(data[offArgs+8*i:], a)
	}
	var acc uint32
	for pc := 0; pc < len(prog); pc++ {
		switch in := prog[pc]; in.Code {
		case bpfLoad:
			acc = binary.LittleEndian.Uint32(data[in.K:])
		case bpfAnd:
			acc &= in.K
		case bpfJeq:
			pc += pick(acc == in.K, in)
		case bpfJset:
			pc += pick(acc&in.K != 0, in)
		case bpfRet:
			return Action(in.K)
		default:
			t.Fatalf("instruction %d: code %#x", pc, in.Code)
		}
	}
	t.Fatal("the program ended without a return")
	return 0
}

func pick(yes bool, in unix.SockFilter) int {
	if yes {
		return int(in.Jt)
	}
	return int(in.Jf)
}

const (
	archX86 = unix.AUDIT_ARCH_X86_64
	high    = 1 << 32
)

func TestFilterDecides(t *testing.T) {
	prog, err := Assemble(SandboxRules)
	if err != nil {
		t.Fatal(err)
	}
	eperm, enosys := ActionErrno(unix.EPERM), ActionErrno(unix.ENOSYS)
	noFamily, noProto := ActionErrno(unix.EAFNOSUPPORT), ActionErrno(unix.EPROTONOSUPPORT)
	for _, c := range []struct {
		name string
		nr   uint32
		args [6]uint64
		want Action
	}{
		{"tcp", unix.SYS_SOCKET, [6]uint64{unix.AF_INET, unix.SOCK_STREAM}, ActionNotify},
		{"tcp with flags", unix.SYS_SOCKET, [6]uint64{unix.AF_INET, unix.SOCK_STREAM | unix.SOCK_CLOEXEC | unix.SOCK_NONBLOCK}, ActionNotify},
		{"udp over ipv6", unix.SYS_SOCKET, [6]uint64{unix.AF_INET6, unix.SOCK_DGRAM}, ActionNotify},
		{"the kernel ignores high halves of ints", unix.SYS_SOCKET, [6]uint64{unix.AF_INET | high, unix.SOCK_STREAM | high}, ActionNotify},
		{"raw", unix.SYS_SOCKET, [6]uint64{unix.AF_INET, unix.SOCK_RAW, 1}, eperm},
		{"raw with flags", unix.SYS_SOCKET, [6]uint64{unix.AF_INET6, unix.SOCK_RAW | unix.SOCK_CLOEXEC}, eperm},
		{"sctp's type", unix.SYS_SOCKET, [6]uint64{unix.AF_INET, unix.SOCK_SEQPACKET, 132}, ActionNotify},
		{"unix", unix.SYS_SOCKET, [6]uint64{unix.AF_UNIX, unix.SOCK_STREAM}, ActionAllow},
		{"packet", unix.SYS_SOCKET, [6]uint64{unix.AF_PACKET, unix.SOCK_RAW}, eperm},
		{"vsock", unix.SYS_SOCKET, [6]uint64{unix.AF_VSOCK, unix.SOCK_STREAM}, eperm},
		{"alg", unix.SYS_SOCKET, [6]uint64{unix.AF_ALG, unix.SOCK_SEQPACKET}, eperm},
		{"smc", unix.SYS_SOCKET, [6]uint64{unix.AF_SMC, unix.SOCK_STREAM}, noFamily},
		{"xdp", unix.SYS_SOCKET, [6]uint64{unix.AF_XDP, unix.SOCK_RAW}, noFamily},
		{"unspecified", unix.SYS_SOCKET, [6]uint64{}, noFamily},
		{"all bits", unix.SYS_SOCKET, [6]uint64{^uint64(0), ^uint64(0), ^uint64(0)}, noFamily},
		{"rtnetlink", unix.SYS_SOCKET, [6]uint64{unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_ROUTE}, ActionAllow},
		{"sock_diag", unix.SYS_SOCKET, [6]uint64{unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_SOCK_DIAG}, noProto},
		{"socketpair", unix.SYS_SOCKETPAIR, [6]uint64{unix.AF_UNIX}, ActionAllow},
		{"bind", unix.SYS_BIND, [6]uint64{}, ActionNotify},
		{"accept4", unix.SYS_ACCEPT4, [6]uint64{}, ActionNotify},
		{"send", unix.SYS_SENDTO, [6]uint64{3, 1, 2, 0, 0, 0}, ActionAllow},
		{"sendto", unix.SYS_SENDTO, [6]uint64{3, 1, 2, 0, 0x1000, 16}, ActionNotify},
		{"sendto, address above 4 GiB", unix.SYS_SENDTO, [6]uint64{3, 1, 2, 0, high, 16}, ActionNotify},
		{"send out of band", unix.SYS_SENDTO, [6]uint64{3, 1, 2, unix.MSG_OOB}, ActionAllow},
		{"fast open", unix.SYS_SENDTO, [6]uint64{3, 1, 2, unix.MSG_FASTOPEN | unix.MSG_NOSIGNAL}, ActionNotify},
		{"recv", unix.SYS_RECVFROM, [6]uint64{3, 1, 2, unix.MSG_PEEK}, ActionAllow},
		{"recvfrom", unix.SYS_RECVFROM, [6]uint64{3, 1, 2, 0, high << 10}, ActionNotify},
		{"error queue", unix.SYS_RECVFROM, [6]uint64{3, 1, 2, unix.MSG_ERRQUEUE}, ActionNotify},
		{"bytes to discard", unix.SYS_RECVFROM, [6]uint64{3, 0, 2, unix.MSG_TRUNC | unix.MSG_PEEK}, ActionNotify},
		{"recvmmsg", unix.SYS_RECVMMSG, [6]uint64{}, ActionNotify},
		{"address of an interface", unix.SYS_IOCTL, [6]uint64{3, unix.SIOCGIFADDR}, ActionNotify},
		{"list of interfaces", unix.SYS_IOCTL, [6]uint64{3, unix.SIOCGIFCONF}, ActionAllow},
		{"terminal", unix.SYS_IOCTL, [6]uint64{0, unix.TCGETS}, ActionAllow},
		{"io_uring_setup", unix.SYS_IO_URING_SETUP, [6]uint64{}, enosys},
		{"io_uring_enter", unix.SYS_IO_URING_ENTER, [6]uint64{}, enosys},
		{"read", unix.SYS_READ, [6]uint64{3}, ActionAllow},
		{"write", unix.SYS_WRITE, [6]uint64{3}, ActionAllow},
		{"socket by x32", unix.SYS_SOCKET | x32Bit, [6]uint64{unix.AF_INET, unix.SOCK_STREAM}, enosys},
		{"number -1", ^uint32(0), [6]uint64{}, enosys},
	} {
		if got := interpret(t, prog, c.nr, archX86, c.args); got != c.want {
			t.Errorf("%s: %#x, want %#x", c.name, got, c.want)
		}
		if got := interpret(t, prog, c.nr, unix.AUDIT_ARCH_I386, c.args); got != enosys {
			t.Errorf("%s by i386: %#x", c.name, got)
		}
	}
}

// Whatever the registers hold, no call makes a kernel socket of another family
// than AF_UNIX and AF_NETLINK.
func TestFilterAllowsNoOtherFamily(t *testing.T) {
	prog, err := Assemble(SandboxRules)
	if err != nil {
		t.Fatal(err)
	}
	for family := range uint64(64) {
		for typ := range uint64(16) {
			for proto := range uint64(4) {
				got := interpret(t, prog, unix.SYS_SOCKET, archX86, [6]uint64{family, typ, proto})
				allowed := family == unix.AF_UNIX || family == unix.AF_NETLINK && proto == unix.NETLINK_ROUTE
				if (got == ActionAllow) != allowed {
					t.Errorf("socket(%d, %d, %d): %#x", family, typ, proto, got)
				}
			}
		}
	}
}

func TestAssembleRefuses(t *testing.T) {
	for name, rule := range map[string]Rule{
		"argument 6":         {Cases: []Case{{When: []Cond{{Arg: 6, In: []uint32{0}}}}}},
		"no values":          {Cases: []Case{{When: []Cond{{Arg: 0}}}}},
		"wide compared to 1": {Cases: []Case{{When: []Cond{{Arg: 0, Wide: true, Not: true, In: []uint32{1}}}}}},
		"too long a rule":    {Cases: make([]Case, 300)},
	} {
		if _, err := Assemble([]Rule{rule}); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

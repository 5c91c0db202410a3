package e2e

import (
	"slices"
	"strings"
	"testing"

	"github.com/tcpcni/tcpcni/test/needroot"
)

// What a container under seccomp gets when it asks for what its profile does
// not allow.
var (
	forbidden = []string{"EPERM"}
	// A whole system call, or a whole ABI, that is missing or not allowed.
	noCall = []string{"ENOSYS", "EPERM"}
	// A family that this machine may not have at all.
	noFamily = []string{"EAFNOSUPPORT", "EPERM"}
	// A protocol that this machine does not have.
	noProtocol = []string{"EPROTONOSUPPORT", "ESOCKTNOSUPPORT", "EPERM"}
)

// refusals are the lines of testdata/refused.c and what each may say.
var refusals = map[string][]string{
	"AF_PACKET SOCK_RAW":            forbidden,
	"AF_PACKET SOCK_DGRAM":          forbidden,
	"AF_PACKET SOCK_RAW with flags": forbidden,
	"AF_PACKET in a wide register":  forbidden,
	"AF_VSOCK":                      forbidden,
	"AF_ALG":                        noFamily,
	"AF_XDP":                        noFamily,
	"AF_KEY":                        noFamily,
	"AF_INET SOCK_RAW ICMP":         forbidden,
	"AF_INET SOCK_RAW TCP":          forbidden,
	"AF_INET SOCK_RAW RAW":          forbidden,
	"AF_INET6 SOCK_RAW ICMPV6":      forbidden,
	"AF_INET SOCK_DGRAM ICMP":       append([]string{"EACCES"}, noProtocol...),
	"AF_INET6 SOCK_DGRAM ICMPV6":    append([]string{"EACCES"}, noProtocol...),
	"AF_INET SOCK_PACKET":           append([]string{"EINVAL"}, noProtocol...),
	"AF_INET MPTCP":                 noProtocol,
	"AF_INET SCTP":                  noProtocol,
	"AF_INET UDPLITE":               noProtocol,
	"NETLINK_USERSOCK":              noProtocol,
	"NETLINK_SOCK_DIAG":             noProtocol,
	"NETLINK_XFRM":                  noProtocol,
	"NETLINK_AUDIT":                 noProtocol,
	"NETLINK_NETFILTER":             noProtocol,
	"NETLINK_KOBJECT_UEVENT":        noProtocol,
	"NETLINK_GENERIC":               noProtocol,
	"NETLINK_CRYPTO":                noProtocol,
	"socketpair AF_INET":            {"EOPNOTSUPP", "EPERM"},
	"io_uring_setup":                {"ENOSYS"},
	"x32 getpid":                    noCall,
	"x32 socket":                    noCall,
	// Where the kernel has no 32-bit entry, the instruction itself faults.
	"i386 getpid":        append([]string{"SIGSEGV"}, noCall...),
	"i386 socket":        append([]string{"SIGSEGV"}, noCall...),
	"i386 socketcall":    append([]string{"SIGSEGV"}, noCall...),
	"NETLINK_ROUTE":      {"done"},
	"AF_UNIX":            {"done"},
	"socketpair AF_UNIX": {"done"},
}

func TestRefusedCalls(t *testing.T) {
	onlyTCPCNI(t)
	needroot.Check(t, "make network namespaces")
	program := compileC(t, "refused")
	check := func(t *testing.T, p *proc) {
		t.Helper()
		seen := map[string]bool{}
		for line := range strings.Lines(p.ok()) {
			what, got, _ := strings.Cut(strings.TrimSpace(line), ": ")
			seen[what] = true
			if want := refusals[what]; !slices.Contains(want, got) {
				t.Errorf("%s: %s, want one of %v", what, got, want)
			}
		}
		for what := range refusals {
			if !seen[what] {
				t.Errorf("%s was not tried", what)
			}
		}
	}
	t.Run("run", func(t *testing.T) {
		h := newHost(t)
		_, p := h.run(nil, program)
		check(t, p)
	})
	t.Run("exec", func(t *testing.T) {
		h := newHost(t)
		pod := h.pod()
		check(t, pod.start(program))
		// A child is under the same rules, whatever it execs.
		check(t, pod.start("sh", "-c", "env -i "+program))
		pod.stop()
	})
}

package e2e

import (
	"strings"
	"testing"
)

// FreeBSD, Sortix and CX/UX in sandboxes of those profiles.
func TestFreeBSDSortixCXUX(t *testing.T) {
	onlyTCPCNI(t)
	program := compileC(t, "freebsd")
	for _, profile := range []string{"freebsd", "sortix", "cxux"} {
		t.Run(profile, func(t *testing.T) {
			h := newHost(t)
			pod := h.pod("--profile", profile)
			if got := pod.start(program, profile).ok(); got != "" {
				t.Error(got)
			}
			pod.stop()
		})
	}
}

// Tunables of a sandbox that runs: shown, set at once or not at all, seen by
// sockets, and kept when the engine is started again.
func TestSysctl(t *testing.T) {
	onlyTCPCNI(t)
	h := newHost(t)
	pod := h.pod("--set", "tcp_syn_retries=3", "--set", "net.inet.tcp.msl=10000")
	sysctl := func(args ...string) string { return h.tcpcni(append([]string{"sysctl", pod.name}, args...)...).ok() }
	congestion := func() string {
		return pod.start("/usr/bin/python3", "-c", "import socket; s = socket.socket(); print(s.getsockopt(6, 13, 16).rstrip(b'\\0').decode())").ok()
	}
	if got := sysctl("tcp_syn_retries", "net.inet.tcp.msl", "tcp_sack_permitted"); got != "net.ipv4.tcp_syn_retries = 3\nnet.inet.tcp.msl = 10000\ntcp_sack_permitted = 2\n" {
		t.Errorf("shows\n%s", got)
	}
	if got := congestion(); got != "cubic\n" {
		t.Errorf("begins with %s", got)
	}
	if got := sysctl("tcp_congestion_control=reno", "tcp_rmem=4096 65536 1000000"); got != "net.ipv4.tcp_congestion_control = reno\nnet.ipv4.tcp_rmem = 4096 65536 1000000\n" {
		t.Errorf("sets\n%s", got)
	}
	if got := congestion(); got != "reno\n" {
		t.Errorf("a new socket has %s", got)
	}
	for _, c := range []struct{ args, want string }{
		{"tcp_nosuch=1", `tunable "tcp_nosuch" is unknown`},
		{"tcp_nosuch", `tunable "tcp_nosuch" is unknown`},
		{"tcp_syn_retries=7 tcp_sack=2", `tunable net.ipv4.tcp_sack: value "2"; accepted: 0..1`},
		{"net.inet.tcp.pcbcount=7", "it can only be read"},
		{"tcp_ecn=0 net.inet.tcp.ecn.enable=1", "the same value"},
		{"=7", "accepted: KEY or KEY=VALUE"},
		{"tcp_plb_enabled", "a sandbox does not have it"},
		{"udp_mem=1", "a sandbox does not have it"},
		{"tcp_autocorking=0", `value "0"; accepted: 1`},
		{"tcp_fastopen_key=1-2-3", "accepted: 4 hexadecimal numbers"},
	} {
		if got := h.tcpcni(append([]string{"sysctl", pod.name}, strings.Fields(c.args)...)...).fails(); !strings.Contains(got, c.want) {
			t.Errorf("%s: %s, want %s", c.args, got, c.want)
		}
	}
	// One port is left to choose, and an address is the sandbox's or not.
	const key = "2d8652cc-61fd49f4-047b1794-a6cfc78e,00000001-00000002-00000003-00000004"
	sysctl("ip_local_port_range=40000 40002", "ip_local_reserved_ports=40000-40001", "ip_nonlocal_bind=1", "tcp_fastopen_key="+key)
	ports := func() string {
		return pod.start("/usr/bin/python3", "-c", `
import errno, socket
for i in range(2):
    s = socket.socket()
    try:
        s.bind(("192.0.2.7", 0))
        print(s.getsockname())
        keep = s
    except OSError as e:
        print(errno.errorcode[e.errno])
s = socket.socket()
s.bind(("", 40001))
print(s.getsockname())
`).ok()
	}
	const chosen = "('192.0.2.7', 40002)\nEADDRINUSE\n('0.0.0.0', 40001)\n"
	if got := ports(); got != chosen {
		t.Errorf("ports\n%s", got)
	}
	pod.crash()
	if got := sysctl("-n", "tcp_fastopen_key", "ip_local_reserved_ports"); got != key+"\n40000-40001\n" {
		t.Errorf("after the engine's end\n%s", got)
	}
	if got := ports(); got != chosen {
		t.Errorf("after the engine's end\n%s", got)
	}
	if got := sysctl("-n", "tcp_congestion_control", "tcp_syn_retries", "tcp_rmem"); got != "reno\n3\n4096 65536 1000000\n" {
		t.Errorf("after the engine's end\n%s", got)
	}
	if got := congestion(); got != "reno\n" {
		t.Errorf("after the engine's end a new socket has %s", got)
	}
	own, all := sysctl(), sysctl("--all")
	if !strings.Contains(own, "net.ipv4.tcp_sack = 1\n") || strings.Contains(own, "net.inet.") || !strings.Contains(all, "net.inet.tcp.sack.enable = 1\n") {
		t.Errorf("lists\n%s\nand\n%s", own, all)
	}
	pod.stop()
}

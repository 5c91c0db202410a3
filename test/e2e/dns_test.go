package e2e

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// manyAddresses is more than fits into the 512 bytes that a resolver without
// EDNS takes in one datagram, so the answer comes truncated and again by TCP.
const manyAddresses = 60

// dnsmasq starts a name server in the host that knows a few names and nobody
// else to ask.
func dnsmasq(h *host, flags ...string) *proc {
	h.t.Helper()
	names := h.t.TempDir() + "/names"
	text := "192.0.2.1 one.test\n2001:db8::1 one.test\n192.0.2.2 two.test\n"
	for i := range manyAddresses {
		text += fmt.Sprintf("198.51.100.%d many.test\n", i+1)
	}
	must(h.t, os.WriteFile(names, []byte(text), 0o644))
	// dnsmasq gives up root and reads the file again as somebody else.
	must(h.t, os.Chmod(h.t.TempDir(), 0o755))
	p := h.start(append([]string{"dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--no-resolv", "--no-hosts",
		"--user=root", "--pid-file=", "--addn-hosts=" + names, "--local=/test/", "--log-queries"}, flags...)...)
	p.line("read .*names")
	return p
}

// lookUp asks glibc's getaddrinfo, through getent, and returns the addresses.
func lookUp(t *testing.T, pod *sandbox, name string) []string {
	t.Helper()
	var found []string
	for line := range strings.Lines(pod.start("getent", "ahosts", name).ok()) {
		if f := strings.Fields(line); len(f) >= 2 && f[1] == "STREAM" {
			found = append(found, f[0])
		}
	}
	slices.Sort(found)
	return found
}

func expectNames(t *testing.T, pod *sandbox) {
	t.Helper()
	for name, want := range map[string][]string{
		"one.test": {"192.0.2.1", "2001:db8::1"},
		"two.test": {"192.0.2.2"},
	} {
		if got := lookUp(t, pod, name); !slices.Equal(got, want) {
			t.Errorf("%s resolves to %v, want %v", name, got, want)
		}
	}
	if p := pod.start("getent", "ahosts", "none.test"); p.wait() != 2 {
		t.Errorf("none.test: exit status %d, want getent's 2 for 'not found'", p.wait())
	}
}

func TestResolverUDP(t *testing.T) {
	for version, server := range map[string]string{"IPv4": hostV4, "IPv6": hostV6} {
		t.Run(version, func(t *testing.T) {
			h := newHost(t)
			h.resolvConf("nameserver " + server + "\n")
			pod := h.pod()
			dnsmasq(h)
			expectNames(t, pod)
			if version == "IPv4" && h.counter("Udp", "InDatagrams") == 0 {
				t.Error("the server had no datagram")
			}
			if n := h.counter("Tcp", "PassiveOpens"); n != 0 {
				t.Errorf("the server had %d TCP connections", n)
			}
			pod.stop()
		})
	}
}

func TestResolverTCP(t *testing.T) {
	h := newHost(t)
	h.resolvConf("nameserver " + hostV4 + "\noptions use-vc\n")
	pod := h.pod()
	dnsmasq(h)
	expectNames(t, pod)
	if h.counter("Tcp", "PassiveOpens") == 0 {
		t.Error("the server had no TCP connection")
	}
	pod.stop()
}

// An answer that was cut to a datagram is asked again over TCP.
func TestResolverTruncated(t *testing.T) {
	h := newHost(t)
	h.resolvConf("nameserver " + hostV4 + "\n")
	pod := h.pod()
	dnsmasq(h)
	if got := lookUp(t, pod, "many.test"); len(got) != manyAddresses {
		t.Errorf("many.test has %d addresses, want %d: %v", len(got), manyAddresses, got)
	}
	if h.counter("Udp", "InDatagrams") == 0 || h.counter("Tcp", "PassiveOpens") == 0 {
		t.Errorf("the server had %d datagrams and %d TCP connections, want some of both",
			h.counter("Udp", "InDatagrams"), h.counter("Tcp", "PassiveOpens"))
	}
	pod.stop()
}

// Nobody answers at the first server: the program hears the ICMP error or
// waits, and asks the second.
func TestResolverFallsBack(t *testing.T) {
	h := newHost(t)
	h.resolvConf("nameserver " + hostV6 + "\nnameserver " + hostV4 + "\noptions timeout:5\n")
	pod := h.pod()
	dnsmasq(h, "--listen-address="+hostV4, "--bind-interfaces")
	if got := lookUp(t, pod, "two.test"); !slices.Equal(got, []string{"192.0.2.2"}) {
		t.Errorf("two.test resolves to %v", got)
	}
	pod.stop()
}

// A host whose resolv.conf names its own loopback, as with systemd-resolved:
// that address means the host also inside the sandbox.
func TestResolverOnLoopback(t *testing.T) {
	onlyTCPCNI(t)
	for _, options := range []string{"", "options use-vc\n"} {
		h := newHost(t)
		h.resolvConf("nameserver 127.0.0.1\n" + options)
		dnsmasq(h, "--listen-address=127.0.0.1", "--bind-interfaces")
		pod := h.pod()
		expectNames(t, pod)
		if got := lookUp(t, pod, "many.test"); len(got) != manyAddresses {
			t.Errorf("many.test has %d addresses, want %d: %v", len(got), manyAddresses, got)
		}
		pod.stop()
	}
}

// Go resolves names by itself in a static program and through glibc in a
// dynamic one.
func TestResolverOfGo(t *testing.T) {
	bothBuilds(t, func(t *testing.T, peer string) {
		h := newHost(t)
		h.resolvConf("nameserver " + hostV4 + "\n")
		pod := h.pod()
		dnsmasq(h, "--address=/web.test/"+hostV4)
		h.start(peer, "serve", ":8000").line("listening on")
		// The dynamic build goes through glibc only when it is told to.
		cgo := plumbing{env: []string{"GODEBUG=netdns=cgo"}}
		got := pod.startWith(cgo, peer, "get", "http://web.test:8000/", "1").ok()
		if !strings.HasPrefix(got, "hello "+pod.v4+":") {
			t.Errorf("web.test says %q", got)
		}
		pod.stop()
	})
}

package e2e

import (
	"strings"
	"testing"
)

// beyond makes a second machine, linked to the host alone, that knows no way
// back to the sandboxes' network.
func beyond(h *host, mtu string) *host {
	h.t.Helper()
	far := newHost(h.t)
	sh(h.t, "ip", "-n", h.name, "link", "add", "far", "type", "veth", "peer", "name", "near", "netns", far.name)
	for _, end := range []struct{ ns, dev, last string }{{h.name, "far", "1"}, {far.name, "near", "2"}} {
		for _, args := range [][]string{
			{"addr", "add", "192.0.2." + end.last + "/24", "dev", end.dev},
			{"addr", "add", "2001:db8::" + end.last + "/64", "dev", end.dev, "nodad"},
			{"link", "set", end.dev, "mtu", mtu, "up"},
		} {
			sh(h.t, append([]string{"ip", "-n", end.ns}, args...)...)
		}
	}
	return far
}

// A program reaches what its host reaches, under the host's address.
func TestMasquerade(t *testing.T) {
	h := newHost(t)
	far := beyond(h, "1500")
	pod := h.pod()
	peer := compileGo(t, false)
	far.start(peer, "serve", ":8000").line("listening on")
	for to, from := range map[string]string{"192.0.2.2": "192.0.2.1", "[2001:db8::2]": "[2001:db8::1]"} {
		got := pod.start(peer, "get", "http://"+to+":8000/", "4").ok()
		if !strings.HasPrefix(got, "hello "+from+":") {
			t.Errorf("%s says %q", to, got)
		}
	}
	pod.stop()
}

// A narrower link further on, which only an ICMP message tells of.
func TestPathMTU(t *testing.T) {
	file := makePayload(t, 8<<20)
	h := newHost(t)
	far := beyond(h, "1300")
	pod := h.pod()
	nginx(t, pod, file.folder(t), 0)
	nginx(t, far, file.folder(t), 0)
	// The far machine does know the way for this test: it is the client, too.
	sh(t, "ip", "-n", far.name, "route", "add", "10.87.0.0/24", "via", "192.0.2.1")
	sh(t, "ip", "-n", far.name, "route", "add", "fd87::/64", "via", "2001:db8::1")
	for _, c := range []struct {
		where interface {
			startWith(plumbing, ...string) *proc
		}
		addr string
	}{{far, pod.v4}, {far, "[" + pod.v6 + "]"}, {pod, "192.0.2.2"}, {pod, "[2001:db8::2]"}} {
		p, got := curl(t, c.where, "http://"+c.addr+"/file")
		p.ok()
		got.expect(t, file)
	}
	pod.stop()
}

// The host knows no way to an address and says so by ICMP: connect fails with
// that error, and does not wait for its retransmissions to end.
func TestUnreachable(t *testing.T) {
	h := newHost(t)
	pod := h.pod()
	const script = `
import errno, socket, sys
for addr in sys.argv[1:]:
    s = socket.socket(socket.AF_INET6 if ':' in addr else socket.AF_INET)
    try:
        s.connect((addr, 80))
    except OSError as e:
        print(errno.errorcode[e.errno])
`
	p := pod.start("/usr/bin/python3", "-c", script, "198.51.100.1", "2001:db8:1::1")
	if got := p.ok(); got != "ENETUNREACH\nENETUNREACH\n" {
		t.Errorf("got %q", got)
	}
	pod.stop()
}

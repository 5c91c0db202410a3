package e2e

import (
	"os"
	"strings"
	"testing"
)

// Where every program is to be intercepted, those that are have all of the
// network, what dials them on the pod's loopback reaches them, and a program
// without a filter has nothing, and is told so at once.
func TestPlainIsRefused(t *testing.T) {
	const serve = `
import socket, sys
l = socket.socket(socket.AF_INET6)
l.bind(('::', int(sys.argv[1])))
l.listen(64)
print('ready')
while True:
    c, _ = l.accept()
    c.sendall(sys.argv[2].encode())
    c.close()
`
	// What becomes of a connection to each address and port. The time-out of an
	// answer that never comes would be another text.
	const ask = `
import errno, socket, sys
for a in sys.argv[1:]:
    addr, port = a.rsplit(',', 1)
    try:
        print(socket.create_connection((addr, int(port)), timeout=60).recv(100).decode())
    except OSError as e:
        print(errno.errorcode.get(e.errno, e))
`
	const datagram = `
import errno, socket, sys
for addr in sys.argv[1:]:
    s = socket.socket(socket.AF_INET6 if ':' in addr else socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(60)
    s.connect((addr, 9))
    s.send(b'x')
    try:
        s.recv(1)
    except OSError as e:
        print(errno.errorcode.get(e.errno, e))
`
	h := newHost(t)
	pod := h.plain(`"intercept":{"required":true},`)
	h.start(python(serve, "8000", "host")...).line("ready")
	pod.intercepted(python(serve, "8001", "intercepted")...).line("ready")
	pod.start(python(serve, "8002", "plain")...).line("ready")

	expect := func(what string, p *proc, want ...string) {
		t.Helper()
		if got := strings.Fields(p.ok()); strings.Join(got, " ") != strings.Join(want, " ") {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
	}
	// The plain program, outwards and inwards.
	expect("plain, out", pod.start(python(ask, hostV4+",8000", hostV6+",8000", "198.51.100.1,80")...), "ECONNREFUSED", "ECONNREFUSED", "ECONNREFUSED")
	expect("plain, datagrams", pod.start(python(datagram, hostV4, hostV6)...), "EHOSTUNREACH", "EACCES")
	expect("to the plain program", h.start(python(ask, pod.v4+",8002", pod.v6+",8002")...), "ECONNREFUSED", "ECONNREFUSED")
	expect("from its neighbour", pod.intercepted(python(ask, pod.v4+",8002", "127.0.0.1,8002", "::1,8002")...), "ECONNREFUSED", "ECONNREFUSED", "ECONNREFUSED")
	if got := pod.start("ping", "-n", "-c", "1", hostV4).fails(); !strings.Contains(got, "filtered") {
		t.Errorf("a plain ping: %s", got)
	}
	// The intercepted one at the same time: out, in, as probes do, and by the
	// pod's loopback, as port-forward does.
	expect("intercepted, out", pod.intercepted(python(ask, hostV4+",8000", hostV6+",8000", "127.0.0.1,8001")...), "host", "host", "intercepted")
	expect("to the intercepted program", h.start(python(ask, pod.v4+",8001", pod.v6+",8001")...), "intercepted", "intercepted")
	expect("by the kernel's loopback", pod.start(python(ask, "127.0.0.1,8001", "::1,8001", pod.v4+",8001")...), "intercepted", "intercepted", "intercepted")
	h.start("ping", "-n", "-c", "1", pod.v4).ok()

	// Three connections, two datagrams, an echo request.
	st := pod.status().Inline
	if st == nil || !st.Closed || st.Denied < 6 || st.Out+st.In+st.PacketsOut+st.PacketsIn != 0 || st.Mirrored != 3 {
		t.Errorf("status: %+v", st)
	}
	text, err := os.ReadFile(h.state + "/sandboxes/" + pod.c.id + "-eth0/engine.log")
	must(t, err)
	if n := strings.Count(string(text), "was refused the network"); n == 0 || n > 5 || !strings.Contains(string(text), "to="+hostV4+":8000") {
		t.Errorf("%d lines in the engine's log: %s", n, text)
	}
}

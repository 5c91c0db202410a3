package e2e

import (
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/tcpcni/tcpcni/engine"
)

// The inline path: programs that nobody intercepts, in the namespace of an
// attachment, with sockets of its kernel.

// A plainPod is a container that the plugin was added to and that has an
// ordinary runtime.
type plainPod struct {
	h      *host
	r      *cniRuntime
	c      container
	v4, v6 string
}

// plain attaches a namespace to the network of the tests; keys are further keys
// of its configuration, each with a comma behind it.
func (h *host) plain(keys string) *plainPod {
	h.t.Helper()
	p := &plainPod{h: h, r: newRuntime(h, `"uplink":"ptp",`+keys), v4: "10.87.0.2", v6: "fd87::2"}
	p.c = p.r.container("c")
	sh(h.t, "ip", "-n", p.c.ns, "link", "set", "lo", "up")
	_, err := p.r.add(p.c)
	must(h.t, err)
	h.t.Cleanup(func() { must(h.t, p.r.del(p.c)) })
	return p
}

// start runs a program in the namespace on the kernel's sockets.
func (p *plainPod) start(args ...string) *proc {
	p.h.t.Helper()
	return p.startWith(plumbing{}, args...)
}

func (p *plainPod) startWith(io plumbing, args ...string) *proc {
	p.h.t.Helper()
	io.env = append(io.env, p.h.env()...)
	return start(p.h.t, io, append([]string{"ip", "netns", "exec", p.c.ns}, args...)...)
}

// status asks the pod's engine.
func (p *plainPod) status() engine.Status {
	p.h.t.Helper()
	c, err := engine.Dial(p.h.state + "/sandboxes/" + p.c.id + "-eth0/control.sock")
	must(p.h.t, err)
	defer func() { _ = c.Close() }()
	st, err := c.Status()
	must(p.h.t, err)
	return st
}

// intercepted runs a program in the same sandbox on the engine's sockets.
func (p *plainPod) intercepted(args ...string) *proc {
	p.h.t.Helper()
	return p.h.start(append([]string{command(), "exec", p.c.id, "--"}, args...)...)
}

// python is a script with arguments.
func python(script string, args ...string) []string {
	return append([]string{"/usr/bin/python3", "-B", "-u", "-c", script}, args...)
}

// peers runs testdata/inline/peers.py on both sides and returns what each has
// printed.
func peers(t *testing.T, server, client place, addr string) (atServer, atClient string) {
	t.Helper()
	script := testdata(t, "inline/peers.py")
	s := server.start("/usr/bin/python3", "-B", script, "server", addr)
	s.line("listening: True")
	c := client.start("/usr/bin/python3", "-B", script, "client", addr)
	atClient = c.ok()
	return s.ok(), atClient
}

// What two programs see of each other is what they see without an engine in
// between.
func TestInlineAsOnTheKernel(t *testing.T) {
	onlyTCPCNI(t)
	k := newHost(t)
	ks := k.newSandbox()
	ks.kernelNetwork()
	wantServer, wantClient := peers(t, k, kernelPlace{ks}, hostV4)

	h := newHost(t)
	pod := h.plain("")
	for _, c := range []struct {
		name           string
		server, client place
		addr           string
	}{
		{"out", h, pod, hostV4}, {"in", pod, h, pod.v4},
		{"out6", h, pod, hostV6}, {"in6", pod, h, pod.v6},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, cl := peers(t, c.server, c.client, c.addr)
			compareLines(t, wantServer, s)
			compareLines(t, wantClient, cl)
		})
	}
}

// A kernelPlace runs programs in the namespace that stands for a sandbox on the
// kernel.
type kernelPlace struct{ s *sandbox }

func (k kernelPlace) start(args ...string) *proc {
	return start(k.s.h.t, plumbing{}, append([]string{"ip", "netns", "exec", k.s.kernelName()}, args...)...)
}

func TestInlineWeb(t *testing.T) {
	file := makePayload(t, 64<<20)
	h := newHost(t)
	pod := h.plain("")
	nginx(t, pod, file.folder(t), 0)
	nginx(t, h, file.folder(t), 0)
	for _, c := range []struct {
		where interface {
			startWith(plumbing, ...string) *proc
		}
		addr string
	}{{h, pod.v4}, {h, "[" + pod.v6 + "]"}, {pod, hostV4}, {pod, "[" + hostV6 + "]"}} {
		p, got := curl(t, c.where, "http://"+c.addr+"/file")
		p.ok()
		got.expect(t, file)
	}
	st := pod.status()
	if st.Inline == nil || st.Inline.Out != 2 || st.Inline.In != 2 {
		t.Errorf("status of the inline path: %+v", st.Inline)
	}
}

// Two hundred connections at a time each way, each with its own text.
func TestInlineManyConnections(t *testing.T) {
	h := newHost(t)
	pod := h.plain("")
	peer := compileGo(t, false)
	pod.start(peer, "echo", ":7000").line("listening on")
	h.start(peer, "echo", ":7000").line("listening on")
	in := h.start(peer, "flock", pod.v4+":7000", "200", "100000")
	out := pod.start(peer, "flock", "["+hostV6+"]:7000", "200", "100000")
	in.ok()
	out.ok()
	eventually(t, "the end of every connection", func() bool { return pod.status().Inline.Connections == 0 })
}

// Datagrams of every size, with fragments, both ways, and the refusal of a port
// where nobody is.
func TestInlineUDP(t *testing.T) {
	const echo = `
import socket, sys
s = socket.socket(socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
s.bind((sys.argv[1], 7000))
print('ready')
while True:
    b, a = s.recvfrom(70000)
    s.sendto(b, a)
`
	const ask = `
import errno, os, socket, sys
addr = sys.argv[1]
s = socket.socket(socket.AF_INET6 if ':' in addr else socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(60)
s.connect((addr, 7000))
for n in 0, 1, 1400, 1473, 9000, 30000, 65000:
    text = os.urandom(n)
    s.send(text)
    print(n, s.recv(70000) == text)
s.connect((addr, 7001))
s.send(b'x')
try:
    s.recv(1)
except OSError as e:
    print(errno.errorcode[e.errno])
`
	const want = "0 True\n1 True\n1400 True\n1473 True\n9000 True\n30000 True\n65000 True\nECONNREFUSED\n"
	h := newHost(t)
	pod := h.plain("")
	for _, c := range []struct {
		server, client place
		addr           string
	}{{h, pod, hostV4}, {h, pod, hostV6}, {pod, h, pod.v4}, {pod, h, pod.v6}} {
		s := c.server.start(python(echo, c.addr)...)
		s.line("ready")
		if got := c.client.start(python(ask, c.addr)...).ok(); got != want {
			t.Errorf("%s: %s", c.addr, got)
		}
		s.stop()
	}
}

func TestInlinePing(t *testing.T) {
	h := newHost(t)
	pod := h.plain("")
	for _, c := range []struct {
		from place
		to   string
	}{{pod, hostV4}, {pod, hostV6}, {h, pod.v4}, {h, pod.v6}} {
		for _, size := range []string{"56", "4000"} {
			out := c.from.start("ping", "-n", "-c", "3", "-i", "0.2", "-s", size, c.to).ok()
			if !strings.Contains(out, "3 packets transmitted, 3 received") {
				t.Errorf("%s", out)
			}
		}
	}
}

// routed gives the host a second machine that knows the way back.
func routed(h *host, mtu string) *host {
	far := beyond(h, mtu)
	h.sh("sysctl", "-q", "-w", "net.ipv4.ip_forward=1")
	h.sh("sysctl", "-q", "-w", "net.ipv6.conf.all.forwarding=1")
	sh(h.t, "ip", "-n", far.name, "route", "add", "10.87.0.0/24", "via", "192.0.2.1")
	sh(h.t, "ip", "-n", far.name, "route", "add", "fd87::/64", "via", "2001:db8::1")
	return far
}

// The first hop is the host: the engine is the same machine as the pod.
func TestInlineTraceroute(t *testing.T) {
	h := newHost(t)
	pod := h.plain("")
	routed(h, "1500")
	for _, c := range []struct{ flag, to, hop string }{
		{"-U", "192.0.2.2", hostV4}, {"-I", "192.0.2.2", hostV4},
		{"-U", "2001:db8::2", hostV6}, {"-I", "2001:db8::2", hostV6},
	} {
		out := pod.start("traceroute", "-n", "-q", "1", "-w", "10", "-m", "5", c.flag, c.to).ok()
		hops := regexp.MustCompile(`(?m)^ *[0-9]+ +(\S+)`).FindAllStringSubmatch(out, -1)
		if len(hops) != 2 || hops[0][1] != c.hop || hops[1][1] != c.to {
			t.Errorf("traceroute %s %s:\n%s", c.flag, c.to, out)
		}
	}
}

// A narrow link behind the host: TCP follows it in the engine, UDP and
// tracepath hear of it in the pod.
func TestInlinePathMTU(t *testing.T) {
	const learn = `
import errno, socket, sys, time
addr = sys.argv[1]
v6 = ':' in addr
s = socket.socket(socket.AF_INET6 if v6 else socket.AF_INET, socket.SOCK_DGRAM)
level, discover, mtu = (41, 23, 24) if v6 else (0, 10, 14)
s.setsockopt(level, discover, 2)
s.connect((addr, 9))
s.send(bytes(1400))
while s.getsockopt(level, mtu) == 1500:
    time.sleep(0.01)
print(s.getsockopt(level, mtu))
`
	file := makePayload(t, 8<<20)
	h := newHost(t)
	pod := h.plain("")
	far := routed(h, "1300")
	for _, to := range []string{"192.0.2.2", "2001:db8::2"} {
		if got := pod.start(python(learn, to)...).ok(); got != "1300\n" {
			t.Errorf("%s: path MTU %s", to, got)
		}
		out := pod.start("tracepath", "-n", "-m", "5", to).ok()
		if !strings.Contains(out, "pmtu 1300") {
			t.Errorf("tracepath %s:\n%s", to, out)
		}
	}
	nginx(t, far, file.folder(t), 0)
	nginx(t, pod, file.folder(t), 0)
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
}

// Nobody answers at an address: the program hears it as it would without an
// engine.
func TestInlineUnreachable(t *testing.T) {
	const script = `
import errno, socket, sys
for addr in sys.argv[1:]:
    s = socket.socket(socket.AF_INET6 if ':' in addr else socket.AF_INET)
    try:
        s.connect((addr, 80))
    except OSError as e:
        print(errno.errorcode[e.errno])
`
	h := newHost(t)
	pod := h.plain("")
	if got := pod.start(python(script, "198.51.100.1", "2001:db8:1::1")...).ok(); got != "ENETUNREACH\nENETUNREACH\n" &&
		got != "EHOSTUNREACH\nENETUNREACH\n" {
		t.Errorf("got %q", got)
	}
}

// A peer that vanishes without a word is found by the engine's own keep-alive on
// its side, whatever the program has asked of its kernel.
func TestInlineDeadPeer(t *testing.T) {
	h := newHost(t)
	pod := h.plain(`"tunables":{"tcp_keepalive_time":"1","tcp_keepalive_intvl":"1","tcp_keepalive_probes":"2"},`)
	far := routed(h, "1500")
	const wait = `
import errno, socket, sys
if sys.argv[1] == 'listen':
    l = socket.socket()
    l.bind(('0.0.0.0', 7000))
    l.listen(1)
    print('ready')
    s, _ = l.accept()
else:
    s = socket.create_connection((sys.argv[1], 7000))
print('connected')
try:
    print(s.recv(1))
except OSError as e:
    print(errno.errorcode[e.errno])
`
	far.start(python(wait, "listen")...).line("ready")
	c := pod.start(python(wait, "192.0.2.2")...)
	c.line("connected")
	sh(t, "ip", "-n", far.name, "link", "set", "near", "down")
	if got := c.ok(); got != "connected\nECONNRESET\n" {
		t.Errorf("the program sees %q", got)
	}
}

// A program has closed, its peer does not: the pod's kernel forgets the
// connection after tcp_fin_timeout, and so does the engine.
func TestInlineOrphan(t *testing.T) {
	h := newHost(t)
	pod := h.plain("")
	sh(t, "ip", "netns", "exec", pod.c.ns, "sysctl", "-q", "-w", "net.ipv4.tcp_fin_timeout=1")
	const hold = `
import errno, socket, time
l = socket.socket()
l.bind(('10.87.0.1', 7000))
l.listen(8)
print('ready')
s, _ = l.accept()
print('end', s.recv(1))
try:
    while True:
        s.getpeername()
        time.sleep(0.1)
except OSError as e:
    print(errno.errorcode[e.errno])
`
	peer := h.start(python(hold)...)
	peer.line("ready")
	pod.start(python("import socket; socket.create_connection(('10.87.0.1', 7000)).close()")...).ok()
	peer.line("end b''")
	peer.line("ENOTCONN")
	if n := pod.status().Inline.Connections; n != 0 {
		t.Errorf("%d connections are left", n)
	}
}

// Connections to somebody who never answers go when their time is over, also
// when the program has stopped waiting.
func TestInlineGivenUp(t *testing.T) {
	h := newHost(t)
	pod := h.plain(`"tunables":{"tcp_syn_retries":"1"},`)
	beyond(h, "1500") // it knows no way back
	h.sh("sysctl", "-q", "-w", "net.ipv4.ip_forward=1")
	const try = `
import socket
for i in range(20):
    s = socket.socket()
    s.setblocking(False)
    s.connect_ex(('192.0.2.2', 7000 + i))
    socks = globals().setdefault('socks', []) + [s]
print('asked')
`
	pod.start(python(try)...).line("asked")
	eventually(t, "that the connections are under way", func() bool {
		return pod.status().Inline.Out == 20
	})
	eventually(t, "the end of every attempt", func() bool {
		return pod.status().Inline.Connections == 0
	})
}

// An engine that died takes plain connections with it and nothing else.
func TestInlineNewEngine(t *testing.T) {
	h := newHost(t)
	pod := h.plain("")
	const serve = `
import socket
l = socket.socket()
l.bind(('10.87.0.1', 7000))
l.listen(8)
print('ready')
held = []
while True:
    s, _ = l.accept()
    s.sendall(b'hello')
    held.append(s)
`
	const ask = `
import errno, socket, sys
s = socket.create_connection(('10.87.0.1', 7000))
print(s.recv(5).decode())
sys.stdout.flush()
if len(sys.argv) > 1:
    sys.stdin.readline()
    try:
        while True:
            s.send(b'x')
            s.recv(1)
    except OSError as e:
        print(errno.errorcode[e.errno])
`
	h.start(python(serve)...).line("ready")
	in, word, err := os.Pipe()
	must(t, err)
	defer func() { _, _ = in.Close(), word.Close() }()
	c := pod.startWith(plumbing{stdin: in}, python(ask, "wait")...)
	c.line("hello")
	dead := pod.status().PID
	must(t, syscall.Kill(dead, syscall.SIGKILL))
	eventually(t, "another engine", func() bool {
		c, err := engine.Dial(h.state + "/sandboxes/" + pod.c.id + "-eth0/control.sock")
		if err != nil {
			return false
		}
		defer func() { _ = c.Close() }()
		st, err := c.Status()
		return err == nil && st.PID != dead
	})
	_, err = word.WriteString("go on\n")
	must(t, err)
	if got := c.ok(); got != "hello\nECONNRESET\n" {
		t.Errorf("the program sees %q", got)
	}
	if got := pod.start(python(ask)...).ok(); got != "hello\n" {
		t.Errorf("a new connection: %q", got)
	}
}

// A listener that is bound to the interface is not there on loopback, neither
// for its own kind nor for plain programs, and nothing goes round in circles.
func TestInlineMirrorOfABoundListener(t *testing.T) {
	h := newHost(t)
	pod := h.plain("")
	const listen = `
import socket, sys
l = socket.socket()
l.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b'eth0')
l.bind(('0.0.0.0', 8005))
l.listen(8)
print('listening')
l.accept()
`
	const ask = `
import errno, socket
s = socket.socket()
try:
    s.connect(('127.0.0.1', 8005))
    s.recv(1)
except OSError as e:
    print(errno.errorcode[e.errno])
`
	pod.intercepted(python(listen)...).line("listening")
	if got := pod.intercepted(python(ask)...).ok(); got != "ECONNREFUSED\n" {
		t.Errorf("an intercepted program: %q", got)
	}
	if got := pod.start(python(ask)...).ok(); got != "ECONNREFUSED\n" {
		t.Errorf("a plain program: %q", got)
	}
	eventually(t, "the end of every connection", func() bool { return pod.status().Inline.Connections == 0 })
}

// Intercepted and plain programs of one sandbox, each on its own port, are one
// pod to the network; to each other they are there under the pod's addresses and
// on loopback.
func TestInlineMixed(t *testing.T) {
	h := newHost(t)
	pod := h.plain("")
	const serve = `
import socket, sys
l = socket.socket(socket.AF_INET6)
l.bind(('::', int(sys.argv[1])))
l.listen(64)
print('ready')
while True:
    c, _ = l.accept()
    c.sendall(sys.argv[2].encode() + c.recv(100))
    c.close()
`
	const ask = `
import socket, sys
for port in 8001, 8002:
    for addr in sys.argv[1:]:
        s = socket.create_connection((addr, port))
        s.sendall(b' hello')
        text = b''
        while b := s.recv(100):
            text += b
        print(text.decode())
`
	pod.intercepted(python(serve, "8001", "intercepted")...).line("ready")
	pod.start(python(serve, "8002", "plain")...).line("ready")
	want := strings.Repeat("intercepted hello\n", 2) + strings.Repeat("plain hello\n", 2)
	if got := h.start(python(ask, pod.v4, pod.v6)...).ok(); got != want {
		t.Errorf("from outside: %s", got)
	}
	want = strings.Repeat("intercepted hello\n", 4) + strings.Repeat("plain hello\n", 4)
	if got := pod.start(python(ask, pod.v4, pod.v6, "127.0.0.1", "::1")...).ok(); got != want {
		t.Errorf("from a plain program: %s", got)
	}
	if got := pod.intercepted(python(ask, pod.v4, pod.v6, "127.0.0.1", "::1")...).ok(); got != want {
		t.Errorf("from an intercepted program: %s", got)
	}
}

// The loopback of the pod's kernel shows the ports of intercepted programs for
// as long as these listen, and only those that are free there.
func TestInlineMirror(t *testing.T) {
	file := makePayload(t, 8<<20)
	h := newHost(t)
	pod := h.plain("")
	// A plain program has the port first.
	const hold = `
import socket
l = socket.socket()
l.bind(('127.0.0.1', 8003))
l.listen(8)
print('ready')
while True:
    c, _ = l.accept()
    c.sendall(b'plain')
    c.close()
`
	const listen = `
import socket, sys
l = socket.socket()
l.bind(('0.0.0.0', 8003))
l.listen(8)
print('listening')
sys.stdin.read()
l.accept()[0].sendall(b'intercepted')
`
	const ask = `
import socket
print(socket.create_connection(('127.0.0.1', 8003)).recv(100).decode())
`
	pod.start(python(hold)...).line("ready")
	l := pod.intercepted(python(listen)...)
	l.line("listening")
	if got := pod.start(python(ask)...).ok(); got != "plain\n" {
		t.Errorf("a port that was taken: %q", got)
	}
	l.stop()

	web := pod.intercepted(append([]string{"/usr/bin/python3", "-u", "-m", "http.server", "-d"}, file.folder(t), "8000")...)
	web.line("Serving HTTP")
	for _, addr := range []string{"127.0.0.1", pod.v4} {
		p, got := curl(t, pod, "http://"+addr+":8000/file")
		p.ok()
		got.expect(t, file)
	}
	if st := pod.status().Inline; st.Mirrors == 0 || st.Mirrored != 2 {
		t.Errorf("status: %+v", st)
	}
	web.stop()
	eventually(t, "the end of the mirror", func() bool { return pod.status().Inline.Mirrors == 0 })
	pod.start("curl", "-sS", "http://127.0.0.1:8000/").fails()
}

// What two programs see of each other across the mirror is what they see on one
// kernel's loopback.
func TestInlineMirrorAsOnTheKernel(t *testing.T) {
	onlyTCPCNI(t)
	k := newHost(t)
	wantServer, wantClient := peers(t, k, k, "127.0.0.1")
	h := newHost(t)
	pod := h.plain("")
	for name, c := range map[string]struct{ server, client place }{
		"in":  {interceptedPlace{pod}, pod},
		"out": {pod, interceptedPlace{pod}},
	} {
		t.Run(name, func(t *testing.T) {
			s, cl := peers(t, c.server, c.client, "127.0.0.1")
			compareLines(t, wantServer, s)
			compareLines(t, wantClient, cl)
		})
	}
}

// An interceptedPlace runs programs of a pod on the engine's sockets.
type interceptedPlace struct{ p *plainPod }

func (i interceptedPlace) start(args ...string) *proc { return i.p.intercepted(args...) }

// Every segment on the wire is the engine's own: its sequence numbers, not those
// of the pod's kernel.
func TestInlineWireIsTheEngines(t *testing.T) {
	h := newHost(t)
	pcap := t.TempDir() + "/uplink.pcap"
	pod := h.plain(`"pcap":"` + pcap + `",`)
	tap := pod.start("tcpdump", "-n", "-i", "eth0", "-S", "-l", "--immediate-mode", "tcp")
	tap.line("listening on eth0")
	nginx(t, h, t.TempDir(), 0)
	pod.start("curl", "-sS", "http://"+hostV4+"/hello").ok()
	syn := `IP 10\.87\.0\.2\.([0-9]+) > 10\.87\.0\.1\.80: Flags \[S\], seq ([0-9]+),.*`
	inside := tap.line(syn)
	outside := regexp.MustCompile(syn).FindStringSubmatch(h.sh("tcpdump", "-n", "-S", "-r", pcap, "tcp"))
	if outside == nil {
		t.Fatal("no SYN on the wire")
	}
	if inside[1] != outside[1] {
		t.Errorf("source port %s became %s", inside[1], outside[1])
	}
	if inside[2] == outside[2] {
		t.Errorf("the sequence number of the pod's kernel is on the wire: %s", inside[2])
	}
}

// A container's marking of its packets is on the wire.
func TestInlineTrafficClass(t *testing.T) {
	const mark = `
import socket, sys
s = socket.socket(socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET)
s.setsockopt(*((41, 67) if ':' in sys.argv[1] else (0, 1)), 0xb8)
s.connect((sys.argv[1], 80))
s.sendall(b'GET /hello HTTP/1.0\r\n\r\n')
while s.recv(1000):
    pass
`
	h := newHost(t)
	pcap := t.TempDir() + "/uplink.pcap"
	pod := h.plain(`"pcap":"` + pcap + `",`)
	nginx(t, h, t.TempDir(), 0)
	for addr, want := range map[string]string{hostV4: "tos 0xb8", hostV6: "class 0xb8"} {
		pod.start(python(mark, addr)...).ok()
		text := h.sh("tcpdump", "-n", "-v", "-r", pcap, "host", addr, "and", "tcp", "dst", "port", "80")
		if n := strings.Count(text, want); n < 4 {
			t.Errorf("%d packets to %s have %s:\n%s", n, addr, want, text)
		}
	}
}

// A pod cannot speak for somebody else.
func TestInlineSpoofedSources(t *testing.T) {
	const send = `
import socket, struct, sys
src, payload = sys.argv[1], sys.argv[2].encode()
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
ip = struct.pack('!BBHHHBBH4s4s', 0x45, 0, 0, 0, 0, 64, 17, 0, socket.inet_aton(src), socket.inet_aton('10.87.0.1'))
s.sendto(ip + struct.pack('!HHHH', 5000, 9000, 8 + len(payload), 0) + payload, ('10.87.0.1', 0))
tcp = struct.pack('!HHIIBBHHH', 5000, 9001, 1, 0, 0x50, 2, 1000, 0, 0)
pseudo = socket.inet_aton(src) + socket.inet_aton('10.87.0.1') + struct.pack('!BBH', 0, 6, len(tcp)) + tcp
total = sum(struct.unpack('!%dH' % (len(pseudo) // 2), pseudo))
while total >> 16:
    total = (total & 0xffff) + (total >> 16)
tcp = tcp[:16] + struct.pack('!H', ~total & 0xffff) + tcp[18:]
ip = ip[:9] + b'\x06' + ip[10:]
s.sendto(ip + tcp, ('10.87.0.1', 0))
`
	h := newHost(t)
	pod := h.plain("")
	dev := strings.Fields(h.sh("ip", "-o", "route", "get", pod.v4))[2]
	tap := h.start("tcpdump", "-n", "-i", dev, "-l", "-A", "--immediate-mode", "ip and not icmp")
	tap.line("listening on")
	for _, src := range []string{"10.87.0.77", "10.87.0.1", "127.0.0.1", "255.255.255.255"} {
		pod.start(python(send, src, "forged-"+src)...).ok()
	}
	pod.start(python(send, pod.v4, "honest")...).ok()
	tap.line("honest")
	tap.line(`10\.87\.0\.2\.[0-9]+ > 10\.87\.0\.1\.9001: Flags \[S`)
	if got := tap.stdout.String(); strings.Contains(got, "forged") || strings.Contains(got, "10.87.0.77") {
		t.Errorf("forged packets on the wire:\n%s", got)
	}
}

// tcpcni ss says which connections are the kernel's.
func TestInlineSs(t *testing.T) {
	h := newHost(t)
	pod := h.plain("")
	const serve = `
import socket
l = socket.socket()
l.bind(('0.0.0.0', 7000))
l.listen(8)
print('ready')
c, _ = l.accept()
c.recv(1)
`
	h.start(python(serve)...).line("ready")
	c := pod.start(python(`
import socket, sys
s = socket.create_connection(('10.87.0.1', 7000))
print(s.getsockname()[1])
sys.stdout.flush()
s.recv(1)
`)...)
	port := c.line(`^([0-9]+)\n`)[1]
	text := h.tcpcni("ss", pod.c.id).ok()
	if !regexp.MustCompile(`(?m)^tcp +ESTAB .* 10\.87\.0\.2:` + port + ` +10\.87\.0\.1:7000 +inline`).MatchString(text) {
		t.Errorf("ss shows\n%s", text)
	}
}

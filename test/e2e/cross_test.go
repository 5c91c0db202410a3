package e2e

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/tcpcni/tcpcni/engine"
)

// UDP between intercepted and plain programs of one pod: over its loopback and
// over its own addresses.

// sides are the two ways to cross, by who serves.
func (p *plainPod) sides() map[string]struct{ server, client place } {
	return map[string]struct{ server, client place }{
		"plain to intercepted": {interceptedPlace{p}, p},
		"intercepted to plain": {p, interceptedPlace{p}},
	}
}

// ownAddrs are the addresses at which the pod reaches itself.
func (p *plainPod) ownAddrs() []string { return []string{"127.0.0.1", "::1", p.v4, p.v6} }

// uncrossed waits until the pod's kernel shows no port of an intercepted program.
func (p *plainPod) uncrossed() {
	p.h.t.Helper()
	eventually(p.h.t, "the end of every crossing", func() bool { return p.status().Inline.Crossings == 0 })
}

// udpEcho answers datagrams at an address and port, and says where they came
// from when it is told to.
const udpEcho = `
import socket, sys
addr, port = sys.argv[1], int(sys.argv[2])
s = socket.socket(socket.AF_INET6 if ':' in addr else socket.AF_INET, socket.SOCK_DGRAM)
s.bind((addr, port))
print('ready')
while True:
    b, a = s.recvfrom(70000)
    if b == b'who':
        b = ('%s %d' % (a[0].removeprefix('::ffff:'), a[1])).encode()
    s.sendto(b, a)
`

// udpAsk sends datagrams of every size, connected and not, and checks where the
// answers come from and what the server sees of it; the last lines are about a
// port where nobody is.
const udpAsk = `
import errno, os, socket, sys
addr, port = sys.argv[1], int(sys.argv[2])
family = socket.AF_INET6 if ':' in addr else socket.AF_INET
for connected in True, False:
    s = socket.socket(family, socket.SOCK_DGRAM)
    s.settimeout(60)
    if connected:
        s.connect((addr, port))
    for n in 0, 1, 1400, 9000, 65000, 65507:
        text = os.urandom(n)
        if connected:
            s.send(text)
            got = s.recv(70000)
        else:
            s.sendto(text, (addr, port))
            got, a = s.recvfrom(70000)
            if a[:2] != (addr, port):
                print('an answer from', a)
        if got != text:
            print(n, 'became', len(got))
    s.sendto(b'who', (addr, port)) if not connected else s.send(b'who')
    seen = s.recv(100).decode().split()
    if int(seen[1]) != s.getsockname()[1] or connected and seen[0] != s.getsockname()[0]:
        print('seen as', seen, 'and is', s.getsockname())
    print('connected' if connected else 'unconnected')
s = socket.socket(family, socket.SOCK_DGRAM)
s.settimeout(60)
s.connect((addr, port + 1))
s.send(b'x')
try:
    s.recvfrom(1) # as resolvers do; of recv an intercepted program sees an empty datagram
except OSError as e:
    print(errno.errorcode[e.errno])
s.connect((addr, port))
s.send(b'again')
print(s.recv(100).decode())
`

const udpAsked = "connected\nunconnected\nECONNREFUSED\nagain\n"

// All four cases: who is the server, loopback and own addresses, both families,
// bound to one address and to every one, which for IPv6 takes IPv4 as well.
func TestCrossUDP(t *testing.T) {
	h := newHost(t)
	pod := h.plain("")
	for name, c := range pod.sides() {
		t.Run(name, func(t *testing.T) {
			for _, addr := range pod.ownAddrs() {
				s := c.server.start(python(udpEcho, addr, "7000")...)
				s.line("ready")
				if got := c.client.start(python(udpAsk, addr, "7000")...).ok(); got != udpAsked {
					t.Errorf("at %s:\n%s", addr, got)
				}
				s.stop()
				pod.uncrossed()
			}
			for _, every := range []string{"0.0.0.0", "::"} {
				s := c.server.start(python(udpEcho, every, "7000")...)
				s.line("ready")
				for _, addr := range pod.ownAddrs() {
					if every == "0.0.0.0" && strings.Contains(addr, ":") {
						continue
					}
					if got := c.client.start(python(udpAsk, addr, "7000")...).ok(); got != udpAsked {
						t.Errorf("at %s, bound to %s:\n%s", addr, every, got)
					}
				}
				s.stop()
				pod.uncrossed()
			}
		})
	}
	if st := pod.status().Inline; st.Crossed == 0 {
		t.Errorf("status: %+v", st)
	}
}

// Two hundred clients at a time, each with datagrams of its own.
func TestCrossUDPManyClients(t *testing.T) {
	const flock = `
import os, select, socket, sys
addr, port = sys.argv[1], int(sys.argv[2])
p, socks = select.poll(), {}
for i in range(200):
    s = socket.socket(socket.AF_INET6 if ':' in addr else socket.AF_INET, socket.SOCK_DGRAM)
    s.setblocking(False)
    if i % 2:
        s.connect((addr, port))
    socks[s.fileno()] = [s, 0, i % 2]
    p.register(s.fileno(), select.POLLIN)
def ask(x):
    x[1] += 1
    text = b'%d %d' % (x[0].fileno(), x[1])
    x[0].send(text) if x[2] else x[0].sendto(text, (addr, port))
for x in socks.values():
    ask(x)
left = len(socks)
while left:
    got = p.poll(2000)
    if not got: # a datagram may be lost
        for x in socks.values():
            if x[1] <= 20:
                x[1] -= 1
                ask(x)
    for fd, _ in got:
        x = socks[fd]
        if x[0].recv(100) != b'%d %d' % (fd, x[1]):
            continue
        if x[1] < 20:
            ask(x)
        else:
            x[1] += 1
            left -= 1
print('all')
`
	h := newHost(t)
	pod := h.plain("")
	for name, c := range pod.sides() {
		t.Run(name, func(t *testing.T) {
			s := c.server.start(python(udpEcho, "::", "7000")...)
			s.line("ready")
			for _, addr := range []string{"127.0.0.1", pod.v6} {
				if got := c.client.start(python(flock, addr, "7000")...).ok(); got != "all\n" {
					t.Errorf("%s: %s", addr, got)
				}
			}
			s.stop()
			pod.uncrossed()
		})
	}
}

// A name server of the pod, on either side, and the other side's clients.
func TestCrossDNS(t *testing.T) {
	h := newHost(t)
	pod := h.plain("")
	for name, c := range pod.sides() {
		t.Run(name, func(t *testing.T) {
			names := t.TempDir() + "/names"
			must(t, os.WriteFile(names, []byte("192.0.2.1 one.test\n2001:db8::1 one.test\n"), 0o644))
			s := c.server.start("dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--user=root",
				"--pid-file=", "--addn-hosts="+names, "--local=/test/", "--port=5353", "--bind-interfaces",
				"--listen-address=127.0.0.1,::1,"+pod.v4+","+pod.v6)
			s.line("read .*names")
			for _, addr := range pod.ownAddrs() {
				out := c.client.start("dig", "+short", "+tries=1", "+time=60", "-p", "5353", "@"+addr, "one.test", "AAAA").ok()
				if out != "2001:db8::1\n" {
					t.Errorf("@%s: %q", addr, out)
				}
			}
			s.stop()
			pod.uncrossed()
			if p := c.client.start("dig", "+tries=1", "+time=60", "-p", "5353", "@127.0.0.1", "one.test"); p.wait() == 0 {
				t.Errorf("the server has ended and answers:\n%s", p.stdout)
			}
		})
	}
}

// The kernel's loopback shows the ports of intercepted sockets for as long as
// they are there, and only those that are free.
func TestCrossShown(t *testing.T) {
	h := newHost(t)
	pod := h.plain("")
	plain := pod.start(python(udpEcho, "127.0.0.1", "7000")...)
	plain.line("ready")
	ask := python(`
import errno, socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(60)
s.connect((sys.argv[1], 7000))
s.send(b'who' if len(sys.argv) == 2 else sys.argv[2].encode())
try:
    print('answer', s.recv(100).decode() != '')
except OSError as e:
    print(errno.errorcode[e.errno])
`)
	// The plain program has loopback, the intercepted one the rest.
	const silent = `
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(('0.0.0.0', 7000))
print('ready')
while True:
    print('got', s.recv(100).decode())
`
	i := pod.intercepted(python(silent)...)
	i.line("ready")
	if got := pod.start(append(ask, "127.0.0.1")...).ok(); got != "answer True\n" {
		t.Errorf("a port that was taken: %q", got)
	}
	pod.start(python(`
import socket, sys
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'hello', (sys.argv[1], 7000))
`, pod.v4)...).ok()
	i.line("got hello")
	if n := pod.status().Inline.Crossings; n != 1 {
		t.Errorf("%d crossings, want that of the pod's address", n)
	}
	plain.stop()
	i.stop()
	pod.uncrossed()
	for _, addr := range []string{"127.0.0.1", pod.v4} {
		if got := pod.start(append(ask, addr)...).ok(); got != "ECONNREFUSED\n" {
			t.Errorf("nobody is at %s: %q", addr, got)
		}
	}

	// A port that was not asked for by number is shown to who knows it.
	const chosen = `
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(('0.0.0.0', 0))
print('bound')
sys.stdin.readline()
print('port', s.getsockname()[1])
print('got', s.recv(100).decode())
`
	in, word, err := os.Pipe()
	must(t, err)
	defer func() { _, _ = in.Close(), word.Close() }()
	c := pod.h.startWith(plumbing{stdin: in}, append([]string{command(), "exec", pod.c.id, "--"}, python(chosen)...)...)
	c.line("bound")
	if n := pod.status().Inline.Crossings; n != 0 {
		t.Errorf("%d crossings of a port that nobody knows", n)
	}
	_, err = word.WriteString("\n")
	must(t, err)
	port := c.line(`port ([0-9]+)`)[1]
	pod.start(python(`
import socket, sys
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'hello', ('127.0.0.1', int(sys.argv[1])))
`, port)...).ok()
	c.line("got hello")
	c.ok()
}

// Who sends one datagram and ends is heard, and leaves nothing behind.
func TestCrossUDPFireAndForget(t *testing.T) {
	const sink = `
import socket
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.bind(('::', 7000))
print('ready')
while True:
    print('got', s.recv(100).decode())
`
	h := newHost(t)
	pod := h.plain("")
	for name, c := range pod.sides() {
		t.Run(name, func(t *testing.T) {
			s := c.server.start(python(sink)...)
			s.line("ready")
			for i, addr := range pod.ownAddrs() {
				text := fmt.Sprint("datagram-", i)
				c.client.start(python(`
import socket, sys
s = socket.socket(socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
s.connect((sys.argv[1], 7000))
s.send(sys.argv[2].encode())
s.close()
`, addr, text)...).ok()
				s.line("got " + text)
			}
			s.stop()
			pod.uncrossed()
		})
	}
	pod.uncrossed()
}

// A datagram from the network to a port that only a relay has in the pod's
// kernel is refused, as without the relay.
func TestCrossNotFromOutside(t *testing.T) {
	h := newHost(t)
	pod := h.plain("")
	server := pod.start(python(udpEcho, pod.v4, "7000")...)
	server.line("ready")
	const client = `
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(60)
s.connect((sys.argv[1], 7000))
s.send(b'who')
print('port', s.recv(100).decode().split()[1])
print('then', s.recv(100).decode())
`
	c := pod.intercepted(python(client, pod.v4)...)
	port := c.line(`port ([0-9]+)`)[1]
	const knock = `
import errno, socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(60)
s.connect((sys.argv[1], int(sys.argv[2])))
s.send(b'outside')
try:
    print(s.recv(1))
except OSError as e:
    print(errno.errorcode[e.errno])
`
	if got := h.start(python(knock, pod.v4, port)...).ok(); got != "ECONNREFUSED\n" {
		t.Errorf("from outside: %q", got)
	}
	if strings.Contains(c.stdout.String(), "outside") {
		t.Error("the client has heard it")
	}
}

// Where every program is to be intercepted, plain ones get answers of those that
// are, and reach nobody else; those that are reach no plain one.
func TestCrossWherePlainIsRefused(t *testing.T) {
	const ask = `
import errno, socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(60)
s.connect((sys.argv[1], int(sys.argv[2])))
s.send(b'hello')
try:
    print(s.recvfrom(100)[0].decode())
except OSError as e:
    print(errno.errorcode[e.errno])
`
	h := newHost(t)
	pod := h.plain(`"intercept":{"required":true},`)
	pod.intercepted(python(udpEcho, "::", "7000")...).line("ready")
	pod.start(python(udpEcho, "::", "7001")...).line("ready")
	for _, addr := range []string{"127.0.0.1", pod.v4} {
		if got := pod.start(python(ask, addr, "7000")...).ok(); got != "hello\n" {
			t.Errorf("from a plain program at %s: %q", addr, got)
		}
		if got := pod.intercepted(python(ask, addr, "7001")...).ok(); got != "ECONNREFUSED\n" {
			t.Errorf("to a plain program at %s: %q", addr, got)
		}
	}
}

// killEngine ends the pod's engine and waits for the next.
func (p *plainPod) killEngine() {
	p.h.t.Helper()
	dead := p.status().PID
	must(p.h.t, syscall.Kill(dead, syscall.SIGKILL))
	eventually(p.h.t, "another engine", func() bool {
		c, err := engine.Dial(p.h.state + "/sandboxes/" + p.c.id + "-eth0/control.sock")
		if err != nil {
			return false
		}
		defer func() { _ = c.Close() }()
		st, err := c.Status()
		return err == nil && st.PID != dead
	})
}

// An engine that died loses datagrams under way and nothing else: the same
// sockets reach each other through the next one.
func TestCrossNewEngine(t *testing.T) {
	const client = `
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(0.5)
s.connect((sys.argv[1], int(sys.argv[2])))
for word in 'before', 'after':
    got = ''
    while got != word:
        try:
            s.send(word.encode())
            got = s.recv(100).decode()
        except OSError: # lost, or refused while there is no engine
            pass
    print(got)
    sys.stdin.readline()
`
	h := newHost(t)
	pod := h.plain("")
	pod.intercepted(python(udpEcho, "::", "7000")...).line("ready")
	pod.start(python(udpEcho, "::", "7001")...).line("ready")
	var clients []*proc
	var words []*os.File
	exec := []string{command(), "exec", pod.c.id, "--"}
	for _, addr := range []string{"127.0.0.1", pod.v4} {
		for port, start := range map[string]func(plumbing, ...string) *proc{
			"7000": pod.startWith,
			"7001": func(io plumbing, args ...string) *proc { return h.startWith(io, append(exec, args...)...) },
		} {
			in, word, err := os.Pipe()
			must(t, err)
			defer func() { _, _ = in.Close(), word.Close() }()
			c := start(plumbing{stdin: in}, python(client, addr, port)...)
			c.line("before")
			clients, words = append(clients, c), append(words, word)
		}
	}
	for range 2 {
		pod.killEngine()
	}
	for i, c := range clients {
		_, err := words[i].WriteString("\n\n")
		must(t, err)
		if got := c.ok(); got != "before\nafter\n" {
			t.Errorf("client %d: %q", i, got)
		}
	}
}

// Who has a port has it for the pod, on either side; those who share it by
// SO_REUSEADDR, as name services of the local link do, go on to.
func TestCrossPortConflict(t *testing.T) {
	const bind = `
import errno, socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
if 'share' in sys.argv:
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
try:
    s.bind((sys.argv[1], 7000))
    print('bound')
except OSError as e:
    print(errno.errorcode[e.errno])
if 'stay' in sys.argv:
    sys.stdin.read()
`
	h := newHost(t)
	pod := h.plain("")
	for _, c := range []struct{ intercepted, plain, want string }{
		{"", "", "EADDRINUSE\n"}, {"share", "", "EADDRINUSE\n"}, {"", "share", "EADDRINUSE\n"}, {"share", "share", "bound\n"},
	} {
		in, hold, err := os.Pipe()
		must(t, err)
		s := h.startWith(plumbing{stdin: in}, append([]string{command(), "exec", pod.c.id, "--"}, python(bind, "0.0.0.0", "stay", c.intercepted)...)...)
		s.line("bound")
		for _, addr := range []string{"0.0.0.0", "127.0.0.1", pod.v4} {
			if got := pod.start(python(bind, addr, c.plain)...).ok(); got != c.want {
				t.Errorf("%+v at %s: %q", c, addr, got)
			}
		}
		_, _ = in.Close(), hold.Close()
		s.ok()
		pod.uncrossed()
		if got := pod.start(python(bind, "127.0.0.1")...).ok(); got != "bound\n" {
			t.Errorf("%+v, afterwards: %q", c, got)
		}
	}
}

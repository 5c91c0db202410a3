package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// tracepath(8) sends datagrams with growing TTL and reads what routers and the
// destination say from the error queue, with the TTL that their messages came
// with: IP_RECVERR, IP_RECVTTL, IP_MTU_DISCOVER, MSG_ERRQUEUE.
func TestTracepath(t *testing.T) {
	h := newHost(t)
	pod := h.pod()
	for _, to := range []string{hostV4, hostV6} {
		text := pod.start("tracepath", "-n", to).ok()
		for _, want := range []string{`pmtu 1500`, `(?m)^ 1: +` + regexp.QuoteMeta(to) + ` .* reached`, `Resume: pmtu 1500 hops 1 back 1`} {
			if !regexp.MustCompile(want).MatchString(text) {
				t.Errorf("tracepath %s does not print %q:\n%s", to, want, text)
			}
		}
	}
	pod.stop()
}

// TestTrueErrorOfAConnection: a connection whose peer has fallen silent says so, to
// recvmsg that is called afterwards, to recvmsg that waits on a socket with TCP_INQ,
// and to SO_ERROR; to recv, which is native, it says ECONNRESET.
func TestTrueErrorOfAConnection(t *testing.T) {
	onlyTCPCNI(t)
	h := newHost(t)
	a, b := h.pod(), h.pod()
	server := b.start("/usr/bin/python3", "-c", `
import socket
l = socket.create_server(('', 7777))
print('ready', flush=True)
kept = [l.accept() for _ in range(4)]
kept[0][0].recv(1)
`)
	server.line("ready")
	dir := t.TempDir()
	client := a.start("/usr/bin/python3", "-c", `
import errno, os, socket, sys, time, select
peer, dir = sys.argv[1:]
TCP_USER_TIMEOUT, TCP_INQ = 18, 36
def said(f, *args):
    try:
        return f(*args)
    except OSError as e:
        return errno.errorcode[e.errno]
all = [socket.create_connection((peer, 7777)) for _ in range(4)]
for s in all:
    s.setsockopt(socket.IPPROTO_TCP, TCP_USER_TIMEOUT, 500)
all[0].setsockopt(socket.IPPROTO_TCP, TCP_INQ, 1)
print('connected', flush=True)
while not os.path.exists(dir + '/gone'):
    time.sleep(0.01)
for s in all:
    s.sendall(b'hello')
print(said(all[0].recvmsg, 10, 100), flush=True)
for s in all[1:]:
    p = select.poll()
    p.register(s, 0)
    p.poll(60000)
print(said(all[1].recvmsg, 10), said(all[1].recvmsg, 10), all[1].getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), flush=True)
print(said(all[2].recv, 10), flush=True)
print(errno.errorcode[all[3].getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)], flush=True)
`, b.v4, dir)
	client.line("connected")
	h.sh("ip", "route", "replace", "blackhole", b.v4)
	must(t, os.WriteFile(filepath.Join(dir, "gone"), nil, 0o644))
	client.line("ETIMEDOUT")
	client.line(regexp.QuoteMeta("ETIMEDOUT (b'', [], 0, None) 0"))
	client.line("ECONNRESET")
	client.line("ETIMEDOUT")
	client.ok()
	server.stop()
	a.stop()
	b.stop()
}

// TestErrorsOfConnections: with IP_RECVERR a connection's program hears at once
// that its way is gone and the connection goes on when it is back, as on Linux; what
// refuses a connection is in the error queue, with who said so.
func TestErrorsOfConnections(t *testing.T) {
	onlyTCPCNI(t)
	h := newHost(t)
	a, b := h.pod(), h.pod()
	server := b.start("/usr/bin/python3", "-c", `
import socket
l = socket.create_server(('', 7777))
print('ready', flush=True)
s, _ = l.accept()
while True:
    b = s.recv(100)
    if not b:
        break
    s.sendall(b)
`)
	server.line("ready")
	dir := t.TempDir()
	client := a.start("/usr/bin/python3", "-c", `
import errno, os, socket, struct, sys, time, select
peer, dir = sys.argv[1:]
IP_RECVERR, IPV6_RECVERR = 11, 25
def until(name):
    while not os.path.exists(dir + '/' + name):
        time.sleep(0.01)
s = socket.create_connection((peer, 7777))
s.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
s.sendall(b'hello')
print(s.recvmsg(100)[0], flush=True)
until('gone')
s.sendall(b'on the way')
def receive(s, *args):
    try:
        return s.recvmsg(100, 200, *args)
    except OSError as e:
        return errno.errorcode[e.errno]
print(receive(s), flush=True)
print(receive(s), flush=True)
print(receive(s, socket.MSG_ERRQUEUE), flush=True)
until('back')
while True:
    got = receive(s)
    if not isinstance(got, str):
        print(got[0], flush=True)
        break
s.close()
for family, to in ((socket.AF_INET, '10.99.9.9'), (socket.AF_INET6, 'fd99::9')):
    s = socket.socket(family)
    s.setblocking(False)
    print(errno.errorcode[s.connect_ex((to, 80))], flush=True)
    p = select.poll()
    p.register(s, 0)
    print(bool(p.poll(60000)[0][1] & select.POLLERR), flush=True)
    text, pieces, flags, name = receive(s, socket.MSG_ERRQUEUE)
    sport, dport = struct.unpack('>HH', text[:4])
    level, kind, data = pieces[0]
    no, origin, typ, code = struct.unpack('IBBB', data[:7])
    who = socket.inet_ntop(family, data[20:24] if family == socket.AF_INET else data[24:40])
    print(len(text) >= 20, dport, flags == socket.MSG_ERRQUEUE, name[:2], (level, kind), errno.errorcode[no], origin, typ, code, who, flush=True)
    print(receive(s, socket.MSG_ERRQUEUE), receive(s), receive(s), flush=True)
`, b.v4, dir)
	client.line("b'hello'")
	route := strings.Fields(strings.TrimSpace(h.sh("ip", "route", "show", b.v4)))
	h.sh("ip", "route", "replace", "unreachable", b.v4)
	h.sh("ip", "route", "add", "unreachable", "10.99.9.0/24")
	h.sh("ip", "-6", "route", "add", "unreachable", "fd99::/64")
	must(t, os.WriteFile(filepath.Join(dir, "gone"), nil, 0o644))
	client.line("EHOSTUNREACH")
	client.line("EHOSTUNREACH")
	client.line("EAGAIN")
	h.sh("ip", "route", "del", "unreachable", b.v4)
	h.sh(append([]string{"ip", "route", "add"}, route...)...)
	must(t, os.WriteFile(filepath.Join(dir, "back"), nil, 0o644))
	want := `b'on the way'
EINPROGRESS
True
True 80 True ('10.99.9.9', 80) (0, 11) EHOSTUNREACH 2 3 1 ` + hostV4 + `
EAGAIN EHOSTUNREACH (b'', [], 0, None)
EINPROGRESS
True
True 80 True ('fd99::9', 80) (41, 25) ENETUNREACH 3 1 0 ` + hostV6 + `
EAGAIN ENETUNREACH (b'', [], 0, None)
`
	if got := client.ok(); !strings.HasSuffix(got, want) {
		t.Errorf("the client said %q, want at the end %q", got, want)
	}
	server.ok()
	a.stop()
	b.stop()
}

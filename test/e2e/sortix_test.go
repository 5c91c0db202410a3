package e2e

import (
	"strconv"
	"strings"
	"testing"
)

// TestSortixPoll: poll(2) of a socket that is shut for writing, in a sandbox that
// has profile sortix, also by the engine that follows one that died.
func TestSortixPoll(t *testing.T) {
	onlyTCPCNI(t)
	program := compileC(t, "sortixpoll")
	h := newHost(t)
	pod := h.pod("--profile", "sortix")
	if got := pod.start(program).ok(); got != "" {
		t.Error(got)
	}
	pod.crash()
	if got := pod.start(program).ok(); got != "" {
		t.Error(got)
	}
	pod.stop()
	if _, p := h.run([]string{"--profile", "sortix"}, program); p.ok() != "" {
		t.Error("tcpcni run: another result than tcpcni exec")
	}
}

const boundServer = `
import socket, time
lists = []
for number, value, port in [(25, b"lo", 7001), (62, 1, 7002), (25, b"eth0", 7003), (62, socket.if_nametoindex("eth0"), 7004), (0, 0, 7005)]:
    s = socket.socket()
    if number:
        s.setsockopt(socket.SOL_SOCKET, number, value)
    s.bind(("", port))
    s.listen()
    lists.append(s)
print("ready", flush=True)
time.sleep(600)
`

const boundClient = `
import errno, socket, sys
s = socket.socket()
if len(sys.argv) > 3:
    name = sys.argv[3].encode()
    s.setsockopt(socket.SOL_SOCKET, 25, name)
    assert s.getsockopt(socket.SOL_SOCKET, 25, 16).rstrip(b"\0") == name
    assert s.getsockopt(socket.SOL_SOCKET, 62) == socket.if_nametoindex(name)
print(errno.errorcode.get(s.connect_ex((sys.argv[1], int(sys.argv[2]))), "ok"))
`

// TestSortixBoundToInterface: a listener that SO_BINDTODEVICE or SO_BINDTOINDEX
// binds to an interface is reached through that one and refuses who comes through
// the other. One that is bound to none is reached through both.
func TestSortixBoundToInterface(t *testing.T) {
	h := newHost(t)
	pod := h.pod("--profile", "sortix")
	server := pod.startWith(plumbing{}, "/usr/bin/python3", "-c", boundServer)
	server.line("ready")
	ask := func(from place, addr string, port int, by ...string) string {
		args := append([]string{"/usr/bin/python3", "-c", boundClient, addr, strconv.Itoa(port)}, by...)
		return strings.TrimSpace(from.start(args...).ok())
	}
	reached := func(when string) {
		t.Helper()
		for _, c := range []struct {
			port          int
			inside, outer string
		}{
			{7001, "ok", "ECONNREFUSED"}, {7002, "ok", "ECONNREFUSED"},
			{7003, "ECONNREFUSED", "ok"}, {7004, "ECONNREFUSED", "ok"}, {7005, "ok", "ok"},
		} {
			if got := ask(pod, "127.0.0.1", c.port); got != c.inside {
				t.Errorf("%s: port %d through lo: %s, want %s", when, c.port, got, c.inside)
			}
			if got := ask(h, pod.v4, c.port); got != c.outer {
				t.Errorf("%s: port %d through eth0: %s, want %s", when, c.port, got, c.outer)
			}
		}
	}
	reached("at first")
	if got := ask(pod, "127.0.0.1", 7001, "lo"); got != "ok" {
		t.Errorf("lo to lo: %s", got)
	}
	if got := ask(pod, hostV4, 7001, "lo"); got != "ENETUNREACH" {
		t.Errorf("lo leads to the host: %s", got)
	}
	if got := ask(pod, hostV4, 7001, "eth0"); got != "ECONNREFUSED" {
		t.Errorf("eth0 leads to the host: %s", got)
	}
	if !onKernel {
		pod.crash()
		reached("under the engine's successor")
	}
	server.stop()
	pod.stop()
}

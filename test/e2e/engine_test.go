package e2e

import (
	"strings"
	"syscall"
	"testing"
)

// The engine is killed in mid-transfer. Programs must hear of it: a transfer
// ends with an error, a blocked call returns, a new call is refused; nothing
// hangs.

func TestEngineKilledCurlInside(t *testing.T) {
	onlyTCPCNI(t)
	file := makePayload(t, 64<<20)
	h := newHost(t)
	pod := h.pod()
	nginx(t, h, file.folder(t), 1<<20)
	p, got := curl(t, pod, "http://"+hostV4+"/file")
	eventually(t, "the transfer under way", func() bool { return got.size() > 1<<20 })
	pod.killEngine()
	if p.wait() == 0 {
		t.Errorf("curl is content with %d bytes of %d", got.size(), file.size)
	}
	if p := pod.start("curl", "-sS", "http://"+hostV4+"/hello"); p.wait() == 0 {
		t.Error("a new connection without an engine succeeded")
	}
}

func TestEngineKilledServerInside(t *testing.T) {
	onlyTCPCNI(t)
	file := makePayload(t, 64<<20)
	h := newHost(t)
	pod := h.pod()
	redis(t, pod, "6379")
	web := nginx(t, pod, file.folder(t), 1<<20)
	p, got := curl(t, h, "http://"+pod.v4+"/file")
	eventually(t, "the transfer under way", func() bool { return got.size() > 1<<20 })
	pod.killEngine()
	// The servers see their connections end, and stop in order when asked.
	web.signal(syscall.SIGQUIT)
	web.wait()
	p.stop()
}

// blocked sits in one call and says how it ended, then tries a new socket.
const blocked = `
import socket, sys, select
def report(what, f):
    try:
        r = f()
        print(what, 'returned', len(r) if isinstance(r, bytes) else type(r).__name__, flush=True)
    except OSError as e:
        print(what, 'failed', e.strerror, flush=True)
what = sys.argv[1]
s = socket.socket()
if what == 'accept':
    s.bind(('', 7000)); s.listen()
else:
    s.connect((sys.argv[2], 7000))
print('ready', flush=True)
if what == 'recv': report(what, lambda: s.recv(10))
if what == 'accept': report(what, s.accept)
if what == 'send':
    def fill():
        while True: s.send(b'x' * 100000)
    report(what, fill)
if what == 'poll':
    p = select.poll(); p.register(s, select.POLLIN); p.poll(); report(what, lambda: s.recv(10))
if what == 'epoll':
    e = select.epoll(); e.register(s, select.EPOLLIN | select.EPOLLET); e.poll(); report(what, lambda: s.recv(10))
report('socket', socket.socket)
`

func TestEngineKilledBlockedCalls(t *testing.T) {
	onlyTCPCNI(t)
	h := newHost(t)
	pod := h.pod()
	// A listener that never reads.
	h.start("/usr/bin/python3", "-uc", "import socket, time; s = socket.socket(); s.bind(('', 7000)); s.listen(); print('ready'); time.sleep(1000)").line("ready")
	programs := map[string]*proc{}
	for _, call := range []string{"recv", "accept", "send", "poll", "epoll"} {
		programs[call] = pod.start("/usr/bin/python3", "-c", blocked, call, hostV4)
		programs[call].line("ready")
	}
	pod.killEngine()
	for call, p := range programs {
		out := p.ok()
		if !strings.Contains(out, "\n"+call+" ") {
			t.Errorf("%s did not come back: %q", call, out)
		}
		// What has no way to report an error but its own must do so.
		if (call == "send" || call == "accept") && !strings.Contains(out, call+" failed") {
			t.Errorf("%s: %q, want an error", call, out)
		}
		if !strings.Contains(out, "\nsocket failed") {
			t.Errorf("after %s a new socket: %q, want an error", call, out)
		}
	}
	// The sandbox can still be ended, and its name be used again.
	pod.stop()
	h.start(compileGo(t, false), "serve", ":8000").line("listening on")
	again := h.newSandbox()
	again.name = pod.name
	again.begin(plumbing{}, nil, compileGo(t, false), "get", "http://"+hostV4+":8000/", "1")
	if got := again.root.ok(); !strings.HasPrefix(got, "hello 10.87.0.") {
		t.Errorf("the new sandbox of the same name: %q", got)
	}
	h.bare()
}

package e2e

import (
	"bytes"
	"fmt"
	"math/rand"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tcpcni/tcpcni/engine"
)

// The engine is killed. Its connections are gone and their programs hear of it
// by ECONNRESET; everything else in the sandbox goes on with the next engine.

// enginePID asks the engine that serves the sandbox who it is; 0: none does now.
func (s *sandbox) enginePID() int {
	files, _ := filepath.Glob(s.h.state + "/sandboxes/*" + s.name + "*/control.sock")
	if len(files) != 1 {
		return 0
	}
	c, err := engine.Dial(files[0])
	if err != nil {
		return 0
	}
	defer func() { _ = c.Close() }()
	st, err := c.Status()
	if err != nil {
		return 0
	}
	return st.PID
}

// crash kills the engine and waits for the next.
func (s *sandbox) crash() {
	s.h.t.Helper()
	before := s.enginePID()
	if before == 0 {
		s.h.t.Fatal("no engine answers")
	}
	must(s.h.t, syscall.Kill(before, syscall.SIGKILL))
	eventually(s.h.t, "another engine", func() bool {
		now := s.enginePID()
		return now != 0 && now != before
	})
}

// keepers lists the processes that hold descriptors for engines of the sandbox.
func (s *sandbox) keepers() (pids []int) {
	names, _ := filepath.Glob("/proc/[0-9]*/comm")
	mine, err := os.Stat(fmt.Sprintf("/proc/%d/ns/net", s.pid))
	if err != nil {
		return nil
	}
	for _, name := range names {
		text, _ := os.ReadFile(name)
		theirs, err := os.Stat(filepath.Dir(name) + "/ns/net")
		if err == nil && os.SameFile(mine, theirs) && string(text) == "tcpcni-keeper\n" {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(name)))
			pids = append(pids, pid)
		}
	}
	return pids
}

// blocked sits in one call and says how it ended, then uses a new socket.
const blocked = `
import socket, sys, select
def report(what, f):
    try:
        r = f()
        print(what, 'returned', len(r) if isinstance(r, bytes) else type(r).__name__, flush=True)
    except OSError as e:
        print(what, 'failed', e.strerror, flush=True)
what, host = sys.argv[1:]
s = socket.create_connection((host, 7000))
print('ready', flush=True)
if what == 'recv': report(what, lambda: s.recv(10))
if what == 'half':
    s.shutdown(socket.SHUT_WR)
    report(what, lambda: s.recv(10))
if what == 'send':
    def fill():
        while True: s.send(b'x' * 100000)
    report(what, fill)
if what == 'poll':
    p = select.poll(); p.register(s, select.POLLIN); p.poll(); report(what, lambda: s.recv(10))
if what == 'epoll':
    e = select.epoll(); e.register(s, select.EPOLLIN | select.EPOLLET); e.poll(); report(what, lambda: s.recv(10))
if what == 'error':
    p = select.poll(); p.register(s, select.POLLIN); p.poll()
    print(what, socket.errno.errorcode[s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)], flush=True)
    report('then', lambda: s.recv(10))
    report('peer', s.getpeername)
report('socket', lambda: socket.create_connection((host, 7000)))
`

func TestEngineKilledBlockedCalls(t *testing.T) {
	onlyTCPCNI(t)
	h := newHost(t)
	pod := h.pod()
	// A listener that never reads.
	h.start("/usr/bin/python3", "-uc", silent).line("ready")
	programs := map[string]*proc{}
	for _, call := range []string{"recv", "half", "send", "poll", "epoll", "error"} {
		programs[call] = pod.start("/usr/bin/python3", "-c", blocked, call, hostV4)
		programs[call].line("ready")
	}
	pod.crash()
	for call, p := range programs {
		want := fmt.Sprintf("\n%s failed Connection reset by peer", call)
		switch call {
		case "send": // an AF_UNIX socket tells a writer of the peer's end first
			want = "\nsend failed "
		case "error":
			want = "\nerror ECONNRESET\nthen returned 0\npeer failed Transport endpoint is not connected"
		}
		if out := p.ok(); !strings.Contains(out, want) || !strings.Contains(out, "\nsocket returned") {
			t.Errorf("%s: %q", call, out)
		}
	}
	pod.stop()
	h.bare()
}

// silent accepts connections and says nothing.
const silent = "import socket, time; s = socket.socket(); s.bind(('', 7000)); s.listen(); print('ready'); time.sleep(1000)"

// The kernel's connections of a container that is not intercepted end in the
// engine, too: both sides of each hear of its end though they only wait.
func TestEngineKilledInlineConnections(t *testing.T) {
	onlyTCPCNI(t)
	h := newHost(t)
	pod := h.plain("")
	h.start("/usr/bin/python3", "-uc", silent).line("ready")
	pod.start("/usr/bin/python3", "-uc", silent).line("ready")
	programs := map[string]*proc{
		"out": pod.start("/usr/bin/python3", "-c", blocked, "recv", hostV4),
		"in":  h.start("/usr/bin/python3", "-c", blocked, "recv", pod.v4),
	}
	for _, p := range programs {
		p.line("ready")
	}
	before := pod.status().PID
	must(t, syscall.Kill(before, syscall.SIGKILL))
	for way, p := range programs {
		if out := p.ok(); !strings.Contains(out, "\nrecv failed Connection reset by peer\nsocket returned") {
			t.Errorf("%s: %q", way, out)
		}
	}
}

// halfClosed says how a connection ends whose program has shut down writing.
const halfClosed = `
import socket, sys
host, urgent = sys.argv[1:]
s = socket.create_connection((host, 7000))
s.sendall(b'ask' * 1000)
if urgent == 'urgent': s.send(b'!', socket.MSG_OOB)
s.shutdown(socket.SHUT_WR)
got = b''
try:
    while True:
        b = s.recv(1 << 16)
        if not b: break
        got += b
    print('end after', len(got))
except OSError as e:
    print(e.strerror, 'after', len(got))
`

// answers reads to the end of file, answers, and ends the connection as told.
const answers = `
import socket, struct, sys
l = socket.socket(); l.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); l.bind(('', 7000)); l.listen()
print('ready', flush=True)
while True:
    c, peer = l.accept()
    c.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1)
    n = 0
    while True:
        b = c.recv(1 << 16)
        if not b: break
        n += len(b)
    print('got', n, flush=True)
    c.sendall(b'x' * 100000)
    if sys.argv[1] == 'reset':
        c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        input() # once everything has arrived
    c.close()
`

func TestHalfClosedConnectionEnds(t *testing.T) {
	h := newHost(t)
	pod := h.pod()
	for _, how := range []string{"close", "reset"} {
		for _, urgent := range []string{"plain", "urgent"} {
			r, w, err := os.Pipe()
			must(t, err)
			srv := h.startWith(plumbing{stdin: r}, "/usr/bin/python3", "-c", answers, how)
			_ = r.Close()
			srv.line("ready")
			p := pod.start("/usr/bin/python3", "-c", halfClosed, hostV4, urgent)
			srv.line(map[string]string{"plain": "got 3000\n", "urgent": "got 3001\n"}[urgent])
			_, _ = w.WriteString("\n")
			_ = w.Close()
			want := "end after 100000\n"
			if how == "reset" {
				want = "Connection reset by peer after "
			}
			if out := p.ok(); !strings.HasPrefix(out, want) {
				t.Errorf("%s, %s: %q, want %q", how, urgent, out, want)
			}
			srv.stop()
		}
	}
}

// waiting sits in a call that has nothing to do with a connection and must not
// hear of the engine's end.
const waiting = `
import socket, sys, select
what, host = sys.argv[1:]
def serve(l):
    c, peer = l.accept()
    c.recv(10)
    c.sendall(b'hello from ' + what.encode())
    c.close()
if what == 'accept':
    l = socket.socket(); l.bind(('', 7001)); l.listen()
    print('ready', flush=True)
    while True: serve(l)
if what == 'epoll':
    l = socket.socket(); l.setblocking(False)
    e = select.epoll(); e.register(l, select.EPOLLIN | select.EPOLLET)
    l.bind(('', 7002)); l.listen()
    print('ready', flush=True)
    while True:
        e.poll()
        while True:
            try: serve(l)
            except BlockingIOError: break
if what == 'bound':
    l = socket.socket(); l.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1); l.bind(('', 7003))
    print('ready', flush=True)
    sys.stdin.readline()
    l.listen()
    assert l.getsockname()[1] == 7003
    assert l.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    print('listens', flush=True)
    while True: serve(l)
if what == 'fresh':
    s = socket.socket()
    print('ready', flush=True)
    sys.stdin.readline()
    s.connect((host, 7000))
    print('connected', flush=True)
if what == 'udp':
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('', 7004))
    print('ready', flush=True)
    while True:
        b, peer = s.recvfrom(2000)
        s.sendto(b'echo ' + b, peer)
if what == 'udpclient':
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.connect((host, 7005))
    s.send(b'one')
    assert s.recv(100) == b'one'
    print('ready', flush=True)
    sys.stdin.readline()
    s.send(b'two')
    assert s.recv(100) == b'two'
    print('answered', flush=True)
if what == 'connect':
    s = socket.socket()
    print('ready', flush=True)
    s.connect((host, 7006))
    print('connected', flush=True)
`

const echo = `
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('', 7005))
print('ready', flush=True)
while True:
    b, peer = s.recvfrom(2000)
    s.sendto(b, peer)
`

// say asks a server in the sandbox for what it says, from the host.
func (s *sandbox) say(network, port, send string) string {
	s.h.t.Helper()
	var got string
	must(s.h.t, s.h.in(func() error {
		c, err := net.DialTimeout(network, net.JoinHostPort(s.v4, port), hang)
		if err != nil {
			return err
		}
		defer func() { _ = c.Close() }()
		_ = c.SetDeadline(time.Now().Add(hang))
		if _, err = c.Write([]byte(send)); err != nil {
			return err
		}
		b := make([]byte, 100)
		n, err := c.Read(b)
		got = string(b[:n])
		return err
	}))
	return got
}

func TestEngineKilledSandboxGoesOn(t *testing.T) {
	onlyTCPCNI(t)
	h := newHost(t)
	pod := h.pod()
	h.start("/usr/bin/python3", "-uc", silent).line("ready")
	h.start("/usr/bin/python3", "-c", echo).line("ready")
	// A port that does not answer yet.
	h.sh("iptables", "-A", "INPUT", "-p", "tcp", "--dport", "7006", "-j", "DROP")
	programs, inputs := map[string]*proc{}, map[string]*os.File{}
	for _, what := range []string{"accept", "epoll", "bound", "fresh", "udp", "udpclient", "connect"} {
		r, w, err := os.Pipe()
		must(t, err)
		programs[what] = pod.startWith(plumbing{stdin: r}, "/usr/bin/python3", "-c", waiting, what, hostV4)
		inputs[what] = w
		programs[what].line("ready")
		_ = r.Close()
		t.Cleanup(func() { _ = w.Close() })
	}
	for range 3 {
		pod.crash()
		for port, what := range map[string]string{"7001": "accept", "7002": "epoll"} {
			if got := pod.say("tcp", port, "x"); got != "hello from "+what {
				t.Errorf("%s: %q", what, got)
			}
		}
		if got := pod.say("udp", "7004", "x"); got != "echo x" {
			t.Errorf("udp: %q", got)
		}
	}
	for what, end := range map[string]string{"bound": "listens", "fresh": "connected", "udpclient": "answered"} {
		_, _ = inputs[what].WriteString("\n")
		programs[what].line(end)
	}
	if got := pod.say("tcp", "7003", "x"); got != "hello from bound" {
		t.Errorf("bound: %q", got)
	}
	h.start("/usr/bin/python3", "-uc", "import socket, time; s = socket.socket(); s.bind(('', 7006)); s.listen(); print('ready'); time.sleep(1000)").line("ready")
	h.sh("iptables", "-F", "INPUT")
	programs["connect"].line("connected")
	eventually(t, "one keeper", func() bool { return len(pod.keepers()) == 1 })
	pod.stop()
	h.bare()
}

// nginx's two workers share a listening socket and wait for it in epoll.
func TestEngineKilledForkedWorkers(t *testing.T) {
	onlyTCPCNI(t)
	file := makePayload(t, 1<<20)
	h := newHost(t)
	pod := h.pod()
	web := nginx(t, pod, file.folder(t), 0)
	before := descriptors(t, pod.engine())
	for range 5 {
		h.start("curl", "-sS", "--fail", "--retry", "5", "--retry-all-errors", "http://"+pod.v4+"/hello").ok()
		pod.crash()
		p, got := curl(t, h, "http://"+pod.v4+"/file")
		if code := p.wait(); code != 0 || got.size() != file.size {
			t.Errorf("after a crash: curl says %d and has %d bytes of %d", code, got.size(), file.size)
		}
	}
	var keepers []int
	eventually(t, "one keeper", func() bool {
		keepers = pod.keepers()
		return len(keepers) == 1
	})
	eventually(t, "a holder with as many descriptors as before", func() bool { return descriptors(t, pod.engine()) == before })
	web.signal(syscall.SIGQUIT)
	web.wait()
	pod.stop()
	h.bare()
	for _, pid := range keepers {
		eventually(t, "the end of the keeper", func() bool { return syscall.Kill(pid, 0) == syscall.ESRCH })
	}
}

// descriptors counts the open files of a process.
func descriptors(t *testing.T, pid int) int {
	t.Helper()
	list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	must(t, err)
	return len(list)
}

// journal opens the journal of an engine.
func journal(t *testing.T, pid int) *os.File {
	t.Helper()
	links, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	must(t, err)
	for _, link := range links {
		if to, _ := os.Readlink(link); strings.HasPrefix(to, "/memfd:tcpcni-journal") {
			f, err := os.OpenFile(link, os.O_RDWR, 0)
			must(t, err)
			return f
		}
	}
	t.Fatal("the engine has no journal")
	return nil
}

// Whatever an engine has left in its journal, the next one serves the sandbox.
func TestEngineKilledWithASpoiledJournal(t *testing.T) {
	onlyTCPCNI(t)
	h := newHost(t)
	pod := h.pod()
	h.start("/usr/bin/python3", "-uc", silent).line("ready")
	random := rand.New(rand.NewSource(1))
	for name, spoil := range map[string]func(f *os.File, size int64) error{
		"random": func(f *os.File, size int64) error {
			b := make([]byte, 1<<20)
			for at := int64(8); at < min(size, 8<<20); at += int64(len(b)) {
				_, _ = random.Read(b)
				if _, err := f.WriteAt(b, at); err != nil {
					return err
				}
			}
			return nil
		},
		"ones": func(f *os.File, size int64) error {
			_, err := f.WriteAt(bytes.Repeat([]byte{1, 0, 0, 0}, int(min(size, 8<<20)/4)-2), 8)
			return err
		},
		"no head": func(f *os.File, _ int64) error {
			_, err := f.WriteAt(make([]byte, 4096), 0)
			return err
		},
	} {
		// The kernel holds who waits here, and nobody may answer it any more.
		server := pod.start("/usr/bin/python3", "-c", waiting, "accept", hostV4)
		server.line("ready")
		f := journal(t, pod.enginePID())
		st, err := f.Stat()
		must(t, err)
		must(t, spoil(f, st.Size()))
		_ = f.Close()
		pod.crash()
		p := pod.start("/usr/bin/python3", "-c", "import socket, sys; socket.create_connection((sys.argv[1], 7000)); print('connected')", hostV4)
		if out := p.ok(); out != "connected\n" {
			t.Errorf("%s: %q", name, out)
		}
		server.stop()
	}
	pod.stop()
	h.bare()
}

// clients makes connections without pause and counts what became of them.
const clients = `
import socket, sys, threading, time
host, until = sys.argv[1], time.time() + float(sys.argv[2])
good, bad, lock = 0, 0, threading.Lock()
def work():
    global good, bad
    while time.time() < until:
        s = socket.socket(); s.settimeout(20)
        try:
            s.connect((host, 7001))
            s.sendall(b'x')
            ok = s.recv(100) == b'hello from accept'
        except OSError:
            ok = False
        s.close()
        with lock:
            if ok: good += 1
            else: bad += 1
threads = [threading.Thread(target=work) for _ in range(8)]
print('ready', flush=True)
for t in threads: t.start()
for t in threads: t.join()
print('good', good, 'bad', bad, flush=True)
`

// server is waiting's accept, for clients that may be gone, and for an accept
// that returns 0: see "When the engine dies" in docs/architecture.md.
const server = `
import socket
l = socket.socket(); l.bind(('', 7001)); l.listen(100)
print('ready', flush=True)
while True:
    try: c, peer = l.accept()
    except OSError as e:
        assert e.errno == 88, e # Socket operation on non-socket: standard input
        print('accept returned 0', flush=True)
        continue
    try:
        c.recv(1)
        c.sendall(b'hello from accept')
    except OSError: pass
    c.close()
`

func TestEngineKilledInABurst(t *testing.T) {
	onlyTCPCNI(t)
	h := newHost(t)
	pod := h.pod()
	srv := pod.start("/usr/bin/python3", "-c", server)
	srv.line("ready")
	load := h.start("/usr/bin/python3", "-c", clients, pod.v4, "8")
	load.line("ready")
	for range 4 {
		time.Sleep(time.Second) // so that connections are under way; decides nothing
		pod.crash()
	}
	out := load.ok()
	t.Log(out)
	if strings.HasPrefix(out, "good 0 ") {
		t.Error("no connection succeeded")
	}
	select {
	case <-srv.ended:
		t.Errorf("the server has ended: %s", srv.stderr)
	default:
	}
	if got := pod.say("tcp", "7001", "x"); got != "hello from accept" {
		t.Errorf("after the burst: %q", got)
	}
	pod.stop()
	h.bare()
}

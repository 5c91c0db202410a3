package engine

import (
	"testing"
	"time"

	"github.com/tcpcni/tcpcni/hostlink"
	"github.com/tcpcni/tcpcni/hostlink/abi"
	"github.com/tcpcni/tcpcni/netstack/tcp"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// TestWaitersAreTriedForInput: calls that wait at a connection are tried while there
// is something for them, and no longer.
func TestWaitersAreTriedForInput(t *testing.T) {
	e := bare(t)
	const calls = firstSweep - 2 // more, and those whose threads are dead are looked for
	for _, c := range []struct {
		name  string
		do    func(s *stream, p int)
		tried bool
	}{
		{"nothing", func(s *stream, p int) { s.recall() }, false},
		{"taken meanwhile", func(s *stream, p int) {
			hostlink.Send(s.fd, []byte("x"), 0)
			s.recall()
			takeAll(t, p)
		}, false},
		{"room to send", func(s *stream, p int) {
			hostlink.Send(s.fd, []byte("x"), 0)
			s.Event(tcp.EventWritable)
		}, false},
		{"a byte", func(s *stream, p int) {
			hostlink.Send(s.fd, []byte("x"), 0)
			s.recall()
		}, true},
		{"an error of the engine's", func(s *stream, p int) {
			s.failure = errno.ECONNRESET
			s.recall()
		}, true},
		{"given back", func(s *stream, p int) {
			s.returned = &returned{stash: []byte("x")}
			s.recall()
		}, true},
		{"end of input", func(s *stream, p int) { s.Event(tcp.EventEOF) }, true},
		{"shut", func(s *stream, p int) { s.shutdown(p, abi.SHUT_RD) }, true},
	} {
		s, p := e.mustStream(t)
		takeAll(t, p) // the filling
		takeAll(t, s.fd)
		s.phase = phaseConnected
		for i := range calls {
			w := e.deadCall(s, p)
			w.req.TID, w.req.Nr = uint32(100+i), abi.SYS_RECVMSG
			w.park(0, errno.EAGAIN)
		}
		other := e.deadCall(s, p)
		other.req.TID, other.req.Nr = 99, abi.SYS_CONNECT
		other.park(0, errno.EINPROGRESS)
		c.do(s, p)
		s.settle()
		want := calls + 1
		if c.tried {
			want = 1 // their threads are dead, so to try them is to forget them
		}
		if got := len(s.wait.list); got != want {
			t.Errorf("%s: %d calls wait, want %d", c.name, got, want)
		}
		if s.wait.first(abi.SYS_CONNECT) == nil {
			t.Errorf("%s: the call that does not receive is lost", c.name)
		}
	}
}

// TestWaitKeepsItsEnd: a call that is tried again waits for the rest of its time.
func TestWaitKeepsItsEnd(t *testing.T) {
	e := bare(t)
	s, p := e.mustStream(t)
	e.now = time.Second
	c := e.deadCall(s, p)
	c.parkFor(5*time.Second, errno.EAGAIN)
	w := s.wait.first()
	w.end()
	again := w.takeCall()
	e.now = 3 * time.Second
	again.s = &s.sock
	again.parkFor(5*time.Second, errno.EAGAIN)
	if w = s.wait.first(); w == nil || w.deadline != 6*time.Second {
		t.Errorf("%+v", w)
	}
	w.end()

	// One that only waits to be tried again has a time of its own then.
	c.park(4*time.Second, 0)
	w = s.wait.first()
	w.end()
	if again = w.takeCall(); again.until != 0 {
		t.Errorf("until %v", again.until)
	}
}

// TestReceiveTimeoutIsOfTheCall: bytes that trickle in do not prolong SO_RCVTIMEO.
// On the kernel the program prints the same.
func TestReceiveTimeoutIsOfTheCall(t *testing.T) {
	s := newSandbox(t)
	const program = `
import socket, struct, threading
l = socket.create_server(("127.0.0.1", 8080))
c = socket.create_connection(("127.0.0.1", 8080))
a, _ = l.accept()
a.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("qq", 1, 0))
a.setsockopt(socket.IPPROTO_TCP, 36, 1) # TCP_INQ
done = threading.Event()
def trickle():
    for i in range(200):
        if done.wait(.1): return
        c.sendall(b"x")
t = threading.Thread(target=trickle)
t.start()
print(len(a.recvmsg(200, 100, socket.MSG_WAITALL)[0]) < 200)
done.set()
t.join()
`
	if got := s.run("/usr/bin/python3", "-c", program); got != "True\n" {
		t.Errorf("in the sandbox: %q", got)
	}
	if got := onKernel(t, s.host, "/usr/bin/python3", "-c", program); got != "True\n" {
		t.Errorf("on the kernel: %q", got)
	}
}

// TestManyReceiveFromOneSocket: every byte wakes one of those who wait for it, and
// the end wakes all. A recvmmsg for no message takes none.
func TestManyReceiveFromOneSocket(t *testing.T) {
	s := newSandbox(t)
	const program = `
import ctypes, socket, threading, time
l = socket.create_server(("127.0.0.1", 8080))
c = socket.create_connection(("127.0.0.1", 8080))
c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
a, _ = l.accept()
a.setsockopt(socket.IPPROTO_TCP, 36, 1) # TCP_INQ
threading.stack_size(65536)
got, lock = [], threading.Lock()
def receive():
    b = a.recvmsg(1, 100)[0]
    with lock: got.append(b)
all = [threading.Thread(target=receive) for i in range(150)]
for t in all: t.start()
for i in range(100): c.send(b"x")
while len(got) < 100: time.sleep(.001)
c.shutdown(socket.SHUT_WR)
for t in all: t.join()
print(got.count(b"x"), got.count(b""))

c.close()
c = socket.create_connection(("127.0.0.1", 8080))
a, _ = l.accept()
a.setsockopt(socket.IPPROTO_TCP, 36, 1)
c.sendall(b"hello")
a.recvmsg(5, 100, socket.MSG_PEEK | socket.MSG_WAITALL)
libc = ctypes.CDLL(None, use_errno=True)
print(libc.recvmmsg(a.fileno(), None, 0, socket.MSG_DONTWAIT, None), a.recvmsg(10, 100)[0])
`
	const want = "100 50\n0 b'hello'\n"
	if got := s.run("/usr/bin/python3", "-c", program); got != want {
		t.Errorf("in the sandbox: %q", got)
	}
	if got := onKernel(t, s.host, "/usr/bin/python3", "-c", program); got != want {
		t.Errorf("on the kernel: %q", got)
	}
}

package engine

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/tcpcni/tcpcni/hostlink"
	"github.com/tcpcni/tcpcni/hostlink/abi"
	"github.com/tcpcni/tcpcni/netstack/udp"
	"github.com/tcpcni/tcpcni/sockopt"
)

// deadReceive is a call of a thread that is gone, for datagrams.
func (e *engine) deadReceive(d *dgram, p int, nr int32, args ...uint64) *call {
	c := &call{
		eng: e, on: hostlink.NewNotifier(-1), p: p, s: &d.sock, note: noNote,
		th:  &thread{Task: hostlink.Task{PidFD: -1, Mem: -1}},
		req: hostlink.Notification{TID: 7, Nr: nr},
	}
	copy(c.req.Args[:], args)
	return c
}

func (d *dgram) mustDeliver(t *testing.T, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !d.Deliver(netip.MustParseAddrPort("10.98.0.1:9"), netip.MustParseAddr("10.98.0.2"), udp.Marks{}, []byte(text)) {
			t.Fatal("no room")
		}
	}
}

// rest is what d gives from now on.
func (d *dgram) rest(p int) string {
	var list []string
	for {
		_, b, e := d.takeRun(p, false)
		if e != 0 {
			return strings.Join(list, " ")
		}
		list = append(list, string(b))
	}
}

// TestUnheardDatagramsComeAgain: what a call took that nobody heard of is given
// again, in order and before what came later.
func TestUnheardDatagramsComeAgain(t *testing.T) {
	e := bare(t)
	for _, nr := range receiveCalls {
		d, p := e.mustDgram(t)
		d.mustDeliver(t, "a", "b")
		for range 3 { // each time it is the first that is taken
			c := e.deadReceive(d, p, nr)
			if nr == abi.SYS_RECVMMSG {
				c.req.Args[2] = 2 // messages
				c.recvmmsgDgram(d)
			} else {
				c.receive(d)
			}
			if len(d.stash) != 1 {
				t.Fatalf("call %d: %d are kept", nr, len(d.stash))
			}
		}
		d.mustDeliver(t, "c")
		if got := d.rest(p); got != "a b c" {
			t.Errorf("call %d: %s", nr, got)
		}
	}

	d, p := e.mustDgram(t)
	d.mustDeliver(t, "1", "2", "3", "4")
	e.taken.begin()
	for range 3 {
		o, b, no := d.takeRun(p, false)
		if no != 0 {
			t.Fatal(no)
		}
		e.taken.note(o, b)
	}
	d.putBack(e.taken.list()...)
	e.taken.begin()
	if revents(t, p)&1 == 0 {
		t.Error("nothing to read")
	}
	if got := d.rest(p); got != "1 2 3 4" {
		t.Error(got)
	}
}

// TestOddDatagramOfAnUnheardRun: the one that did not fit behind the others comes
// after them.
func TestOddDatagramOfAnUnheardRun(t *testing.T) {
	e := bare(t)
	d, p := e.mustDgram(t)
	d.udp.Options().SetRare(func(r *sockopt.Rare) { r.UDPGRO = true })
	d.mustDeliver(t, "aaaa", "bbbb", "cc", "dd")
	d.origins.list[1].size = 3 // another thread has read one meanwhile
	d.origins.bytes--
	e.deadReceive(d, p, abi.SYS_RECVFROM).receive(d)
	if len(d.stash) != 2 {
		t.Fatalf("%d are kept", len(d.stash))
	}
	if a, b := string(d.stash[0].payload), string(d.stash[1].payload); a != "aaaa" || b != "bbbb" {
		t.Errorf("%s, then %s", a, b)
	}
}

// TestPeekOffsetStandsBesideTheStash: SO_PEEK_OFF of P is of what lies in P.
func TestPeekOffsetStandsBesideTheStash(t *testing.T) {
	e := bare(t)
	d, p := e.mustDgram(t)
	d.udp.Options().SetRare(func(r *sockopt.Rare) { r.PeekOff = 3 })
	setPeekOffset(p, 3)
	d.putBack(stashed{payload: []byte("text")})
	e.deadReceive(d, p, abi.SYS_RECVFROM, 0, 0, 10, abi.MSG_PEEK).receive(d)
	if at := peekOffset(p); at != 3 {
		t.Errorf("at %d", at)
	}
}

// TestDatagramsOutliveSignals: signals interrupt recvmmsg all the time, and every
// datagram arrives.
func TestDatagramsOutliveSignals(t *testing.T) {
	s := newSandbox(t)
	got := s.run("/usr/bin/python3", "-c", `
import ctypes, random, select, signal, socket, struct, time
libc = ctypes.CDLL(None, use_errno=True)
`+mmsghdrPython+`rnd, fired = random.Random(7), 0
def handler(*_):
    global fired
    fired += 1
    signal.setitimer(signal.ITIMER_REAL, rnd.choice([2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 2e-3]))
signal.signal(signal.SIGALRM, handler)
signal.siginterrupt(signal.SIGALRM, True)
b = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
b.bind(("127.0.0.1", 7000))
a = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
a.connect(("127.0.0.1", 7000))
K = 16
bufs = [ctypes.create_string_buffer(4) for i in range(K)]
names = [ctypes.create_string_buffer(16) for i in range(K)]
vs = [iovec(ctypes.addressof(x), 4) for x in bufs]
def fresh():
    return (mmsghdr * K)(*[mmsghdr(ctypes.addressof(n), 16, ctypes.addressof(v), 1, None, 0, 0, 0, 0) for n, v in zip(names, vs)])
got, sent = [], 0
for round in range(150):
    for i in range(K):
        a.send(struct.pack("=I", sent))
        sent += 1
    signal.setitimer(signal.ITIMER_REAL, 5e-5)
    patience = time.monotonic() + 20
    while len(got) < sent and time.monotonic() < patience:
        n = libc.recvmmsg(b.fileno(), fresh(), K, socket.MSG_DONTWAIT, None)
        for i in range(n):
            got.append(struct.unpack("=I", bufs[i].raw)[0])
    signal.setitimer(signal.ITIMER_REAL, 0)
    if len(got) != sent: break
print(sent - len(got), got == sorted(got), fired > 10)
`)
	if want := "0 True True\n"; got != want {
		t.Errorf("missing, in order, signals: %swant %s", got, want)
	}
}

// TestLookingWaits: a call that waits to look at a datagram leaves it there.
func TestLookingWaits(t *testing.T) {
	s := newSandbox(t)
	const program = `
import socket, threading
b = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
b.bind(("127.0.0.1", 7000))
a = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
def later(): a.sendto(b"hello", ("127.0.0.1", 7000))
for i in range(3):
    threading.Timer(.2, later).start()
    print(b.recvfrom(100, socket.MSG_PEEK)[0])
    print(b.recvmsg(100, 0, socket.MSG_PEEK)[0])
    print(b.recvfrom(100)[0])
`
	want := onKernel(t, s.host, "/usr/bin/python3", "-c", program)
	if got := s.run("/usr/bin/python3", "-c", program); got != want {
		t.Errorf("on the kernel:\n%s\nin the sandbox:\n%s", want, got)
	}
}

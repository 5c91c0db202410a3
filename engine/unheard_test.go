package engine

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/tcpcni/tcpcni/hostlink"
	"github.com/tcpcni/tcpcni/hostlink/abi"
)

// What a call has done is not done again by its repetition, which signals bring
// about in both ways: by SA_RESTART, and by EINTR and a loop around the call.
const stormProgram = `
import ctypes, os, random, signal, socket, struct, sys
restart, kind = sys.argv[1] == 'restart', sys.argv[2]
rnd = random.Random(7)
fired = 0
def handler(*_):
    global fired
    fired += 1
    signal.setitimer(signal.ITIMER_REAL, rnd.choice([2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 2e-3]))
def storm():
    signal.signal(signal.SIGALRM, handler)
    signal.siginterrupt(signal.SIGALRM, not restart)
    signal.setitimer(signal.ITIMER_REAL, 1e-4)
def calm():
    signal.setitimer(signal.ITIMER_REAL, 0)
def pairs():
    if kind == 'stream':
        l = socket.create_server(('10.98.0.2', 7000))
        a = socket.create_connection(('10.98.0.2', 7000))
        b, _ = l.accept()
    else:
        b = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        b.bind(('10.98.0.2', 7000))
        a = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    return a, b
a, b = pairs()
b.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
to = ('10.98.0.2', 7000)
def one(i):
    a.sendto(struct.pack('=I', i), to)
libc = ctypes.CDLL(None, use_errno=True)
sa = struct.pack('=HH4s8x', 2, socket.htons(7000), socket.inet_aton('10.98.0.2'))
class iovec(ctypes.Structure):
    _fields_ = [('base', ctypes.c_void_p), ('len', ctypes.c_size_t)]
class msghdr(ctypes.Structure):
    _fields_ = [('name', ctypes.c_char_p), ('namelen', ctypes.c_uint), ('iov', ctypes.POINTER(iovec)), ('iovlen', ctypes.c_size_t),
                ('control', ctypes.c_void_p), ('controllen', ctypes.c_size_t), ('flags', ctypes.c_int)]
class mmsghdr(ctypes.Structure):
    _fields_ = [('hdr', msghdr), ('len', ctypes.c_uint)]
def three(i):
    texts = [ctypes.create_string_buffer(struct.pack('=I', 3 * i + k), 4) for k in range(3)]
    vecs = [iovec(ctypes.addressof(t), 4) for t in texts]
    list = (mmsghdr * 3)(*[mmsghdr(msghdr(sa, 16, ctypes.pointer(v), 1, None, 0, 0), 0) for v in vecs])
    done = 0
    while done < 3:
        n = libc.sendmmsg(a.fileno(), ctypes.byref(list, done * ctypes.sizeof(mmsghdr)), 3 - done, 0)
        if n < 0 and ctypes.get_errno() != 4:
            sys.exit('sendmmsg: %d' % ctypes.get_errno())
        done += max(n, 0)
got = []
def drain():
    b.setblocking(False)
    while True:
        try:
            text = b.recv(4096)
        except BlockingIOError:
            return
        got.extend(struct.unpack('=%dI' % (len(text) // 4), text))
rounds = 1500
for i in range(rounds):
    storm() if i % 50 == 0 else None
    (three if kind == 'messages' else one)(i)
    if i % 50 == 49:
        calm()
        if kind == 'stream':
            b.settimeout(20)
            text = b''
            while len(text) < 200:
                text += b.recv(200 - len(text))
            got.extend(struct.unpack('=50I', text))
        else:
            drain()
calm()
want = rounds * (3 if kind == 'messages' else 1)
b.settimeout(20)
while kind != 'stream' and len(set(got)) < want: # the rest is under way
    got.extend(struct.unpack('=I', b.recv(4096)))
b.settimeout(0.3)
try:
    print('and more', b.recv(4096))
except TimeoutError:
    pass
print('twice', len(got) - len(set(got)), 'in order', got == sorted(got), 'missing', want - len(set(got)), 'signals', fired > 10)
os._exit(0)
`

func TestInterruptedSendsGoOnce(t *testing.T) {
	s := newSandbox(t)
	for _, how := range []string{"restart", "again"} {
		for _, kind := range []string{"stream", "datagrams", "messages"} {
			got := strings.TrimSpace(s.run("/usr/bin/python3", "-c", stormProgram, how, kind))
			if got == "twice 0 in order True missing 0 signals True" {
				continue
			}
			// A few may go twice on a busy machine: the kernel takes an answer between
			// the moment in which the thread sees its signal and the one in which it
			// holds the lock, and drops it (seccomp_do_user_notification). Without
			// what is tested here it is a hundred.
			last := got[strings.LastIndexByte(got, '\n')+1:]
			var twice, missing int
			var order, signals string
			if n, _ := fmt.Sscanf(last, "twice %d in order %s missing %d signals %s", &twice, &order, &missing, &signals); n != 4 ||
				twice == 0 || twice > 10 || missing > twice || signals != "True" {
				t.Errorf("%s, %s: %s", how, kind, got)
			}
		}
	}
}

// The repetition gets the answer, once; what is another call is executed.
func TestMissedAnswers(t *testing.T) {
	e := bare(t)
	s, p := e.mustStream(t)
	to := netip.MustParseAddrPort("10.98.0.1:53")
	sum := func(b string, to netip.AddrPort) func(int) (uint64, bool) {
		return func(int) (uint64, bool) { return sumOf(0, []byte(b), to), true }
	}
	same := func(c *call) {}
	for _, test := range []struct {
		name   string
		change func(c *call)
		text   string
		to     netip.AddrPort
		missed bool
	}{
		{"the same", same, "text", to, true},
		{"other text", same, "next", to, false},
		{"to somebody else", same, "text", netip.MustParseAddrPort("10.98.0.3:53"), false},
		{"from elsewhere in the program", func(c *call) { c.req.IP++ }, "text", to, false},
		{"another call", func(c *call) { c.req.Nr = abi.SYS_SENDMSG }, "text", to, false},
		{"another thread", func(c *call) { c.req.TID++ }, "text", to, false},
	} {
		s.unheard = nil
		if c := e.deadCall(s, p); c.answerOnce(4, sumOf(0, []byte("text"), to)) {
			t.Fatal("heard")
		}
		again := e.deadCall(s, p)
		test.change(again)
		n, ok := again.missed(sum(test.text, test.to))
		if ok != test.missed || ok && n != 4 {
			t.Errorf("%s: %d, %v", test.name, n, ok)
		}
		if _, ok := e.deadCall(s, p).missed(sum("text", to)); ok != (test.name == "another thread") {
			t.Errorf("%s: then the same once more: %v", test.name, ok)
		}
	}
	for tid := range uint32(100) {
		c := e.deadCall(s, p)
		c.req.TID = tid
		c.answerOnce(1, 1)
		c.answerOnce(2, 2)
	}
	if len(s.unheard) != maxUnheard || s.unheard[maxUnheard-1].tid != 99 || s.unheard[0].answer != 2 {
		t.Errorf("%d are kept, %+v", len(s.unheard), s.unheard)
	}
}

// An engine that dies between a datagram and the answer leaves the answer.
func TestSuccessorKnowsTheAnswer(t *testing.T) {
	old := bare(t)
	d, p := old.mustDgram(t)
	place, note := old.place()
	*place = hostlink.Notification{ID: 5, TID: 7, Nr: abi.SYS_SENDTO}
	c := &call{eng: old, on: hostlink.NewNotifier(-1), p: p, s: &d.sock, note: note, req: *place}
	left := func() call {
		t.Helper()
		r, _ := openJournal(old.journal.mem.FD())
		list := r.calls()
		if len(list) != 1 {
			t.Fatalf("%d calls", len(list))
		}
		return call{eng: old, on: c.on, p: -1, note: noNote, req: list[0]}
	}
	x := left()
	if x.settle() {
		t.Error("settled before anything was done")
	}
	old.dare(note)
	if err := c.transmit(d, &departing{payload: []byte("text"), how: sendHow{tos: -1, ttl: -1}}, 0, 4); err == nil {
		t.Fatal("a datagram to nobody was sent")
	}
	if x = left(); x.settle() {
		t.Error("settled by an error")
	}
	to := netip.MustParseAddrPort("127.0.0.1:9")
	if err := c.transmit(d, &departing{payload: []byte("text"), to: to, how: sendHow{tos: -1, ttl: -1}}, 0, 4); err != nil {
		t.Fatal(err)
	}
	if x = left(); x.req.Flags != 1|5<<noteAnswer || !x.settle() {
		t.Errorf("flags %#x, or executed again", x.req.Flags)
	}
	if err := c.transmit(d, &departing{payload: []byte("text"), how: sendHow{tos: -1, ttl: -1}}, 2, 3); err == nil {
		t.Fatal("a datagram to nobody was sent")
	}
	if x = left(); x.req.Flags != 1|3<<noteAnswer {
		t.Errorf("flags %#x after the third of three messages has failed", x.req.Flags)
	}
	x.req.Nr = abi.SYS_CONNECT
	if x.settle() {
		t.Error("a call that no engine answers so")
	}
	x.req.Nr, x.req.Flags = abi.SYS_BIND, 0
	if x.settle() {
		t.Error("a bind that was not executed")
	}
}

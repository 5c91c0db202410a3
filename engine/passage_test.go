package engine

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tcpcni/tcpcni/hostlink"
	"github.com/tcpcni/tcpcni/test/needroot"
)

// pipes is how many descriptors of pipes the engine has.
func (s *sandbox) pipes() (n int) {
	s.t.Helper()
	fds, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", s.engine.Process.Pid))
	if err != nil || len(fds) == 0 {
		s.t.Fatal(fds, err)
	}
	for _, fd := range fds {
		if to, _ := os.Readlink(fd); strings.HasPrefix(to, "pipe:") {
			n++
		}
	}
	return n
}

// bulk is what the programs of these tests begin with: a pair of connected sockets,
// bytes that are nowhere alike, and who compares them.
const bulk = `
import errno, fcntl, os, random, select, socket, struct, sys, termios, threading
def pair(port=0, host='127.0.0.1'):
    l = socket.create_server((host, port))
    a = socket.create_connection(l.getsockname())
    b = l.accept()[0]
    l.close()
    return a, b
PERIOD, SIOCATMARK = 3000017, 0x8905
text = random.Random(1).randbytes(PERIOD) * 2
def piece(at, n):
    at %= PERIOD
    return text[at:at + n]
def write(s, total, sizes, at=0):
    r = random.Random(2)
    end = at + total
    while at < end:
        n = min(r.choice(sizes), end - at)
        s.sendall(piece(at, n))
        at += n
def read(s, sizes, at=0, end=None):
    r = random.Random(3)
    while end is None or at < end:
        n = r.choice(sizes)
        b = s.recv(n if end is None else min(n, end - at))
        if not b:
            break
        if b != piece(at, len(b)):
            print('bytes from', at, 'on are others', flush=True)
            os._exit(1)
        at += len(b)
    return at
def start(f, *args):
    t = threading.Thread(target=f, args=args, daemon=True)
    t.start()
    return t
def fill(s): # as far as it goes while nobody reads
    at = 0
    s.setblocking(False)
    while True:
        try:
            at += s.send(piece(at, 1 << 17))
        except BlockingIOError:
            if not select.select([], [s], [], 0.3)[1]:
                break
    s.setblocking(True)
    return at
def error(f, *args):
    try:
        f(*args)
    except OSError as e:
        return errno.errorcode[e.errno]
    return 'none'
MIX = [1, 7, 100, 1448, 4096, 36544, 65535, 131072, 131072, 262144, 262144, 262144]
`

// TestPassages: bulk inside a sandbox goes through passages, and arrives as through
// any connection: every byte, in order, up to the end.
func TestPassages(t *testing.T) {
	if !hostlink.CanPassPages() {
		t.Skip("this kernel copies what is spliced to a socket")
	}
	needroot.Check(t, "make network namespaces and seccomp listeners")
	for _, c := range []struct {
		name, program, want string
		none                bool // no passage stays, or there was none
	}{
		{"both ways, and one end before the other", `
a, b = pair()
def side(s, sizes, got):
    t = start(write, s, 40000000, sizes)
    got.append(read(s, MIX, end=40000000))
    t.join()
x, y = [], []
t, u = start(side, a, MIX, x), start(side, b, [131072], y)
t.join(); u.join()
print(x, y)
a.shutdown(socket.SHUT_WR)
print(b.recv(1))
t = start(write, b, 20000000, [131072])
print(read(a, MIX, end=20000000))
b.close()
print(a.recv(1))
`, "[40000000] [40000000]\nb''\n20000000\nb''\n", false},
		{"small writes after large ones", `
a, b = pair()
t = start(lambda: (write(a, 8 << 20, [131072]), write(a, 1 << 20, [64], 8 << 20), write(a, 8 << 20, [131072], 9 << 20), a.close()))
print(read(b, [1 << 20]) >> 20)
`, "17\n", false},
		{"a reader that stands still", `
a, b = pair()
n = fill(a)
t = start(lambda: (write(a, 10 << 20, [131072], n), a.close()))
print(n > 1 << 20, read(b, [65536]) == n + (10 << 20))
`, "True True\n", false},
		{"a writer that is gone before the reader begins", `
a, b = pair()
t = start(read, b, [65536], 0, 16 << 20)
write(a, 16 << 20, [131072])
t.join()
n = fill(a)
a.close()
print(read(b, [131072]) == n)
`, "True\n", false},
		{"a reader that goes", `
a, b = pair()
t = start(read, b, [65536], 0, 16 << 20)
write(a, 16 << 20, [131072])
t.join()
fill(a)
b.close()
print(error(write, a, 1 << 30, [131072]) in ('EPIPE', 'ECONNRESET'))
`, "True\n", true},
		{"a reader that has shut down", `
a, b = pair()
t = start(read, b, [65536], 0, 16 << 20)
write(a, 16 << 20, [131072])
t.join()
fill(a)
b.shutdown(socket.SHUT_RD)
write(a, 32 << 20, [131072])
t = start(write, b, 16 << 20, [131072])
print(read(a, [131072], 0, 16 << 20) >> 20)
`, "16\n", true},
		{"a reset", `
a, b = pair()
t = start(read, b, [65536], 0, 16 << 20)
write(a, 16 << 20, [131072])
t.join()
a.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
write(a, 1 << 20, [131072], 16 << 20)
a.close()
print(error(read, b, [65536], 16 << 20))
`, "ECONNRESET\n", false},
		{"urgent bytes", `
a, b = pair()
def writes():
    for i in range(5): # one urgent byte at a time: the next would put the last among the others
        write(a, 4000000, [131072], i * 8000000)
        a.send(b'!', socket.MSG_OOB)
        write(a, 4000000, [131072], i * 8000000 + 4000000)
        a.recv(1)
t = start(writes)
at, marks = 0, []
while at < 40000000:
    if at % 8000000 == 4000000:
        select.select([], [], [b])
    if struct.unpack('i', fcntl.ioctl(b, SIOCATMARK, bytes(4)))[0]:
        marks.append((at, b.recv(1, socket.MSG_OOB)))
    p = b.recv(100000)
    if p != piece(at, len(p)):
        print('others')
        break
    at += len(p)
    if at % 8000000 == 0:
        b.send(b'.')
print(at, marks == [(i * 8000000 + 4000000, b'!') for i in range(5)])
`, "40000000 True\n", false},
		{"an end that is disconnected", `
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
def bulk():
    a, b = pair()
    t = start(read, b, [65536], 0, 16 << 20)
    write(a, 16 << 20, [131072])
    t.join()
    return a, b
def disconnect(s):
    if libc.connect(s.fileno(), bytes(16), 16) != 0:
        raise OSError(ctypes.get_errno(), 'connect')
keep = []
for end in (0, 1):
    ends = bulk()
    disconnect(ends[end])
    keep.append(ends)
    keep.append(bulk())
for i in range(40): # more than there are passages, with bytes in them
    a, b = bulk()
    fill(a)
    disconnect(b)
    keep.append((a, b))
a, b = bulk()
l = socket.create_server(('127.0.0.1', 0))
disconnect(a)
a.connect(l.getsockname())
b = l.accept()[0]
t = start(lambda: (write(a, 16 << 20, [131072]), a.close()))
print(read(b, [65536]) >> 20)
`, "16\n", false},
		{"many urgent bytes", `
a, b = pair()
STEP = 1 << 20
t = start(read, b, [65536], 0, 16 << 20)
write(a, 16 << 20, [131072])
t.join()
def writes():
    for i in range(200):
        write(a, STEP, [131072], i * STEP)
        a.send(b'!', socket.MSG_OOB)
        a.recv(1)
t = start(writes)
lost = 0
for i in range(200):
    if read(b, [131072], i * STEP, i * STEP + STEP) != i * STEP + STEP:
        print('short')
    if not select.select([], [], [b], 10)[2]:
        lost += 1
    else:
        lost += b.recv(1, socket.MSG_OOB) != b'!'
    b.send(b'.')
print(lost)
`, "0\n", false},
		{"to an end that has shut down writing", `
a, b = pair()
b.shutdown(socket.SHUT_WR)
t = start(lambda: (write(a, 32 << 20, [131072]), a.close()))
print(read(b, MIX) >> 20)
`, "32\n", false},
		{"to connections that nobody accepts", `
for i in range(20): # more than there are passages
    l = socket.create_server(('127.0.0.1', 0))
    a = socket.create_connection(l.getsockname())
    select.select([l], [], [])
    fill(a)
    l.close()
    print(error(a.recv, 1) if i == 19 else '', end='')
    a.close()
a, b = pair()
t = start(lambda: (write(a, 16 << 20, [131072]), a.close()))
print('', read(b, MIX) >> 20)
`, "ECONNRESET 16\n", false},
		{"a message that is polled for and urgent bytes read in line", `
a, b = pair()
b.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1)
t = start(lambda: ([(write(a, 2 << 20, [131072], i << 20), a.send(piece((i + 2) << 20, 1), socket.MSG_OOB), write(a, (1 << 20) - 1, [131072], ((i + 2) << 20) + 1)) for i in range(0, 30, 3)], a.close()))
print(read(b, MIX) >> 20)
`, "30\n", false},
		{"many at once", `
all, ends = [], []
for i in range(24):
    a, b = pair()
    all.append(start(lambda s: (write(s, 6 << 20, [131072]), s.close()), a))
    all.append(start(lambda s: ends.append(read(s, [65536]) >> 20), b))
for t in all:
    t.join()
print(ends == [6] * 24)
`, "True\n", false},
		{"small buffers", `
l = socket.socket()
l.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 20000)
l.bind(('127.0.0.1', 0))
l.listen()
a = socket.socket()
a.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 300000)
a.connect(l.getsockname())
b = l.accept()[0]
t = start(lambda: (write(a, 16 << 20, [131072]), a.close()))
print(read(b, MIX) >> 20)
`, "16\n", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newSandbox(t)
			before := s.pipes()
			if got := s.run("/usr/bin/python3", "-c", bulk+c.program); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
			if s.pipes() == before && !c.none {
				t.Error("there was no passage")
			}
		})
	}
}

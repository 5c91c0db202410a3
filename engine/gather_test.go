package engine

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/tcpcni/tcpcni/hostlink"
)

// TestDatagramsLeaveTogether: what a program sends by UDP_SEGMENT, by sendmmsg and by
// writing one after the other arrives at a kernel as it was sent, in order, whatever
// has left in one frame; and much of it has.
func TestDatagramsLeaveTogether(t *testing.T) {
	s := newSandbox(t)
	const program = `
import ctypes, socket, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
` + mmsghdrPython + `family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
to = (sys.argv[1], int(sys.argv[2]))
def text(way, i, n): return b"%s %d " % (way, i) + b"." * n
a = socket.socket(family, socket.SOCK_DGRAM)
a.sendto(b"hello", to) # the neighbour is known from now on
a.setsockopt(socket.IPPROTO_UDP, 103, 100)
a.sendto(b"".join(text(b"segment", i, 100)[:100] for i in range(20)) + b"rest", to)
b = socket.socket(family, socket.SOCK_DGRAM)
b.connect(to)
K = 20
bufs = [ctypes.create_string_buffer(text(b"several", i, [64, 64, 64, 5][i // 5])) for i in range(K)]
vs = [iovec(ctypes.addressof(x), len(x) - 1) for x in bufs]
m = (mmsghdr * K)(*[mmsghdr(None, 0, ctypes.addressof(v), 1, None, 0, 0, 0, 0) for v in vs])
assert libc.sendmmsg(b.fileno(), m, K, 0) == K and all(m[i].pad == len(bufs[i]) - 1 for i in range(K))
c = socket.socket(family, socket.SOCK_DGRAM)
c.connect(to)
for i in range(60):
    c.send(text(b"write", i, 200 if i % 20 else 3))
`
	text := func(way string, i, n int) string { return fmt.Sprintf("%s %d %.*s", way, i, n, dots) }
	want := []string{"hello"}
	for i := range 20 {
		want = append(want, text("segment", i, 100)[:100])
	}
	want = append(want, "rest")
	for i := range 20 {
		want = append(want, text("several", i, []int{64, 64, 64, 5}[i/5]))
	}
	for i := range 60 {
		n := 200
		if i%20 == 0 {
			n = 3
		}
		want = append(want, text("write", i, n))
	}
	before := s.sent()
	for _, at := range []string{"10.98.0.1", "fd98::1"} {
		var conn *net.UDPConn
		inNS(t, s.host, func() (err error) {
			conn, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(at), 0)))
			return err
		})
		defer conn.Close()
		if err := conn.SetReadBuffer(1 << 20); err != nil {
			t.Fatal(err)
		}
		s.run("/usr/bin/python3", "-c", program, at, fmt.Sprint(conn.LocalAddr().(*net.UDPAddr).Port))
		var got []string
		room := make([]byte, 2000)
		for len(got) < len(want) {
			_ = conn.SetReadDeadline(time.Now().Add(patience))
			n, err := conn.Read(room)
			if err != nil {
				t.Fatalf("%s: %d of %d: %v", at, len(got), len(want), err)
			}
			got = append(got, string(room[:n]))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %q\nwant %q", at, got, want)
		}
	}
	// By segment 1, by sendmmsg 2 or 3; of the rest as it happened.
	if frames := s.sent() - before; hostlink.CutsDatagrams() && frames > uint64(2*len(want)-40) {
		t.Errorf("%d frames for %d datagrams", frames, 2*len(want))
	}
}

const dots = "........................................................................................................................................................................................................"

// sent are the frames that have left the sandbox.
func (s *sandbox) sent() uint64 {
	s.t.Helper()
	st, err := s.client().Status()
	if err != nil {
		s.t.Fatal(err)
	}
	return st.Links[0].TxFrames
}

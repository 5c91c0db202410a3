package netstack

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"github.com/tcpcni/tcpcni/netstack/tcp"
	"github.com/tcpcni/tcpcni/sockopt"
)

// TestSignedConnections: signatures hold over whole frames, with the checksum and
// the cutting of segments left to the link, which must then have nothing to cut.
func TestSignedConnections(t *testing.T) {
	for _, c := range []struct {
		name, addr string
		domain     int
		key        func(s *tcp.Socket) error
	}{
		{"MD5", "10.87.0.2:179", 2, func(s *tcp.Socket) error {
			return s.SetMD5Key(netip.MustParsePrefix("10.87.0.0/24"), []byte("secret"))
		}},
		{"MD5IPv6", "[fd87::2]:179", 10, func(s *tcp.Socket) error {
			return s.SetMD5Key(netip.MustParsePrefix("fd87::/64"), []byte("secret"))
		}},
		{"SHA1", "10.87.0.2:179", 2, func(s *tcp.Socket) error {
			return s.AddAOKey(tcp.AOKey{Peers: netip.MustParsePrefix("10.87.0.0/24"), SendID: 1, RecvID: 1, Key: []byte("secret")})
		}},
		{"CMACIPv6", "[fd87::2]:179", 10, func(s *tcp.Socket) error {
			return s.AddAOKey(tcp.AOKey{Peers: netip.MustParsePrefix("fd87::/64"), SendID: 1, RecvID: 1, Key: []byte("secret"), Algorithm: tcp.AOAES128CMAC})
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, offload)
			ls := w.b.NewTCP(c.domain, nil)
			mustNot(t, ls.Bind(ap(c.addr), 0, sockopt.Privilege{NetBindService: true}))
			mustNot(t, c.key(ls))
			mustNot(t, ls.Listen(8))
			// Who has no key gets no answer.
			stranger := w.a.NewTCP(c.domain, nil)
			stranger.Connect(ap(c.addr))
			w.settle()
			if stranger.State() != tcp.StateSynSent {
				t.Errorf("a stranger is in %v", stranger.State())
			}
			stranger.Abort()
			cs := w.a.NewTCP(c.domain, nil)
			mustNot(t, c.key(cs))
			cs.Connect(ap(c.addr))
			w.settle()
			srv, err := ls.Accept()
			mustNot(t, err)
			server := &tcpApp{}
			srv.SetOwner(server)
			data := filler(100_000)
			for left := data; len(left) > 0; w.wait(50 * time.Millisecond) {
				left = left[cs.Write(left):]
			}
			w.wait(time.Second)
			if !bytes.Equal(server.data, data) {
				t.Errorf("%d of %d bytes", len(server.data), len(data))
			}
			for _, f := range append(w.ab.log, w.ba.log...) {
				if f.tx.GSOType != 0 {
					t.Fatal("a signed segment is left to be cut")
				}
			}
			decode(t, w.ab.log)
			cs.Close()
			srv.Close()
			ls.Close()
		})
	}
}

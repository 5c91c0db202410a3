package sim

import (
	"net/netip"
	"testing"
	"time"

	"github.com/tcpcni/tcpcni/netstack/tcp"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// signedPair is a pair whose sockets have keys.
func signedPair(t *testing.T, seed uint64, way Way, key func(s *tcp.Socket, peer netip.Prefix, id uint8) error, n int) *pair {
	w := New(seed)
	p := &pair{w: w, a: w.Host("10.0.0.1"), b: w.Host("10.0.0.2")}
	w.Join(p.a, p.b, way)
	client := Program{Name: "client", Key: 1, PeerKey: 2, ToSend: n, Expect: n, H: p.a}
	server := Program{Name: "server", Key: 2, PeerKey: 1, ToSend: n, Expect: n}
	var err error
	if p.server, err = p.b.Listen("10.0.0.2:80", 16, func() *Program { s := server; return &s }); err != nil {
		t.Fatal(err)
	}
	p.client = &client
	client.S = p.a.TCP.NewSocket(2, &client)
	for s, peer := range map[*tcp.Socket]string{client.S: "10.0.0.2/32", p.server.S: "10.0.0.0/24"} {
		if err := key(s, netip.MustParsePrefix(peer), 1); err != nil {
			t.Fatal(err)
		}
	}
	if err := client.S.Connect(netip.MustParseAddrPort("10.0.0.2:80")); err != errno.EINPROGRESS {
		t.Fatal(err)
	}
	return p
}

var signers = map[string]func(s *tcp.Socket, peer netip.Prefix, id uint8) error{
	"md5": func(s *tcp.Socket, peer netip.Prefix, _ uint8) error { return s.SetMD5Key(peer, []byte("secret")) },
	"sha1": func(s *tcp.Socket, peer netip.Prefix, id uint8) error {
		return s.AddAOKey(tcp.AOKey{Peers: peer, SendID: id, RecvID: id, Key: []byte("secret")})
	},
	"cmac": func(s *tcp.Socket, peer netip.Prefix, id uint8) error {
		return s.AddAOKey(tcp.AOKey{Peers: peer, SendID: id, RecvID: id, Key: []byte("secret"), Algorithm: tcp.AOAES128CMAC, ExcludeOptions: true})
	},
}

// TestSignedTransfers: signed connections over bad lines deliver every byte, and
// nothing that was sent fails to verify.
func TestSignedTransfers(t *testing.T) {
	for name, key := range signers {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(15) {
				way := Way{Delay: 5 * time.Millisecond, Jitter: 10 * time.Millisecond, Loss: 30, Duplicate: 20}
				p := signedPair(t, seed+1, way, key, 200_000)
				if err := p.check(time.Hour); err != nil {
					t.Fatalf("seed %d: %v", seed+1, err)
				}
				for _, h := range []*Host{p.a, p.b} {
					if c := h.TCP.Counters(); c.AuthFailures+c.AuthMerged != 0 {
						t.Errorf("seed %d: %d failures, %d merged", seed+1, c.AuthFailures, c.AuthMerged)
					}
				}
			}
		})
	}
}

// TestSignaturesStopForgers: where something on the way changes bytes and mends
// the checksum, only what was written arrives.
func TestSignaturesStopForgers(t *testing.T) {
	for name, key := range signers {
		n := 0
		forge := func(p *packet) bool {
			off := int(p.segment[12]>>4) * 4
			if n++; n%7 == 0 && len(p.segment) > off {
				p.edit(func(seg []byte) { seg[off] ^= 0xff })
			}
			return true
		}
		p := signedPair(t, 1, Way{Delay: 5 * time.Millisecond, Boxes: []Box{forge}}, key, 100_000)
		if err := p.check(time.Hour); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if c := p.b.TCP.Counters(); c.AuthFailures == 0 {
			t.Errorf("%s: nothing was forged", name)
		}
	}
}

// TestKeysChangeUnderWay: both ends get a second key, one asks for it, and both
// use it.
func TestKeysChangeUnderWay(t *testing.T) {
	p := signedPair(t, 1, Way{Delay: 5 * time.Millisecond, Rate: 10_000_000}, signers["sha1"], 3_000_000)
	p.w.Run(500*time.Millisecond, nil)
	a, b := p.client.S, p.peer().S
	for s, peer := range map[*tcp.Socket]string{a: "10.0.0.2/32", b: "10.0.0.1/32"} {
		if err := signers["cmac"](s, netip.MustParsePrefix(peer), 2); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.SetAONext(2); err != nil {
		t.Fatal(err)
	}
	p.w.Run(500*time.Millisecond, nil)
	if cur, _, _ := b.AOKeys(); cur != 2 {
		t.Errorf("the peer signs with %d", cur)
	}
	if err := b.SetAONext(2); err != nil {
		t.Fatal(err)
	}
	p.w.Run(500*time.Millisecond, nil)
	if cur, next, ok := a.AOKeys(); cur != 2 || next != 2 || !ok {
		t.Errorf("signs with %d, asks for %d", cur, next)
	}
	if err := p.check(time.Hour); err != nil {
		t.Fatal(err)
	}
}

package engine

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/tcpcni/tcpcni/netstack"
	"github.com/tcpcni/tcpcni/netstack/wire"
	"github.com/tcpcni/tcpcni/sockopt"
)

func TestShownAddrs(t *testing.T) {
	own := []netip.Prefix{netip.MustParsePrefix("10.87.0.2/24"), netip.MustParsePrefix("fd87::2/64")}
	for _, c := range []struct {
		at     string
		domain int
		v6only bool
		want   string
	}{
		{"0.0.0.0:53", sockopt.AFInet, false, "[127.0.0.1:53 10.87.0.2:53]"},
		{"[::]:53", sockopt.AFInet6, false, "[127.0.0.1:53 [::1]:53 10.87.0.2:53 [fd87::2]:53]"},
		{"[::]:53", sockopt.AFInet6, true, "[[::1]:53 [fd87::2]:53]"},
		{"[::ffff:0.0.0.0]:53", sockopt.AFInet6, false, "[127.0.0.1:53 10.87.0.2:53]"},
		{"[::ffff:127.0.0.1]:53", sockopt.AFInet6, false, "[127.0.0.1:53]"},
		{"127.0.0.53:53", sockopt.AFInet, false, "[127.0.0.53:53]"},
		{"[::1]:53", sockopt.AFInet6, false, "[[::1]:53]"},
		{"10.87.0.2:53", sockopt.AFInet, false, "[10.87.0.2:53]"},
		{"[fd87::2]:53", sockopt.AFInet6, false, "[[fd87::2]:53]"},
		{"10.87.0.255:53", sockopt.AFInet, false, "[]"}, // broadcast
		{"224.0.0.251:53", sockopt.AFInet, false, "[]"},
		{"[fe80::1%eth0]:53", sockopt.AFInet6, false, "[]"},
	} {
		for range 2 { // nothing of the first call is left in the table of loopbacks
			if got := fmt.Sprint(shownAddrs(netip.MustParseAddrPort(c.at), c.domain, c.v6only, own)); got != c.want {
				t.Errorf("%s: %s, want %s", c.at, got, c.want)
			}
		}
	}
}

// packet4 and packet6 are datagrams to port 53, with n bytes of options or
// extension header.
func packet4(n int) []byte {
	b := make([]byte, 20+n+8)
	b[0], b[9] = byte(0x40|(20+n)/4), wire.ProtoUDP
	copy(b[16:], []byte{10, 87, 0, 2})
	b[20+n+3] = 53
	return b
}

func packet6(n int) []byte {
	b := make([]byte, 40+n+8)
	b[0], b[6] = 0x60, wire.ProtoUDP
	if n > 0 {
		b[6], b[40], b[41] = wire.ProtoDstOpts, wire.ProtoUDP, byte(n/8-1)
	}
	a := netip.MustParseAddr("fd87::2").As16()
	copy(b[24:], a[:])
	b[40+n+3] = 53
	return b
}

func TestUDPDestination(t *testing.T) {
	for want, packets := range map[string][][]byte{
		"10.87.0.2:53":     {packet4(0), packet4(8)},
		"[fd87::2]:53":     {packet6(0), packet6(8), packet6(16)},
		"invalid AddrPort": {nil, {0x45}, {0x60}, make([]byte, 60)},
	} {
		for _, b := range packets {
			if got, ok := udpDestination(b); got.String() != want || ok != got.IsValid() {
				t.Errorf("% x: %v, %v; want %s", b, got, ok, want)
			}
			for n := range b {
				if got, ok := udpDestination(b[:n]); ok {
					t.Errorf("cut to %d of %d: %v", n, len(b), got)
				}
			}
		}
	}
	tcp := packet4(0)
	tcp[9] = wire.ProtoTCP
	if _, ok := udpDestination(tcp); ok {
		t.Error("TCP")
	}
}

// Only single packets to an address that has a crossing are kept from the
// kernel.
func TestCrosses(t *testing.T) {
	c := crossings{}
	if c.crosses(&netstack.ForwardPacket{Data: packet4(0)}) {
		t.Error("there is no crossing")
	}
	c.byAddr = map[netip.AddrPort]*crossing{netip.MustParseAddrPort("10.87.0.2:53"): {}}
	for _, x := range []struct {
		p    netstack.ForwardPacket
		want bool
	}{
		{netstack.ForwardPacket{Data: packet4(0)}, true},
		{netstack.ForwardPacket{Data: packet4(0), Group: true}, false},
		{netstack.ForwardPacket{Data: packet6(0)}, false},
	} {
		if got := c.crosses(&x.p); got != x.want {
			t.Errorf("%+v: %v", x.p, got)
		}
	}
}

// The relay that goes first was idle longest; those that are shown never go, and
// cost no timer.
func TestOldestRelay(t *testing.T) {
	c := crossings{byAddr: map[netip.AddrPort]*crossing{}}
	if _, ok := c.deadline(); ok || c.oldestRelay() != nil {
		t.Error("there is no relay")
	}
	for i := range uint16(9) {
		at := netip.AddrPortFrom(loopbacks[0], 1+i)
		c.byAddr[at] = &crossing{at: at, relay: i%3 == 0, used: time.Duration(100-i) * time.Second}
	}
	c.relays, c.sweep = 3, time.Second
	if x := c.oldestRelay(); x == nil || x.at.Port() != 7 {
		t.Errorf("%+v", x)
	}
	if at, ok := c.deadline(); !ok || at != time.Second || c.shown() != 6 {
		t.Errorf("%v, %v, %d shown", at, ok, c.shown())
	}
}

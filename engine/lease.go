package engine

import (
	"fmt"
	"net/netip"

	"github.com/tcpcni/tcpcni/hostlink"
	"github.com/tcpcni/tcpcni/netstack"
	"github.com/tcpcni/tcpcni/netstack/dhcp"
	"github.com/tcpcni/tcpcni/netstack/wire"
)

// A LeaseSpec says that the sandbox's IPv4 address is leased by DHCP, and that
// the client for it is outside of the stack, on the sandbox's interface.
type LeaseSpec struct {
	ClientID []byte     `json:"clientID"`          // the client identifier of its messages, 1 to dhcp.MaxClientID bytes
	Addr     netip.Addr `json:"addr,omitzero"`     // the address; absent: the one of the next acknowledgement
	Seconds  uint32     `json:"seconds,omitempty"` // for which the lease holds from now on; dhcp.Infinite: for ever; 0: until an acknowledgement says how long
}

func (l *LeaseSpec) validate() error {
	if len(l.ClientID) == 0 || len(l.ClientID) > dhcp.MaxClientID {
		return fmt.Errorf("lease.clientID: %d bytes, accepted are 1 to %d", len(l.ClientID), dhcp.MaxClientID)
	}
	return nil
}

// A lease passes the client's messages by the stacks, which know nothing of
// them, and cuts the sandbox off when its address is not its own any more: the
// next one who leases it must not find it in use. It implements netstack.Sink
// for the uplink.
type lease struct {
	eng       *engine
	gate      dhcp.Gate
	up, inner *port
	frame     netstack.TxFrame
	start     [dhcp.HeadLen]byte // of a frame that comes in pieces
	over      bool               // as last seen
}

// openLease stands between the two links; inner may be nil.
func (e *engine) openLease(up *port, mac wire.MAC) *lease {
	spec := e.cfg.Lease
	return &lease{
		eng: e, up: up,
		gate:  dhcp.Gate{MAC: mac, ClientID: spec.ClientID, Addr: spec.Addr, Lease: spec.Seconds, At: e.now},
		frame: netstack.TxFrame{Buf: make([]byte, 0, netstack.VnetRoom+wire.EthernetLen+e.cfg.MTU)},
	}
}

// takes reports whether frame f, which came from p, is not for the stack there.
func (l *lease) takes(p *port, f *netstack.RxFrame) bool {
	switch p {
	case l.inner:
		if l.gate.Request(f.Data, l.eng.now) {
			hostlink.Pass(l.up, f, &l.frame)
			return true
		}
	case l.up:
		if l.inner != nil && l.gate.Reply(f.Data) {
			hostlink.Pass(l.inner, f, &l.frame)
			return true
		}
		return l.expired()
	}
	return false
}

// expired reports whether the sandbox has no address.
func (l *lease) expired() bool {
	over := l.gate.Expired(l.eng.now)
	if over != l.over {
		l.over = over
		l.eng.log.Warn("the lease of the address", "address", l.gate.Addr, "expired", over, "seconds", l.gate.Lease)
	}
	return over
}

// Transmit implements netstack.Sink. Programs of the sandbox do not speak DHCP:
// with the sandbox's own address they could do so in other clients' names.
func (l *lease) Transmit(f *netstack.TxFrame) {
	if !l.expired() && !dhcp.Names(l.head(f)) {
		l.up.Transmit(f)
	}
}

// head is the start of a frame in one piece, as far as dhcp.Names needs it.
func (l *lease) head(f *netstack.TxFrame) []byte {
	b := f.Buf[netstack.VnetRoom:]
	if len(b) >= dhcp.HeadLen || len(b) < wire.EthernetLen+wire.IPv4MinHeader || b[wire.EthernetLen+9] != wire.ProtoUDP {
		return b
	}
	n := copy(l.start[:], b)
	for _, p := range f.Payload {
		n += copy(l.start[n:], p)
	}
	return l.start[:n]
}

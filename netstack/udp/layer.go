package udp

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
	"slices"

	"github.com/tcpcni/tcpcni/netstack/ports"
	"github.com/tcpcni/tcpcni/netstack/wire"
	"github.com/tcpcni/tcpcni/sockopt"
)

// A Layer is the whole UDP of one stack.
type Layer struct {
	net     Network
	profile *sockopt.Profile
	tun     *sockopt.Tunables
	ports   *ports.Table

	byPort   map[uint16][]*Socket // in the order of binding
	pairs    map[pair]*Socket     // connected sockets, by both ends
	k0, k1   uint64               // key of flowHash
	offer    func(*Rx) bool       // see SetOffer; nil: nobody
	counters Counters
	cookies  uint64 // given out so far

	header  wire.UDP // of the datagram being sent
	sending Sending
}

// pair is both ends of a connected socket.
type pair struct{ local, remote netip.AddrPort }

// Counters count datagrams by the names of RFC 4113 and of Linux's /proc/net/snmp.
type Counters struct {
	InDatagrams, NoPorts, InErrors, InCsumErrors uint64
	RcvbufErrors                                 uint64 // the owner had no room
	OutDatagrams, SndErrors                      uint64
	IgnoredErrors                                uint64 // ICMP errors that no socket wants
}

// NewLayer returns a UDP layer on net. Sockets start with the profile's options.
func NewLayer(net Network, profile *sockopt.Profile, tun *sockopt.Tunables) *Layer {
	// A profile names a rule that exists; nil is Linux's.
	rule, _ := ports.RuleByName(profile.BindRule)
	secret := net.Secret()
	return &Layer{
		net: net, profile: profile, tun: tun,
		ports:  ports.NewTable(rule, ports.Config{Datagram: true, BindExhausted: profile.Bind.BindExhausted}),
		byPort: make(map[uint16][]*Socket),
		pairs:  make(map[pair]*Socket),
		k0:     binary.LittleEndian.Uint64(secret[0:]),
		k1:     binary.LittleEndian.Uint64(secret[8:]) | 1,
	}
}

// SetOffer makes f take datagrams that the stack sends to itself and that no
// socket takes. It returns false for those that it does not take either: they are
// answered as without it. f may send on any socket and call ICMP; rx is valid
// during the call only.
func (l *Layer) SetOffer(f func(rx *Rx) bool) { l.offer = f }

// Bound reports whether a socket would take a datagram to a, from its peer if it
// has one.
func (l *Layer) Bound(a netip.AddrPort) bool {
	for _, s := range l.byPort[a.Port()] {
		rx := Rx{Dst: a.Addr(), Src: s.remote.Addr().WithZone(""), Header: wire.UDP{SrcPort: s.remote.Port(), DstPort: a.Port()}}
		if s.score(&rx) != 0 {
			return true
		}
	}
	return false
}

// Counters returns the layer's counters, which keep counting.
func (l *Layer) Counters() *Counters { return &l.counters }

// Sockets calls yield for every bound socket, by port, until it returns false.
func (l *Layer) Sockets(yield func(*Socket) bool) {
	numbers := make([]uint16, 0, len(l.byPort))
	for p := range l.byPort {
		numbers = append(numbers, p)
	}
	slices.Sort(numbers)
	for _, p := range numbers {
		for _, s := range l.byPort[p] {
			if !yield(s) {
				return
			}
		}
	}
}

// flowHash is a keyed hash of a datagram's ends, so that outsiders cannot aim
// at one socket of a SO_REUSEPORT group.
func (l *Layer) flowHash(rx *Rx) uint32 {
	s, d := rx.Src.As16(), rx.Dst.As16()
	h := l.k0 ^ uint64(rx.Header.SrcPort)<<16 ^ uint64(rx.Header.DstPort)
	for _, w := range [...]uint64{
		binary.LittleEndian.Uint64(s[:8]), binary.LittleEndian.Uint64(s[8:]),
		binary.LittleEndian.Uint64(d[:8]), binary.LittleEndian.Uint64(d[8:]),
	} {
		hi, lo := bits.Mul64(h^w, l.k1)
		h = hi ^ lo ^ l.k0
	}
	return uint32(h ^ h>>32)
}

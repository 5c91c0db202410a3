package engine

// UDP_GRO of linux/udp.h: a receiving call gives several datagrams as one, with
// the size of each as ancillary data. The kernel puts them together when they
// arrive; here they are put together when they are fetched, from what waits in the
// pair.

import (
	"encoding/binary"
	"slices"

	"github.com/tcpcni/tcpcni/hostlink"
	"github.com/tcpcni/tcpcni/hostlink/abi"
)

// Bounds of a run, as the kernel's (UDP_GRO_CNT_MAX, the length field of IP).
const (
	maxRun      = 64
	maxRunBytes = 65507
)

// takeRun is take, and with UDP_GRO takes along the datagrams that follow from the
// same sender and are as long as the first; a shorter one is the last.
func (d *dgram) takeRun(p int, peek bool) (origin, []byte, abi.Errno) {
	alone := peek || len(d.stash) > 0 || d.peeked || !d.udp.Options().Rare().UDPGRO
	o, payload, e := d.take(p, peek)
	d.peeked = peek && e == 0 // what was looked at is what is fetched
	if e != 0 || alone || len(payload) == 0 {
		return o, payload, e
	}
	size, spare := len(payload), d.eng.follower[:]
	for n, count := size, 1; n == size && count < maxRun; count++ {
		next := d.origins.first()
		if next == nil || !next.follows(&o) || int(next.size) > size || len(payload)+int(next.size) > maxRunBytes {
			break
		}
		want := int(next.size)
		var err abi.Errno
		if n, err = hostlink.Recv(p, spare, 0); err != 0 {
			break // the program's other threads read as well
		}
		if other := d.origins.match(n); n != want || !other.follows(&o) {
			d.putBack(stashed{d.attribute(other), slices.Clone(spare[:n])})
			break
		}
		payload = append(payload, spare[:n]...)
		o.run = int32(size)
	}
	return o, payload, 0
}

// follows reports whether a datagram may be put behind one of x.
func (o *origin) follows(x *origin) bool {
	return !o.wake && o.size > 0 && o.from == x.from && o.to == x.to && o.marked == x.marked && o.marks == x.marks
}

// runControl is UDP_GRO.
func runControl(b []byte, o *origin) []byte {
	if o.run == 0 {
		return b
	}
	return appendControl(b, abi.IPPROTO_UDP, abi.UDP_GRO, binary.NativeEndian.AppendUint32(nil, uint32(o.run)))
}

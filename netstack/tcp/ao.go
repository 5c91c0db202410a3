package tcp

// TCP-AO, a connection: RFC 5925 sections 5 (MAC), 6.1 (changing keys), 6.2
// (sequence number extension) and 7.

import (
	"crypto/subtle"

	"github.com/tcpcni/tcpcni/netstack/wire"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// An aoState signs and checks the segments of one connection.
type aoState struct {
	keys    []*aoTraffic
	current *aoTraffic // that we sign with
	next    *aoTraffic // that we ask the peer to sign with

	iss, irs uint32
	snd, rcv extended

	good, bad, keyNotFound, missing uint64 // segments that arrived
}

// An aoTraffic is a master key and the traffic keys that it gives.
type aoTraffic struct {
	key        *aoKey
	send, recv []byte // nil: not derived yet; those of segments after the SYN
	good, bad  uint64 // segments that arrived under it
}

// An extended is the highest sequence number so far, in 64 bits: section 6.2.
type extended struct {
	high  uint64
	known bool
}

// at is the upper half of what seq stands for.
func (e *extended) at(seq uint32) uint32 {
	if !e.known {
		return 0
	}
	return uint32((e.high + uint64(int64(int32(seq-uint32(e.high))))) >> 32)
}

// advance notes that seq was used, of a segment that can be trusted.
func (e *extended) advance(seq uint32) {
	n := uint64(e.at(seq))<<32 | uint64(seq)
	e.high, e.known = max(e.high, n), true
}

func newAOState(keys []*aoKey) *aoState {
	a := new(aoState)
	for _, k := range keys {
		a.add(k)
	}
	a.current, a.next = a.keys[0], a.keys[0]
	return a
}

func (a *aoState) add(k *aoKey) { a.keys = append(a.keys, &aoTraffic{key: k}) }

func (a *aoState) remove(gone func(*aoKey) bool) {
	a.keys, _ = removed(a.keys, func(t *aoTraffic) bool { return gone(t.key) })
}

// numbers takes the initial sequence numbers; when they turn out to be others,
// so are the traffic keys.
func (a *aoState) numbers(iss, irs uint32) {
	if a.iss == iss && a.irs == irs && a.snd.known {
		return
	}
	if a.iss != iss || !a.snd.known {
		a.snd = extended{uint64(iss), true}
	}
	if a.irs != irs || !a.rcv.known {
		a.rcv = extended{uint64(irs), true}
	}
	a.iss, a.irs = iss, irs
	for _, t := range a.keys {
		t.send, t.recv = nil, nil
	}
}

// bySend and byRecv find a key; nil: there is none.
func (a *aoState) bySend(id uint8) *aoTraffic {
	for _, t := range a.keys {
		if t.key.SendID == id {
			return t
		}
	}
	return nil
}

func (a *aoState) byRecv(id uint8) *aoTraffic {
	for _, t := range a.keys {
		if t.key.RecvID == id {
			return t
		}
	}
	return nil
}

const synBits = wire.TCPSyn | wire.TCPAck

// signAO adds the option to a segment that is otherwise complete: section 7.4.
func (l *Layer) signAO(a *aoState, p *Path, h *wire.TCP, text [][]byte) {
	t := a.current
	ctx := aoContext{p.Src, p.Dst, h.SrcPort, h.DstPort, a.iss, a.irs}
	traffic, sne := t.send, uint32(0)
	switch {
	case h.Flags&synBits == wire.TCPSyn:
		ctx.dstISN = 0 // not known yet: section 5.2
		traffic = t.key.trafficKey(&ctx)
	case traffic == nil:
		t.send = t.key.trafficKey(&ctx)
		traffic = t.send
	}
	if h.Flags&wire.TCPSyn == 0 {
		sne = a.snd.at(h.Seq)
		a.snd.advance(h.Seq + uint32(sizeOf(text)))
	}
	var body [2 + aoMAC]byte
	body[0], body[1] = t.key.SendID, a.next.key.RecvID
	h.Extra = wire.AppendOption(l.extra[:0], wire.OptAO, body[:])
	b := h.AppendTo(l.header[:0])
	l.message = t.key.aoMessage(l.message[:0], sne, p.Src, p.Dst, b, sizeOf(text))
	mac := t.key.mac(traffic, append([][]byte{l.message}, text...)...)
	copy(h.Extra[len(h.Extra)-aoMAC:], mac[:])
}

// check verifies a segment: section 7.5. body is the option's. Only one that is
// good changes anything.
func (a *aoState) check(rx *Rx, body []byte) bool {
	h := &rx.Header
	if len(body) != 2+aoMAC {
		a.bad++
		return false
	}
	t := a.byRecv(body[0])
	if t == nil {
		a.keyNotFound++
		return false
	}
	ctx := aoContext{rx.Src, rx.Dst, h.SrcPort, h.DstPort, a.irs, a.iss}
	traffic, sne := t.recv, uint32(0)
	switch h.Flags & synBits {
	case wire.TCPSyn:
		ctx.srcISN, ctx.dstISN = h.Seq, 0
		traffic = t.key.trafficKey(&ctx)
	case synBits:
		ctx.srcISN, ctx.dstISN = h.Seq, a.iss
		traffic = t.key.trafficKey(&ctx)
	default:
		if traffic == nil {
			traffic = t.key.trafficKey(&ctx)
			t.recv = traffic
		}
		sne = a.rcv.at(h.Seq)
	}
	var room [4 + 40 + 2*wire.TCPMaxHeader]byte
	message := t.key.aoMessage(room[:0], sne, rx.Src, rx.Dst, h.Raw, len(rx.Payload))
	mac := t.key.mac(traffic, message, rx.Payload)
	if subtle.ConstantTimeCompare(mac[:], body[2:]) != 1 {
		a.bad++
		t.bad++
		return false
	}
	a.good++
	t.good++
	if h.Flags&wire.TCPSyn == 0 {
		a.rcv.advance(h.Seq + uint32(len(rx.Payload)))
	}
	// Section 6.1: the peer asks for a key, and who has it takes it.
	if want := a.bySend(body[1]); want != nil {
		a.current = want
	}
	return true
}

// choose takes the keys of a handshake's first segment: it is answered with what
// it asks for, and what signed it is good for the rest.
func (a *aoState) choose(id, wants uint8) {
	if t := a.byRecv(id); t != nil {
		a.next = t
	}
	if t := a.bySend(wants); t != nil {
		a.current = t
	}
}

// ao is the state of the socket's connection, if it is signed by TCP-AO.
func (s *Socket) ao() *aoState {
	if c := s.live(); c != nil && c.auth != nil {
		return c.auth.ao
	}
	return nil
}

// SetAONext asks the peer to sign with the key whose RecvID is id: section 6.1.
// Errors: ENOTCONN (the connection is not signed by TCP-AO), ENOENT.
func (s *Socket) SetAONext(id uint8) error {
	a := s.ao()
	if a == nil {
		return errno.ENOTCONN
	}
	t := a.byRecv(id)
	if t == nil {
		return errno.ENOENT
	}
	a.next = t
	return nil
}

// SetAOCurrent signs with the key whose SendID is id from now on, or until the
// peer asks for another. Errors: those of SetAONext.
func (s *Socket) SetAOCurrent(id uint8) error {
	a := s.ao()
	if a == nil {
		return errno.ENOTCONN
	}
	t := a.bySend(id)
	if t == nil {
		return errno.ENOENT
	}
	a.current = t
	return nil
}

// AOKeys are the SendID of the key that signs and the RecvID of the one that the
// peer is asked for; ok is false when the connection is not signed by TCP-AO.
func (s *Socket) AOKeys() (current, next uint8, ok bool) {
	a := s.ao()
	if a == nil {
		return 0, 0, false
	}
	return a.current.key.SendID, a.next.key.RecvID, true
}

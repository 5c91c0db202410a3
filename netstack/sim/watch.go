package sim

// What a bystander at a host's end of the wire can hold against it, segment by
// segment, knowing only what the host has sent and been given.

import (
	"fmt"
	"net/netip"

	"github.com/tcpcni/tcpcni/netstack/wire"
)

type watchKey struct{ local, remote netip.AddrPort }

// A watch follows one connection at one host.
type watch struct {
	out, in    wire.TCP // the SYNs of either side
	sent, seen bool     // valid out, in
	iss, irs   uint32

	// A SYN with another number than that of the connection: it may be old, or
	// begin the next connection, which shows when the host answers it.
	next    wire.TCP
	nextEnd uint32
	nextOK  bool

	sndMax  uint32 // behind the last number sent
	edge    uint32 // highest that the peer's windows allow
	edgeOK  bool
	rcvMax  uint32 // behind the last number received
	have    []span // what was received, ascending, disjoint, apart
	ack     uint32 // highest acknowledgement sent
	right   uint32 // right edge of the windows offered
	offered bool   // ack and right are valid
	tsVal   uint32 // last timestamp sent
	tsOK    bool
	coarse  bool   // rounding may shrink the window: the program made its buffer smaller than what waits in it
	cookies uint64 // that the host has believed
	cookie  struct {
		synAck, answer wire.TCP // a SYN-ACK before the present one, and who acknowledged it last
	}
	least int // segment size that the host does not go below, whatever the peer says
}

type span struct{ left, right uint32 }

func before(a, b uint32) bool { return int32(a-b) < 0 }

func later(a, b uint32) uint32 {
	if before(a, b) {
		return b
	}
	return a
}

// scaled reports whether window scaling was agreed on.
func (v *watch) scaled() bool { return v.sent && v.seen && v.out.WScale >= 0 && v.in.WScale >= 0 }

// agreed is what a SYN with the option and one without it, or both with it, come
// to. Both SYNs must be known.
func (v *watch) agreed(has func(*wire.TCP) bool) bool { return has(&v.out) && has(&v.in) }

func (h *Host) watch(local, remote netip.AddrPort) *watch {
	k := watchKey{local, remote}
	v := h.watches[k]
	if v == nil {
		v = &watch{least: int(h.Profile.Tunables.MinSndMSS)}
		h.watches[k] = v
	}
	return v
}

// watchIn notes a segment that the host is given.
func (h *Host) watchIn(t *wire.TCP, src, dst netip.Addr, text int) {
	v := h.watch(netip.AddrPortFrom(dst, t.DstPort), netip.AddrPortFrom(src, t.SrcPort))
	n := uint32(text)
	if t.Flags&wire.TCPFin != 0 {
		n++
	}
	switch {
	case t.Flags&wire.TCPRst != 0:
		return
	case t.Flags&wire.TCPSyn != 0:
		switch {
		case !v.seen || v.irs != t.Seq && v.sent && !v.offered:
			v.begin(t)
		case v.irs != t.Seq:
			v.next, v.nextEnd, v.nextOK = *t, t.Seq+1+n, true
			return
		}
		v.receive(t.Seq+1, t.Seq+1+n)
		if t.Flags&wire.TCPAck == 0 {
			return
		}
	default:
		v.receive(t.Seq, t.Seq+n)
		if t.Ack == v.cookie.synAck.Seq+1 {
			v.cookie.answer = *t
		}
	}
	if t.Flags&wire.TCPAck == 0 || !v.sent || before(t.Ack, v.iss) || before(v.sndMax, t.Ack) {
		return
	}
	shift := int8(0)
	if v.scaled() && t.Flags&wire.TCPSyn == 0 {
		shift = v.in.WScale
	}
	edge := t.Ack + uint32(t.Window)<<shift
	if !v.edgeOK || before(v.edge, edge) {
		v.edge, v.edgeOK = edge, true
	}
}

// begin takes the peer's SYN for that of the connection.
func (v *watch) begin(t *wire.TCP) {
	v.in, v.seen, v.irs = *t, true, t.Seq
	v.rcvMax, v.have = t.Seq+1, v.have[:0]
	v.edgeOK, v.offered, v.nextOK = false, false, false
}

// receive adds a span to what was received.
func (v *watch) receive(left, right uint32) {
	if left == right || !v.seen {
		return
	}
	v.rcvMax = later(v.rcvMax, right)
	i := 0
	for i < len(v.have) && before(v.have[i].right, left) {
		i++
	}
	j := i
	for j < len(v.have) && !before(right, v.have[j].left) {
		if before(v.have[j].left, left) {
			left = v.have[j].left
		}
		right = later(right, v.have[j].right)
		j++
	}
	v.have = append(v.have[:i], append([]span{{left, right}}, v.have[j:]...)...)
	// What is far below is of no interest any more.
	if len(v.have) > 64 && v.offered && before(v.have[0].right, v.ack) {
		v.have = append(v.have[:0], v.have[1:]...)
	}
}

// holds reports whether all of [left, right) was received.
func (v *watch) holds(left, right uint32) bool {
	for _, s := range v.have {
		if !before(left, s.left) && !before(s.right, right) {
			return true
		}
	}
	return false
}

// watchOut is the verdict on a segment that the host sends.
func (h *Host) watchOut(t *wire.TCP, src, dst netip.Addr, text int) error {
	v := h.watch(netip.AddrPortFrom(src, t.SrcPort), netip.AddrPortFrom(dst, t.DstPort))
	if t.Flags&wire.TCPRst != 0 {
		v.offered = false // the connection has ended, or there is none
		return nil
	}
	end := t.Seq + uint32(text)
	if t.Flags&wire.TCPFin != 0 {
		end++
	}
	if t.Flags&wire.TCPSyn != 0 {
		end++
		if v.nextOK && t.Flags&wire.TCPAck != 0 && (!v.seen || t.Ack != v.irs+1) && !before(v.nextEnd, t.Ack) && before(v.next.Seq, t.Ack) {
			text := v.nextEnd
			v.begin(&v.next)
			v.receive(v.irs+1, text)
		}
		if v.seen && v.offered && t.Flags&wire.TCPAck != 0 && t.Ack == v.irs+1 && before(t.Ack, v.ack) {
			v.begin(&v.in) // a late copy of the SYN, after the connection has ended
		}
		if !v.sent || v.iss != t.Seq {
			was := v.out
			*v = watch{in: v.in, seen: v.seen, irs: v.irs, rcvMax: v.rcvMax, have: v.have, least: v.least}
			v.out, v.sent, v.iss = *t, true, t.Seq
			const synAck = wire.TCPSyn | wire.TCPAck
			if was.Flags&t.Flags&synAck == synAck && was.Ack == t.Ack {
				v.cookie.synAck = was
			}
			if t.Flags&wire.TCPAck == 0 {
				// An active open: what came before was another connection's.
				// Unless its SYN came while ours waited to leave (TCP_TX_DELAY): the
				// SYN-ACK shows.
				v.next, v.nextEnd, v.nextOK = v.in, v.rcvMax, v.seen
				v.seen, v.have = false, v.have[:0]
			}
			v.sndMax = end
		}
		v.out.WScale = t.WScale // a SYN-ACK takes the place of a crossed SYN
		v.out.HasTS, v.out.SACKPermitted = t.HasTS, t.SACKPermitted
	}
	if !v.sent || !v.seen {
		return nil
	}
	if n := h.TCP.Counters().SyncookiesRecv; n != v.cookies {
		// A late copy of the handshake's end may bring an old connection back.
		v.cookies, v.offered = n, false
		if v.cookie.synAck.Flags != 0 && t.Flags&wire.TCPSyn == 0 && t.Seq == v.cookie.synAck.Seq+1 && v.cookie.answer.Ack == t.Seq {
			v.believe()
		}
	}
	v.coarse = h.coarse
	for _, check := range [...]func(*watch, *wire.TCP, uint32, int) error{
		(*watch).checkWindow, (*watch).checkAck, (*watch).checkOffer, (*watch).checkSACK, (*watch).checkOptions,
	} {
		if err := check(v, t, end, text); err != nil {
			return fmt.Errorf("%v to %v: %w: %s seq %d ack %d len %d win %d", netip.AddrPortFrom(src, t.SrcPort), netip.AddrPortFrom(dst, t.DstPort),
				err, t.Flags, t.Seq-v.iss, t.Ack-v.irs, text, t.Window)
		}
	}
	if before(v.sndMax, end) {
		v.sndMax = end
	}
	return nil
}

// believe goes back to a SYN-ACK that was a cookie, the answer to which has come
// when the host had made a record for a late copy of the SYN.
func (v *watch) believe() {
	in := &v.cookie.answer
	v.out, v.iss, v.sndMax = v.cookie.synAck, v.cookie.synAck.Seq, in.Ack
	v.edge, v.edgeOK = in.Ack+uint32(in.Window), true
	if v.scaled() {
		v.edge = in.Ack + uint32(in.Window)<<v.in.WScale
	}
	v.cookie.synAck, v.tsOK = wire.TCP{}, false
}

// checkWindow: nothing is sent beyond the peer's window (RFC 9293 section 3.8.6)
// and no number is skipped. A FIN may stand behind a shut window.
func (v *watch) checkWindow(t *wire.TCP, end uint32, text int) error {
	if before(v.sndMax, t.Seq) {
		return fmt.Errorf("%d numbers were skipped", t.Seq-v.sndMax)
	}
	if text == 0 || t.Flags&wire.TCPSyn != 0 {
		return nil
	}
	edge := v.edge
	if !v.edgeOK { // the window of the peer's SYN
		edge = v.iss + 1 + uint32(v.in.Window)
	}
	if last := t.Seq + uint32(text); before(edge, last) {
		return fmt.Errorf("%d bytes beyond the window", last-edge)
	}
	return nil
}

// checkAck: only what came is acknowledged, and for good.
func (v *watch) checkAck(t *wire.TCP, _ uint32, _ int) error {
	if t.Flags&wire.TCPAck == 0 {
		return nil
	}
	switch {
	case before(v.rcvMax, t.Ack):
		return fmt.Errorf("acknowledges %d beyond what came", t.Ack-v.rcvMax)
	case before(v.irs+1, t.Ack) && !v.holds(later(v.irs+1, v.ackBase()), t.Ack) && v.ackBase() != t.Ack:
		return fmt.Errorf("acknowledges what did not come")
	case v.offered && before(t.Ack, v.ack):
		return fmt.Errorf("acknowledges %d less than before", v.ack-t.Ack)
	}
	return nil
}

// ackBase is up to where everything is known to have come.
func (v *watch) ackBase() uint32 {
	if v.offered {
		return v.ack
	}
	return v.irs + 1
}

// checkOffer: the right edge of the window does not move left (SHLD-14), but for
// what scaling cannot say (RFC 7323 section 2.4). Ours rounds up, and down to
// nothing when a peer has filled the buffer twice by what rounding gave it.
func (v *watch) checkOffer(t *wire.TCP, _ uint32, _ int) error {
	if t.Flags&wire.TCPAck == 0 {
		return nil
	}
	shift := int8(0)
	if v.scaled() && t.Flags&wire.TCPSyn == 0 {
		shift = v.out.WScale
	}
	right := t.Ack + uint32(t.Window)<<shift
	if (v.coarse || t.Window == 0) && v.right-right < 1<<shift {
		right = v.right
	}
	if v.offered && before(right, v.right) && t.Flags&wire.TCPSyn == 0 { // a SYN-ACK repeats what it said
		return fmt.Errorf("the window shrinks by %d", v.right-right)
	}
	v.ack, v.right, v.offered = t.Ack, right, true
	return nil
}

// checkSACK: blocks tell of what came (RFC 2018 section 4), and only when that
// was agreed on.
func (v *watch) checkSACK(t *wire.TCP, _ uint32, _ int) error {
	if t.NSACK > 0 && !v.agreed(func(s *wire.TCP) bool { return s.SACKPermitted }) {
		return fmt.Errorf("SACK was not agreed on")
	}
	for _, b := range t.SACK[:t.NSACK] {
		if !before(b.Left, b.Right) {
			return fmt.Errorf("empty SACK block")
		}
		if before(v.rcvMax, b.Right) || !before(b.Right, t.Ack+1) && !v.holds(later(b.Left, t.Ack), b.Right) {
			return fmt.Errorf("SACK block %d-%d of what did not come", b.Left-v.irs, b.Right-v.irs)
		}
	}
	return nil
}

// checkOptions: timestamps in every segment or in none (RFC 7323 section 3.2),
// never going back, and segments no longer than the peer takes (RFC 9293
// section 3.7.1, MUST-16; RFC 6691).
func (v *watch) checkOptions(t *wire.TCP, _ uint32, text int) error {
	if t.Flags&wire.TCPSyn == 0 {
		stamps := v.agreed(func(s *wire.TCP) bool { return s.HasTS })
		if stamps != t.HasTS {
			return fmt.Errorf("timestamp %v, agreed on %v", t.HasTS, stamps)
		}
	}
	if t.HasTS {
		// The stamp of a cookie holds options in its last bits.
		if v.tsOK && before(t.TSVal, v.tsVal) && t.Flags&wire.TCPSyn == 0 {
			return fmt.Errorf("the timestamp goes back by %d", v.tsVal-t.TSVal)
		}
		v.tsVal, v.tsOK = t.TSVal, true
	}
	most := int(v.in.MSS)
	if most == 0 {
		most = 1220 // the IPv6 default, and above that of IPv4
	}
	most = max(most, v.least)
	if size := text + t.HeaderLen() - wire.TCPMinHeader; text > 0 && most >= 128 && size > most {
		return fmt.Errorf("%d bytes of text and options, the peer takes %d", size, most)
	}
	return nil
}

package tcp

// SYN cookies: RFC 4987 section 3.6. When a listener has no room for another
// half-open connection, the answer to a SYN carries in its sequence number all
// that the record would hold, so that a flood of SYNs keeps nobody out. The
// options that a sequence number has no room for ride in the timestamp, which
// the peer echoes; a peer without timestamps gets neither window scaling nor
// SACK. The counter is an input of the MAC, whose key has 256 bits: what cookies
// of one period tell says nothing of the next, so the key needs no rotation.

import (
	"time"

	"github.com/tcpcni/tcpcni/netstack/wire"
)

const (
	// cookiePeriod is how long one value of the counter in a cookie lasts.
	cookiePeriod = 64 * time.Second
	// cookieAges is how many values of the counter are accepted.
	cookieAges = 2
	// cookieWindow is what a SYN-ACK offers at most, in bytes.
	cookieWindow = 65535
	// cookieMAC are the bits that authenticate a cookie and carry the MSS; the
	// counter is above them.
	cookieMAC = 1<<24 - 1
)

// cookieMSS are the values of the peer's MSS that a cookie tells apart,
// ascending: the least, the defaults, and what common paths have.
var cookieMSS = [...]uint16{leastMSS, 536, 1220, 1300, 1400, 1440, 1460, 8940}

// Bits of a timestamp that carry options.
const (
	cookieScale   = 1<<4 - 1 // the peer's window scale
	cookieNoScale = cookieScale
	cookieSACK    = 1 << 4
	cookieECN     = 1 << 5
	cookieStamp   = 1<<6 - 1
)

func cookieCount(now time.Duration) uint32 { return uint32(now / cookiePeriod) }

// cookie is the initial sequence number that answers a SYN of sequence number
// irs when the counter is count: a number that hides the rest, the counter, and
// a MAC plus the index of the MSS.
func (l *Layer) cookie(k *tuple, irs, count uint32, mss int) uint32 {
	base := uint32(l.keyed(hashCookieBase, k)) + irs
	return base + count<<24 + (l.cookieMAC(k, irs, count)+uint32(mss))&cookieMAC
}

func (l *Layer) cookieMAC(k *tuple, irs, count uint32) uint32 {
	return uint32(l.keyedWith(hashCookie, k, uint64(irs)<<32|uint64(count)))
}

// checkCookie returns the index of the MSS in a cookie that is not too old and
// was made for this connection.
func (l *Layer) checkCookie(k *tuple, iss, irs uint32) (mss int, ok bool) {
	diff := iss - irs - uint32(l.keyed(hashCookieBase, k))
	now := cookieCount(l.net.Now())
	age := (now - diff>>24) & 0xff
	if age >= cookieAges {
		return 0, false
	}
	n := (diff - l.cookieMAC(k, irs, now-age)) & cookieMAC
	return int(n), n < uint32(len(cookieMSS))
}

// cookieAhead reports whether a segment may follow the first one of a
// connection that a cookie began, which was lost or is late: a RST would end
// what its retransmission completes. It need not have text: the peer may have
// answered a copy of the SYN-ACK, behind its text or its FIN. Only the counter
// can be checked, so one of a hundred old connections' segments passes as well,
// and goes unanswered.
func (l *Layer) cookieAhead(k *tuple, ack, seq uint32) bool {
	diff, now := ack-seq-uint32(l.keyed(hashCookieBase, k)), cookieCount(l.net.Now())
	for _, ahead := range [...]uint32{0, cookieWindow} {
		if (now-(diff+ahead)>>24)&0xff < cookieAges {
			return true
		}
	}
	return false
}

// mayCookie reports whether a SYN is to be answered by a cookie, given that
// there is no room for its record.
func (l *Layer) mayCookie(full bool) bool {
	return l.tun.SynCookies == 2 || l.tun.SynCookies == 1 && full
}

// sendCookie answers a SYN without remembering it.
func (l *Layer) sendCookie(lst *listener, k tuple, path Path, in *wire.TCP) {
	h := l.newHalf(lst, k, path, in)
	h.cookie = true
	peer := in.MSS
	if peer == 0 {
		peer = l.defaultMSS(&path)
	}
	mss := 0
	for mss+1 < len(cookieMSS) && cookieMSS[mss+1] <= peer {
		mss++
	}
	now := l.net.Now()
	h.iss = l.cookie(&k, in.Seq, cookieCount(now), mss)
	if !h.opts.ts {
		h.opts.wscale, h.opts.sack, h.opts.ecn = -1, false, ecnOff
	}
	lst.cookieUntil = now + cookieAges*cookiePeriod
	l.counters.SyncookiesSent++
	h.sendSynAck()
}

// stamp is a timestamp not later than now that carries what the peer offered.
func (o *synOptions) stamp(now uint32) uint32 {
	bits := uint32(cookieNoScale)
	if o.wscale >= 0 {
		bits = uint32(o.wscale)
	}
	if o.sack {
		bits |= cookieSACK
	}
	if o.ecn != ecnOff {
		bits |= cookieECN
	}
	return now - (now-bits)&cookieStamp // the last one that ends in bits
}

// cookieInput takes a segment that may be the third step of a handshake whose
// second was a cookie. It returns false when it cannot be. The proof that it is
// takes the place of a record of the same connection.
func (l *Layer) cookieInput(lst *listener, k tuple, rx *Rx) bool {
	h, settled := l.readCookie(lst, k, rx)
	if h == nil {
		return settled
	}
	h.openedAt -= lst.s.opts.DeferAccept // how long it has waited, nobody knows
	if later := l.half[k]; later != nil {
		l.dropHalf(later)
	}
	l.enterHalf(h)
	h.complete(rx)
	if l.half[k] == h {
		l.dropHalf(h) // no room to accept it: the peer will send again
	}
	return true
}

// readCookie makes the record, in no table, of a handshake whose third step is
// rx. Without one, settled tells whether rx goes unanswered all the same.
func (l *Layer) readCookie(lst *listener, k tuple, rx *Rx) (h *halfOpen, settled bool) {
	in, now := &rx.Header, l.net.Now()
	const cannot = wire.TCPSyn | wire.TCPRst
	if now > lst.cookieUntil || in.Flags&cannot != 0 {
		return nil, false
	}
	mss, ok := l.checkCookie(&k, in.Ack-1, in.Seq-1)
	if !ok {
		l.counters.SyncookiesFailed++
		return nil, l.cookieAhead(&k, in.Ack, in.Seq)
	}
	path, err := l.wayBack(rx)
	if err != nil {
		return nil, true
	}
	syn := wire.TCP{Seq: in.Seq - 1, MSS: cookieMSS[mss], WScale: -1}
	if in.HasTS && l.tun.Timestamps {
		bits := in.TSEcr - l.tsOffset(&k)
		syn.HasTS, syn.TSVal = true, in.TSVal
		syn.SACKPermitted = bits&cookieSACK != 0
		if shift := int8(bits & cookieScale); shift != cookieNoScale {
			syn.WScale = shift
		}
		if bits&cookieECN != 0 {
			syn.Flags = ecnOfCookie(in.Flags)
		}
	}
	h = l.newHalf(lst, k, path, &syn)
	h.cookie, h.iss = true, in.Ack-1
	h.auth.choose(in)
	l.counters.SyncookiesRecv++
	return h, true
}

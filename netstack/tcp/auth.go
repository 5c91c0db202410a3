package tcp

// Signed segments: what RFC 2385 (MD5) and RFC 5925 (TCP-AO) have in common. A
// socket holds keys for peers; a connection, a record of a handshake or of
// TIME-WAIT holds what signs its segments. Everything that arrives is checked
// before anything else looks at it, and what is not right is dropped without an
// answer: an attacker learns nothing.

import (
	"net/netip"
	"slices"

	"github.com/tcpcni/tcpcni/netstack/wire"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// MaxKeys is how many keys of each kind one socket holds.
const MaxKeys = 256

// An auth signs and checks the segments of one connection; nil: they are not
// signed. With ao set it is TCP-AO and else MD5, by one key for both directions
// or, with seek set, by what the database has for each.
type auth struct {
	md5, md5In []byte
	ao         *aoState
	seek       *seeker
}

// room is what a signature takes of each header, in bytes.
func (a *auth) room() int {
	switch {
	case a == nil:
		return 0
	case a.ao == nil:
		return md5Room
	}
	return aoRoom
}

// A keyring is what a socket knows of its peers. A key for a longer prefix goes
// before one for a shorter.
type keyring struct {
	md5 []md5Key
	ao  []*aoKey
}

// keyPrefix is p as keys are looked up: masked, IPv4 not mapped.
func keyPrefix(p netip.Prefix) (netip.Prefix, bool) {
	if !p.IsValid() {
		return p, false
	}
	if a := p.Addr(); a.Is4In6() {
		if p.Bits() < 96 {
			return p, false
		}
		p = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
	}
	return netip.PrefixFrom(p.Addr().WithZone(""), p.Bits()).Masked(), true
}

// auth is what signs segments to and from peer; nil: nothing does.
func (r *keyring) auth(peer netip.Addr) *auth {
	if r == nil {
		return nil
	}
	peer = peer.WithZone("")
	if keys := r.aoFor(peer); len(keys) > 0 {
		return &auth{ao: newAOState(keys)}
	}
	if k := r.md5For(peer); k != nil {
		return k.auth
	}
	return nil
}

// only is the part of the ring that is for one peer: what an accepted socket has.
func (r *keyring) only(peer netip.Addr) *keyring {
	if r == nil {
		return nil
	}
	peer = peer.WithZone("")
	o := &keyring{ao: r.aoFor(peer)}
	if k := r.md5For(peer); k != nil {
		o.md5 = []md5Key{*k}
	}
	if len(o.ao)+len(o.md5) == 0 {
		return nil
	}
	return o
}

func (s *Socket) ring() *keyring {
	if s.keys == nil {
		s.keys = new(keyring)
	}
	return s.keys
}

// rekey has a live connection follow the ring's change.
func (s *Socket) rekey() {
	c := s.live()
	if c == nil || c.auth != nil && c.auth.ao != nil {
		return
	}
	switch k := s.keys.md5For(c.path.Dst); {
	case k != nil:
		c.auth = k.auth
	case !s.opts.Rare().MD5Sig:
		c.auth = nil
	case c.auth == nil || c.auth.seek == nil:
		c.auth = s.l.seek(c.path.Src, c.path.Dst, c.lport, c.rport)
	}
	c.setMSS()
}

// send is Network.Transmit for what a signs; see auth.
func (l *Layer) send(a *auth, p *Path, h *wire.TCP, payload [][]byte, gso int) {
	if a != nil {
		// A signature is of one segment, so nobody below may cut it.
		gso = 0
		switch {
		case a.ao != nil:
			l.signAO(a.ao, p, h, payload)
		case a.out() != nil:
			l.signMD5(a.out(), p, h, payload)
		default:
			l.counters.AuthNoKeyOut++
			return
		}
	}
	l.net.Transmit(p, h, payload, gso)
}

// send signs and transmits a segment of the connection.
func (c *conn) send(h *wire.TCP, payload [][]byte, gso int) {
	c.auth.numbers(c.iss, c.irs)
	c.tally.segsOut++
	if c.rare != nil && c.rare.line != nil {
		c.hold(h, payload, gso)
		return
	}
	c.l.send(c.auth, &c.path, h, payload, gso)
}

// send signs and transmits a segment of a handshake.
func (h *halfOpen) send(t *wire.TCP) {
	h.auth.numbers(h.iss, h.irs)
	h.l.sendLater(h.auth, &h.path, t, h.lst.s.opts.Rare().TxDelay)
}

// numbers tells the initial sequence numbers of the connection, ours first.
func (a *auth) numbers(iss, irs uint32) {
	if a != nil && a.ao != nil {
		a.ao.numbers(iss, irs)
	}
}

// authentic reports whether rx is signed as a wants it, or not at all when a is
// nil.
func (l *Layer) authentic(a *auth, rx *Rx) bool {
	sum, hasMD5 := rx.Header.Option(wire.OptMD5)
	mac, hasAO := rx.Header.Option(wire.OptAO)
	n := &l.counters
	switch {
	case hasMD5 && hasAO: // RFC 5925 section 2.2: such a segment MUST be dropped
		n.AuthFailures++
		return false
	case a == nil:
		if hasMD5 || hasAO {
			n.AuthUnexpected++
			return false
		}
		return true
	case a.ao == nil && a.in() == nil:
		n.AuthNoKey++
		return false
	case a.ao == nil && !hasMD5, a.ao != nil && !hasAO:
		n.AuthMissing++
		if a.ao != nil {
			a.ao.missing++
		}
		return false
	case rx.GSOSize > 0:
		// Signatures differ, so nobody merges what is signed: no such segment was
		// on the wire.
		n.AuthMerged++
		return false
	}
	var good bool
	if a.ao == nil {
		good = l.checkMD5(a.in(), rx, sum)
	} else {
		good = a.ao.check(rx, mac)
	}
	if !good {
		n.AuthFailures++
	}
	return good
}

// listenAuth is what signs segments between a listener and the sender of rx,
// which is in no table.
func (lst *listener) auth(rx *Rx) *auth {
	h := &rx.Header
	a := lst.s.authFrom(rx.Dst, rx.Src, h.DstPort, h.SrcPort)
	if a != nil {
		a.numbers(h.Ack-1, h.Seq-1) // of a SYN-ACK that was a cookie
	}
	return a
}

// signed reports whether a segment has a signature, right or wrong.
func signed(h *wire.TCP) bool {
	if h.Raw == nil {
		return false
	}
	_, md5 := h.Option(wire.OptMD5)
	_, ao := h.Option(wire.OptAO)
	return md5 || ao
}

// takesUnsigned reports whether a segment without any signature, which is in no
// table, may be for a listener that has keys. It says what authentic would, but
// makes nothing for strangers to fill memory with.
func (lst *listener) takesUnsigned(rx *Rx) bool {
	s, n := lst.s, &lst.s.l.counters
	switch {
	case s.keys.has(rx.Src):
	case !s.opts.Rare().MD5Sig:
		return true
	case s.l.sadb.find(netip.AddrPortFrom(rx.Src, rx.Header.SrcPort), netip.AddrPortFrom(rx.Dst, rx.Header.DstPort)) == nil:
		if s.l.profile.MD5SigAlways {
			n.AuthNoKey++
		}
		return !s.l.profile.MD5SigAlways
	}
	n.AuthMissing++
	return false
}

// has reports whether there is a key for peer.
func (r *keyring) has(peer netip.Addr) bool {
	if r == nil {
		return false
	}
	peer = peer.WithZone("")
	return r.md5For(peer) != nil || slices.ContainsFunc(r.ao, func(k *aoKey) bool { return k.Peers.Contains(peer) })
}

// removed deletes the entries of list for which gone holds; ENOENT: there is none.
func removed[T any](list []T, gone func(T) bool) ([]T, error) {
	n := len(list)
	list = slices.DeleteFunc(slices.Clone(list), gone)
	if len(list) == n {
		return list, errno.ENOENT
	}
	return list, nil
}

// fitsTS reports whether timestamps fit beside the signature: as on Linux an MD5
// signature leaves no room for them and SACK.
func (a *auth) fitsTS(sack bool) bool { return a == nil || a.ao != nil || !sack }

// choose takes the keys that a segment which was checked asks for.
func (a *auth) choose(h *wire.TCP) {
	if a == nil || a.ao == nil {
		return
	}
	if body, _ := h.Option(wire.OptAO); len(body) >= 2 {
		a.ao.choose(body[0], body[1])
	}
}

func (c *conn) authentic(rx *Rx) bool {
	c.auth.numbers(c.iss, c.irs)
	return c.l.authentic(c.auth, rx)
}

func (h *halfOpen) authentic(rx *Rx) bool {
	h.auth.numbers(h.iss, h.irs)
	return h.l.authentic(h.auth, rx)
}

// refuseStranger answers a segment to a listener that belongs to no connection.
// TCP-AO has no traffic keys for that, so its peers are left without an answer.
func (l *Layer) refuseStranger(lst *listener, rx *Rx) {
	if !signed(&rx.Header) { // and taken, so there is no key
		l.refuse(rx, nil)
	} else if a := lst.auth(rx); a == nil || a.ao == nil {
		l.refuse(rx, a)
	}
}

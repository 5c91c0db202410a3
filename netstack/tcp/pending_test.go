package tcp

import (
	"net/netip"
	"testing"
	"time"

	"github.com/tcpcni/tcpcni/netstack/wire"
	"github.com/tcpcni/tcpcni/sockopt"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// An offering is a layer whose SYNs are offered to the test.
type offering struct {
	t      *testing.T
	s      *script
	l      *Layer
	got    []*Pending
	gone   []*Pending
	refuse bool
}

func newOffering(t *testing.T) *offering {
	o := &offering{t: t, s: newScript(t, nil)}
	o.l = o.s.l
	o.l.SetOffer(func(p *Pending) bool {
		p.SetOwner(o)
		o.got = append(o.got, p)
		return !o.refuse
	})
	return o
}

func (o *offering) Gone(p *Pending) { o.gone = append(o.gone, p) }

// in is a segment from the peer's given port, and what is sent in answer.
func (o *offering) in(port uint16, h wire.TCP) []sent {
	h.SrcPort, h.DstPort = port, 80
	if h.WScale == 0 {
		h.WScale = -1
	}
	o.s.out = nil
	o.l.Input(&Rx{Src: testRemote, Dst: testLocal, Link: 1, TTL: 60, Header: h})
	o.l.Flush()
	return o.s.out
}

func (o *offering) syn(port uint16, seq uint32) []sent {
	return o.in(port, wire.TCP{Seq: seq, Flags: wire.TCPSyn, Window: 1000, MSS: 1400, HasTS: true, TSVal: 5, SACKPermitted: true, WScale: 7})
}

func (o *offering) after(d time.Duration) []sent {
	o.s.out = nil
	end := o.s.n.now + d
	for {
		at, ok := o.l.Deadline()
		if !ok || at > end {
			break
		}
		o.s.n.now = max(at, o.s.n.now)
		o.l.Advance()
		o.l.Flush()
	}
	o.s.n.now = end
	return o.s.out
}

// watcher is an owner that remembers.
type watcher struct {
	events Events
	data   int
}

func (w *watcher) Deliver(p []byte) int { w.data += len(p); return len(p) }
func (w *watcher) Event(ev Events)      { w.events |= ev }

func (o *offering) accept(p *Pending, edit func(*sockopt.Options)) (*Socket, *watcher) {
	o.t.Helper()
	w := &watcher{}
	s := o.l.NewSocket(p.Domain(), w)
	if edit != nil {
		edit(s.Options())
	}
	if err := p.Accept(s); err != nil {
		o.t.Fatal(err)
	}
	o.s.out = nil
	o.l.Flush()
	return s, w
}

func TestOfferIsAbsorbed(t *testing.T) {
	o := newOffering(t)
	for range 5 {
		if out := o.syn(5000, 10); len(out) != 0 {
			t.Fatalf("answered: %+v", out)
		}
	}
	o.syn(5000, 999) // forged, or of another life
	o.in(5000, wire.TCP{Seq: 11, Ack: 77, Flags: wire.TCPAck})
	o.in(5000, wire.TCP{Seq: 10, Flags: wire.TCPRst})
	if len(o.got) != 1 || o.l.PendingLen() != 1 || o.got[0].Header().Seq != 10 || o.got[0].Header().MSS != 1400 {
		t.Fatalf("%d offers, %d waiting", len(o.got), o.l.PendingLen())
	}
	o.in(5000, wire.TCP{Seq: 11, Flags: wire.TCPRst})
	if len(o.gone) != 1 || o.l.PendingLen() != 0 {
		t.Error("the peer gave up, and nobody was told")
	}
	o.got[0].Refuse()
	if err := o.got[0].Accept(o.l.NewSocket(afInet, nil)); err != errno.EADDRINUSE || len(o.s.out) != 0 {
		t.Errorf("a verdict too late: %v", err)
	}
}

func TestOfferRefused(t *testing.T) {
	o := newOffering(t)
	o.refuse = true
	for name, out := range map[string][]sent{
		"at once": o.syn(5000, 10),
		"no SYN":  o.in(5001, wire.TCP{Seq: 10, Ack: 7, Flags: wire.TCPAck}),
		"SYN FIN": o.in(5002, wire.TCP{Seq: 10, Flags: wire.TCPSyn | wire.TCPFin}),
	} {
		if len(out) != 1 || out[0].h.Flags&wire.TCPRst == 0 {
			t.Errorf("%s: %+v", name, out)
		}
	}
	if len(o.got) != 1 || o.l.PendingLen() != 0 {
		t.Errorf("%d offers, %d waiting", len(o.got), o.l.PendingLen())
	}
	o.refuse = false
	o.syn(5003, 10)
	o.s.out = nil
	o.got[1].Refuse()
	if len(o.s.out) != 1 || o.s.out[0].h.Flags != wire.TCPRst|wire.TCPAck || o.s.out[0].h.Ack != 11 || o.s.out[0].h.DstPort != 5003 {
		t.Errorf("%+v", o.s.out)
	}
	o.syn(5004, 10)
	o.got[2].Unreachable(errno.EACCES)
	if len(o.s.n.unreachable) != 1 || o.s.n.unreachable[0] != errno.EACCES {
		t.Error(o.s.n.unreachable)
	}
	// What a stack sends to itself says so.
	o.l.Input(&Rx{Src: testRemote, Dst: testLocal, Link: -1, Header: wire.TCP{SrcPort: 1, DstPort: 80, Flags: wire.TCPSyn}})
	if len(o.got) != 4 || o.got[3].Link() != -1 {
		t.Errorf("%d offers", len(o.got))
	}
}

// TestOfferAccepted: the SYN-ACK carries what the SYN and the socket's options
// agree on, is repeated, and the handshake goes on from there.
func TestOfferAccepted(t *testing.T) {
	o := newOffering(t)
	o.syn(5000, 10)
	s, w := o.accept(o.got[0], func(o *sockopt.Options) { o.MaxSeg = 1000; o.Congestion = "reno" })
	if len(o.s.out) != 1 {
		t.Fatalf("%+v", o.s.out)
	}
	h := o.s.out[0].h
	if h.Flags != wire.TCPSyn|wire.TCPAck || h.Ack != 11 || h.MSS != 1000 || h.WScale < 0 || !h.SACKPermitted || !h.HasTS || h.TSEcr != 5 {
		t.Errorf("%+v", h)
	}
	if out := o.syn(5000, 10); len(out) != 1 || out[0].h.Seq != h.Seq || out[0].h.Flags != h.Flags {
		t.Errorf("the SYN again: %+v", out)
	}
	if out := o.after(1100 * time.Millisecond); len(out) != 1 || out[0].h.Seq != h.Seq {
		t.Errorf("silence: %+v", out)
	}
	if s.State() != StateSynReceived || w.events != 0 || len(o.l.embryos) != 1 {
		t.Errorf("%v, events %b", s.State(), w.events)
	}
	s.Write([]byte("early"))
	out := o.in(5000, wire.TCP{Seq: 11, Ack: h.Seq + 1, Flags: wire.TCPAck, Window: 1000, HasTS: true, TSVal: 6, TSEcr: h.TSVal})
	if s.State() != StateEstablished || w.events&(EventConnected|EventWritable) != EventConnected|EventWritable || len(o.l.embryos) != 0 {
		t.Errorf("%v, events %b", s.State(), w.events)
	}
	if len(out) != 1 || out[0].len != 5 || s.conn.cc.info().name != "reno" || o.l.Counters().PassiveOpens != 1 {
		t.Errorf("%+v, %s", out, s.conn.cc.info().name)
	}
	if s.LocalAddr() != netip.MustParseAddrPort("10.0.0.1:80") || s.RemoteAddr() != netip.MustParseAddrPort("10.0.0.2:5000") {
		t.Error(s.LocalAddr(), s.RemoteAddr())
	}
	// The port is not taken by it.
	if err := o.l.NewSocket(afInet, nil).Bind(netip.MustParseAddrPort("10.0.0.1:80"), 0, sockopt.Privilege{NetBindService: true}); err != nil {
		t.Error(err)
	}
}

func TestOfferAcceptErrors(t *testing.T) {
	o := newOffering(t)
	o.syn(5000, 10)
	p := o.got[0]
	bound := o.l.NewSocket(afInet, nil)
	_ = bound.Bind(netip.MustParseAddrPort("10.0.0.1:8000"), 0, sockopt.Privilege{})
	for name, s := range map[string]*Socket{"bound": bound, "of another domain": o.l.NewSocket(afInet6, nil), "of another layer": newOffering(t).l.NewSocket(afInet, nil)} {
		if err := p.Accept(s); err != errno.EINVAL || !p.Waiting() {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestEmbryoEnds(t *testing.T) {
	for name, c := range map[string]struct {
		do    func(o *offering, h wire.TCP)
		err   errno.Errno
		state State
	}{
		"reset":     {func(o *offering, h wire.TCP) { o.in(5000, wire.TCP{Seq: 11, Flags: wire.TCPRst}) }, errno.ECONNRESET, StateClosed},
		"silence":   {func(o *offering, h wire.TCP) { o.after(5 * time.Minute) }, errno.ETIMEDOUT, StateClosed},
		"blind RST": {func(o *offering, h wire.TCP) { o.in(5000, wire.TCP{Seq: 12, Flags: wire.TCPRst}) }, 0, StateSynReceived},
		"wrong ACK": {func(o *offering, h wire.TCP) {
			o.in(5000, wire.TCP{Seq: 11, Ack: 5, HasTS: true, TSVal: 6, Flags: wire.TCPAck})
		}, 0, StateSynReceived},
		"hard error": {func(o *offering, h wire.TCP) {
			o.l.ICMP(testLocal, testRemote, []byte{0, 80, 5000 >> 8, 5000 & 255, byte(h.Seq >> 24), byte(h.Seq >> 16), byte(h.Seq >> 8), byte(h.Seq)}, ICMPError{Errno: errno.EHOSTUNREACH, Hard: true})
		}, errno.EHOSTUNREACH, StateClosed},
		"soft error": {func(o *offering, h wire.TCP) {
			o.l.ICMP(testLocal, testRemote, []byte{0, 80, 5000 >> 8, 5000 & 255, byte(h.Seq >> 24), byte(h.Seq >> 16), byte(h.Seq >> 8), byte(h.Seq)}, ICMPError{Errno: errno.EHOSTUNREACH})
		}, 0, StateSynReceived},
	} {
		o := newOffering(t)
		o.syn(5000, 10)
		s, w := o.accept(o.got[0], nil)
		c.do(o, o.s.out[0].h)
		o.l.Flush()
		if s.Err() != c.err || s.State() != c.state || (w.events&EventClosed != 0) != (c.state == StateClosed) || len(o.l.embryos) != map[bool]int{true: 0, false: 1}[c.state == StateClosed] {
			t.Errorf("%s: %v, %v, events %b, %d embryos", name, s.Err(), s.State(), w.events, len(o.l.embryos))
		}
	}
	// The owner gives up: the peer is told.
	o := newOffering(t)
	o.syn(5000, 10)
	s, _ := o.accept(o.got[0], nil)
	o.s.out = nil
	s.Abort()
	if len(o.s.out) != 1 || o.s.out[0].h.Flags&wire.TCPRst == 0 || len(o.l.embryos) != 0 || len(o.l.conns) != 0 {
		t.Errorf("%+v", o.s.out)
	}
}

func TestOffersAreBounded(t *testing.T) {
	o := newOffering(t)
	for i := range MaxPending + 10 {
		o.syn(uint16(1000+i), 10)
	}
	if o.l.PendingLen() != MaxPending || len(o.gone) != 10 || o.gone[0] != o.got[0] || o.l.Counters().OfferOverflows != 10 {
		t.Errorf("%d waiting, %d gone", o.l.PendingLen(), len(o.gone))
	}
	o.after(PendingTime - time.Second)
	if len(o.gone) != 10 {
		t.Errorf("%d gone too early", len(o.gone)-10)
	}
	o.after(2 * time.Second)
	if at, ok := o.l.Deadline(); o.l.PendingLen() != 0 || len(o.gone) != MaxPending+10 || ok {
		t.Errorf("%d waiting, %d gone, next at %v", o.l.PendingLen(), len(o.gone), at)
	}
}

func TestEmbryosAreBounded(t *testing.T) {
	o := newOffering(t)
	var failed int
	for i := range MaxEmbryos + 50 {
		o.syn(uint16(1000+i), 10)
		o.accept(o.got[i], nil)
		if n := len(o.l.embryos); n > MaxEmbryos || len(o.l.conns) != n {
			t.Fatalf("%d embryos, %d connections", n, len(o.l.conns))
		}
	}
	for _, p := range o.got[MaxEmbryos:] {
		if o.l.conns[p.key] == nil {
			failed++
		}
	}
	if n := o.l.Counters().EmbryoDrops; n != 50 || failed > 10 {
		t.Errorf("%d dropped, %d of them among the latest 50", n, failed)
	}
	for i, c := range o.l.embryos {
		if int(c.embryo) != i+1 {
			t.Fatal("an embryo does not know its place")
		}
	}
	o.after(5 * time.Minute)
	if len(o.l.embryos)+len(o.l.conns)+len(o.l.timers) != 0 {
		t.Error("something is left")
	}
}

// TestOfferAfterTimeWait: a newer connection takes the old one's place when it is
// accepted, and not before.
func TestOfferAfterTimeWait(t *testing.T) {
	o := newOffering(t)
	old := &timeWait{key: makeTuple(testLocal, testRemote, 80, 5000), sndNxt: 100, rcvNxt: 50, ts: true, tsRecent: 5, since: o.s.n.now, expires: o.s.n.now + time.Hour, domain: afInet}
	o.l.waits.byTuple[old.key] = old
	o.l.waits.link(old)
	o.syn(5000, 10) // older
	if len(o.got) != 0 {
		t.Fatal("an old SYN was offered")
	}
	o.syn(5000, 1000)
	o.syn(5000, 1000)
	if len(o.got) != 1 || o.l.waits.byTuple[old.key] == nil {
		t.Fatalf("%d offers", len(o.got))
	}
	o.got[0].Refuse()
	if o.l.waits.byTuple[old.key] == nil {
		t.Fatal("a refusal ended TIME-WAIT")
	}
	o.syn(5000, 1000)
	o.accept(o.got[1], nil)
	if o.l.waits.byTuple[old.key] != nil || !seqLT(old.sndNxt+65535, o.s.out[0].h.Seq) {
		t.Errorf("sequence number %d after %d", o.s.out[0].h.Seq, old.sndNxt)
	}
}

func TestConnectFrom(t *testing.T) {
	o := newOffering(t)
	l := o.l
	remote := netip.MustParseAddrPort("10.0.0.2:80")
	own := func(port uint16) netip.AddrPort { return netip.AddrPortFrom(testLocal, port) }
	priv := sockopt.Privilege{NetBindService: true}
	bound := l.NewSocket(afInet, nil)
	if err := bound.Bind(own(2000), 0, priv); err != nil {
		t.Fatal(err)
	}
	connect := func(local netip.AddrPort) (*Socket, error) {
		s := l.NewSocket(afInet, &watcher{})
		return s, s.ConnectFrom(local, remote)
	}
	first, err := connect(own(1000))
	if err != errno.EINPROGRESS || first.LocalAddr() != own(1000) {
		t.Fatal(err, first.LocalAddr())
	}
	if _, err := connect(own(1000)); err != errno.EADDRNOTAVAIL {
		t.Errorf("the same pair: %v", err)
	}
	if _, err := connect(own(2000)); err != errno.EADDRINUSE {
		t.Errorf("a bound port: %v", err)
	}
	if err := l.NewSocket(afInet, nil).Bind(own(1000), 0, priv); err != errno.EADDRINUSE {
		t.Errorf("binding a connection's port: %v", err)
	}
	if s, err := connect(netip.AddrPortFrom(testLocal, 0)); err != errno.EINPROGRESS || s.LocalAddr().Port() == 0 {
		t.Errorf("any port: %v", err)
	}
	if err := bound.ConnectFrom(own(3000), remote); err != errno.EINVAL {
		t.Errorf("a bound socket: %v", err)
	}
	late := l.NewSocket(afInet, nil)
	late.opts.BindNoPort = true
	if err := late.Bind(own(0), 0, priv); err != nil {
		t.Fatal(err)
	}
	if err := late.ConnectFrom(own(3000), remote); err != errno.EINVAL {
		t.Errorf("a socket bound without a port: %v", err)
	}
	for _, to := range []string{"224.0.0.1:80", "0.0.0.0:80"} {
		if err := l.NewSocket(afInet, nil).ConnectFrom(own(3000), netip.MustParseAddrPort(to)); err != errno.ENETUNREACH {
			t.Errorf("to %s: %v", to, err)
		}
	}
	if err := first.ConnectFrom(own(3000), remote); err != errno.EALREADY {
		t.Errorf("again: %v", err)
	}
	l.Flush()
	l.Input(&Rx{Src: testRemote, Dst: testLocal, Link: 1, TTL: 64, Header: wire.TCP{
		SrcPort: 80, DstPort: 1000, Ack: first.conn.iss + 1, Flags: wire.TCPRst | wire.TCPAck, WScale: -1,
	}})
	if err := l.NewSocket(afInet, nil).Bind(own(1000), 0, priv); err != nil || first.Err() != errno.ECONNREFUSED {
		t.Errorf("after a refusal the port is kept: %v", err)
	}
}

func TestConnectFromElsewhere(t *testing.T) {
	o := newOffering(t)
	lend := lender{o.s.n}
	o.l.net = lend
	l := o.l
	foreign := netip.MustParseAddrPort("192.0.2.1:443")
	remote := netip.MustParseAddrPort("10.0.0.2:4000")
	s := l.NewSocket(afInet, &watcher{})
	if err := s.ConnectFrom(netip.AddrPortFrom(foreign.Addr(), 0), remote); err != errno.EINVAL {
		t.Errorf("no port: %v", err)
	}
	if err := s.ConnectFrom(foreign, remote); err != errno.EINPROGRESS || s.LocalAddr() != foreign || s.claim != nil {
		t.Fatal(err, s.LocalAddr())
	}
	if err := l.NewSocket(afInet, &watcher{}).ConnectFrom(foreign, remote); err != errno.EADDRNOTAVAIL {
		t.Errorf("the same pair: %v", err)
	}
	if err := l.NewSocket(afInet, nil).Bind(netip.AddrPortFrom(testLocal, 443), 0, sockopt.Privilege{NetBindService: true}); err != nil {
		t.Errorf("our own port 443: %v", err)
	}
	if err := l.NewSocket(afInet, nil).ConnectFrom(netip.MustParseAddrPort("[fd00::9]:1"), remote); err != errno.EAFNOSUPPORT {
		t.Errorf("another family: %v", err)
	}
	s.Abort()
	// One in TIME-WAIT makes room, and the numbers go on.
	old := &timeWait{key: makeTuple(foreign.Addr(), remote.Addr(), 443, 4000), sndNxt: l.isn(&tuple{}), expires: o.s.n.now + time.Hour, domain: afInet}
	l.waits.byTuple[old.key] = old
	l.waits.link(old)
	s = l.NewSocket(afInet, &watcher{})
	if err := s.ConnectFrom(foreign, remote); err != errno.EINPROGRESS || len(l.waits.byTuple) != 0 || !seqLT(old.sndNxt, s.conn.iss) {
		t.Error(err)
	}
}

// lender is a network that lets sockets have any source.
type lender struct{ *fakeNet }

func (n lender) Route(src, dst netip.Addr, link int) (Path, error) {
	p, err := n.fakeNet.Route(src, dst, link)
	if src.IsValid() {
		p.Src = src
	}
	return p, err
}

// offerFlood is a layer with a completed connection to port 80 and so many open
// handshakes that cookies are sent.
func offerFlood(t *testing.T) *offering {
	o := newOffering(t)
	o.syn(900, 10)
	o.accept(o.got[0], nil)
	h := o.s.out[0].h
	o.in(900, wire.TCP{Seq: 11, Ack: h.Seq + 1, Flags: wire.TCPAck, Window: 1000, HasTS: true, TSVal: 6, TSEcr: h.TSVal})
	for i := range cookieEmbryos {
		if out := o.syn(uint16(1000+i), 10); len(out) != 0 {
			t.Fatalf("SYN %d was answered", i)
		}
		o.accept(o.got[1+i], nil)
	}
	o.got = nil
	return o
}

// TestOfferCookie: under a flood the SYN-ACK comes first, and the offer with the
// proof that the peer is there.
func TestOfferCookie(t *testing.T) {
	o := offerFlood(t)
	out := o.syn(5000, 10)
	if len(out) != 1 || out[0].h.Flags != wire.TCPSyn|wire.TCPAck || len(o.got) != 0 || o.l.PendingLen() != 0 {
		t.Fatalf("%+v, %d offers", out, len(o.got))
	}
	h := out[0].h
	third := wire.TCP{Seq: 11, Ack: h.Seq + 1, Flags: wire.TCPAck, Window: 500, HasTS: true, TSVal: 6, TSEcr: h.TSVal}
	bad := third
	bad.Ack += 1 << 30
	if out := o.in(5000, bad); len(out) != 1 || out[0].h.Flags&wire.TCPRst == 0 {
		t.Errorf("a wrong cookie: %+v", out)
	}
	if out := o.in(5000, third); len(out) != 0 || len(o.got) != 1 {
		t.Fatalf("%+v, %d offers", out, len(o.got))
	}
	if syn := o.got[0].Header(); syn.Seq != 10 || syn.MSS != 1400 || syn.WScale != 7 || !syn.SACKPermitted {
		t.Errorf("%+v", syn)
	}
	o.in(5000, third)
	s, w := o.accept(o.got[0], nil)
	if s.State() != StateEstablished || w.events&EventConnected == 0 || s.conn.sndWnd != 500<<7 || s.conn.mss != 1400-tsOptionLen {
		t.Errorf("%v, events %b, window %d, MSS %d", s.State(), w.events, s.conn.sndWnd, s.conn.mss)
	}
	s.Write([]byte("hello"))
	o.s.out = nil
	o.l.Flush()
	if len(o.s.out) != 1 || o.s.out[0].len != 5 || o.s.out[0].h.Seq != h.Seq+1 || o.s.out[0].h.Ack != 11 {
		t.Errorf("%+v", o.s.out)
	}
	if n := len(o.l.embryos); n != cookieEmbryos {
		t.Errorf("%d embryos", n)
	}
	// A port that nobody is known to listen on is asked for as ever.
	o.got = nil
	o.l.Input(&Rx{Src: testRemote, Dst: testLocal, Link: 1, Header: wire.TCP{SrcPort: 1, DstPort: 81, Flags: wire.TCPSyn, WScale: -1}})
	if len(o.got) != 1 {
		t.Error("an unknown port was answered by a cookie")
	}
}

// TestOfferCookieRefused: the promise was too much. The peer hears it, and the
// next one is asked for first.
func TestOfferCookieRefused(t *testing.T) {
	for _, verdict := range []func(*Pending){(*Pending).Refuse, func(p *Pending) { p.Unreachable(errno.EHOSTUNREACH) }} {
		o := offerFlood(t)
		h := o.syn(5000, 10)[0].h
		o.in(5000, wire.TCP{Seq: 11, Ack: h.Seq + 1, Flags: wire.TCPAck, HasTS: true, TSVal: 6, TSEcr: h.TSVal})
		o.s.out = nil
		verdict(o.got[0])
		if len(o.s.out) != 1 || o.s.out[0].h.Flags != wire.TCPRst || o.s.out[0].h.Seq != h.Seq+1 {
			t.Errorf("%+v", o.s.out)
		}
	}
	o := offerFlood(t)
	o.l.open.forget(testLocal, 80)
	if out := o.syn(5001, 10); len(out) != 0 || len(o.got) != 1 {
		t.Errorf("%+v", out)
	}
}

// TestOfferCookieWhen: cookies are for ports that were open lately, and for who
// can be answered; over loopback nobody floods.
func TestOfferCookieWhen(t *testing.T) {
	o := offerFlood(t)
	noted := o.s.n.now
	syn := wire.TCP{SrcPort: 5000, DstPort: 80, Flags: wire.TCPSyn, WScale: -1, Window: 1000, MSS: 1400}
	for _, x := range []struct {
		name   string
		src    string
		link   int
		age    time.Duration
		cookie bool
	}{
		{"at once", "10.0.0.2", 1, 0, true},
		{"after ten minutes", "10.0.0.2", 1, openTime, true},
		{"after more than that", "10.0.0.2", 1, openTime + 1, false},
		{"over loopback", "10.0.0.2", -1, 0, false},
		{"from where no way leads", "203.0.113.1", 1, 0, false},
	} {
		o.s.out, o.got = nil, nil
		o.s.n.now = noted + x.age
		syn.SrcPort++
		o.l.Input(&Rx{Src: netip.MustParseAddr(x.src), Dst: testLocal, Link: x.link, Header: syn})
		o.l.Flush()
		if answered := len(o.s.out) == 1; answered != x.cookie || len(o.got) == 1 == x.cookie {
			t.Errorf("%s: %d segments, %d offers", x.name, len(o.s.out), len(o.got))
		}
	}
	// The third step must come by a link, too.
	o.s.n.now = noted
	h := o.syn(7000, 10)[0].h
	third := wire.TCP{SrcPort: 7000, DstPort: 80, Seq: 11, Ack: h.Seq + 1, Flags: wire.TCPAck, HasTS: true, TSVal: 6, TSEcr: h.TSVal, WScale: -1}
	o.got = nil
	o.l.Input(&Rx{Src: testRemote, Dst: testLocal, Link: -1, Header: third})
	if len(o.got) != 0 {
		t.Error("an acknowledgement over loopback was taken for the answer to a cookie")
	}
}

func TestOpenPortsAreBounded(t *testing.T) {
	var list openPorts
	for i := range 3 * maxOpen {
		list.note(testLocal, uint16(i), time.Duration(i))
		list.note(testLocal, 0, time.Duration(i))
	}
	if len(list) != maxOpen || list.find(testLocal, 0) == nil || list.find(testLocal, 1) != nil || list.find(testLocal, 3*maxOpen-1) == nil {
		t.Errorf("%d entries", len(list))
	}
	list.forget(testLocal, 0)
	list.forget(testRemote, 5)
	if len(list) != maxOpen-1 || list.find(testLocal, 0) != nil {
		t.Errorf("%d entries", len(list))
	}
}

// A socket of this stack may have taken the pair of addresses meanwhile.
func TestOfferOfATakenPair(t *testing.T) {
	o := newOffering(t)
	o.syn(5000, 10)
	own := o.l.NewSocket(afInet, &watcher{})
	if err := own.ConnectFrom(netip.AddrPortFrom(testLocal, 80), netip.AddrPortFrom(testRemote, 5000)); err != errno.EINPROGRESS {
		t.Fatal(err)
	}
	if err := o.got[0].Accept(o.l.NewSocket(afInet, nil)); err != errno.EADDRINUSE {
		t.Error(err)
	}
	if len(o.l.conns) != 1 || own.State() != StateSynSent {
		t.Errorf("%d connections, the first is in %v", len(o.l.conns), own.State())
	}
}

// A soft error about an accepted offer is what its timeout reports, as for any
// connection (RFC 9293 section 3.8.3), and ends nothing before.
func TestOfferAndASoftError(t *testing.T) {
	o := newOffering(t)
	o.syn(5000, 10)
	s, _ := o.accept(o.got[0], nil)
	iss := s.conn.iss
	about := func(seq uint32) bool {
		q := []byte{0, 80, 5000 >> 8, 5000 & 255, byte(seq >> 24), byte(seq >> 16), byte(seq >> 8), byte(seq)}
		return o.l.ICMP(testLocal, testRemote, q, ICMPError{Errno: errno.EHOSTUNREACH})
	}
	if !about(iss) || s.State() != StateSynReceived {
		t.Fatal(s.State(), s.Err())
	}
	o.in(5000, wire.TCP{Seq: 11, Ack: iss + 1, Flags: wire.TCPAck, Window: 1000, HasTS: true, TSVal: 6})
	s.Write(make([]byte, 10))
	o.l.Flush()
	if !about(iss+1) || s.State() != StateEstablished {
		t.Fatal(s.State(), s.Err())
	}
	o.after(time.Hour)
	if s.Err() != errno.EHOSTUNREACH {
		t.Errorf("the timeout reports %v", s.Err())
	}
}

// Who drops a SYN and denies to have done anything is taken at the deed.
func TestOfferDroppedAndDenied(t *testing.T) {
	o := newOffering(t)
	o.refuse = true
	o.l.SetOffer(func(p *Pending) bool { p.Drop(); return false })
	if out := o.syn(5000, 10); len(out) != 0 || o.l.PendingLen() != 0 {
		t.Errorf("answered: %+v", out)
	}
}

// The SYN-ACK echoes the latest repetition of the SYN (RFC 7323 section 4.3), and
// nothing that is none.
func TestOfferEchoesTheLatestSYN(t *testing.T) {
	again := wire.TCP{Seq: 10, Flags: wire.TCPSyn, Window: 1000, MSS: 1400, HasTS: true, TSVal: 9}
	forged, ack, bare := again, again, again
	forged.Seq = 11
	ack.Flags |= wire.TCPAck
	bare.HasTS = false
	for name, c := range map[string]struct {
		h    wire.TCP
		echo uint32
	}{"repeated": {again, 9}, "another number": {forged, 5}, "an acknowledgement": {ack, 5}, "without a timestamp": {bare, 5}} {
		o := newOffering(t)
		o.syn(5000, 10)
		o.in(5000, c.h)
		o.accept(o.got[0], nil)
		if len(o.s.out) != 1 || o.s.out[0].h.TSEcr != c.echo {
			t.Errorf("%s: %+v", name, o.s.out)
		}
	}
}

// A signed RST is nobody's where there are no keys (RFC 2385 section 2.0).
func TestOfferAndASignedReset(t *testing.T) {
	o := newOffering(t)
	o.s.lport = 80
	o.s.steps("< S seq 0", "< R seq 1 md5 secret")
	if len(o.got) != 1 || len(o.gone) != 0 {
		t.Fatalf("%d offers, %d gone", len(o.got), len(o.gone))
	}
	o.s.steps("< R seq 1")
	if len(o.gone) != 1 {
		t.Error("the peer's own RST does nothing")
	}
}

package udp

import (
	"net/netip"
	"testing"

	"github.com/tcpcni/tcpcni/sockopt"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// keeper is a socket that keeps errors, sent one datagram to 10.87.0.1 port 9.
func keeper(t *testing.T) (*Layer, *Socket, *app) {
	t.Helper()
	l, _ := newLayer(t)
	a := &app{}
	s := l.NewSocket(v4, a)
	s.Options().RecvErr = true
	if err := s.SendTo([]byte("text"), ap("10.87.0.1:9")); err != nil {
		t.Fatal(err)
	}
	return l, s, a
}

func refuse(l *Layer, s *Socket, text string) {
	l.ICMP(netip.MustParseAddr("10.87.0.2"), netip.MustParseAddr("10.87.0.1"), append(quoted(s, "10.87.0.1:9"), text...), ICMPError{
		Errno: errno.ECONNREFUSED, Hard: true, Type: 3, Code: 3, From: netip.MustParseAddr("10.87.0.9"), Marks: Marks{TTL: 61},
	})
}

func TestErrorsAreQueued(t *testing.T) {
	l, s, a := keeper(t)
	if _, ok := s.FirstError(); ok {
		t.Fatal("an error before any")
	}
	refuse(l, s, "first")
	refuse(l, s, "second")
	if len(a.errs) != 2 {
		t.Errorf("the owner heard %v", a.errs)
	}
	e, ok := s.FirstError()
	if !ok || e.Errno != errno.ECONNREFUSED || !e.ICMP || e.Type != 3 || e.Code != 3 || e.To != ap("10.87.0.1:9") ||
		e.At != netip.MustParseAddr("10.87.0.2") || e.Offender != netip.MustParseAddr("10.87.0.9") || e.Marks.TTL != 61 || string(e.Text) != "first" {
		t.Errorf("%+v", e)
	}
	// Taking one off leaves the next one's errno, taking the last none.
	s.TakeError()
	if s.DropError(); s.err != errno.ECONNREFUSED {
		t.Errorf("SO_ERROR %v with another in the queue", s.err)
	}
	if e, ok = s.FirstError(); !ok || string(e.Text) != "second" {
		t.Errorf("%+v", e)
	}
	if s.DropError(); s.err != 0 {
		t.Errorf("SO_ERROR %v with an empty queue", s.err)
	}
	if _, ok := s.FirstError(); ok || s.queue != nil {
		t.Error("an error after all")
	}
	s.DropError() // of an empty queue does nothing
}

// The queue takes no more than SO_RCVBUF, and everything in it is accounted for.
func TestErrorQueueIsBounded(t *testing.T) {
	l, s, _ := keeper(t)
	s.Options().RcvBuf = 10_000
	for range 1000 {
		refuse(l, s, "0123456789")
	}
	if n := len(s.queue.list); n != 10_000/(queuedErrorCost+10) || s.queue.size > 10_000 {
		t.Errorf("%d entries of %d bytes", n, s.queue.size)
	}
	for range 1000 {
		s.DropError()
	}
	if s.queue != nil {
		t.Errorf("%d bytes are left", s.queue.size)
	}
}

// Switching the option off empties the queue; without it nothing is queued.
func TestErrorQueueIsSwitchedOff(t *testing.T) {
	l, s, _ := keeper(t)
	refuse(l, s, "")
	s.Options().RecvErr = false
	s.Changed(sockopt.RecvErr)
	if _, ok := s.FirstError(); ok {
		t.Error("an error is kept")
	}
	if _ = s.Connect(ap("10.87.0.1:9")); s.TakeError() != 0 {
		refuse(l, s, "")
	}
	if refuse(l, s, ""); s.queue != nil {
		t.Error("an error is queued without the option")
	}
}

// A datagram that does not fit is an error of our own, with the MTU.
func TestLocalErrorsAreQueued(t *testing.T) {
	l, g := newLayer(t)
	a := &app{}
	s := l.NewSocket(v4, a)
	s.Options().RecvErr, s.Options().MTUDiscover = true, sockopt.PMTUDiscDo
	g.err = errno.EMSGSIZE
	if err := s.SendTo(make([]byte, 3000), ap("10.87.0.1:9")); err != errno.EMSGSIZE {
		t.Fatal(err)
	}
	e, ok := s.FirstError()
	if !ok || e.ICMP || e.Errno != errno.EMSGSIZE || e.Info != 1500 || e.To != ap("10.87.0.1:9") || e.Offender.IsValid() || len(e.Text) != 0 {
		t.Errorf("%+v", e)
	}
	if len(a.errs) != 1 || a.errs[0] != 0 {
		t.Errorf("the owner heard %v", a.errs)
	}
	if s.DropError(); s.TakeError() != 0 {
		t.Error("it became the socket's error")
	}
}

// So is one over IPv6 that is larger than any datagram; over IPv4 it is not, as on
// Linux.
func TestTooLargeIsQueued(t *testing.T) {
	for to, want := range map[string]bool{"[fd87::1]:9": true, "10.87.0.1:9": false} {
		l, _ := newLayer(t)
		s := l.NewSocket(v6, &app{})
		s.Options().RecvErr, s.Options().RecvErr6, s.Options().MTUDiscover6 = true, true, sockopt.PMTUDiscDo
		if err := s.SendTo(make([]byte, MaxPayload6+1), ap(to)); err != errno.EMSGSIZE {
			t.Fatal(err)
		}
		if e, ok := s.FirstError(); ok != want || ok && e.Info != 1500 {
			t.Errorf("%s: %+v", to, e)
		}
	}
}

// Datagrams that the owner has no room for are counted.
func TestDropsAreCounted(t *testing.T) {
	l, _ := newLayer(t)
	a := &app{full: true}
	s := l.NewSocket(v4, a)
	if err := s.Bind(ap("10.87.0.2:7"), 0, sockopt.Privilege{}); err != nil && s.Bind(ap("10.87.0.2:7"), 0, sockopt.Privilege{NetBindService: true}) != nil {
		t.Fatal(err)
	}
	for range 3 {
		rx := Rx{Src: netip.MustParseAddr("10.87.0.1"), Dst: netip.MustParseAddr("10.87.0.2"), Link: 1}
		rx.Header.SrcPort, rx.Header.DstPort = 9, 7
		l.Input(&rx)
	}
	if s.Drops() != 3 {
		t.Errorf("%d drops", s.Drops())
	}
}

// TestErrorThatDoesNotFit: what is larger than the whole queue leaves none, and a
// long quotation is kept in part.
func TestErrorThatDoesNotFit(t *testing.T) {
	l, s, _ := keeper(t)
	s.Options().RcvBuf = queuedErrorCost + 100
	refuse(l, s, string(make([]byte, 9000)))
	if e, ok := s.FirstError(); ok {
		t.Errorf("%d bytes of text in a queue of 100", len(e.Text))
	}
	s.DropError()
	s.Options().RcvBuf = 10_000
	refuse(l, s, string(make([]byte, 9000)))
	if e, ok := s.FirstError(); !ok || len(e.Text) != maxQueuedText {
		t.Errorf("%v, %d bytes of text", ok, len(e.Text))
	}
}

package tcp

import (
	"slices"
	"testing"
)

// A picky owner takes what the test says, and checks what it is offered.
type picky struct {
	t     *testing.T
	take  func(p []byte) int
	calls int
	got   []byte
}

func (o *picky) Deliver(p []byte) int {
	o.calls++
	if len(p) == 0 {
		o.t.Error("nothing was offered")
	}
	n := o.take(p)
	o.got = append(o.got, p[:min(max(n, 0), len(p))]...)
	return n
}

func (o *picky) Event(Events) {}

// check compares all that the owner got with the stream of a script.
func (o *picky) check(n int) {
	o.t.Helper()
	if string(o.got) != string(patterned(0, n)) {
		o.t.Errorf("%d bytes, want the first %d of the stream", len(o.got), n)
	}
}

// TestOwnerIsAskedOnce: who did not take everything is left alone until Resume.
func TestOwnerIsAskedOnce(t *testing.T) {
	s := story(t, "from established")
	o := &picky{t: t, take: func(p []byte) int { return 5 }}
	s.s.SetOwner(o)
	s.steps("< . seq 1 ack 1 len 10", "< . seq 11 ack 1 len 10")
	if o.calls != 1 {
		t.Errorf("asked %d times before Resume", o.calls)
	}
	s.s.Resume()
	if o.calls != 2 || s.s.Unread() != 10 {
		t.Errorf("asked %d times, %d bytes left", o.calls, s.s.Unread())
	}
	o.take = func(p []byte) int { return len(p) }
	s.s.Resume()
	o.check(20)
	s.steps("< F. seq 21 ack 1")
	if o.calls != 3 {
		t.Errorf("asked to take a FIN")
	}
}

// TestTextTwiceIsOfferedOnce: what was held ahead and came again with what was
// missing has nothing to offer, and no empty rest of it is.
func TestTextTwiceIsOfferedOnce(t *testing.T) {
	s := story(t, "from established\n< . seq 11 ack 1 len 10\n> . seq 1 ack 1")
	o := &picky{t: t, take: func(p []byte) int { return len(p) }}
	s.s.SetOwner(o)
	s.steps("< . seq 1 ack 1 len 20", "skip", "ooo 0")
	o.check(20)
	s.end()
}

// TestUrgentByteIsDeliveredAlone: RFC 6093 section 2, and without a mark nothing
// is cut.
func TestUrgentByteIsDeliveredAlone(t *testing.T) {
	for urgent, want := range map[string][]int{"< PU. seq 1 ack 1 len 10 urg 5": {4, 1, 5}, "< P. seq 1 ack 1 len 10": {10}} {
		s := story(t, "from established\ntake 0\n"+urgent)
		var sizes []int
		o := &picky{t: t, take: func(p []byte) int { sizes = append(sizes, len(p)); return len(p) }}
		s.s.SetOwner(o)
		s.s.Resume()
		if !slices.Equal(sizes, want) {
			t.Errorf("%s: %v, want %v", urgent, sizes, want)
		}
		o.check(10)
	}
}

// TestOwnerEndsInAGap: an owner that aborts while held text is delivered hears no
// more of it, also when the FIN would be next.
func TestOwnerEndsInAGap(t *testing.T) {
	s := story(t, "from established\n< F. seq 11 ack 1 len 10\n> . seq 1 ack 1")
	calls := 0
	end := &ending{take: func(p []byte) int {
		if calls++; calls == 2 {
			s.s.Abort()
		}
		return len(p)
	}}
	s.s.SetOwner(end)
	s.steps("< . seq 1 ack 1 len 10", "> R. seq 1", "state CLOSED", "pool 0", "ooo 0")
	if end.events&EventEOF != 0 || calls != 2 {
		t.Errorf("events %b after %d calls", end.events, calls)
	}
	s.end()
}

// An ending owner notes events.
type ending struct {
	take   func(p []byte) int
	events Events
}

func (o *ending) Deliver(p []byte) int { return o.take(p) }
func (o *ending) Event(ev Events)      { o.events |= ev }

// TestOwnerThatMiscounts: a result out of range is the nearest that is in it.
func TestOwnerThatMiscounts(t *testing.T) {
	for _, wrong := range []int{-1, -1 << 40, 1 << 40} {
		s := story(t, "from established")
		o := &picky{t: t, take: func([]byte) int { return wrong }}
		s.s.SetOwner(o)
		s.steps("< . seq 1 ack 1 len 10")
		s.s.Resume()
		s.s.Resume()
		o.take = func(p []byte) int { return len(p) }
		s.s.Resume()
		s.steps("< . seq 11 ack 1 len 10")
		o.check(20)
		s.steps("skip")
		s.end()
	}
}

// TestResumeWithoutAnOwner: a socket that was accepted has none at first.
func TestResumeWithoutAnOwner(t *testing.T) {
	s := story(t, "listen 5\n< S seq 0 win 65535 mss 1460\n> S. seq 0 ack 1\n< . seq 1 ack 1 win 65535 len 10")
	child, err := s.lst.Accept()
	if err != nil {
		t.Fatal(err)
	}
	child.Resume()
	if child.Unread() != 10 {
		t.Errorf("%d bytes unread", child.Unread())
	}
	o := &picky{t: t, take: func(p []byte) int { return len(p) }}
	child.SetOwner(o)
	child.Resume()
	child.Resume()
	o.check(10)
	if o.calls != 1 {
		t.Errorf("asked %d times", o.calls)
	}
}

// TestOwnerEndsWhatItReads: an owner may abort or discard from inside Deliver.
func TestOwnerEndsWhatItReads(t *testing.T) {
	for name, end := range map[string]func(*Socket){"abort": (*Socket).Abort, "close": (*Socket).Close, "discard": (*Socket).CloseRead} {
		s := story(t, "from established\ntake 0\n< . seq 1 ack 1 len 10\n< . seq 11 ack 1 len 10")
		o := &picky{t: t, take: func(p []byte) int { end(s.s); return 1 }}
		s.s.SetOwner(o)
		s.s.Resume()
		if o.calls != 1 || s.s.Unread() != 0 || s.n.pool.InUse() != 0 {
			t.Errorf("%s: asked %d times, %d bytes unread, %d held", name, o.calls, s.s.Unread(), s.n.pool.InUse())
		}
		s.steps("skip")
		s.end()
	}
}

package tcp

// When owners hear what, and when the driver is woken.

import "testing"

// waking is a network that counts how often the driver is woken.
type waking struct {
	*fakeNet
	n int
}

func (w *waking) Wake() { w.n++ }

// TestDriverIsWokenOnce: for the first thing that waits for a Flush, and not
// again before it.
func TestDriverIsWokenOnce(t *testing.T) {
	s := story(t, "from established")
	n := &waking{fakeNet: s.n}
	s.l.net = n
	s.s.Write(make([]byte, 10))
	s.s.Write(make([]byte, 10))
	if n.n != 1 {
		t.Errorf("woken %d times for output", n.n)
	}
	s.l.Flush()
	other := s.l.NewSocket(afInet, s)
	n.n = 0
	s.s.raise(EventWritable)
	if n.n != 1 {
		t.Errorf("woken %d times for the first event", n.n)
	}
	other.raise(EventWritable)
	s.s.raise(EventEOF)
	s.l.NewSocket(afInet, nil).raise(EventWritable)
	if n.n != 1 || len(s.l.raised) != 2 {
		t.Errorf("woken %d times for events, %d sockets have some", n.n, len(s.l.raised))
	}
	s.events = 0
	s.l.Flush()
	if s.events != EventWritable|EventEOF || n.n != 1 {
		t.Errorf("events %b, woken %d times", s.events, n.n)
	}
}

// An eager owner has the layer work from inside its Event.
type eager struct {
	l      *Layer
	and    *Socket
	inside bool
	nested bool
	events Events
}

func (o *eager) Deliver(p []byte) int { return len(p) }

func (o *eager) Event(ev Events) {
	o.nested = o.nested || o.inside
	o.inside = true
	o.events |= ev
	if o.and != nil {
		o.and.raise(ev)
		o.and = nil
	}
	o.l.Flush()
	o.inside = false
}

// TestEventsAreNotNested: what an owner brings about from inside Event is
// reported when it has returned.
func TestEventsAreNotNested(t *testing.T) {
	s := newScript(t, nil)
	o := &eager{l: s.l}
	a, b := s.l.NewSocket(afInet, o), s.l.NewSocket(afInet, o)
	o.and = b
	a.raise(EventWritable)
	b.raise(EventUrgent)
	a.raise(EventEOF)
	s.l.Flush()
	if o.nested || o.events != EventWritable|EventUrgent|EventEOF {
		t.Errorf("nested: %v, events %b", o.nested, o.events)
	}
	a.raise(EventError)
	s.l.Flush()
	if o.nested || o.events&EventError == 0 {
		t.Errorf("afterwards: %v, events %b", o.nested, o.events)
	}
}

// TestOwnerIsTaken: what is raised while nobody listens is kept for who comes.
func TestOwnerIsTaken(t *testing.T) {
	s := newScript(t, nil)
	k, first, second := s.l.NewSocket(afInet, nil), &watcher{}, &watcher{}
	k.SetOwner(first)
	k.raise(EventWritable)
	k.SetOwner(nil)
	s.l.Flush()
	if first.events != 0 {
		t.Errorf("who is no owner any more heard %b", first.events)
	}
	k.raise(EventEOF)
	s.l.Flush()
	k.SetOwner(second)
	s.l.Flush()
	if second.events != EventWritable|EventEOF {
		t.Errorf("the new owner heard %b", second.events)
	}
}

package engine

import (
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/tcpcni/tcpcni/hostlink"
	"github.com/tcpcni/tcpcni/netstack"
	"github.com/tcpcni/tcpcni/netstack/buf"
	"github.com/tcpcni/tcpcni/sockopt"
)

// engine is the state of one running engine. Everything but stopped belongs to
// the loop's goroutine.
type engine struct {
	cfg     Config
	log     *slog.Logger
	stack   *netstack.Stack
	profile *sockopt.Profile
	vain    vainLog
	changed map[string]string // tunables that were set since the sandbox runs
	poll    *hostlink.Poller
	stopped atomic.Bool
	now     time.Duration
	started time.Duration
	held    *Inherited // nil: there is no holder
	helper  helper
	ifindex map[string]int // of the kernel's interfaces in the sandbox, by name

	defaults *Defaults // values that TCP sockets on the uplink start with

	ports   []*port
	ctl     control
	ons     []*intercept // by the descriptor number of the listener
	nOns    int
	gen     uint32
	socks   registry
	threads threads
	timers  timers
	journal *journal
	unnoted hostlink.Notification // room for a call that the journal has no place for
	current call                  // the call being served
	overdue bool                  // calls were put off in the last turn
	calls   uint64

	shard  *shard  // Valid iff the loop is not the main one
	shards *shards // nil: there is one loop

	inline      inline
	lease       *lease // nil: the address is the sandbox's own
	mirrors     mirrors
	cross       crossings
	dirty       []*stream // have events to act upon
	dirtyDgrams []*dgram
	spareList   []*stream // memory for the next dirty
	landing     landing
	strays      []*unborn // inherited by a listener that has not come to them yet

	passages    []*passage
	tidying     tidying
	collection  collection
	adjusting   atomic.Bool // the collection's percentage is being set
	ahead       earlyFrame  // of the uplink
	theirTurn   bool        // a program got something and has not answered yet
	spare       *buf.Chunk  // for the next read from a pair
	frame       *buf.Chunk  // for the next frame, or with the one that is being taken in; nil: made when needed
	scratch     [maxOptVal]byte
	datagram    [maxIO]byte
	follower    [maxIO]byte // of one that is put behind another, see takeRun
	received    []byte      // the same for a call that takes more from a stream
	ancillary   []byte      // of the message being sent, see controlRoom
	taken       batch       // by the recvmmsg being served
	parcel      parcel      // being handed over
	vectors     [hostlink.RemoteVectors]hostlink.RemoteVec
	vectorBytes [hostlink.RemoteVectors * iovecLen]byte
}

// What a poller's tag stands for.
const (
	kindPort = iota
	kindSock
	kindNotifier
	kindControl
	kindClient
	kindKernel
	kindMirror
	kindCross
	kindHolder
)

// tag packs what an event is for: a kind, a generation that tells it from an
// earlier user of the same number, and a number.
func tag(kind int, gen uint32, n int) uint64 {
	return uint64(kind)<<56 | uint64(gen&genMask)<<32 | uint64(uint32(n))
}

// tagged takes generation and number out of a tag.
func tagged(t uint64) (gen uint32, n int) { return uint32(t>>32) & genMask, int(uint32(t)) }

// sources are the handlers of events, by kind.
var sources = [...]func(e *engine, gen uint32, n int, mask uint32){
	kindPort: func(e *engine, _ uint32, n int, _ uint32) { e.input(e.ports[n]) },
	kindSock: func(e *engine, gen uint32, n int, mask uint32) {
		if s := e.socks.byTag(gen, n); s != nil {
			s.ready(mask)
		}
	},
	kindNotifier: (*engine).notified,
	kindControl:  func(e *engine, _ uint32, _ int, _ uint32) { e.acceptClient() },
	kindClient:   (*engine).clientReady,
	kindKernel:   (*engine).kernelReady,
	kindMirror:   (*engine).mirrorReady,
	kindCross:    (*engine).crossReady,
	kindHolder:   func(e *engine, _ uint32, _ int, _ uint32) { e.holderGone() },
}

// loop runs the engine until it is told to stop.
func (e *engine) loop() error {
	e.adjustCollector()
	for !e.stopped.Load() {
		e.land(false)
		e.landing.landed = nil // the poller looks at it
		events, err := e.poll.Wait(e.patience())
		if err != nil {
			return err
		}
		e.now = hostlink.Now()
		e.advance()
		e.land(false)
		e.tidying.saw(len(events)+e.ahead.count(), e.now)
		if e.shards != nil {
			e.shards.gather()
		}
		e.inputEarly()
		e.handle(events)
		e.timers.run(e.now)
		e.tick()
		e.settle()
		e.inline.turn()
		e.sweepRelays()
		e.tidy()
		e.adjustCollector()
		if e.shards != nil {
			e.shards.turned(hostlink.Now())
		}
	}
	return nil
}

// advance sets the clocks of the stacks.
func (e *engine) advance() {
	e.stack.Advance(e.now)
	if e.inline.stack != nil {
		e.inline.stack.Advance(e.now)
	}
}

// flush lets the stacks send what they owe.
func (e *engine) flush() {
	e.stack.Flush()
	if e.inline.stack != nil {
		e.inline.stack.Flush()
	}
}

// handle serves what is ready: calls after everything else, since what a program did
// before a call (a write, a close) is ready by the time that the call is; but see
// early. When there were more events than fit, the calls wait for a turn that has
// seen them all, but not twice.
func (e *engine) handle(events []hostlink.Event) {
	e.overdue = len(events) == pollerBatch && !e.overdue
	for i := range events {
		if events[i].Data()>>56 == kindNotifier && !e.overdue {
			e.early(&events[i])
		}
	}
	for i := range events {
		if events[i].Data()>>56 != kindNotifier {
			e.source(&events[i])
		}
	}
	if e.overdue {
		return
	}
	flushed := false
	for i := range events {
		if events[i].Data()>>56 == kindNotifier && events[i].Ready() != 0 {
			if !flushed {
				// Some calls keep the loop waiting for the caller. Peers should not.
				e.flush()
				if e.arrive() {
					e.flush()
				}
				flushed = true
			}
			e.source(&events[i])
		}
	}
}

func (e *engine) source(ev *hostlink.Event) {
	gen, n := tagged(ev.Data())
	sources[ev.Data()>>56](e, gen, n, ev.Ready())
}

// settleRounds bounds how often sockets and stack answer each other in one turn;
// what is left goes on in the next, after a look at everything else.
const settleRounds = 8

// settle lets the stack send what it owes and the sockets act on what that
// brought about, until both are at rest.
func (e *engine) settle() {
	for range settleRounds {
		e.flush()
		if !e.unsettled() {
			return
		}
		streams, dgrams := e.dirty, e.dirtyDgrams
		e.dirty, e.dirtyDgrams = e.takeList(), nil
		for i, s := range streams {
			s.settle()
			streams[i] = nil
		}
		e.spareList = streams[:0]
		for _, d := range dgrams {
			d.settle()
		}
		e.inline.settle()
	}
}

// unsettled reports whether sockets have events to act upon.
func (e *engine) unsettled() bool {
	return len(e.dirty) > 0 || len(e.dirtyDgrams) > 0 || len(e.inline.dirty) > 0
}

// takeList returns the list that was worked off last, for reuse.
func (e *engine) takeList() []*stream {
	l := e.spareList
	e.spareList = nil
	return l
}

// patience is how long the loop may sleep.
func (e *engine) patience() time.Duration {
	if e.unsettled() || e.shards != nil && e.shards.stranded || e.landing.busy && !e.landing.underWay() {
		return 0
	}
	at, ok := e.stack.Deadline()
	if t, any := e.timers.next(); any && (!ok || t < at) {
		at, ok = t, true
	}
	if t, any := e.inline.deadline(); any && (!ok || t < at) {
		at, ok = t, true
	}
	if t, any := e.cross.deadline(); any && (!ok || t < at) {
		at, ok = t, true
	}
	if t, any := e.tidying.deadline(); any && (!ok || t < at) {
		at, ok = t, true
	}
	for _, p := range e.ports {
		if p.timed == nil {
			continue
		}
		if t, any := p.timed.Deadline(); any && (!ok || t < at) {
			at, ok = t, true
		}
	}
	if !ok {
		return hostlink.Forever
	}
	return max(0, at-hostlink.Now())
}

// chunk returns a chunk to read into. Whoever keeps it sets spare to nil.
func (e *engine) chunk() *buf.Chunk {
	if e.spare == nil {
		e.spare = e.stack.Pool().Get(buf.LargeSize)
	}
	e.spare.B = e.spare.B[:0]
	return e.spare
}

// attach begins to serve a listener and owns it from then on.
func (e *engine) attach(fd int) error {
	on := &intercept{Notifier: hostlink.NewNotifier(fd)}
	e.gen = (e.gen + 1) & genMask
	on.gen = e.gen
	for fd >= len(e.ons) {
		e.ons = append(e.ons, nil)
	}
	if err := e.poll.Add(fd, hostlink.In, tag(kindNotifier, on.gen, fd)); err != nil {
		return err
	}
	e.ons[fd] = on
	e.nOns++
	return nil
}

// interceptOf returns the listener that an event is for, nil when it was dropped.
func (e *engine) interceptOf(gen uint32, fd int) *intercept {
	if fd >= len(e.ons) || e.ons[fd] == nil || e.ons[fd].gen != gen {
		return nil
	}
	return e.ons[fd]
}

// notified serves a listener, or drops it when its last program has ended.
func (e *engine) notified(gen uint32, fd int, mask uint32) {
	on := e.interceptOf(gen, fd)
	switch {
	case on == nil:
		return
	case mask&hostlink.In != 0:
		e.serve(on)
		return
	case mask&hostlink.Hup == 0:
		// An error alone says that a signal came while the kernel waited to look
		// (seccomp_notify_poll): the event comes again.
		return
	}
	e.land(true) // which may be for this one
	e.ons[fd] = nil
	e.nOns--
	_ = e.poll.Remove(fd)
	_ = on.Close()
}

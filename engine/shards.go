package engine

// The main loop's side of shards: what it lends, and how that comes back.

import (
	"errors"
	"sync"
	"time"

	"github.com/tcpcni/tcpcni/hostlink"
	"github.com/tcpcni/tcpcni/netstack/tcp"
)

// shards are the loops beside the main one. All of it belongs to the main loop.
type shards struct {
	eng      *engine
	list     []*shard
	taken    arena // frames that a shard had, while they are looked at
	asked    map[*stream]bool
	stranded bool // a neighbour has moved: everybody is to come home
	balance
	running sync.WaitGroup
	failed  chan error // the first loop that has ended by an error
}

var _ tcp.Lender = (*shards)(nil)

// start runs the loops, stop ends them and returns why one has ended before.
func (x *shards) start() {
	for _, sh := range x.list {
		x.running.Add(1)
		go func() {
			defer x.running.Done()
			if err := sh.run(); err != nil {
				x.failed <- err
				x.eng.stop()
			}
		}()
	}
}

func (x *shards) stop() error {
	for _, sh := range x.list {
		sh.eng.stop()
	}
	x.running.Wait()
	select {
	case err := <-x.failed:
		return err
	default:
		return nil
	}
}

func (x *shards) close() {
	for _, sh := range x.list {
		_ = sh.queue.Close()
		if sh.eng != nil && sh.eng.poll != nil {
			_ = sh.eng.poll.Close()
		}
	}
	if x.uptime >= 0 {
		hostlink.CloseFD(x.uptime)
	}
}

// hold stops a shard until release, between two of its turns. The main loop may
// hold what it holds.
func (sh *shard) hold() {
	if sh.holds++; sh.holds == 1 {
		sh.take()
	}
}

func (sh *shard) release() {
	if sh.holds--; sh.holds == 0 {
		sh.give()
	}
}

// halt stops all shards for something that looks at everything, or changes it,
// until resume.
func (x *shards) halt() {
	if x == nil {
		return
	}
	for _, sh := range x.list {
		sh.hold()
	}
}

func (x *shards) resume() {
	if x == nil {
		return
	}
	for _, sh := range x.list {
		sh.release()
		sh.eng.poll.Wake()
	}
}

// lendable reports whether nothing is known of the socket but that bytes flow.
func (s *stream) lendable() bool {
	return s.phase == phaseConnected && s.fd >= 0 && s.filled == 0 && !s.raiseDue && s.events == 0 && !s.dirty &&
		!s.urgent && !s.ended && !s.hup && !s.wrShut && !s.sealed && !s.rdShut && !s.finQueued && !s.eofSent && !s.resetDue && !s.abortDue &&
		s.fast == nil && s.returned == nil && s.unborn == nil && len(s.wait.list) == 0
}

// lend gives a connection to a shard, if one can serve it.
func (x *shards) lend(s *stream, sh *shard) bool {
	e, g := x.eng, sh.eng
	if s.eng != e || !s.lendable() {
		return false
	}
	sh.hold()
	defer sh.release()
	if !sh.enabled {
		if err := sh.queue.EnableQueue(true); err != nil && !errors.Is(err, hostlink.ErrQueue) {
			return false
		}
		sh.enabled = true
	}
	sh.vacant = 0
	if !e.stack.Lend(s.tcp, g.stack) {
		return false
	}
	_ = e.poll.Remove(s.fd)
	s.eng = g
	g.socks.place(&s.sock)
	sh.moved.Lent++
	if g.poll.Add(s.fd, s.mask, tag(kindSock, s.gen, s.fd)) != nil {
		x.fetch(s)
		return false
	}
	g.poll.Wake() // its timers count there now
	return true
}

// fetch brings a connection home.
func (x *shards) fetch(s *stream) {
	sh, e := s.eng.shard, x.eng
	g := sh.eng
	sh.hold()
	defer sh.release()
	_ = g.poll.Remove(s.fd)
	g.socks.unplace(&s.sock)
	if s.dirty {
		g.dirty = without(g.dirty, s)
		s.dirty = false
	}
	delete(sh.asks, s)
	sh.seen.forget(s)
	e.stack.Fetch(s.tcp, g.stack)
	s.eng = e
	e.socks.place(&s.sock)
	if e.poll.Add(s.fd, s.mask, tag(kindSock, s.gen, s.fd)) != nil {
		s.abortDue = true // nobody would hear of it any more
	}
	if s.events != 0 || s.abortDue {
		s.mark()
	}
	if g.stack.TCP().Guests() == 0 {
		g.poll.Wake() // it may rest
	}
}

// without is list with s taken out, in the same memory.
func without(list []*stream, s *stream) []*stream {
	kept := list[:0]
	for _, x := range list {
		if x != s {
			kept = append(kept, x)
		}
	}
	clear(list[len(kept):])
	return kept
}

// home brings a socket home that a call is for, and has what its program did before
// the call seen. It stays for a while.
func (x *shards) home(k *sock) {
	s := k.stream
	if s == nil || s.eng == x.eng {
		return
	}
	x.fetch(s)
	x.rest(s, afterCall)
	mask, e := hostlink.PollNow(s.fd, hostlink.In|hostlink.RdHup|hostlink.Pri)
	if e == 0 && mask != 0 {
		s.ready(uint32(uint16(mask)))
	}
}

// known finds the socket that a call is for.
func (e *engine) known(cookie uint64) *sock {
	s := e.socks.find(cookie)
	if s == nil || e.shards == nil || s.eng == e {
		return s
	}
	e.shards.home(s)
	return e.socks.find(cookie)
}

// Fetch implements tcp.Lender.
func (x *shards) Fetch(t *tcp.Socket) {
	s := t.Owner().(*stream)
	x.fetch(s)
	x.rest(s, afterFetch)
}

// Visit implements tcp.Lender: the kernel has put a segment into the main loop's
// queue. It learns from what the shard sends that this was wrong (tun.c,
// tun_flow_update).
func (x *shards) Visit(t *tcp.Socket, rx *tcp.Rx) {
	sh := t.Owner().(*stream).eng.shard
	sh.hold()
	defer sh.release()
	g := sh.eng
	g.now = hostlink.Now()
	g.stack.Advance(g.now)
	g.stack.TCP().Input(rx)
	sh.settle()
	sh.moved.Visits++
	sh.patched()
}

// patched wakes the shard if it sleeps for longer than what was done to it allows.
func (sh *shard) patched() {
	at, ok := sh.eng.stack.Deadline()
	if ok && at < sh.until || len(sh.eng.dirty) > 0 || len(sh.asks) > 0 {
		sh.eng.poll.Wake()
	}
}

// gather takes over what the shards have for the main loop. Frames come before what
// else is ready in the same turn, as they have waited.
func (x *shards) gather() {
	for _, sh := range x.list {
		if !sh.owes.Load() {
			continue
		}
		sh.owes.Store(false)
		sh.hold()
		x.taken, sh.away = sh.away, x.taken
		x.asked, sh.asks = sh.asks, x.asked
		if sh.full {
			sh.full = false
			_ = sh.eng.poll.Modify(sh.queue.FD(), hostlink.In, tag(kindPort, 0, 0))
		}
		sh.release()
		p := x.eng.ports[0]
		for i := range x.taken.frames {
			x.eng.stack.Input(p.num, &x.taken.frames[i])
		}
		x.taken.clear()
		for s := range x.asked {
			if s.eng == sh.eng {
				x.fetch(s)
				x.rest(s, afterFetch)
			}
		}
		clear(x.asked)
	}
	if x.stranded {
		x.stranded = false
		x.fetchAll()
	}
}

// fetchAll brings everybody home.
func (x *shards) fetchAll() {
	for _, sh := range x.list {
		x.fetchFrom(sh)
	}
}

func (x *shards) fetchFrom(sh *shard) {
	sh.hold()
	defer sh.release()
	for _, k := range sh.eng.socks.byFD {
		if k != nil {
			x.fetch(k.stream)
		}
	}
}

// inUse is the payload that the shards hold, in bytes.
func (x *shards) inUse() int {
	n := 0
	if x != nil {
		for _, sh := range x.list {
			n += int(sh.payload.Load())
		}
	}
	return n
}

// place gives a known socket's E an entry with a new generation; unplace takes the
// entry away.
func (r *registry) place(s *sock) {
	for s.fd >= len(r.byFD) {
		r.byFD = append(r.byFD, nil)
	}
	r.gen = (r.gen + 1) & genMask
	s.gen = r.gen
	r.byFD[s.fd] = s
}

func (r *registry) unplace(s *sock) { r.byFD[s.fd] = nil }

// afterCall and afterFetch are how long a connection stays at home: one that needs
// what only the main loop does is no work for a shard.
const (
	afterCall  = time.Second
	afterFetch = 100 * time.Millisecond
)

package engine

// More loops than one. A sandbox with shards has the loop of loop.go, which owns
// everything, and beside it loops that move the bytes of connections which it lends
// them: each has a queue of the uplink's TAP, a poller, a stack (netstack/lend.go)
// and a pool of its own, and runs on a thread of its own.
//
// One lock for each shard says who drives it: its own loop for the length of a
// turn, or the main loop, which takes it to lend or fetch a connection, to take over
// what the shard has put by, or to look. Nothing on the way of a segment takes a
// lock, and a turn takes one that nobody else wants.
//
// A connection that is lent is the shard's: the main loop touches its stream, its
// socket and its E under the lock only, and by bringing it home. Whatever is more
// than moving bytes happens at home (lend.go of netstack/tcp), so the shards know
// nothing of calls, ports, ends and errors.

import (
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tcpcni/tcpcni/hostlink"
	"github.com/tcpcni/tcpcni/netstack/tcp"
)

// A shard is one loop beside the main one.
type shard struct {
	home *engine
	eng  *engine // the part of an engine that moving bytes takes

	// lock is held by who drives the shard; next by who is next, so that a loop
	// with much to do does not keep the other waiting for more than a turn.
	lock, next sync.Mutex
	holds      int // of the main loop, one within another

	queue   *hostlink.TAP
	enabled bool // the kernel puts frames into the queue
	full    bool // the queue is not looked at until away has been taken

	asks   map[*stream]bool // to be fetched
	away   arena            // frames for the main loop
	until  time.Duration    // what the loop sleeps until, at the latest
	vacant time.Duration    // since when there is no connection; 0: not known, or there are some
	seen   activity
	moved  ShardStatus // what was counted
	told   int64       // busy when strained last said so

	// Without the lock.
	owes    atomic.Bool   // there is something for the main loop, which was woken
	busy    atomic.Int64  // nanoseconds in turns
	payload atomic.Int64  // bytes that the pool has given out
	bytes   atomic.Uint64 // on the shard's queue
	// What the main loop saw of these last.
	last      int64
	lastBytes uint64
}

// take makes the caller the one who drives the shard, until give.
func (sh *shard) take() {
	sh.next.Lock()
	sh.lock.Lock()
	sh.next.Unlock()
}

func (sh *shard) give() { sh.lock.Unlock() }

// run is the shard's loop.
func (sh *shard) run() error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	wait := hostlink.Forever
	for !sh.eng.stopped.Load() {
		events, err := sh.eng.poll.Wait(wait)
		if err != nil {
			return err
		}
		sh.take()
		owes := sh.turn(events)
		wait = sh.patience()
		owes = owes || len(sh.away.frames) > 0 // put by in order to rest
		sh.busy.Add(int64(hostlink.Now() - sh.eng.now))
		s := sh.queue.Stats()
		sh.bytes.Store(s.RxBytes + s.TxBytes)
		sh.payload.Store(int64(sh.eng.stack.Pool().InUse()))
		sh.give()
		if owes && !sh.owes.Swap(true) {
			sh.home.poll.Wake()
		}
	}
	return nil
}

// turn serves what is ready and reports whether the main loop has to hear of
// something.
func (sh *shard) turn(events []hostlink.Event) bool {
	e := sh.eng
	e.now = hostlink.Now()
	e.stack.Advance(e.now)
	for i := range events {
		t := events[i].Data()
		if t>>56 == kindPort {
			sh.input(e.ports[0])
		} else if s := e.socks.byTag(uint32(t>>32)&genMask, int(uint32(t))); s != nil {
			sh.ready(s.stream, events[i].Ready())
		}
	}
	sh.settle()
	return len(sh.asks) > 0 || len(sh.away.frames) > 0 || sh.strained()
}

// input takes what waits in the shard's queue of the link: segments for its
// connections, and what the kernel has put there for others.
func (sh *shard) input(p *port) {
	e := sh.eng
	for n, size := 0, 0; n < frameBatch && size < byteBatch; n++ {
		if sh.full = !sh.away.hasRoom(); sh.full {
			_ = e.poll.Modify(p.FD(), 0, tag(kindPort, 0, 0))
			return
		}
		f, err := p.ReadFrame(e.frameRoom())
		if err != nil {
			if errors.Is(err, hostlink.ErrGone) && !p.gone {
				p.gone = true
				_ = e.poll.Remove(p.FD())
			}
			return
		}
		size += len(f.Data)
		if !e.stack.Serves(p.num, &f) {
			sh.moved.Passed++
			sh.away.put(&f)
			continue
		}
		e.stack.Input(p.num, &f)
		sh.seen.note(e.stack.TCP().Latest())
	}
}

// beyondBytes are the events of E that are the main loop's to understand.
const beyondBytes = hostlink.RdHup | hostlink.Hup | hostlink.Err | hostlink.Pri

// ready handles events of a lent connection's E.
func (sh *shard) ready(s *stream, mask uint32) {
	if mask&beyondBytes != 0 {
		sh.ask(s) // who has it next hears of all of this again
		return
	}
	s.transfer(mask)
}

// settle lets the stack send and the connections act on what that brought about.
func (sh *shard) settle() {
	e := sh.eng
	for range settleRounds {
		e.stack.Flush()
		if len(e.dirty) == 0 {
			return
		}
		streams := e.dirty
		e.dirty = e.takeList()
		for i, s := range streams {
			streams[i], s.dirty = nil, false
			if s.events&^tcp.EventWritable != 0 || s.abortDue {
				sh.ask(s)
				continue
			}
			s.events = 0
			s.pump()
		}
		e.spareList = streams[:0]
	}
}

// ask has the main loop fetch s.
func (sh *shard) ask(s *stream) { sh.asks[s] = true }

// patience is how long the loop may sleep.
func (sh *shard) patience() time.Duration {
	e := sh.eng
	if len(e.dirty) > 0 {
		sh.until = 0
		return 0
	}
	at, ok := e.stack.Deadline()
	if sh.enabled && e.stack.TCP().Guests() == 0 {
		if sh.vacant == 0 {
			sh.vacant = e.now
		}
		if at, ok = sh.vacant+idleAfter, true; at <= e.now {
			sh.rest()
			ok = false
		}
	}
	if !ok {
		sh.until = 1<<63 - 1
		return hostlink.Forever
	}
	sh.until = at
	return max(0, at-hostlink.Now())
}

// rest has a shard without connections get no more frames, and gives its memory
// back: what is not for a shard goes to the main loop without a detour. What waits
// in the queue would be lost and is put by first; with more than fits there, the
// shard goes on.
func (sh *shard) rest() {
	sh.vacant = 0
	for before := -1; before != len(sh.away.frames); {
		before = len(sh.away.frames)
		sh.input(sh.eng.ports[0])
	}
	if sh.full {
		return
	}
	if sh.queue.EnableQueue(false) == nil {
		sh.enabled = false
	}
	sh.eng.stack.Pool().Trim()
}

// An arena holds frames for the main loop until that takes them: as many as a few
// turns bring.
type arena struct {
	room   []byte // of arenaSize bytes once there was a frame
	frames []hostlink.RxFrame
}

const (
	arenaSize   = 1 << 20
	arenaFrames = 1024
)

// hasRoom reports whether any frame fits.
func (a *arena) hasRoom() bool {
	return len(a.frames) < arenaFrames && arenaSize-len(a.room) >= hostlink.FrameRoom
}

// put keeps a copy of f.
func (a *arena) put(f *hostlink.RxFrame) {
	if a.room == nil {
		a.room = make([]byte, 0, arenaSize)
	}
	at := len(a.room)
	a.room = append(a.room, f.Data...)
	kept := *f
	kept.Data = a.room[at:len(a.room):len(a.room)]
	a.frames = append(a.frames, kept)
}

func (a *arena) clear() {
	clear(a.frames)
	a.room, a.frames = a.room[:0], a.frames[:0]
}

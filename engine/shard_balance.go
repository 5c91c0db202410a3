package engine

// Which loop a connection is served by. Connections begin at the main loop, and
// most end there: handing one over costs about as much as a short one does. Only
// when a loop has no time left do the busiest of its connections go to the loop that
// has the most, if that makes the busier of the two less busy. A single connection
// therefore stays where it is.
//
// Small messages are another matter than bulk. A loop that serves many of them is
// awake when the next one comes, and two loops sleep more often: where programs,
// peers and loops compete for the processors, two loops do less than one. So those
// are lent only while a processor has nothing to do, and fetched when none has any
// more.

import (
	"cmp"
	"slices"
	"time"

	"github.com/tcpcni/tcpcni/hostlink"
	"github.com/tcpcni/tcpcni/netstack/tcp"
)

const (
	// balanceEvery is how often loads are compared. It is long beside a turn, and
	// short beside what people call a transfer.
	balanceEvery = 10 * time.Millisecond
	// crowded is the part of its time from which on a loop gives connections away,
	// and worthwhile the part by which the other must be better off.
	crowded    = 0.7
	worthwhile = 0.1
	// settled is how long a connection stays where it was put.
	settled = 200 * time.Millisecond
	// sampleEvery is how many frames there are to one that is counted.
	sampleEvery = 7
	// lasting is how many segments have arrived of a connection that is worth the
	// move: most that are short have fewer.
	lasting = 64
	// maxActive bounds the connections that are counted at a time.
	maxActive = 256
)

// Of traffic that is not bulk.
const (
	// bulky is from how many bytes on the link for each second of a loop's work on
	// that is bulk: a loop does ten times that with full segments, and a tenth of it
	// with small ones.
	bulky = 300 << 20
	// idleFor is how long loops are crowded before it is judged whether the machine
	// has processors to spare: sparing of them or more, or next to none.
	idleFor = 100 * time.Millisecond
	sparing = 0.5
	none    = 0.1
	// regret is how long everything stays at home after that turned out wrong.
	regret = 10 * time.Second
)

// lendAll has every connection lent that can be, for tests.
var lendAll bool

// activity counts whom the frames of a loop are for.
type activity struct {
	by   map[*stream]int
	next int // frames until the one that is counted
	step int
}

func (a *activity) init() { a.by = make(map[*stream]int) }

// note counts a frame for t's connection; nil is for nobody.
func (a *activity) note(t *tcp.Socket) {
	if a.next--; a.next > 0 && !lendAll {
		return
	}
	a.step = (a.step + 3) & 7 // not always the same of those that take turns
	a.next = sampleEvery - 3 + a.step
	if t == nil {
		return
	}
	if s, ok := t.Owner().(*stream); ok && (len(a.by) < maxActive || a.by[s] > 0) {
		a.by[s]++
	}
}

func (a *activity) forget(s *stream) { delete(a.by, s) }

// balance is what the main loop knows of loads.
type balance struct {
	seen    activity
	busy    time.Duration // in turns, since
	since   time.Duration
	resting map[*stream]time.Duration // stay where they are until then
	bytes   uint64                    // on the main loop's queue until since
	uptime  int                       // for hostlink.IdleTime; -1: not to be had
	idle    struct {
		since, was time.Duration // when it was looked at, and what it was; 0: loops are not crowded
		spare      float64       // processors that were idle then
		known      bool
	}
	notBefore time.Duration // small messages are lent from then on
	turnTo    int           // the shard that is next for lendAll
}

func (b *balance) init(now time.Duration) {
	b.seen.init()
	b.since, b.uptime = now, -1
	b.resting = make(map[*stream]time.Duration)
}

// rest has s stay where it is for d.
func (x *shards) rest(s *stream, d time.Duration) {
	if !lendAll {
		x.resting[s] = x.eng.now + d
	}
}

// strained reports, about once in balanceEvery, that the shard has connections that
// others might serve better.
func (sh *shard) strained() bool {
	since := time.Duration(sh.busy.Load() - sh.told)
	if since < balanceEvery || len(sh.seen.by) < 2 {
		return false
	}
	sh.told += int64(since)
	for s, n := range sh.seen.by { // what was long ago counts less
		if sh.seen.by[s] = n / 2; n < 2 {
			delete(sh.seen.by, s)
		}
	}
	return true
}

// turned ends a turn of the main loop that began at e.now.
func (x *shards) turned(now time.Duration) {
	x.busy += now - x.eng.now
	if lendAll {
		x.spread()
		return
	}
	if now-x.since >= balanceEvery {
		x.compare(now)
	}
}

// spread is what lendAll asks for.
func (x *shards) spread() {
	for s := range x.seen.by {
		if x.lend(s, x.list[x.turnTo]) {
			x.turnTo = (x.turnTo + 1) % len(x.list)
		}
	}
	clear(x.seen.by)
}

// compare looks at the loads since the last time and moves connections.
func (x *shards) compare(now time.Duration) {
	took := float64(now - x.since)
	loads := make([]float64, 0, 64)
	bulk := make([]bool, 0, 64)
	sum := func(s hostlink.LinkStats) uint64 { return s.RxBytes + s.TxBytes }
	all := sum(x.eng.ports[0].Stats())
	loads = append(loads, float64(x.busy)/took) // of the main loop first
	bulk = append(bulk, float64(all-x.bytes) >= bulky*x.busy.Seconds())
	x.bytes = all
	for _, sh := range x.list {
		busy, all := sh.busy.Load(), sh.bytes.Load()
		loads = append(loads, float64(busy-sh.last)/took)
		bulk = append(bulk, float64(all-sh.lastBytes) >= bulky*time.Duration(busy-sh.last).Seconds())
		sh.last, sh.lastBytes = busy, all
	}
	x.busy, x.since = 0, now
	for s, until := range x.resting {
		if until <= now {
			delete(x.resting, s)
		}
	}
	from := slices.Index(loads, slices.Max(loads))
	switch {
	case loads[from] < crowded:
		x.idle.since, x.idle.known = 0, false
	case bulk[from]:
		x.relieve(from, loads, now)
	default:
		x.judge(now)
		switch {
		case !x.idle.known:
		case x.idle.spare < none:
			x.gatherIn(bulk, now)
		case x.idle.spare >= sparing && now >= x.notBefore:
			x.relieve(from, loads, now)
		}
	}
	clear(x.seen.by)
}

// judge finds out how many processors are idle while loops are crowded.
func (x *shards) judge(now time.Duration) {
	i := &x.idle
	took := now - i.since
	if i.since != 0 && took < idleFor {
		return
	}
	idle, ok := hostlink.IdleTime(x.uptime)
	if i.since != 0 {
		i.spare, i.known = float64(idle-i.was)/float64(took), true
		if !ok {
			i.spare = sparing // nobody says no
		}
	}
	i.since, i.was = now, idle
}

// gatherIn fetches everybody from shards whose traffic is small messages.
func (x *shards) gatherIn(bulk []bool, now time.Duration) {
	for i, sh := range x.list {
		if bulk[i+1] || sh.eng.stack.TCP().Guests() == 0 {
			continue
		}
		x.notBefore = now + regret
		x.fetchFrom(sh)
	}
}

// relieve moves connections away from loop number from.
func (x *shards) relieve(from int, loads []float64, now time.Duration) {
	for _, m := range x.busiest(from) {
		if _, stays := x.resting[m.s]; stays || from == 0 && m.s.tcp.Segments() < lasting {
			continue
		}
		share := loads[from] * m.part
		to := slices.Index(loads, slices.Min(loads))
		if loads[to]+share > loads[from]-worthwhile {
			continue
		}
		if !x.move(m.s, from, to) {
			continue
		}
		x.resting[m.s] = now + settled
		loads[from] -= share
		loads[to] += share
	}
}

// move takes s from one loop to another; 0 is the main loop.
func (x *shards) move(s *stream, from, to int) bool {
	if from > 0 {
		if s.eng != x.list[from-1].eng {
			return false
		}
		x.fetch(s)
	}
	return to == 0 || x.lend(s, x.list[to-1])
}

// A mover is a connection and its part of a loop's work, 0 to 1.
type mover struct {
	s    *stream
	part float64
}

// busiest lists who was counted at a loop, the most busy first.
func (x *shards) busiest(loop int) []mover {
	seen := &x.seen
	if loop > 0 {
		sh := x.list[loop-1]
		sh.hold()
		defer sh.release()
		seen = &sh.seen
	}
	all := 0
	for _, n := range seen.by {
		all += n
	}
	list := make([]mover, 0, len(seen.by))
	for s, n := range seen.by {
		list = append(list, mover{s, float64(n) / float64(all)})
	}
	if loop > 0 {
		clear(seen.by)
	}
	slices.SortFunc(list, func(a, b mover) int { return cmp.Compare(b.part, a.part) })
	return list
}

package tcp

import (
	"math"
	"testing"
	"time"
)

// A modelPath is the smallest network in which congestion control means
// something: senders of full segments, one line with a rate and a queue, and
// acknowledgements that always arrive. Time is virtual; nothing is random but
// what the seed decides.
type modelPath struct {
	rate  float64       // bytes per second
	rtt   time.Duration // without a queue
	queue int           // bytes that may wait, 0: any number
	mark  int           // from so many waiting bytes on segments are marked, 0: never
	loss  float64       // share of segments that the line loses whatever the queue
	lots  lots

	now   time.Duration
	free  time.Duration // when the line has sent all that waits
	flows []*modelFlow

	peak int // most bytes that waited
}

// modelSeg is a segment in flight, with its record of transmission.
type modelSeg struct {
	seq                        uint32
	sentAt, firstSent, delivAt time.Duration
	delivered, lost            uint64
	inFlight                   uint32
	acked, gone, marked        bool
	ackAt                      time.Duration
}

// modelFlow is a sender with SACK and a loss detection that never errs: a
// segment is lost when one that was sent three segments later has arrived.
type modelFlow struct {
	p    *modelPath
	a    congestion
	w    ccWindow
	mss  uint32
	segs []modelSeg // in flight, by time of transmission

	nxt, una                  uint32
	highest                   uint32
	inFlight                  uint32
	delivered, lostBytes      uint64
	firstSent, delivAt        time.Duration
	departAt                  time.Duration
	srtt                      time.Duration
	recovering                bool
	recover                   uint32
	marked                    uint32 // ECE was seen: next reaction after this
	losses, reductions, marks int
	from                      time.Duration
	on                        func(*ccSignal)
}

const modelMSS = 1000

func (p *modelPath) flow(name string) *modelFlow {
	f := &modelFlow{p: p, a: newCongestion(name), mss: modelMSS, srtt: p.rtt, from: p.now}
	f.w = ccWindow{cwnd: 10 * modelMSS, ssthresh: maxCwnd}
	p.flows = append(p.flows, f)
	s := f.signal()
	s.seed = uint64(len(p.flows))
	f.a.start(&f.w, s)
	return f
}

func (f *modelFlow) signal() *ccSignal {
	return &ccSignal{
		now: f.p.now, srtt: f.srtt, una: f.una, nxt: f.nxt, mss: f.mss, burst: f.mss,
		flight: f.nxt - f.una, delivered: f.delivered, sack: true,
	}
}

// sendable is when the flow may send, or never.
func (f *modelFlow) sendable() time.Duration {
	if f.inFlight+f.mss > f.w.cwnd {
		return bbrNoTime
	}
	if f.w.pacing == 0 {
		return max(f.p.now, f.from)
	}
	return max(f.p.now, f.departAt, f.from)
}

func (f *modelFlow) send() {
	p := f.p
	if f.inFlight == 0 {
		f.firstSent, f.delivAt = p.now, p.now
	}
	f.inFlight += f.mss
	s := modelSeg{
		seq: f.nxt, sentAt: p.now, firstSent: f.firstSent, delivAt: f.delivAt,
		delivered: f.delivered, lost: f.lostBytes, inFlight: f.inFlight,
	}
	f.nxt += f.mss
	if f.w.pacing != 0 {
		f.departAt = max(f.departAt, p.now) + time.Duration(float64(f.mss)/float64(f.w.pacing)*1e9)
	}
	start := max(p.free, p.now)
	waiting := int((start - p.now).Seconds() * p.rate)
	p.peak = max(p.peak, waiting)
	switch {
	case p.queue > 0 && waiting+int(f.mss) > p.queue, p.loss > 0 && p.lots.share() < p.loss:
		s.gone = true
		s.ackAt = bbrNoTime
	default:
		s.marked = p.mark > 0 && waiting >= p.mark
		p.free = start + time.Duration(float64(f.mss)/p.rate*1e9)
		s.ackAt = p.free + p.rtt
	}
	f.segs = append(f.segs, s)
}

// next is the instant of the next acknowledgement and its place.
func (f *modelFlow) next() (time.Duration, int) {
	for i := range f.segs {
		if !f.segs[i].gone { // the line keeps the order
			return f.segs[i].ackAt, i
		}
	}
	return bbrNoTime, -1
}

// arrive handles the acknowledgement of the i-th segment.
func (f *modelFlow) arrive(i int) {
	p := f.p
	g := f.segs[i]
	f.delivered += uint64(f.mss)
	f.delivAt, f.firstSent = p.now, g.sentAt
	f.inFlight -= f.mss
	f.highest = max(f.highest, g.seq)
	f.segs[i].acked = true
	before := f.lostBytes
	// What was sent three segments earlier and lost is found out now.
	kept := f.segs[:0]
	for _, x := range f.segs {
		switch {
		case x.acked:
		case x.gone && f.highest >= x.seq+3*f.mss:
			f.inFlight -= f.mss
			f.lostBytes += uint64(f.mss)
			f.losses++
			if f.a.info().wantsLost {
				s := f.signal()
				s.una, s.nxt = x.seq, x.seq+f.mss
				s.rate = rateSample{
					priorDelivered: x.delivered, priorInFlight: x.inFlight, lost: f.lostBytes - x.lost, newlyLost: f.mss,
				}
				f.a.lost(&f.w, s)
			}
			if !f.recovering {
				f.recovering, f.recover = true, f.nxt
				f.reductions++
				f.a.loss(&f.w, f.signal())
			}
		default:
			kept = append(kept, x)
		}
	}
	f.segs = kept
	f.una = f.nxt
	if len(kept) > 0 {
		f.una = kept[0].seq
	}
	was := f.recovering
	if was && f.una >= f.recover {
		f.recovering = false
		f.a.recovered(&f.w, f.signal())
	}
	rtt := p.now - g.sentAt
	f.srtt += (rtt - f.srtt) / 8
	s := f.signal()
	s.acked, s.recovering = f.mss, was
	s.limited = f.inFlight+2*f.mss > f.w.cwnd
	s.rate = rateSample{
		priorDelivered: g.delivered, delivered: f.delivered - g.delivered, lost: f.lostBytes - g.lost,
		interval: max(g.sentAt-g.firstSent, p.now-g.delivAt), rtt: rtt, priorInFlight: g.inFlight,
		newlyAcked: f.mss, newlyLost: uint32(f.lostBytes - before), inFlight: f.inFlight,
	}
	if g.marked {
		f.marks++
		s.rate.ceBytes = f.mss
		if !f.a.info().ecn && f.una >= f.marked {
			f.marked = f.nxt
			f.reductions++
			f.a.ce(&f.w, f.signal())
		}
	}
	f.a.ack(&f.w, s)
	f.w.cwnd = min(max(f.w.cwnd, f.mss), maxCwnd)
	if f.on != nil {
		f.on(s)
	}
}

// run lets d pass.
func (p *modelPath) run(d time.Duration) {
	end := p.now + d
	for {
		at, who, seg := end, -1, -1
		for i, f := range p.flows {
			if t, k := f.next(); t < at {
				at, who, seg = t, i, k
			}
		}
		for i, f := range p.flows {
			if t := f.sendable(); t < at {
				at, who, seg = t, i, -1
			}
		}
		if who < 0 {
			p.now = end
			return
		}
		p.now = at
		if f := p.flows[who]; seg >= 0 {
			f.arrive(seg)
		} else {
			f.send()
		}
	}
}

// share runs the path for d and returns what each flow got of the line.
func (p *modelPath) share(d time.Duration) []float64 {
	var before []uint64
	for _, f := range p.flows {
		before = append(before, f.delivered)
	}
	p.run(d)
	var got []float64
	for i, f := range p.flows {
		got = append(got, float64(f.delivered-before[i])/(p.rate*d.Seconds()))
	}
	return got
}

// jain is Jain's index of fairness: one when all get the same.
func jain(x []float64) float64 {
	var sum, squares float64
	for _, v := range x {
		sum += v
		squares += v * v
	}
	return sum * sum / (float64(len(x)) * squares)
}

// newModel is a path of mbit megabits per second with a queue of bdps times what
// it holds.
func newModel(mbit float64, rtt time.Duration, bdps float64) *modelPath {
	rate := mbit * 1e6 / 8
	return &modelPath{now: time.Hour, rate: rate, rtt: rtt, queue: int(math.Ceil(rate * rtt.Seconds() * bdps)), lots: 1}
}

// TestAlgorithmsFillTheLine has each algorithm alone on a path with a queue as
// large as what the path holds: it must find the rate and keep it.
func TestAlgorithmsFillTheLine(t *testing.T) {
	t.Parallel()
	for _, i := range congestions {
		p := newModel(20, 40*time.Millisecond, 1)
		f := p.flow(i.name)
		p.run(15 * time.Second)
		got := p.share(15 * time.Second)[0]
		t.Logf("%s: %.3f of the line, %d losses, queue up to %d of %d", i.name, got, f.losses, p.peak, p.queue)
		if got < 0.85 || got > 1.001 {
			t.Errorf("%s: %.3f of the line", i.name, got)
		}
	}
}

// TestTwoFlowsShare has two flows of one kind, the second ten seconds later.
func TestTwoFlowsShare(t *testing.T) {
	t.Parallel()
	for _, i := range congestions {
		p := newModel(20, 40*time.Millisecond, 1)
		p.flow(i.name)
		p.run(10 * time.Second)
		p.flow(i.name)
		p.run(60 * time.Second)
		got := p.share(60 * time.Second)
		t.Logf("%s: %.3f and %.3f, Jain %.3f", i.name, got[0], got[1], jain(got))
		if jain(got) < 0.85 || got[0]+got[1] < 0.8 {
			t.Errorf("%s: %.3f and %.3f", i.name, got[0], got[1])
		}
	}
}

package tcp

import (
	"strconv"
	"testing"
	"time"
)

// A ride drives an algorithm as a connection with an ideal path would: every
// round trip acknowledges one window, in steps of two segments.
type ride struct {
	a   congestion
	w   ccWindow
	s   ccSignal
	una uint32
	now time.Duration
}

const rideMSS = 1000

// newRide starts the algorithm of that name with a window of segs segments and
// a threshold of ssthresh segments, 0: none.
func newRide(name string, segs, ssthresh uint32) *ride {
	r := &ride{a: newCongestion(name), now: time.Hour}
	r.w = ccWindow{cwnd: segs * rideMSS, ssthresh: maxCwnd}
	if ssthresh != 0 {
		r.w.ssthresh = ssthresh * rideMSS
	}
	r.a.start(&r.w, r.signal())
	return r
}

// signal is the state of the path with the window full.
func (r *ride) signal() *ccSignal {
	r.s = ccSignal{
		now: r.now, mss: rideMSS, burst: rideMSS, srtt: r.s.srtt, limited: true, sack: true,
		una: r.una, nxt: r.una + r.w.cwnd, flight: r.w.cwnd,
	}
	return &r.s
}

// rounds lets n round trips of rtt pass.
func (r *ride) rounds(n int, rtt time.Duration) {
	for range n {
		r.s.srtt = rtt
		for left := r.w.cwnd; left > 0; {
			acked := min(left, 2*rideMSS)
			left -= acked
			r.una += acked
			s := r.signal()
			s.acked, s.rate = acked, rateSample{newlyAcked: acked, rtt: rtt}
			r.a.ack(&r.w, s)
		}
		r.now += rtt
	}
}

// loss reduces the window, and ends recovery at once.
func (r *ride) loss() {
	r.a.loss(&r.w, r.signal())
	r.a.recovered(&r.w, r.signal())
}

// segs is the window in segments.
func (r *ride) segs() float64 { return float64(r.w.cwnd) / rideMSS }

func TestSlowStartDoubles(t *testing.T) {
	for _, name := range []string{"cubic", "reno"} {
		r := newRide(name, 10, 0)
		if r.rounds(3, 100*time.Millisecond); r.w.cwnd != 80_000 {
			t.Errorf("%s: %d after three round trips", name, r.w.cwnd)
		}
	}
}

// TestSlowStartLimit is RFC 3465 section 2.3 and RFC 9406 section 4.2.
func TestSlowStartLimit(t *testing.T) {
	for _, c := range []struct {
		what string
		s    ccSignal
		want uint32
	}{
		{"acknowledgements were lost", ccSignal{acked: 20_000, mss: 1000, burst: 1000}, 8000},
		{"one for what was sent at once", ccSignal{acked: 20_000, mss: 1000, burst: 16_000}, 16_000},
		{"less than the limit", ccSignal{acked: 2000, mss: 1000, burst: 1000}, 2000},
		{"after a timeout", ccSignal{acked: 20_000, mss: 1000, burst: 16_000, afterLoss: true}, 1000},
		{"paced", ccSignal{acked: 20_000, mss: 1000, burst: 1000, paced: true}, 20_000},
	} {
		if got := new(ccWindow).growth(&c.s); got != c.want {
			t.Errorf("%s: %d, want %d", c.what, got, c.want)
		}
	}
}

func TestReduction(t *testing.T) {
	for _, c := range []struct {
		name   string
		reduce func(congestion, *ccWindow, *ccSignal)
		want   uint32
		why    string
	}{
		{"reno", congestion.loss, 30_000, "half the flight"},
		{"reno", congestion.ce, 48_000, "RFC 8511"},
		{"cubic", congestion.loss, 70_000, "0.7 of the window"},
		{"cubic", congestion.ce, 70_000, "0.7 of the window"},
	} {
		w := ccWindow{cwnd: 100_000, ssthresh: maxCwnd}
		c.reduce(newCongestion(c.name), &w, &ccSignal{mss: 1000, flight: 60_000})
		if w.ssthresh != c.want || w.cwnd != c.want {
			t.Errorf("%s: %d, want %d: %s", c.name, w.ssthresh, c.want, c.why)
		}
	}
	for _, i := range congestions {
		if i.ownWindow {
			continue
		}
		w := ccWindow{cwnd: 2000, ssthresh: maxCwnd}
		i.make().loss(&w, &ccSignal{mss: 1000, flight: 2000})
		if w.ssthresh != 2000 {
			t.Errorf("%s: %d, want two segments at least", i.name, w.ssthresh)
		}
	}
}

func TestWindowDoesNotGrowUnused(t *testing.T) {
	s := story(t, `
		from established
		write 10
		> P. seq 1 len 10
		< . seq 1 ack 11
		cwnd 14600`)
	s.step("+10s")
	s.step("write 10")
	s.step("> P. seq 11 len 10")
	s.step("cwnd 14600") // at the restart window already
}

func TestWindowRestartsAfterIdle(t *testing.T) {
	story(t, `
		from established
		write 10
		> P. seq 1 len 10
		< . seq 1 ack 11
		setcwnd 146000
		+450ms
		write 10
		> P. seq 11 len 10
		cwnd 36500`) // halved for every timeout that passed
	story(t, `
		with tcp_slow_start_after_idle=0
		from established
		write 10
		> P. seq 1 len 10
		< . seq 1 ack 11
		setcwnd 146000
		+450ms
		write 10
		> P. seq 11 len 10
		cwnd 146000`)
}

func TestRTOEstimator(t *testing.T) {
	s := story(t, "from established")
	c := s.s.conn
	c.srtt, c.rttvar = 0, 0
	c.rttSample(100 * time.Millisecond)
	if c.srtt != 100*time.Millisecond || c.rttvar != 50*time.Millisecond || c.rto != 300*time.Millisecond {
		t.Errorf("first sample: %v %v %v", c.srtt, c.rttvar, c.rto) // RFC 6298 section 2.2
	}
	c.rttSample(180 * time.Millisecond)
	if c.srtt != 110*time.Millisecond || c.rttvar != 57500*time.Microsecond || c.rto != 340*time.Millisecond {
		t.Errorf("second sample: %v %v %v", c.srtt, c.rttvar, c.rto) // section 2.3
	}
	for range 1000 {
		c.rttSample(time.Millisecond)
	}
	if c.rto > 202*time.Millisecond || c.rto < 200*time.Millisecond {
		t.Errorf("floor: %v", c.rto)
	}
	c.backoff = 200
	if c.currentRTO() != 120*time.Second {
		t.Errorf("ceiling: %v", c.currentRTO())
	}
}

// TestMarksReduceTheConnection: what ECE in an acknowledgement leads to, once for
// a window; RFC 8511 has reno keep 0.8 of it.
func TestMarksReduceTheConnection(t *testing.T) {
	for _, i := range congestions {
		s := story(t, "from established")
		c := s.s.conn
		c.s.opts.Congestion = i.name
		c.switchCongestion()
		s.steps("write 14600", "skip")
		c.reduceForMarks(c.now())
		switch {
		case i == &newRenoInfo && (c.cwnd != 11_680 || c.ssthresh != 11_680):
			t.Errorf("reno: cwnd %d, ssthresh %d", c.cwnd, c.ssthresh)
		case !i.ownWindow && (c.cwnd > 11_680 || c.cwnd < 7300):
			t.Errorf("%s: cwnd %d", i.name, c.cwnd)
		case i == &bbrInfo && !c.cc.(*bbr).fullBWReached:
			t.Error("bbr: Startup goes on")
		}
	}
}

// TestSignalShowsTheConnection: the view that algorithms have of it.
func TestSignalShowsTheConnection(t *testing.T) {
	for from, sack := range map[string]bool{"established": false, "sack": true} {
		s := story(t, `
			from `+from+`
			write 14600
			skip
			+10ms
			< . seq 1 ack 2921
			skip`)
		c := s.s.conn
		now := c.now()
		got := *c.signal(now)
		want := ccSignal{
			now: now, srtt: c.srtt, una: c.sndUna, nxt: c.sndNxt, flight: c.sndNxt - c.sndUna,
			mss: 1460, burst: c.burst(), sack: sack, delivered: 2920,
		}
		if got != want || got.flight == 0 || got.burst < 1460 {
			t.Errorf("%s: %+v, want %+v", from, got, want)
		}
		if c.pacing = 1 << 20; !c.signal(now).paced {
			t.Error("a paced connection is not told to be")
		}
	}
}

// TestSameAlgorithmGoesOn: naming the algorithm that runs does not start it anew.
func TestSameAlgorithmGoesOn(t *testing.T) {
	c := story(t, "from established").s.conn
	before := c.cc
	c.switchCongestion()
	if c.cc != before {
		t.Error("cubic was started anew")
	}
	c.s.opts.Congestion = "luck"
	if c.switchCongestion(); c.cc != before {
		t.Error("an unknown name changed the algorithm")
	}
}

// TestRecoveryEndsWithoutThreshold: nothing was reduced, as an algorithm took over
// that never had a loss.
func TestRecoveryEndsWithoutThreshold(t *testing.T) {
	w := ccWindow{cwnd: 20_000, ssthresh: maxCwnd}
	if (ccBase{}).recovered(&w, &ccSignal{mss: 1000}); w.cwnd != 20_000 {
		t.Error(w.cwnd)
	}
	w.ssthresh = 10_000
	for _, s := range []ccSignal{{afterLoss: true}, {undone: true}} {
		if (ccBase{}).recovered(&w, &s); w.cwnd != 20_000 {
			t.Errorf("%+v: %d", s, w.cwnd)
		}
	}
	if (ccBase{}).recovered(&w, &ccSignal{mss: 1000}); w.cwnd != 10_000 {
		t.Error(w.cwnd)
	}
}

// TestSlowStartEndsAtTheThreshold: RFC 5681 section 3.1, what an acknowledgement
// has beyond the threshold is for congestion avoidance.
func TestSlowStartEndsAtTheThreshold(t *testing.T) {
	for _, c := range []struct{ cwnd, acked, want, left uint32 }{
		{2000, 7000, 9000, 0}, {2000, 8000, 10_000, 0}, {2000, 20_000, 10_000, 12_000}, {9000, 2000, 10_000, 1000},
		{10_000, 2000, 10_000, 2000},
	} {
		w := ccWindow{cwnd: c.cwnd, ssthresh: 10_000}
		if left := w.climb(&ccSignal{acked: c.acked, mss: 1000, burst: 1000}); w.cwnd != c.want || left != c.left {
			t.Errorf("%+v: %d, %d left", c, w.cwnd, left)
		}
	}
}

// TestNewRenoStaysInBounds: a window without meaning is not reached.
func TestNewRenoStaysInBounds(t *testing.T) {
	w := ccWindow{cwnd: maxCwnd, ssthresh: 1000}
	new(newReno).avoid(&w, &ccSignal{mss: 1000}, maxCwnd)
	if w.cwnd != maxCwnd {
		t.Error(w.cwnd)
	}
}

// A witness is an algorithm that notes what it is told.
type witness struct {
	newReno
	acks, restarts []ccSignal
	restrain       bool // says that what is sent tells nothing
	own            bool
}

func (a *witness) info() *ccInfo { return &ccInfo{name: "witness", ownWindow: a.own} }

func (a *witness) ack(w *ccWindow, s *ccSignal) {
	a.acks = append(a.acks, *s)
	w.restrained = a.restrain
}

func (a *witness) restart(_ *ccWindow, s *ccSignal) { a.restarts = append(a.restarts, *s) }

// TestAlgorithmIsToldOfDeliveries: of everything that acknowledges or delivers, in
// order or not, and of nothing else.
func TestAlgorithmIsToldOfDeliveries(t *testing.T) {
	a := new(witness)
	s := story(t, `
		from sack
		write 7300
		skip`)
	s.s.conn.cc = a
	for _, c := range []struct {
		line            string
		told            bool
		acked, delivers uint32
	}{
		{"< . seq 1 ack 1 win 60000", false, 0, 0},
		{"< . seq 1 ack 1 sack 1461-2921", true, 0, 1460},
		{"< . seq 1 ack 1 sack 1461-2921", false, 0, 0},
		{"< . seq 1 ack 1461 sack 1461-2921", true, 1460, 1460},
		{"< . seq 1 ack 2921", true, 1460, 0}, // delivered before
		{"< . seq 1 ack 7301", true, 4380, 4380},
	} {
		a.acks = nil
		s.step(c.line)
		if len(a.acks) > 1 || (len(a.acks) == 1) != c.told {
			t.Fatalf("%s: told %d times", c.line, len(a.acks))
		}
		if c.told && (a.acks[0].acked != c.acked || a.acks[0].rate.newlyAcked != c.delivers) {
			t.Errorf("%s: %d acknowledged, %d delivered", c.line, a.acks[0].acked, a.acks[0].rate.newlyAcked)
		}
		s.step("skip")
	}
}

// TestRestraintIsForOneAcknowledgement: draft-ietf-ccwg-bbr section 5.3.4.3, what
// is in flight while the algorithm holds back tells nothing of the path.
func TestRestraintIsForOneAcknowledgement(t *testing.T) {
	a := &witness{restrain: true}
	s := story(t, `
		from established
		write 14600
		skip`)
	c := s.s.conn
	c.cc = a
	s.step("< . seq 1 ack 1461")
	if want := c.delivered + uint64(c.pipe()); c.restrained || c.appLimited != want {
		t.Errorf("restrained %v, limited up to %d, want %d", c.restrained, c.appLimited, want)
	}
}

// TestRestIsLongerThanATimeout: RFC 5681 section 4.1. An algorithm that owns its
// window is told of every rest, and whether the program was what limited it.
func TestRestIsLongerThanATimeout(t *testing.T) {
	for _, own := range []bool{false, true} {
		a := &witness{own: own}
		s := story(t, `
			from established
			write 10
			> P. seq 1 len 10
			< . seq 1 ack 11`)
		c := s.s.conn
		c.cc = a
		rto := c.rto
		for _, c := range []struct {
			rest time.Duration
			told bool
		}{{rto - 1, own}, {rto, own}, {rto + 1, true}} {
			a.restarts = nil
			conn := s.s.conn
			conn.lastSend = conn.now() - c.rest
			conn.rto = rto
			s.steps("write 10", "skip")
			if got := len(a.restarts) > 0; got != c.told {
				t.Errorf("own window %v, after %v of %v: told %v", own, c.rest, rto, got)
			}
			if len(a.restarts) > 0 && (a.restarts[0].idle != c.rest || !a.restarts[0].rate.appLimited) {
				t.Errorf("told of %v, limited by the program %v", a.restarts[0].idle, a.restarts[0].rate.appLimited)
			}
			s.step("< . seq 1 ack " + strconv.Itoa(int(conn.sndNxt-conn.iss)))
		}
	}
}

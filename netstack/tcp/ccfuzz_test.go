package tcp

import (
	"testing"
	"time"
)

// FuzzCongestion feeds algorithms with events in any order and with any numbers
// that a connection could have, and wants windows and rates that make sense.
func FuzzCongestion(f *testing.F) {
	f.Add(uint8(0), []byte{0, 10, 3, 0, 10, 3, 1, 0, 0, 0, 10, 3, 3, 0, 0})
	f.Add(uint8(2), []byte{0, 200, 9, 2, 40, 1, 1, 0, 0, 0, 10, 3, 5, 0, 0, 7, 255, 255, 0, 1, 1})
	f.Add(uint8(6), []byte{0, 10, 1, 0, 10, 9, 0, 10, 30, 4, 0, 0, 6, 0, 0, 8, 0, 0, 3, 9, 9})
	f.Fuzz(func(t *testing.T, which uint8, script []byte) {
		i := congestions[int(which)%len(congestions)]
		const mss = 1448
		a, w := i.make(), &ccWindow{cwnd: 10 * mss, ssthresh: maxCwnd}
		s := ccSignal{now: time.Hour, mss: mss, burst: mss, seed: uint64(which), nxt: 10 * mss, sack: which&64 == 0}
		a.start(w, &s)
		prior := *w
		var delivered, lost uint64
		for ; len(script) >= 3; script = script[3:] {
			op, x, y := script[0], uint32(script[1]), uint32(script[2])
			s.now += time.Duration(y*y) * 10 * time.Microsecond
			s.flight = min(w.cwnd, x*x*mss)
			s.nxt = s.una + s.flight
			s.srtt = time.Duration(y) * time.Millisecond
			s.acked, s.delivered = 0, delivered
			s.limited, s.recovering, s.afterLoss = op&16 == 0, op&32 != 0, op&64 != 0
			s.rate = rateSample{}
			switch op % 9 {
			case 0, 7, 8:
				s.acked = min(s.flight, x*mss)
				s.una += s.acked
				delivered += uint64(s.acked)
				s.delivered = delivered
				s.rate = rateSample{
					priorDelivered: delivered - min(delivered, uint64(x)*uint64(y)*mss),
					lost:           min(lost, uint64(y)*mss), interval: time.Duration(x) * time.Millisecond,
					rtt: time.Duration(y) * 100 * time.Microsecond, priorInFlight: s.flight, appLimited: op&128 != 0,
					newlyAcked: s.acked, inFlight: s.flight - s.acked, ceBytes: s.acked * (x & 1),
				}
				s.rate.delivered = delivered - s.rate.priorDelivered
				a.ack(w, &s)
			case 1:
				prior = *w
				a.loss(w, &s)
			case 2:
				lost += uint64(x) * mss
				s.rate = rateSample{priorInFlight: s.flight, lost: uint64(x) * mss, newlyLost: y * mss, appLimited: op&128 != 0}
				a.lost(w, &s)
			case 3:
				prior = *w
				s.again = x&1 != 0
				a.timeout(w, &s)
			case 4:
				s.undone = x&1 != 0
				a.recovered(w, &s)
			case 5:
				s.priorCwnd, s.priorSsthresh = prior.cwnd, prior.ssthresh
				a.undo(w, &s)
			case 6:
				if x&1 == 0 {
					prior = *w
					a.ce(w, &s)
				} else {
					s.idle = time.Duration(y) * time.Second
					s.rate.appLimited = y&1 != 0
					s.now += s.idle
					a.restart(w, &s)
				}
			}
			if w.cwnd > maxCwnd+255*mss || w.ssthresh > maxCwnd || w.ssthresh < mss {
				t.Fatalf("%s: cwnd %d, ssthresh %d", i.name, w.cwnd, w.ssthresh)
			}
			w.cwnd = min(max(w.cwnd, mss), maxCwnd) // conn.clampCwnd
			if i.pacing && (w.pacing == 0 || w.quantum < 2*mss || w.quantum > bbrMaxQuantum) {
				t.Fatalf("%s: pacing %d, quantum %d", i.name, w.pacing, w.quantum)
			}
			if !i.pacing && w.pacing != 0 {
				t.Fatalf("%s paces", i.name)
			}
		}
	})
}

package sim

import "time"

// A Fate is what a line does to one packet.
type Fate struct {
	Carried bool          // false: it is lost
	At      time.Duration // when it arrives
	Again   time.Duration // when a copy arrives, 0: there is none
	Flip    byte          // the bits that change in one byte, 0: none
	Where   uint64        // that byte is this one, counted modulo the length
}

// NewLine returns a line of no world. Whoever carries its packets, in whatever
// time, asks Pass about each; MTU, TooBig and Boxes mean nothing to it.
func NewLine(way Way, seed uint64) *Line { return &Line{Way: way, rng: &Rand{state: seed}} }

// Pass decides about a packet of size bytes that comes to the line at now, which
// does not go back, and may mark tos with CE.
func (l *Line) Pass(now time.Duration, size int, tos *uint8) Fate {
	if l.loses() {
		l.Stats.Lost++
		return Fate{}
	}
	at, ok := l.enqueue(now, size, tos)
	if !ok {
		l.Stats.Full++
		return Fate{}
	}
	l.Stats.Carried++
	l.Stats.Bytes += uint64(size)
	at += l.Delay
	if l.Jitter > 0 {
		at += time.Duration(l.rng.Intn(int(l.Jitter)))
	}
	if l.rng.Chance(l.Reorder) {
		at += time.Duration(l.rng.Intn(int(max(4*l.Delay, time.Millisecond))))
	}
	f := Fate{Carried: true, At: at}
	if l.Corrupt > 0 && l.rng.Chance(l.Corrupt) {
		f.Where, f.Flip = l.rng.Uint64(), byte(1+l.rng.Intn(255))
	}
	if l.rng.Chance(l.Duplicate) {
		f.Again = at + time.Duration(l.rng.Intn(int(time.Millisecond)))
	}
	return f
}

package tcp

import "time"

// A span is the least and the greatest of some round trips; zero is of none.
type span struct{ least, most time.Duration }

func (p *span) add(rtt time.Duration) {
	if p.least == 0 {
		p.least = rtt
	}
	p.least, p.most = min(p.least, rtt), max(p.most, rtt)
}

// trips are the round trips that algorithms compare which look at delay: those of
// the round that is under way, and those of the connection.
type trips struct {
	rounds
	this, ever span
	count      uint8 // in this; 255 stands for more, too
}

// sample takes the round trip of an acknowledgement; 0 is none.
func (t *trips) sample(rtt time.Duration) {
	if rtt <= 0 {
		return
	}
	t.this.add(rtt)
	t.ever.add(rtt)
	t.count = min(t.count, 254) + 1
}

// clear begins to look afresh.
func (t *trips) clear() { t.this, t.count = span{}, 0 }

// restart forgets the round, to which retransmissions belong, and begins another.
func (t *trips) restart(s *ccSignal) {
	t.rounds = rounds{}
	t.next(s)
	t.clear()
}

package tcp

import (
	"testing"
	"time"
)

// TestChallengesOfASecond: RFC 5961 section 7. Each second has a bound of its own,
// drawn so that nobody can count another's challenges, and the mean is the
// tunable's.
func TestChallengesOfASecond(t *testing.T) {
	for _, c := range []struct {
		limit       string
		least, most int
		sum         int // of 1000 seconds
	}{{"1", 0, 1, 500}, {"100", 50, 150, 100000}} {
		s := newScript(t, map[string]string{"tcp_challenge_ack_limit": c.limit})
		least, most, sum := 1<<30, 0, 0
		for range 1000 {
			n := 0
			for s.l.mayChallenge() {
				n++
			}
			least, most, sum = min(least, n), max(most, n), sum+n
			s.n.now += time.Second
		}
		if least < c.least || most > c.most || least == most || sum < c.sum*9/10 || sum > c.sum*11/10 {
			t.Errorf("limit %s: from %d to %d, %d in 1000 seconds", c.limit, least, most, sum)
		}
	}
}

package hostlink

import (
	"math"
	"math/bits"
	"time"
)

// A Rate is a limit on one direction of a link, by the token bucket of RFC 2697
// section 3 with one rate and one burst: bytes of Ethernet frames count, as the
// wire carries them.
type Rate struct {
	BitsPerSecond uint64 // 0: no limit
	Burst         uint64 // bits that may go at once after a silence; 0: DefaultBurst
}

// Limits of what waits in one direction, in bytes. What comes at the rate within
// queueTime may wait, at least what a sender puts out in one go, and no more than
// what a sandbox is worth in memory.
const (
	minQueue  = 96 << 10
	maxQueue  = 16 << 20
	queueTime = 50 * time.Millisecond
)

// DefaultBurst is the burst of a rate without one, in bits: what comes in 20 ms,
// at least 16 KiB.
func (r Rate) DefaultBurst() uint64 {
	return max(r.BitsPerSecond/50, 8*16<<10)
}

// A bucket keeps a Rate. It counts in time: a frame costs what the line would be
// busy with it, and a full bucket is worth full.
type bucket struct {
	rate uint64        // bits per second, 0: no limit
	full time.Duration // what the burst costs
	at   time.Duration // when the bucket is full again
}

func newBucket(r Rate) bucket {
	b := bucket{rate: r.BitsPerSecond}
	if b.rate != 0 {
		if r.Burst == 0 {
			r.Burst = r.DefaultBurst()
		}
		b.full = b.costOfBits(r.Burst)
	}
	return b
}

// maxCost bounds what one frame or burst may cost, so that instants do not
// overflow: a century.
const maxCost = 100 * 365 * 24 * time.Hour

// costOfBits is the time that the line takes for n bits, rounded up.
func (b *bucket) costOfBits(n uint64) time.Duration {
	hi, lo := bits.Mul64(n, uint64(time.Second))
	if hi >= b.rate {
		return maxCost
	}
	cost, rest := bits.Div64(hi, lo, b.rate)
	if rest != 0 {
		cost++
	}
	return time.Duration(min(cost, uint64(maxCost)))
}

func (b *bucket) cost(bytes int) time.Duration { return b.costOfBits(8 * uint64(bytes)) }

// due is when bytes may go. A frame larger than the burst goes when the bucket is
// full, and leaves a debt behind: no bucket would ever hold enough for it.
func (b *bucket) due(bytes int) time.Duration {
	if b.rate == 0 {
		return math.MinInt64
	}
	return b.at - (b.full - min(b.cost(bytes), b.full))
}

// take pays for bytes that go at the instant now.
func (b *bucket) take(bytes int, now time.Duration) {
	if b.rate != 0 {
		b.at = max(b.at, now) + b.cost(bytes)
	}
}

// holds reports whether the bucket may ever hold enough for bytes.
func (b *bucket) holds(bytes int) bool { return b.rate == 0 || b.cost(bytes) <= b.full }

// limit is how many bytes may wait.
func (b *bucket) limit() int {
	hi, lo := bits.Mul64(b.rate/8, uint64(queueTime))
	if hi >= uint64(time.Second) {
		return maxQueue
	}
	n, _ := bits.Div64(hi, lo, uint64(time.Second))
	return int(min(max(n, minQueue), maxQueue))
}

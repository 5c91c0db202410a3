package netstack

import (
	"crypto/sha256"
	"encoding/binary"
	"math/bits"
	"net/netip"
)

// rng is a generator of unpredictable numbers: SHA-256 over a secret and a
// counter. Equal seeds give equal sequences.
type rng struct {
	state [40]byte // secret, then counter
	block [sha256.Size]byte
	used  int // bytes of block that were handed out
}

func (r *rng) seed(seed [32]byte) {
	// The secret is a hash of the seed, so that no output is a hash of what the
	// driver may have logged.
	key := sha256.Sum256(append([]byte("netstack seed"), seed[:]...))
	copy(r.state[:], key[:])
	r.used = len(r.block)
}

func (r *rng) refill() {
	binary.LittleEndian.PutUint64(r.state[32:], binary.LittleEndian.Uint64(r.state[32:])+1)
	r.block = sha256.Sum256(r.state[:])
	r.used = 0
}

func (r *rng) uint32() uint32 {
	if r.used == len(r.block) {
		r.refill()
	}
	v := binary.LittleEndian.Uint32(r.block[r.used:])
	r.used += 4
	return v
}

func (r *rng) uint64() uint64 { return uint64(r.uint32())<<32 | uint64(r.uint32()) }

func (r *rng) key() (k [32]byte) {
	for i := 0; i < len(k); i += 4 {
		binary.LittleEndian.PutUint32(k[i:], r.uint32())
	}
	return k
}

// idTable gives out fragment identifications (RFC 7739 section 5.3): one
// counter per bucket of destinations, so that a peer learns nothing about what
// is sent to others, and identifications repeat late (RFC 6864 section 4.2).
type idTable struct {
	k0, k1   uint64
	counters [256]uint32
}

func (t *idTable) init(r *rng) {
	t.k0, t.k1 = r.uint64()|1, r.uint64()|1
	for i := range t.counters {
		t.counters[i] = r.uint32()
	}
}

func (t *idTable) next(src, dst netip.Addr, proto uint8) uint32 {
	s, d := src.As16(), dst.As16()
	h := t.k0 ^ uint64(proto)
	for _, w := range [...]uint64{
		binary.LittleEndian.Uint64(s[:8]), binary.LittleEndian.Uint64(s[8:]),
		binary.LittleEndian.Uint64(d[:8]), binary.LittleEndian.Uint64(d[8:]),
	} {
		hi, lo := bits.Mul64(h^w, t.k1)
		h = hi ^ lo ^ t.k0
	}
	c := &t.counters[h%uint64(len(t.counters))]
	*c++
	return *c
}

// limiter is a token bucket. Its refill is a little irregular, because a rate
// that is exact tells an outsider by its own probes how many packets others
// caused (CVE-2020-25705).
type limiter struct {
	rate   int64 // tokens per second
	burst  int64
	tokens int64
	last   int64 // nanoseconds, of the last refill
}

func (l *limiter) allow(s *Stack) bool {
	now := int64(s.now)
	if gained := (now - l.last) / (1e9 / l.rate); gained > 0 {
		l.tokens = min(l.tokens+gained, l.burst-int64(s.rng.uint32()%4))
		l.last = now
	}
	if l.tokens <= 0 {
		return false
	}
	l.tokens--
	return true
}

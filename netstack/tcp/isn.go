package tcp

// Initial sequence numbers (RFC 6528) and timestamp offsets (RFC 7323 section
// 7.1, against leaking uptime): a clock plus a keyed hash of the connection's
// identity.

import (
	"crypto/sha256"
	"encoding/binary"
	"time"
)

// isnTick is the clock of RFC 9293 section 3.4.1: one step in 4 microseconds.
const isnTick = 4 * time.Microsecond

// Domains keep the hashes for different uses apart.
const (
	hashISN       = 1
	hashTimestamp = 2
	hashListener  = 3
	hashCookie    = 4

	hashCookieBase = 5
	hashSource     = 6
	hashFastOpen   = 7
)

// keyed is the first 8 bytes of a hash over the stack's secret, the use and the
// tuple.
func (l *Layer) keyed(use byte, k *tuple) uint64 { return l.keyedWith(use, k, 0) }

// keyedWith is keyed with a number besides.
func (l *Layer) keyedWith(use byte, k *tuple, with uint64) uint64 {
	var b [32 + 1 + 36 + 8]byte
	copy(b[:], l.net.Secret()[:])
	b[32] = use
	copy(b[33:], k.local[:])
	copy(b[49:], k.remote[:])
	binary.BigEndian.PutUint16(b[65:], k.lport)
	binary.BigEndian.PutUint16(b[67:], k.rport)
	binary.BigEndian.PutUint64(b[69:], with)
	sum := sha256.Sum256(b[:])
	return binary.BigEndian.Uint64(sum[:])
}

// isn is M + F(tuple, secret) of RFC 6528 section 3. With the tunable
// isn_reseed_interval the secret is another one after each interval, so that
// what an observer has learnt grows old.
func (l *Layer) isn(k *tuple) uint32 {
	if l.tun.StrongISS < strongISS {
		return l.weakISN()
	}
	now, epoch := l.net.Now(), uint64(0)
	if every := l.tun.ISNReseedInterval; every > 0 {
		epoch = uint64(now / every)
	}
	return uint32(now/isnTick) + uint32(l.keyedWith(hashISN, k, epoch))
}

// strongISS is the value of illumos' tcp_strong_iss that is RFC 6528.
const strongISS = 2

const (
	weakSecond = 250000         // ISS_INCR of illumos: steps in a second
	weakConn   = weakSecond / 2 // and for a connection
)

// weakISN is what illumos has with the other two: a number that grows by as much
// every second and with every connection, 0, and by a random number besides, 1.
// Who has seen one connection can guess the next one's (RFC 6528 section 2). It is
// for programs that test others for that.
func (l *Layer) weakISN() uint32 {
	l.weakSum += weakConn
	n := l.weakSum + uint32(l.net.Now()/time.Second)*weakSecond
	if l.tun.StrongISS == 1 {
		l.weakSum += l.net.Rand32() % weakConn
		n = l.weakSum + uint32(l.net.Now()/time.Second)*weakSecond
	}
	return n
}

// tsOffset is what the connection adds to the clock in TSval. It depends on the
// addresses only, so that timestamps of one peer's successive connections grow
// and TIME-WAIT can be cut short by them (RFC 6191).
func (l *Layer) tsOffset(k *tuple) uint32 {
	hosts := tuple{local: k.local, remote: k.remote}
	return uint32(l.keyed(hashTimestamp, &hosts))
}

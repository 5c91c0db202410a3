package tcp

// TCP Fast Open, what both sides share: RFC 7413. A connection that takes part
// keeps its part of the state behind conn.rare.

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"

	"github.com/tcpcni/tcpcni/netstack/wire"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// Bits of the tunable tcp_fastopen, as in Linux's ip-sysctl.rst.
const (
	fastClient       = 0x1   // connections may carry data in the SYN
	fastServer       = 0x2   // listeners take it
	fastClientNoSeal = 0x4   // clients send it without a cookie
	fastServerNoSeal = 0x200 // servers take it without one
	fastEveryone     = 0x400 // all listeners take it, with their backlog as limit
)

// fastCookieLen is the length of the cookies that we make, in bytes.
const fastCookieLen = 8

// fastSettings are a socket's.
type fastSettings struct {
	queue    int  // of a listener: how many at most wait for the handshake's end
	defers   bool // Connect waits for the first bytes if there is a cookie
	noCookie bool // without a cookie on either side
}

// fastConn is the part of a connection that uses Fast Open.
type fastConn struct {
	lst    *listener // Valid iff it counts in its queue: passive, in SYN-RECEIVED
	give   bool      // the SYN-ACK carries a cookie
	sent   bool      // the SYN-ACK went
	asks   bool      // active: the SYN asks for a cookie
	waits  bool      // active: the SYN waits for the first bytes
	cookie [wire.MaxFastOpen]byte
	size   uint8  // bytes of it
	text   uint32 // active: bytes of text in the first SYN
	most   uint16 // active: the most that may be
}

func (s *Socket) fastOpen() *fastSettings {
	if s.fast == nil {
		s.fast = new(fastSettings)
	}
	return s.fast
}

// SetFastOpen has a listener take data with SYNs, from at most n connections
// whose handshake is not complete (TCP_FASTOPEN); 0 is none. The tunable
// tcp_fastopen must allow it as well. Errors: EINVAL (n is negative, or the
// socket has a connection).
func (s *Socket) SetFastOpen(n int) error {
	if n < 0 || s.live() != nil {
		return errno.EINVAL
	}
	s.fastOpen().queue = min(n, int(s.l.tun.Somaxconn))
	return nil
}

// SetFastOpenConnect has Connect wait for the first bytes written, so that they
// leave with the SYN, when there is a cookie for the destination
// (TCP_FASTOPEN_CONNECT). Errors: EOPNOTSUPP (the tunable tcp_fastopen does not
// allow it), EINVAL (the socket has a connection, or listens).
func (s *Socket) SetFastOpenConnect(on bool) error {
	switch {
	case s.l.tun.FastOpen&fastClient == 0:
		return errno.EOPNOTSUPP
	case s.live() != nil || s.lst != nil:
		return errno.EINVAL
	}
	s.fastOpen().defers = on
	return nil
}

// SetFastOpenNoCookie has the socket use Fast Open without cookies, for peers
// that are known to do the same (TCP_FASTOPEN_NO_COOKIE). Error: EINVAL (the
// socket has a connection).
func (s *Socket) SetFastOpenNoCookie(on bool) error {
	if s.live() != nil {
		return errno.EINVAL
	}
	s.fastOpen().noCookie = on
	return nil
}

// SetFastOpenKeys sets the keys of the layer's cookies: they are made with the
// first, and the second is good for cookies from before a rotation; nil is none
// (TCP_FASTOPEN_KEY, net.ipv4.tcp_fastopen_key). Without a first key it follows
// from Network.Secret.
func (l *Layer) SetFastOpenKeys(first, second *[16]byte) {
	l.fast.keys = [2]*[16]byte{}
	for i, k := range [2]*[16]byte{first, second} {
		if k != nil {
			c := *k
			l.fast.keys[i] = &c
		}
	}
}

// fastCookie is the cookie of a pair of addresses under key i: section 4.1.2.
func (l *Layer) fastCookie(i int, k *tuple) (b [fastCookieLen]byte, ok bool) {
	key := l.fast.keys[i]
	if key == nil {
		if i != 0 {
			return b, false
		}
		hosts := tuple{local: k.local, remote: k.remote}
		binary.BigEndian.PutUint64(b[:], l.keyed(hashFastOpen, &hosts))
		return b, true
	}
	var in [16 + 1 + 32]byte
	copy(in[:], key[:])
	in[16] = hashFastOpen
	copy(in[17:], k.local[:])
	copy(in[33:], k.remote[:])
	sum := sha256.Sum256(in[:])
	copy(b[:], sum[:])
	return b, true
}

// checkFastCookie compares a cookie with those of both keys; old tells that it is
// the second's.
func (l *Layer) checkFastCookie(k *tuple, cookie []byte) (good, old bool) {
	for i := range l.fast.keys {
		if b, ok := l.fastCookie(i, k); ok && subtle.ConstantTimeCompare(b[:], cookie) == 1 {
			return true, i == 1
		}
	}
	return false, false
}

// fastOption makes the option in the layer's memory.
func (l *Layer) fastOption(cookie []byte) []byte {
	return wire.AppendOption(l.extra[:0], wire.OptFastOpen, cookie)
}

package tcp

// TCP Fast Open, what both sides share: RFC 7413. A connection that takes part
// keeps its part of the state behind conn.rare.

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"

	"github.com/tcpcni/tcpcni/netstack/wire"
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

// fastConn is the part of a connection that uses Fast Open.
type fastConn struct {
	lst    *listener // Valid iff it counts in its queue: passive, in SYN-RECEIVED
	give   bool      // the SYN-ACK carries a cookie
	sent   bool      // the SYN-ACK went
	asks   bool      // active: the SYN asks for a cookie
	waits  bool      // active: the SYN waits for the first bytes
	taken  bool      // text of the SYN was acknowledged
	cookie [wire.MaxFastOpen]byte
	size   uint8  // bytes of it
	text   uint32 // active: bytes of text in the first SYN
	most   uint16 // active: the most that may be
}

// SetFastOpenKeys sets the keys of the layer's cookies: they are made with the
// first, and the second is good for cookies from before a rotation; nil is none
// (net.ipv4.tcp_fastopen_key). Without a first key it follows from
// Network.Secret. A listener may have keys of its own (TCP_FASTOPEN_KEY).
func (l *Layer) SetFastOpenKeys(first, second *[16]byte) {
	l.fast.keys = [2]*[16]byte{}
	for i, k := range [2]*[16]byte{first, second} {
		if k != nil {
			c := *k
			l.fast.keys[i] = &c
		}
	}
}

// takeFastOpenKeys follows the tunable.
func (l *Layer) takeFastOpenKeys() {
	var keys [2]*[16]byte
	for i := range keys {
		if b := l.tun.FastOpenKey; len(b) >= 16*(i+1) {
			keys[i] = (*[16]byte)([]byte(b[16*i:]))
		}
	}
	l.SetFastOpenKeys(keys[0], keys[1])
}

// fastKey is key i for the cookies of a listener; nil: none. own are the keys
// that its program has set.
func (l *Layer) fastKey(own string, i int) *[16]byte {
	switch at := i * len(l.fast.keys[0]); {
	case own == "":
		return l.fast.keys[i]
	case at < len(own):
		return (*[16]byte)([]byte(own[at:]))
	}
	return nil
}

// fastCookie is the cookie of a pair of addresses under key i: section 4.1.2.
func (l *Layer) fastCookie(own string, i int, k *tuple) (b [fastCookieLen]byte, ok bool) {
	key := l.fastKey(own, i)
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
func (l *Layer) checkFastCookie(own string, k *tuple, cookie []byte) (good, old bool) {
	for i := range l.fast.keys {
		if b, ok := l.fastCookie(own, i, k); ok && subtle.ConstantTimeCompare(b[:], cookie) == 1 {
			return true, i == 1
		}
	}
	return false, false
}

// fastOption makes the option in the layer's memory.
func (l *Layer) fastOption(cookie []byte) []byte {
	return wire.AppendOption(l.extra[:0], wire.OptFastOpen, cookie)
}

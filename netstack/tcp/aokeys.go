package tcp

// TCP-AO, the keys: RFC 5925 sections 3.1 (master key tuples) and 3.2 (traffic
// keys), RFC 5926 (the algorithms that MUST be there).

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/binary"
	"net/netip"
	"slices"

	"github.com/tcpcni/tcpcni/netstack/wire"
	"github.com/tcpcni/tcpcni/sockopt"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

const (
	// aoMAC is the length of the MACs of RFC 5926, bytes.
	aoMAC = 12
	// aoRoom is the option: RFC 5925 section 2.2.
	aoRoom = 4 + aoMAC
	// maxAOKey is Linux's TCP_AO_MAXKEYLEN, bytes.
	maxAOKey = 80
)

// An AOKey is a master key tuple, with an algorithm of RFC 5926.
type AOKey sockopt.AOKey

// The algorithms of RFC 5926 section 2.
const (
	AOHMACSHA1   = sockopt.AOHMACSHA1
	AOAES128CMAC = sockopt.AOAES128CMAC
)

// aoKey is an AOKey in a ring.
type aoKey struct{ AOKey }

// AddAOKey has segments to and from the peers of a prefix signed by TCP-AO. It is
// set before Connect, or on a listener, whose connections inherit it; a
// connection that is signed by TCP-AO takes further keys, to change over to.
// Errors: EINVAL (prefix, length of key, algorithm; or the connection is not
// signed by TCP-AO), EEXIST (the prefix has a key with one of these IDs), ENOMEM
// (more than MaxKeys).
func (s *Socket) AddAOKey(k AOKey) error {
	var ok bool
	if k.Peers, ok = keyPrefix(k.Peers); !ok || len(k.Key) == 0 || len(k.Key) > maxAOKey || k.Algorithm > AOAES128CMAC {
		return errno.EINVAL
	}
	c := s.live()
	if c != nil && (c.auth == nil || c.auth.ao == nil) {
		return errno.EINVAL
	}
	r := s.ring()
	if len(r.ao) >= MaxKeys {
		return errno.ENOMEM
	}
	for _, o := range r.ao {
		// RFC 5925 section 3.1: the IDs of overlapping tuples MUST NOT collide.
		if o.Peers.Overlaps(k.Peers) && (o.SendID == k.SendID || o.RecvID == k.RecvID) {
			return errno.EEXIST
		}
	}
	k.Key = slices.Clone(k.Key)
	n := &aoKey{k}
	r.ao = append(slices.Clone(r.ao), n)
	if c != nil && k.Peers.Contains(c.path.Dst.WithZone("")) {
		c.auth.ao.add(n)
	}
	return nil
}

// DeleteAOKey removes a key. Errors: ENOENT, EBUSY (a connection signs with it,
// or asks its peer to).
func (s *Socket) DeleteAOKey(peers netip.Prefix, sendID, recvID uint8) error {
	peers, _ = keyPrefix(peers)
	if s.keys == nil {
		return errno.ENOENT
	}
	same := func(k *aoKey) bool { return k.Peers == peers && k.SendID == sendID && k.RecvID == recvID }
	if c := s.live(); c != nil && c.auth != nil && c.auth.ao != nil {
		if a := c.auth.ao; same(a.current.key) || same(a.next.key) {
			return errno.EBUSY
		}
		c.auth.ao.remove(same)
	}
	list, err := removed(s.keys.ao, same)
	s.keys.ao = list
	return err
}

func (r *keyring) aoFor(peer netip.Addr) []*aoKey {
	if r == nil {
		return nil
	}
	var list []*aoKey
	for _, k := range r.ao {
		if k.Peers.Contains(peer) {
			list = append(list, k)
		}
	}
	return list
}

// An aoContext is what a traffic key is made of besides the master key: RFC 5925
// section 5.2.
type aoContext struct {
	src, dst       netip.Addr
	sport, dport   uint16
	srcISN, dstISN uint32
}

// trafficKey derives the key: RFC 5926 section 3.1.1.
func (k *AOKey) trafficKey(c *aoContext) []byte {
	var m [1 + 6 + 2*16 + 2*2 + 2*4 + 2]byte
	b := append(m[:0], 1)
	b = append(b, "TCP-AO"...)
	b = append(append(b, c.src.AsSlice()...), c.dst.AsSlice()...)
	b = binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(b, c.sport), c.dport)
	b = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(b, c.srcISN), c.dstISN)
	if k.Algorithm == AOHMACSHA1 {
		b = binary.BigEndian.AppendUint16(b, sha1.Size*8)
		d := hmac.New(sha1.New, k.Key)
		d.Write(b)
		return d.Sum(nil)
	}
	b = binary.BigEndian.AppendUint16(b, aes.BlockSize*8)
	key := k.Key
	if len(key) != aes.BlockSize {
		// Section 3.1.1.2: a key of another length is made one of this.
		sum := cmac(zeros[:], key)
		key = sum[:]
	}
	sum := cmac(key, b)
	return sum[:]
}

// mac is the signature of a message under a traffic key: RFC 5926 section 3.2.
func (k *AOKey) mac(traffic []byte, message ...[]byte) (out [aoMAC]byte) {
	if k.Algorithm == AOHMACSHA1 {
		d := hmac.New(sha1.New, traffic)
		for _, m := range message {
			d.Write(m)
		}
		copy(out[:], d.Sum(nil))
		return out
	}
	sum := cmac(traffic, message...)
	copy(out[:], sum[:])
	return out
}

// cmac is AES-CMAC: RFC 4493 section 2.4. key has 16 bytes.
func cmac(key []byte, message ...[]byte) (sum [aes.BlockSize]byte) {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic("tcp: " + err.Error()) // the length is ours
	}
	var last [aes.BlockSize]byte
	n := 0 // bytes in last
	for _, m := range message {
		for len(m) > 0 {
			if n == len(last) {
				cmacStep(block, &sum, &last)
				n = 0
			}
			k := copy(last[n:], m)
			n, m = n+k, m[k:]
		}
	}
	var sub [aes.BlockSize]byte // K1, or K2 for a last block that is not whole
	block.Encrypt(sub[:], sub[:])
	double(&sub)
	if n < len(last) {
		clear(last[n:])
		last[n] = 0x80
		double(&sub)
	}
	for i := range last {
		last[i] ^= sub[i]
	}
	cmacStep(block, &sum, &last)
	return sum
}

func cmacStep(block cipher.Block, sum, b *[aes.BlockSize]byte) {
	for i := range sum {
		sum[i] ^= b[i]
	}
	block.Encrypt(sum[:], sum[:])
}

// double multiplies by x in GF(2^128): RFC 4493 section 2.3.
func double(b *[aes.BlockSize]byte) {
	carry := b[0] >> 7
	for i := range b {
		b[i] <<= 1
		if i+1 < len(b) {
			b[i] |= b[i+1] >> 7
		}
	}
	b[len(b)-1] ^= 0x87 * carry
}

// aoMessage is what a MAC covers before the text: RFC 5925 section 5.1. header is
// the segment's, text how long what follows it is; the result is in b's memory.
func (k *AOKey) aoMessage(b []byte, sne uint32, src, dst netip.Addr, header []byte, text int) []byte {
	b = binary.BigEndian.AppendUint32(b, sne)
	b = appendPseudo(b, src, dst, len(header)+text)
	at := len(b)
	if !k.ExcludeOptions {
		b = append(b, header...)
	} else {
		b = append(b, header[:wire.TCPMinHeader]...)
	}
	clear(b[at+16 : at+18])
	for o := header[wire.TCPMinHeader:]; len(o) > 0; {
		switch {
		case o[0] == 0:
			return b
		case o[0] == 1:
			o = o[1:]
			continue
		case len(o) < 2 || o[1] < 2 || int(o[1]) > len(o):
			return b
		case o[0] == wire.OptAO:
			if k.ExcludeOptions {
				b = append(b, o[:min(4, o[1])]...)
				return append(b, zeros[:max(int(o[1])-4, 0)]...)
			}
			off := at + len(header) - len(o)
			clear(b[off+min(4, int(o[1])) : off+int(o[1])])
			return b
		}
		o = o[o[1]:]
	}
	return b
}

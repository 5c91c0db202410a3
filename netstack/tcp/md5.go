package tcp

// TCP MD5 signatures: RFC 2385, with Linux's TCP_MD5SIG and TCP_MD5SIG_EXT. MD5
// is what the option says; where both ends can, TCP-AO is to be preferred.

import (
	"cmp"
	"crypto/md5"
	"crypto/subtle"
	"encoding/binary"
	"net/netip"
	"slices"

	"github.com/tcpcni/tcpcni/netstack/wire"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

const (
	// maxMD5Key is Linux's TCP_MD5SIG_MAXKEYLEN, bytes.
	maxMD5Key = 80
	// md5Room is the option with its padding: RFC 2385 section 3.0.
	md5Room = 20
)

// An md5Key is for the peers of one prefix.
type md5Key struct {
	peers netip.Prefix
	auth  *auth
}

// SetMD5Key has segments to and from the peers of a prefix signed with a key of 1
// to 80 bytes, or, with an empty key, not signed any more. A listener's
// connections inherit it; it is set before they come. Errors: EINVAL (prefix,
// length), ENOENT (no such key to remove), ENOMEM (more than MaxKeys).
func (s *Socket) SetMD5Key(peers netip.Prefix, key []byte) error {
	peers, ok := keyPrefix(peers)
	if !ok || len(key) > maxMD5Key {
		return errno.EINVAL
	}
	same := func(k md5Key) bool { return k.peers == peers }
	if len(key) == 0 {
		if s.keys == nil {
			return errno.ENOENT
		}
		list, err := removed(s.keys.md5, same)
		s.keys.md5 = list
		s.rekey()
		return err
	}
	r := s.ring()
	k := md5Key{peers, &auth{md5: slices.Clone(key)}}
	switch i := slices.IndexFunc(r.md5, same); {
	case i >= 0:
		r.md5[i] = k
	case len(r.md5) >= MaxKeys:
		return errno.ENOMEM
	default:
		r.md5 = append(r.md5, k)
		slices.SortStableFunc(r.md5, func(a, b md5Key) int { return cmp.Compare(b.peers.Bits(), a.peers.Bits()) })
	}
	s.rekey()
	return nil
}

func (r *keyring) md5For(peer netip.Addr) *md5Key {
	if r == nil {
		return nil
	}
	for i := range r.md5 { // the longest prefix comes first
		if k := &r.md5[i]; k.peers.Contains(peer) {
			return k
		}
	}
	return nil
}

// md5Sum is the digest of section 2.0: pseudo header, header without options and
// with a checksum of zero, text, key. size is the length of the header.
func md5Sum(key []byte, src, dst netip.Addr, header []byte, size int, text [][]byte) (sum [md5.Size]byte) {
	var b [40 + wire.TCPMinHeader]byte
	pseudo := appendPseudo(b[:0], src, dst, size+sizeOf(text))
	fixed := append(pseudo, header[:wire.TCPMinHeader]...)
	clear(fixed[len(pseudo)+16 : len(pseudo)+18])
	d := md5.New()
	d.Write(fixed)
	for _, t := range text {
		d.Write(t)
	}
	d.Write(key)
	d.Sum(sum[:0])
	return sum
}

// appendPseudo appends the pseudo header of a segment of n bytes: RFC 9293
// section 3.1, RFC 8200 section 8.1.
func appendPseudo(b []byte, src, dst netip.Addr, n int) []byte {
	b = append(append(b, src.AsSlice()...), dst.AsSlice()...)
	if src.Is4() {
		return binary.BigEndian.AppendUint16(append(b, 0, protoTCP), uint16(n))
	}
	return append(binary.BigEndian.AppendUint32(b, uint32(n)), 0, 0, 0, protoTCP)
}

func sizeOf(text [][]byte) int {
	n := 0
	for _, t := range text {
		n += len(t)
	}
	return n
}

// signMD5 adds the option to a segment that is otherwise complete.
func (l *Layer) signMD5(key []byte, p *Path, h *wire.TCP, text [][]byte) {
	h.Extra = wire.AppendOption(l.extra[:0], wire.OptMD5, zeros[:md5.Size])
	b := h.AppendTo(l.header[:0])
	sum := md5Sum(key, p.Src, p.Dst, b, len(b), text)
	copy(h.Extra[len(h.Extra)-md5.Size:], sum[:])
}

var zeros [16]byte

func (l *Layer) checkMD5(key []byte, rx *Rx, sum []byte) bool {
	raw := rx.Header.Raw
	want := md5Sum(key, rx.Src, rx.Dst, raw, len(raw), [][]byte{rx.Payload})
	return subtle.ConstantTimeCompare(want[:], sum) == 1
}

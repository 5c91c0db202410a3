package sockopt

// TCP_AO_GET_KEYS: struct tcp_ao_getsockopt of linux/tcp.h, and which keys a
// program asks for by it, as tcp_ao_copy_mkts_to_user of Linux has it.

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// Layout, in bytes.
const (
	aoGetKey     = storageLen + aoNameLen
	aoGetCount   = aoGetKey + maxKeyLen // how many there is room for; afterwards how many matched
	aoGetFlags   = aoGetCount + 4
	aoGetSendID  = aoGetFlags + 2
	aoGetRecvID  = aoGetFlags + 3
	aoGetPrefix  = aoGetFlags + 4
	aoGetMACLen  = aoGetFlags + 5
	aoGetKeyFlag = aoGetFlags + 6
	aoGetKeyLen  = aoGetFlags + 7
	aoGetIfindex = aoGetFlags + 8
	aoGetGood    = aoGetFlags + 12
	aoGetBad     = aoGetGood + 8
	aoGetLen     = aoGetBad + 8

	// aoGetMost is the longest structure that is taken, of programs that know a
	// later one; Linux takes a page.
	aoGetMost = 504
)

// Bits of the word at aoGetFlags.
const (
	aoGetCurrent = 1 << iota
	aoGetNext
	aoGetAll
)

// An aoQuery says which keys a program asks for.
type aoQuery struct {
	word           uint16 // aoGetCurrent, aoGetNext, aoGetAll
	sendID, recvID uint8
	peers          netip.Prefix // of all addresses: any
	v4             bool
}

func getAOKeys(c *call, _ []byte, size int) ([]byte, error) {
	in := c.asked
	switch {
	case size < aoGetLen || len(in) < aoGetLen:
		return nil, errno.EINVAL
	case size > aoGetMost, slices.ContainsFunc(in[aoGetLen:], func(b byte) bool { return b != 0 }):
		return nil, errno.E2BIG
	}
	s, err := signer(c)
	if err != nil {
		return nil, err
	}
	keys := s.AOKeyStates()
	if len(keys) == 0 {
		return nil, errno.ENOENT
	}
	q, err := parseAOQuery(in)
	if err != nil {
		return nil, err
	}
	room, matched := binary.NativeEndian.Uint32(in[aoGetCount:]), uint32(0)
	out := make([]byte, 0, size)
	for i := range keys {
		if !q.matches(&keys[i]) {
			continue
		}
		if matched++; matched <= room {
			out = appendAOKey(out, &keys[i], size)
		}
	}
	if len(out) == 0 {
		out = append(out, in[:aoGetLen]...)
	}
	binary.NativeEndian.PutUint32(out[aoGetCount:], matched)
	return out, nil
}

// parseAOQuery reads the first structure.
func parseAOQuery(in []byte) (q aoQuery, err error) {
	q.word, q.sendID, q.recvID = binary.NativeEndian.Uint16(in[aoGetFlags:]), in[aoGetSendID], in[aoGetRecvID]
	bits, family := int(in[aoGetPrefix]), int(binary.NativeEndian.Uint16(in))
	ifindex, keyFlags := binary.NativeEndian.Uint32(in[aoGetIfindex:]), in[aoGetKeyFlag]
	switch {
	case slices.ContainsFunc(in[aoGetGood:aoGetLen], func(b byte) bool { return b != 0 }),
		keyFlags&^aoDefaultVRF != 0, ifindex != 0 && keyFlags == 0,
		q.word&^(aoGetCurrent|aoGetNext|aoGetAll) != 0,
		q.word&aoGetAll != 0 && q.word != aoGetAll:
		return q, errno.EINVAL
	case q.word != 0 && (family == AFInet || family == AFInet6):
		return q, errno.EINVAL // what is asked for by its place has no address
	case q.word != 0 && family != 0:
		return q, errno.EAFNOSUPPORT
	case q.word != 0 && (bits != 0 || q.sendID != 0 || q.recvID != 0):
		return q, errno.EINVAL
	case q.word != 0:
		return q, nil
	}
	var a netip.Addr
	switch family {
	case AFInet:
		a = netip.AddrFrom4([4]byte(in[4:]))
	case AFInet6:
		a = netip.AddrFrom16([16]byte(in[8:])).Unmap()
	default:
		return q, errno.EAFNOSUPPORT
	}
	p, err := a.Prefix(bits)
	switch {
	case err != nil, p.Addr() != a:
		return q, errno.EINVAL
	case a.IsUnspecified() && (bits != 0 || family == AFInet6 && a.Is4()):
		return q, errno.EINVAL
	case bits == 0 && !a.IsUnspecified():
		return q, errno.EINVAL
	}
	q.peers, q.v4 = p, a.Is4()
	return q, nil
}

func (q *aoQuery) matches(k *AOKeyState) bool {
	if q.word != 0 {
		return q.word&aoGetAll != 0 || q.word&aoGetCurrent != 0 && k.Current || q.word&aoGetNext != 0 && k.Next
	}
	return k.SendID == q.sendID && k.RecvID == q.recvID && k.Peers.Addr().Is4() == q.v4 &&
		(k.Peers.Addr().IsUnspecified() || q.peers.Contains(k.Peers.Addr()))
}

// appendAOKey adds the structure of one key, filled up to size bytes.
func appendAOKey(b []byte, k *AOKeyState, size int) []byte {
	at := len(b)
	b = append(b, make([]byte, size)...)
	e := b[at:]
	family := AFInet
	if k.Peers.Addr().Is6() {
		family = AFInet6
	}
	copy(e, appendPeer(nil, family, k.Peers))
	copy(e[storageLen:], aoAlgorithms[k.Algorithm])
	copy(e[aoGetKey:], k.Key)
	binary.NativeEndian.PutUint16(e[aoGetFlags:], uint16(truth(k.Current)*aoGetCurrent|truth(k.Next)*aoGetNext))
	e[aoGetSendID], e[aoGetRecvID], e[aoGetPrefix] = k.SendID, k.RecvID, byte(k.Peers.Bits())
	e[aoGetMACLen], e[aoGetKeyLen] = aoMACLen, byte(len(k.Key))
	if k.ExcludeOptions {
		e[aoGetKeyFlag] = aoExcludeOpt
	}
	binary.NativeEndian.PutUint64(e[aoGetGood:], k.Good)
	binary.NativeEndian.PutUint64(e[aoGetBad:], k.Bad)
	return b
}

package sockopt

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// Signed segments as programs ask for them: RFC 2385 by TCP_MD5SIG and
// TCP_MD5SIG_EXT, RFC 5925 by the TCP_AO options (linux/tcp.h). A value carries
// a peer, as a struct sockaddr_storage with a prefix, and its key. Keys are no
// settings: they are not in Options, and the socket keeps them itself.

// A Signer is a Target whose segments can be signed. Its methods are those of
// netstack/tcp's Socket, with their errors.
type Signer interface {
	// SetMD5Key gives the peers of a prefix a key; an empty one takes it away.
	SetMD5Key(peers netip.Prefix, key []byte) error
	AddTCPAOKey(k AOKey) error
	DeleteAOKey(peers netip.Prefix, sendID, recvID uint8) error
	// SetAOCurrent and SetAONext choose the key that signs, by its SendID, and
	// the one that the peer is asked for, by its RecvID.
	SetAOCurrent(id uint8) error
	SetAONext(id uint8) error
	// TCPAO is the state of the connection; false: it is not signed by TCP-AO.
	TCPAO() (AOInfo, bool)
	// AOKeyStates are the keys that TCP-AO has for the socket, or for its
	// connection alone.
	AOKeyStates() []AOKeyState
	// SigningKeys are all keys of the socket.
	SigningKeys() ([]MD5Key, []AOKey)
}

// An MD5Key is for the peers of a prefix.
type MD5Key struct {
	Peers netip.Prefix
	Key   []byte // 1 to 80 bytes
}

// An AOAlgorithm is a pair of key derivation function and MAC of RFC 5926.
type AOAlgorithm uint8

// The algorithms of RFC 5926 section 2.
const (
	AOHMACSHA1   AOAlgorithm = iota // KDF_HMAC_SHA1 and HMAC-SHA-1-96
	AOAES128CMAC                    // KDF_AES_128_CMAC and AES-128-CMAC-96
)

// aoAlgorithms are Linux's names of them, by number. A name that is not here is
// ENOENT, as on a kernel without the algorithm.
var aoAlgorithms = [...]string{AOHMACSHA1: "hmac(sha1)", AOAES128CMAC: "cmac(aes128)"}

// An AOKey is a master key tuple: RFC 5925 section 3.1.
type AOKey struct {
	Peers          netip.Prefix
	SendID, RecvID uint8 // in what we send, in what we receive
	Algorithm      AOAlgorithm
	Key            []byte // 1 to 80 bytes
	// ExcludeOptions leaves the other options out of the signature, for paths
	// with middleboxes that change them.
	ExcludeOptions bool
}

// An AOKeyState is a key and what a connection has made of it.
type AOKeyState struct {
	AOKey
	Current, Next bool   // we sign with it; the peer is asked to
	Good, Bad     uint64 // segments that arrived under it, by their signature
}

// AOInfo is the state of a connection that is signed by TCP-AO.
type AOInfo struct {
	Current, Next uint8 // SendID of the key that signs, RecvID of the one asked for
	// Segments that arrived: verified, with a wrong signature, with one by an
	// unknown key, without one.
	Good, Bad, KeyNotFound, Required uint64
}

// Layouts of linux/tcp.h, in bytes. Every structure begins with a struct
// sockaddr_storage.
const (
	storageLen = 128
	maxKeyLen  = 80 // TCP_MD5SIG_MAXKEYLEN, TCP_AO_MAXKEYLEN
	aoMACLen   = 12 // of both algorithms

	md5Len      = storageLen + 8 + maxKeyLen
	md5Prefix   = storageLen + 1 // after the flags
	md5KeyLen   = storageLen + 2
	md5Ifindex  = storageLen + 4
	md5Key      = storageLen + 8
	md5HasLen   = 1 // TCP_MD5SIG_FLAG_PREFIX
	md5HasIndex = 2 // TCP_MD5SIG_FLAG_IFINDEX

	aoAddLen     = storageLen + 64 + 16 + maxKeyLen
	aoDelLen     = storageLen + 16
	aoInfoLen    = 48
	aoNameLen    = 64
	aoDefaultVRF = 1 // TCP_AO_KEYF_IFINDEX, with interface 0
	aoExcludeOpt = 2 // TCP_AO_KEYF_EXCLUDE_OPT
)

// Numbers of the options that give keys.
const (
	numberMD5Sig    = 14
	numberMD5SigExt = 32
	numberAOAdd     = 38
)

// Flags of the word that the TCP_AO structures have in common.
const (
	aoSetCurrent = 1 << iota
	aoSetNext
	aoThird // ao_required, or del_async
)

const noVRF = "a key for an interface is EINVAL, as on a host without VRF devices"

// keyRows are the options of signed segments of profile linux.
var keyRows = at(protoTCP, TCPOnly, []Row{
	{ID: MD5SigKey, Name: "TCP_MD5SIG", Number: numberMD5Sig, Codec: Struct, Access: WriteOnly, Default: "no key", setBytes: setMD5Sig,
		Note: "struct tcp_md5sig; an empty key takes a key away, ENOENT when there is none; at most 256 keys, then ENOMEM"},
	{ID: MD5SigKey, Name: "TCP_MD5SIG_EXT", Number: numberMD5SigExt, Codec: Struct, Access: WriteOnly, Default: "no key", setBytes: setMD5SigExt,
		Note: "the same for the peers of a prefix; " + noVRF},
	{ID: AOAddKey, Name: "TCP_AO_ADD_KEY", Number: numberAOAdd, Codec: Struct, Access: WriteOnly, Default: "no key", setBytes: addAOKey,
		Note: "struct tcp_ao_add; `hmac(sha1)` and `cmac(aes128)` with MACs of 12 bytes, other names are ENOENT; at most 256 keys, then ENOMEM; " + noVRF},
	{ID: AODelKey, Name: "TCP_AO_DEL_KEY", Number: 39, Codec: Struct, Access: WriteOnly, setBytes: deleteAOKey, Note: "struct tcp_ao_del; EBUSY for a key in use"},
	{ID: AOInfoID, Name: "TCP_AO_INFO", Number: 40, Codec: Struct, setBytes: setAOInfo, getBytes: getAOInfo,
		Note: "struct tcp_ao_info_opt; which keys a connection signs with and asks for can be set, `ao_required`, `accept_icmps` and `set_counters` are EINVAL; read on a socket without a signed connection it is ENOENT"},
	{ID: AOGetKeys, Name: "TCP_AO_GET_KEYS", Number: 41, Codec: Struct, Access: ReadOnly, Asks: aoGetMost, Element: aoGetLen, getBytes: getAOKeys,
		Note: "an array of struct tcp_ao_getsockopt, the first of which says which keys and how many; the keys themselves are in it, as on Linux. A structure of less than 304 bytes is EINVAL; ENOENT without keys"},
})

// signer is the target, if it signs.
func signer(c *call) (Signer, error) {
	if s, ok := c.t.(Signer); ok {
		return s, nil
	}
	return nil, errno.ENOPROTOOPT
}

// peerPrefix reads a struct sockaddr_storage with a prefix of bits, or of the
// whole address when that is negative. A socket of AF_INET6 names IPv4 peers by
// mapped addresses, with the prefix of the IPv4 address.
func peerPrefix(c *call, b []byte, bits int) (netip.Prefix, error) {
	domain, _, _ := c.t.Kind()
	if int(binary.NativeEndian.Uint16(b)) != domain {
		return netip.Prefix{}, errno.EINVAL
	}
	a := netip.AddrFrom4([4]byte(b[4:]))
	if domain == AFInet6 {
		a = netip.AddrFrom16([16]byte(b[8:])).Unmap()
	}
	if bits < 0 {
		bits = a.BitLen()
	}
	if bits > a.BitLen() {
		return netip.Prefix{}, errno.EINVAL
	}
	return netip.PrefixFrom(a, bits).Masked(), nil
}

func setMD5Sig(c *call, val []byte) error { return takeMD5(c, val, false) }

func setMD5SigExt(c *call, val []byte) error { return takeMD5(c, val, true) }

// takeMD5 reads struct tcp_md5sig as tcp_v4_parse_md5_keys and its IPv6 sister
// do. Only the extended option looks at the flags.
func takeMD5(c *call, val []byte, extended bool) error {
	if len(val) < md5Len {
		return errno.EINVAL
	}
	flags, bits := val[storageLen], -1
	if extended && flags&md5HasLen != 0 {
		bits = int(val[md5Prefix])
	}
	peers, err := peerPrefix(c, val, bits)
	switch {
	case err != nil:
		return err
	case extended && flags&md5HasIndex != 0 && binary.NativeEndian.Uint32(val[md5Ifindex:]) != 0:
		return errno.EINVAL
	}
	n := int(binary.NativeEndian.Uint16(val[md5KeyLen:]))
	if n > maxKeyLen {
		return errno.EINVAL
	}
	s, err := signer(c)
	if err != nil {
		return err
	}
	if _, ao := s.SigningKeys(); n > 0 && slices.ContainsFunc(ao, func(k AOKey) bool { return k.Peers.Overlaps(peers) }) {
		return errno.EKEYREJECTED
	}
	return s.SetMD5Key(peers, val[md5Key:md5Key+n])
}

// aoPeers is peerPrefix for the TCP_AO options, which take no port and no bits
// beyond the prefix.
func aoPeers(c *call, b []byte, bits int) (netip.Prefix, error) {
	whole, err := peerPrefix(c, b, -1)
	if err != nil || b[2]|b[3] != 0 {
		return whole, errno.EINVAL
	}
	p, err := peerPrefix(c, b, bits)
	if err != nil || p.Addr() != whole.Addr() || p.Addr().IsUnspecified() != (bits == 0) {
		return p, errno.EINVAL
	}
	return p, nil
}

// addAOKey reads struct tcp_ao_add.
func addAOKey(c *call, val []byte) error {
	if len(val) < aoAddLen {
		return errno.EINVAL
	}
	name := text(val[storageLen : storageLen+aoNameLen])
	b := val[storageLen+aoNameLen:]
	ifindex, word := binary.NativeEndian.Uint32(b), binary.NativeEndian.Uint32(b[4:])
	prefix, sendID, recvID, macLen, flags, n := b[10], b[11], b[12], b[13], b[14], int(b[15])
	peers, err := aoPeers(c, val, int(prefix))
	switch {
	case n > maxKeyLen, word&^(aoSetCurrent|aoSetNext) != 0, b[8]|b[9] != 0:
		return errno.EINVAL
	case err != nil:
		return err
	case flags&^(aoDefaultVRF|aoExcludeOpt) != 0, ifindex != 0, macLen != 0 && macLen != aoMACLen, word != 0 && c.t.Listening():
		return errno.EINVAL
	}
	for i, known := range aoAlgorithms {
		if name == known {
			return giveAOKey(c, word, AOKey{
				Peers: peers, SendID: sendID, RecvID: recvID, Algorithm: AOAlgorithm(i),
				Key: b[16 : 16+n], ExcludeOptions: flags&aoExcludeOpt != 0,
			})
		}
	}
	return errno.ENOENT
}

func giveAOKey(c *call, word uint32, k AOKey) error {
	s, err := signer(c)
	if err != nil {
		return err
	}
	// RFC 5925 section 2.2: one connection does not use both.
	if md5, _ := s.SigningKeys(); slices.ContainsFunc(md5, func(o MD5Key) bool { return o.Peers.Overlaps(k.Peers) }) {
		return errno.EKEYREJECTED
	}
	if err := s.AddTCPAOKey(k); err != nil {
		return err
	}
	return chooseAOKeys(s, word, k.SendID, k.RecvID)
}

// chooseAOKeys does what the flags ask for. A socket without a connection begins
// with the key that it was given first.
func chooseAOKeys(s Signer, word uint32, current, next uint8) error {
	if _, signed := s.TCPAO(); !signed {
		return nil
	}
	if word&aoSetCurrent != 0 {
		if err := s.SetAOCurrent(current); err != nil {
			return err
		}
	}
	if word&aoSetNext != 0 {
		return s.SetAONext(next)
	}
	return nil
}

// deleteAOKey reads struct tcp_ao_del. What it names as the current and the next
// key is chosen first, so that a key in use can be replaced and deleted at once.
func deleteAOKey(c *call, val []byte) error {
	if len(val) < aoDelLen {
		return errno.EINVAL
	}
	b := val[storageLen:]
	ifindex, word := binary.NativeEndian.Uint32(b), binary.NativeEndian.Uint32(b[4:])
	prefix, sendID, recvID, current, next, flags := b[10], b[11], b[12], b[13], b[14], b[15]
	if word&^(aoSetCurrent|aoSetNext|aoThird) != 0 || b[8]|b[9]|flags&^aoDefaultVRF != 0 || ifindex != 0 ||
		word&(aoSetCurrent|aoSetNext) != 0 && c.t.Listening() || word&aoThird != 0 && !c.t.Listening() {
		return errno.EINVAL
	}
	peers, err := aoPeers(c, val, int(prefix))
	if err != nil {
		return err
	}
	s, err := signer(c)
	if err != nil {
		return err
	}
	if err := chooseAOKeys(s, word, current, next); err != nil {
		return err
	}
	return s.DeleteAOKey(peers, sendID, recvID)
}

// setAOInfo reads struct tcp_ao_info_opt.
func setAOInfo(c *call, val []byte) error {
	if len(val) < aoInfoLen {
		return errno.EINVAL
	}
	word := binary.NativeEndian.Uint32(val)
	if word&^(aoSetCurrent|aoSetNext) != 0 || val[4]|val[5] != 0 || word != 0 && c.t.Listening() {
		return errno.EINVAL
	}
	s, err := signer(c)
	if err != nil {
		return err
	}
	if _, signed := s.TCPAO(); !signed {
		return errno.ENOENT
	}
	return chooseAOKeys(s, word, val[6], val[7])
}

func getAOInfo(c *call, b []byte, _ int) ([]byte, error) {
	s, err := signer(c)
	if err != nil {
		return nil, err
	}
	i, signed := s.TCPAO()
	if !signed {
		return nil, errno.ENOENT
	}
	b = binary.NativeEndian.AppendUint32(b, aoSetCurrent|aoSetNext)
	b = append(b, 0, 0, i.Current, i.Next)
	for _, n := range [...]uint64{i.Good, i.Bad, i.KeyNotFound, i.Required, 0} {
		b = binary.NativeEndian.AppendUint64(b, n)
	}
	return b, nil
}

// MaxKeyOption is the length of the longest value of a KeyOption, in bytes.
const MaxKeyOption = aoAddLen

// Keyed reports whether the row gives or takes keys, which KeyOptions then shows.
func (r *Row) Keyed() bool { return r.ID == MD5SigKey || r.ID == AOAddKey || r.ID == AODelKey }

// AddsKey reports whether a setsockopt(2) that succeeds may give the socket a key
// more than it has.
func AddsKey(level, name int, val []byte) bool {
	switch {
	case level != protoTCP:
		return false
	case name == numberMD5Sig || name == numberMD5SigExt:
		return len(val) >= md5Len && binary.NativeEndian.Uint16(val[md5KeyLen:]) != 0
	}
	return name == numberAOAdd
}

// A KeyOption is a setsockopt(2) that gives a socket one of its keys.
type KeyOption struct {
	Name  int // of level IPPROTO_TCP
	Value []byte
}

// KeyOptions are the calls that give another socket of the kind the keys that t
// has.
func KeyOptions(t Target) []KeyOption {
	s, ok := t.(Signer)
	if !ok {
		return nil
	}
	domain, _, _ := t.Kind()
	md5, ao := s.SigningKeys()
	var list []KeyOption
	for _, k := range md5 {
		b := appendPeer(make([]byte, 0, md5Len), domain, k.Peers)
		b = append(b, md5HasLen, byte(k.Peers.Bits()))
		b = binary.NativeEndian.AppendUint16(b, uint16(len(k.Key)))
		b = append(binary.NativeEndian.AppendUint32(b, 0), k.Key...)
		list = append(list, KeyOption{numberMD5SigExt, append(b, make([]byte, md5Len-len(b))...)})
	}
	for _, k := range ao {
		b := appendPeer(make([]byte, 0, aoAddLen), domain, k.Peers)
		b = append(b, aoAlgorithms[k.Algorithm]...)
		b = append(b, make([]byte, storageLen+aoNameLen-len(b))...)
		flags := byte(0)
		if k.ExcludeOptions {
			flags = aoExcludeOpt
		}
		b = append(b, make([]byte, 10)...)
		b = append(b, byte(k.Peers.Bits()), k.SendID, k.RecvID, aoMACLen, flags, byte(len(k.Key)))
		b = append(b, k.Key...)
		list = append(list, KeyOption{numberAOAdd, append(b, make([]byte, aoAddLen-len(b))...)})
	}
	return list
}

// appendPeer writes a struct sockaddr_storage.
func appendPeer(b []byte, domain int, p netip.Prefix) []byte {
	b = binary.NativeEndian.AppendUint16(b, uint16(domain))
	if domain == AFInet {
		b = append(b, 0, 0)
		b = append(b, p.Addr().AsSlice()...)
	} else {
		a := p.Addr().As16()
		b = append(append(b, make([]byte, 6)...), a[:]...)
	}
	return append(b, make([]byte, storageLen-len(b))...)
}

// MD5SigRow is the option TCP_MD5SIG of systems whose keys are the
// administrator's: a switch, by which segments are signed with what the
// association database has for them. number is the option's in the profile.
// What happens where the database has nothing is Profile.MD5SigAlways.
func MD5SigRow(number int, access Access) Row {
	return Row{ID: MD5Sig, Name: "TCP_MD5SIG", Number: number, Level: protoTCP, On: TCPOnly, Codec: Bool, Access: access, Default: "0",
		set: func(c *call, v int) error {
			c.o.SetRare(func(r *Rare) { r.MD5Sig = v != 0 })
			return nil
		},
		get:  func(c *call) (int, error) { return truth(c.o.Rare().MD5Sig), nil },
		Note: "keys come from the association database (`tcpcni tcpkey`); without an association nothing is sent and everything that arrives is dropped"}
}

package sockopt

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// signerFake is a Target that keeps its keys, as netstack/tcp does.
type signerFake struct {
	*fakeSocket
	md5    []MD5Key
	ao     []AOKey
	signed bool // there is a connection under TCP-AO
	info   AOInfo
}

func (s *signerFake) SetMD5Key(p netip.Prefix, key []byte) error {
	for i, k := range s.md5 {
		if k.Peers == p {
			s.md5 = append(s.md5[:i:i], s.md5[i+1:]...)
			if len(key) == 0 {
				return nil
			}
		}
	}
	if len(key) == 0 {
		return errno.ENOENT
	}
	s.md5 = append(s.md5, MD5Key{p, bytes.Clone(key)})
	return nil
}

func (s *signerFake) AddTCPAOKey(k AOKey) error {
	if len(k.Key) == 0 {
		return errno.EINVAL
	}
	k.Key = bytes.Clone(k.Key)
	s.ao = append(s.ao, k)
	return nil
}

func (s *signerFake) DeleteAOKey(p netip.Prefix, sendID, recvID uint8) error {
	for i, k := range s.ao {
		if k.Peers == p && k.SendID == sendID && k.RecvID == recvID {
			s.ao = append(s.ao[:i:i], s.ao[i+1:]...)
			return nil
		}
	}
	return errno.ENOENT
}

func (s *signerFake) has(ok func(AOKey) bool) error {
	for _, k := range s.ao {
		if ok(k) {
			return nil
		}
	}
	return errno.ENOENT
}

func (s *signerFake) SetAOCurrent(id uint8) error {
	s.info.Current = id
	return s.has(func(k AOKey) bool { return k.SendID == id })
}

func (s *signerFake) SetAONext(id uint8) error {
	s.info.Next = id
	return s.has(func(k AOKey) bool { return k.RecvID == id })
}

func (s *signerFake) TCPAO() (AOInfo, bool)            { return s.info, s.signed }
func (s *signerFake) SigningKeys() ([]MD5Key, []AOKey) { return s.md5, s.ao }

func (s *signerFake) AOKeyStates() (list []AOKeyState) {
	for _, k := range s.ao {
		list = append(list, AOKeyState{AOKey: k, Current: s.signed && k.SendID == s.info.Current, Next: s.signed && k.RecvID == s.info.Next, Good: uint64(k.SendID) << 32, Bad: 3})
	}
	return list
}

func newSigner(p *Profile, domain int) *signerFake {
	return &signerFake{fakeSocket: newFake(p, domain, SockStream)}
}

// sockaddr is a struct sockaddr_storage.
func sockaddr(family int, a string, port uint16) []byte {
	b := make([]byte, storageLen)
	binary.NativeEndian.PutUint16(b, uint16(family))
	binary.BigEndian.PutUint16(b[2:], port)
	ip := netip.MustParseAddr(a)
	if family == AFInet && ip.Is4() {
		copy(b[4:], ip.AsSlice())
	} else {
		full := ip.As16()
		copy(b[8:], full[:])
	}
	return b
}

// md5sig is a struct tcp_md5sig.
func md5sig(family int, a string, flags, prefix byte, keyLen uint16, ifindex uint32, key string) []byte {
	b := append(sockaddr(family, a, 0), flags, prefix)
	b = binary.NativeEndian.AppendUint16(b, keyLen)
	b = binary.NativeEndian.AppendUint32(b, ifindex)
	b = append(b, key...)
	return append(b, make([]byte, md5Len-len(b))...)
}

// TestMD5KeysAgainstKernel makes the same calls on sockets of the running kernel,
// one after the other on the same socket.
func TestMD5KeysAgainstKernel(t *testing.T) {
	key := func(n uint16) string { return strings.Repeat("k", int(min(n, 80))) }
	p := linux(t)
	for _, domain := range []int{AFInet, AFInet6} {
		fd := kernelSocket(t, domain, SockStream)
		s := newSigner(p, domain)
		if e := kernelSet(fd, protoTCP, 14, nil); e == errno.ENOPROTOOPT {
			t.Skip("this kernel has no TCP_MD5SIG")
		}
		n := 0
		compare := func(number int, val []byte) {
			t.Helper()
			n++
			_, err := p.Set(s, protoTCP, number, val, everything)
			if ours, kernels := errno.Of(err), kernelSet(fd, protoTCP, number, val); ours != kernels {
				t.Errorf("domain %d: set %d to %x: %s, the kernel says %s", domain, number, val, symbol(ours), symbol(kernels))
			}
		}
		for _, number := range []int{14, 32} {
			for _, family := range []int{0, AFInet, AFInet6} {
				for _, addr := range []string{"10.0.0.1", "::ffff:10.0.0.1", "fd87::1", "0.0.0.0", "::"} {
					for _, flags := range []byte{0, 1, 2, 3, 4} {
						for _, prefix := range []byte{0, 8, 32, 33, 64, 128, 129, 255} {
							for _, keyLen := range []uint16{1, 80, 81, 0, 0, 65535} {
								compare(number, md5sig(family, addr, flags, prefix, keyLen, 0, key(keyLen)))
							}
						}
					}
					compare(number, md5sig(family, addr, 2, 0, 3, 1, "abc"))
					compare(number, md5sig(family, addr, 2, 0, 0, 12345, ""))
				}
			}
			whole := md5sig(domain, "::ffff:10.0.0.1", 0, 0, 3, 0, "abc")
			compare(number, whole[:md5Len-1])
			compare(number, append(whole, 1, 2, 3))
			compare(number, nil)
			if _, e := kernelGet(fd, protoTCP, number, 300); e != errno.ENOPROTOOPT {
				t.Errorf("the kernel gives keys out: %s", symbol(e))
			}
			if _, err := p.Get(s, protoTCP, number, 300); err != errno.ENOPROTOOPT {
				t.Errorf("get %d: %v", number, err)
			}
		}
		if n < 1000 {
			t.Errorf("%d calls", n)
		}
		syscall.Close(fd)
	}
}

// aoAdd is a struct tcp_ao_add, edited by change.
func aoAdd(family int, a string, prefix byte, alg, key string, ids [2]byte, change func(tail []byte)) []byte {
	b := append(sockaddr(family, a, 0), alg...)
	b = append(b, make([]byte, storageLen+aoNameLen-len(b))...)
	tail := make([]byte, 16+maxKeyLen)
	tail[10], tail[11], tail[12], tail[15] = prefix, ids[0], ids[1], byte(len(key))
	copy(tail[16:], key)
	if change != nil {
		change(tail)
	}
	return append(b, tail...)
}

func TestTCPAOOptions(t *testing.T) {
	p := linux(t)
	s := newSigner(p, AFInet)
	good := func(change func(b []byte)) []byte {
		return aoAdd(AFInet, "10.0.0.1", 32, "hmac(sha1)", "secret", [2]byte{1, 2}, change)
	}
	set := func(name string, number int, val []byte, want errno.Errno) {
		t.Helper()
		if _, err := p.Set(s, protoTCP, number, val, everything); errno.Of(err) != want {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
	}
	set("cut short", 38, good(nil)[:aoAddLen-1], errno.EINVAL)
	set("another family", 38, aoAdd(AFInet6, "10.0.0.1", 32, "hmac(sha1)", "k", [2]byte{1, 1}, nil), errno.EINVAL)
	set("a long prefix", 38, aoAdd(AFInet, "10.0.0.1", 33, "hmac(sha1)", "k", [2]byte{1, 1}, nil), errno.EINVAL)
	set("bits beyond the prefix", 38, aoAdd(AFInet, "10.0.0.1", 24, "hmac(sha1)", "k", [2]byte{1, 1}, nil), errno.EINVAL)
	set("no prefix", 38, aoAdd(AFInet, "10.0.0.1", 0, "hmac(sha1)", "k", [2]byte{1, 1}, nil), errno.EINVAL)
	set("no address", 38, aoAdd(AFInet, "0.0.0.0", 8, "hmac(sha1)", "k", [2]byte{1, 1}, nil), errno.EINVAL)
	set("another algorithm", 38, aoAdd(AFInet, "10.0.0.1", 32, "hmac(md5)", "k", [2]byte{1, 1}, nil), errno.ENOENT)
	for name, change := range map[string]func([]byte){
		"a port's place":       nil,
		"an interface":         func(b []byte) { b[0] = 3 },
		"a reserved flag":      func(b []byte) { b[4] = 4 },
		"reserved bytes":       func(b []byte) { b[8] = 1 },
		"a MAC of 16 bytes":    func(b []byte) { b[13] = 16 },
		"an unknown key flag":  func(b []byte) { b[14] = 4 },
		"a key beyond its end": func(b []byte) { b[15] = 81 },
		"an empty key":         func(b []byte) { b[15] = 0 },
	} {
		val := good(change)
		if change == nil {
			val[3] = 1
		}
		set(name, 38, val, errno.EINVAL)
	}
	s.listening = true
	set("a current key of a listener", 38, good(func(b []byte) { b[4] = 1 }), errno.EINVAL)
	s.listening = false
	if len(s.ao) != 0 {
		t.Fatalf("refused keys were kept: %v", s.ao)
	}
	set("a key", 38, good(func(b []byte) { b[13], b[14] = 12, 3 }), 0)
	want := AOKey{Peers: netip.MustParsePrefix("10.0.0.1/32"), SendID: 1, RecvID: 2, Key: []byte("secret"), ExcludeOptions: true}
	if len(s.ao) != 1 || !sameAO(s.ao[0], want) {
		t.Fatalf("%+v, want %+v", s.ao, want)
	}
	set("everybody", 38, aoAdd(AFInet, "0.0.0.0", 0, "cmac(aes128)", "k", [2]byte{3, 4}, nil), 0)
	if s.ao[1].Algorithm != AOAES128CMAC || s.ao[1].Peers.Bits() != 0 {
		t.Errorf("%+v", s.ao[1])
	}

	if _, err := p.Set(s, protoTCP, 14, md5sig(AFInet, "10.0.0.1", 0, 0, 3, 0, "abc"), everything); err != errno.EKEYREJECTED {
		t.Errorf("an MD5 key beside one of TCP-AO: %v", err)
	}
	m := newSigner(p, AFInet)
	m.md5 = []MD5Key{{netip.MustParsePrefix("10.0.0.0/8"), []byte("k")}}
	if _, err := p.Set(m, protoTCP, 38, good(nil), everything); err != errno.EKEYREJECTED {
		t.Errorf("a TCP-AO key beside one of MD5: %v", err)
	}

	info := make([]byte, aoInfoLen)
	set("keys of no connection", 40, info, errno.ENOENT)
	if _, err := p.Get(s, protoTCP, 40, 100); err != errno.ENOENT {
		t.Errorf("state of no connection: %v", err)
	}
	s.signed = true
	info[0], info[6], info[7] = 3, 3, 4
	set("which keys", 40, info, 0)
	if s.info.Current != 3 || s.info.Next != 4 {
		t.Errorf("chosen are %+v", s.info)
	}
	info[6] = 9
	set("a key that there is not", 40, info, errno.ENOENT)
	for _, flag := range []byte{4, 8, 16, 32} {
		info[0] = flag
		set("what is not offered", 40, info, errno.EINVAL)
	}
	s.info = AOInfo{Current: 1, Next: 2, Good: 10, Bad: 11, KeyNotFound: 12, Required: 13}
	b, err := p.Get(s, protoTCP, 40, 100)
	if err != nil || len(b) != aoInfoLen || b[0] != 3 || b[6] != 1 || b[7] != 2 || b[8] != 10 || b[16] != 11 || b[24] != 12 || b[32] != 13 {
		t.Errorf("state: %x, %v", b, err)
	}

	del := func(a string, prefix, snd, rcv byte, word, current, next byte) []byte {
		b := append(sockaddr(AFInet, a, 0), make([]byte, 16)...)
		b[storageLen+4] = word
		copy(b[storageLen+10:], []byte{prefix, snd, rcv, current, next})
		return b
	}
	set("no such key", 39, del("10.0.0.1", 32, 1, 1, 0, 0, 0), errno.ENOENT)
	set("asynchronously without a listener", 39, del("10.0.0.1", 32, 1, 2, 4, 0, 0), errno.EINVAL)
	set("a key, and others in its place", 39, del("10.0.0.1", 32, 1, 2, 3, 3, 4), 0)
	if len(s.ao) != 1 || s.info.Current != 3 || s.info.Next != 4 {
		t.Errorf("%+v %+v", s.ao, s.info)
	}
	set("cut short", 39, del("10.0.0.1", 32, 1, 2, 0, 0, 0)[:aoDelLen-1], errno.EINVAL)
}

func sameAO(a, b AOKey) bool {
	key := bytes.Equal(a.Key, b.Key)
	a.Key, b.Key = nil, nil
	return key && a.Peers == b.Peers && a.SendID == b.SendID && a.RecvID == b.RecvID && a.Algorithm == b.Algorithm && a.ExcludeOptions == b.ExcludeOptions
}

// TestKeyOptions: what KeyOptions gives makes another socket with the same keys.
func TestKeyOptions(t *testing.T) {
	p := linux(t)
	for domain, peers := range map[int][]string{AFInet: {"10.0.0.0/8", "10.1.2.3/32", "0.0.0.0/0"}, AFInet6: {"fd87::/64", "fd87::1/128", "10.1.0.0/16"}} {
		m, a := newSigner(p, domain), newSigner(p, domain)
		for i, peer := range peers {
			m.md5 = append(m.md5, MD5Key{netip.MustParsePrefix(peer), bytes.Repeat([]byte{'m'}, 1+39*i)})
			a.ao = append(a.ao, AOKey{Peers: netip.MustParsePrefix(peer), SendID: byte(i), RecvID: 255, Algorithm: AOAlgorithm(i % 2), Key: bytes.Repeat([]byte{'a'}, 1+39*i), ExcludeOptions: i == 1})
		}
		for _, s := range []*signerFake{m, a} {
			o := newSigner(p, domain)
			for _, k := range KeyOptions(s) {
				if _, err := p.Set(o, protoTCP, k.Name, k.Value, Privilege{}); err != nil {
					t.Fatalf("domain %d: %d: %v", domain, k.Name, err)
				}
			}
			same := slices.EqualFunc(o.md5, s.md5, func(a, b MD5Key) bool { return a.Peers == b.Peers && bytes.Equal(a.Key, b.Key) })
			if !same || !slices.EqualFunc(o.ao, s.ao, sameAO) {
				t.Errorf("domain %d: %+v %+v, want %+v %+v", domain, o.md5, o.ao, s.md5, s.ao)
			}
		}
	}
	if KeyOptions(newFake(p, AFInet, SockDgram)) != nil {
		t.Error("a socket that does not sign has keys")
	}
}

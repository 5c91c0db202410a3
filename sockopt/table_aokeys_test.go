package sockopt

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// aoGet is a struct tcp_ao_getsockopt that asks.
func aoGet(family int, a string, prefix byte, ids [2]byte, word uint16, room uint32) []byte {
	b := make([]byte, aoGetLen)
	if family != 0 {
		copy(b, sockaddr(family, a, 0))
	}
	binary.NativeEndian.PutUint32(b[aoGetCount:], room)
	binary.NativeEndian.PutUint16(b[aoGetFlags:], word)
	b[aoGetSendID], b[aoGetRecvID], b[aoGetPrefix] = ids[0], ids[1], prefix
	return b
}

// No kernel with CONFIG_TCP_AO runs these tests; what is expected is read off
// net/ipv4/tcp_ao.c of Linux 6.18.
func TestTCPAOGetKeys(t *testing.T) {
	p := linux(t)
	s := newSigner(p, AFInet6)
	ask := func(in []byte, size int) ([]byte, error) {
		return p.GetAsked(s, protoTCP, 41, size, in[:min(size, len(in))])
	}
	all := aoGet(0, "", 0, [2]byte{}, aoGetAll, 8)
	if _, err := ask(all, aoGetLen); err != errno.ENOENT {
		t.Errorf("without keys: %v", err)
	}
	for _, k := range []AOKey{
		{Peers: netip.MustParsePrefix("10.0.0.0/8"), SendID: 1, RecvID: 2, Key: []byte("secret")},
		{Peers: netip.MustParsePrefix("fd87::7/128"), SendID: 3, RecvID: 4, Algorithm: AOAES128CMAC, Key: bytes.Repeat([]byte("k"), 80), ExcludeOptions: true},
		{Peers: netip.MustParsePrefix("::/0"), SendID: 5, RecvID: 6, Key: []byte("x")},
	} {
		if err := s.AddTCPAOKey(k); err != nil {
			t.Fatal(err)
		}
	}
	s.signed, s.info = true, AOInfo{Current: 3, Next: 6}

	for _, c := range []struct {
		name string
		in   []byte
		want errno.Errno
		ids  string // SendIDs of what is given
		more int    // matched beyond those
	}{
		{"all", all, 0, "\x01\x03\x05", 0},
		{"all, with little room", aoGet(0, "", 0, [2]byte{}, aoGetAll, 2), 0, "\x01\x03", 1},
		{"the current one", aoGet(0, "", 0, [2]byte{}, aoGetCurrent, 8), 0, "\x03", 0},
		{"current and next", aoGet(0, "", 0, [2]byte{}, aoGetCurrent|aoGetNext, 8), 0, "\x03\x05", 0},
		{"a peer", aoGet(AFInet6, "fd87::7", 128, [2]byte{3, 4}, 0, 8), 0, "\x03", 0},
		{"a prefix", aoGet(AFInet6, "fd87::", 16, [2]byte{3, 4}, 0, 8), 0, "\x03", 0},
		{"a key for any", aoGet(AFInet6, "fd87::7", 128, [2]byte{5, 6}, 0, 8), 0, "\x05", 0},
		{"any peer", aoGet(AFInet6, "::", 0, [2]byte{3, 4}, 0, 8), 0, "\x03", 0},
		{"a mapped peer", aoGet(AFInet6, "::ffff:10.0.0.0", 8, [2]byte{1, 2}, 0, 8), 0, "\x01", 0},
		{"a peer of IPv4", aoGet(AFInet, "10.0.0.0", 8, [2]byte{1, 2}, 0, 8), 0, "\x01", 0},
		{"another peer", aoGet(AFInet, "11.0.0.0", 8, [2]byte{1, 2}, 0, 8), 0, "", 0},
		{"another ID", aoGet(AFInet, "10.0.0.0", 8, [2]byte{1, 3}, 0, 8), 0, "", 0},
		{"all and current", aoGet(0, "", 0, [2]byte{}, aoGetAll|aoGetCurrent, 8), errno.EINVAL, "", 0},
		{"all, with an address", aoGet(AFInet6, "fd87::7", 128, [2]byte{}, aoGetAll, 8), errno.EINVAL, "", 0},
		{"all, with an ID", aoGet(0, "", 0, [2]byte{1, 0}, aoGetAll, 8), errno.EINVAL, "", 0},
		{"a reserved bit", aoGet(0, "", 0, [2]byte{}, 8, 8), errno.EINVAL, "", 0},
		{"nothing asked for", aoGet(0, "", 0, [2]byte{}, 0, 8), errno.EAFNOSUPPORT, "", 0},
		{"another family", aoGet(1, "10.0.0.1", 0, [2]byte{}, 0, 8), errno.EAFNOSUPPORT, "", 0},
		{"bits beyond the prefix", aoGet(AFInet, "10.0.0.1", 8, [2]byte{1, 2}, 0, 8), errno.EINVAL, "", 0},
		{"a long prefix", aoGet(AFInet, "10.0.0.1", 33, [2]byte{1, 2}, 0, 8), errno.EINVAL, "", 0},
		{"a long mapped prefix", aoGet(AFInet6, "::ffff:10.0.0.1", 128, [2]byte{1, 2}, 0, 8), errno.EINVAL, "", 0},
		{"no prefix", aoGet(AFInet6, "fd87::7", 0, [2]byte{3, 4}, 0, 8), errno.EINVAL, "", 0},
		{"no address", aoGet(AFInet, "0.0.0.0", 8, [2]byte{1, 2}, 0, 8), errno.EINVAL, "", 0},
	} {
		got, err := ask(c.in, aoGetLen)
		if errno.Of(err) != c.want {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
			continue
		}
		if err != nil {
			continue
		}
		if n := int(binary.NativeEndian.Uint32(got[aoGetCount:])); n != len(c.ids)+c.more {
			t.Errorf("%s: %d matched", c.name, n)
		}
		if len(c.ids) == 0 {
			continue
		}
		var ids []byte
		for at := 0; at < len(got); at += aoGetLen {
			ids = append(ids, got[at+aoGetSendID])
		}
		if string(ids) != c.ids {
			t.Errorf("%s: %x, want %x", c.name, ids, c.ids)
		}
	}

	for name, change := range map[string]func([]byte){
		"a count of segments":      func(b []byte) { b[aoGetBad] = 1 },
		"an unknown flag of a key": func(b []byte) { b[aoGetKeyFlag] = aoExcludeOpt },
		"an interface":             func(b []byte) { b[aoGetIfindex] = 1 },
	} {
		in := aoGet(0, "", 0, [2]byte{}, aoGetAll, 8)
		change(in)
		if _, err := ask(in, aoGetLen); err != errno.EINVAL {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := ask(all, aoGetLen-1); err != errno.EINVAL {
		t.Errorf("cut short: %v", err)
	}
	longer := append(bytes.Clone(all), make([]byte, 8)...)
	if got, err := ask(longer, aoGetLen+8); err != nil || len(got) != 3*(aoGetLen+8) || got[aoGetLen+8+aoGetSendID] != 3 {
		t.Errorf("a later structure: %d bytes, %v", len(got), err)
	}
	longer[aoGetLen] = 1
	if _, err := ask(longer, aoGetLen+8); err != errno.E2BIG {
		t.Errorf("a later structure that asks for more: %v", err)
	}

	got, err := ask(aoGet(0, "", 0, [2]byte{}, aoGetCurrent, 1), aoGetLen)
	if err != nil {
		t.Fatal(err)
	}
	want := aoGet(AFInet6, "fd87::7", 128, [2]byte{3, 4}, aoGetCurrent, 1)
	copy(want[storageLen:], "cmac(aes128)")
	copy(want[aoGetKey:], bytes.Repeat([]byte("k"), 80))
	want[aoGetMACLen], want[aoGetKeyFlag], want[aoGetKeyLen] = 12, aoExcludeOpt, 80
	binary.NativeEndian.PutUint64(want[aoGetGood:], 3<<32)
	binary.NativeEndian.PutUint64(want[aoGetBad:], 3)
	if !bytes.Equal(got, want) {
		t.Errorf("the structure:\n%x, want\n%x", got, want)
	}
	if aoGetLen != 304 || aoGetCount != 272 || aoGetGood != 288 {
		t.Errorf("layout: %d, %d, %d", aoGetLen, aoGetCount, aoGetGood)
	}
}

package engine

import (
	"bytes"
	"net/netip"
	"testing"

	"github.com/tcpcni/tcpcni/sockopt"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

func TestSockaddr(t *testing.T) {
	v4 := []byte{2, 0, 0x1f, 0x90, 10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0}
	v6 := append([]byte{10, 0, 0x1f, 0x90, 0, 0, 0, 0}, netip.MustParseAddr("fd00::1").AsSlice()...)
	for _, c := range []struct {
		name   string
		in     []byte
		domain int
		alsoV4 bool
		want   string
		err    error
	}{
		{"v4", v4, sockopt.AFInet, false, "10.0.0.1:8080", nil},
		{"v4 and more", append(v4[:16:16], 1, 2, 3), sockopt.AFInet, false, "10.0.0.1:8080", nil},
		{"v4 short", v4[:15], sockopt.AFInet, false, "", errno.EINVAL},
		{"v6 without a scope", v6, sockopt.AFInet6, false, "[fd00::1]:8080", nil},
		{"v6 short", v6[:23], sockopt.AFInet6, false, "", errno.EINVAL},
		{"v4 on an IPv6 UDP socket", v4, sockopt.AFInet6, true, "[::ffff:10.0.0.1]:8080", nil},
		{"v4 on an IPv6 TCP socket", append(v4[:16:16], make([]byte, 12)...), sockopt.AFInet6, false, "", errno.EAFNOSUPPORT},
		{"v6 on an IPv4 socket", v6, sockopt.AFInet, false, "", errno.EAFNOSUPPORT},
		{"nothing", nil, sockopt.AFInet, false, "", errno.EINVAL},
		{"one byte", v4[:1], sockopt.AFInet, false, "", errno.EINVAL},
	} {
		got, err := parseSockaddr(c.in, c.domain, c.alsoV4)
		if err != c.err || err == nil && got.String() != c.want {
			t.Errorf("%s: %v, %v", c.name, got, err)
		}
	}
}

func FuzzSockaddr(f *testing.F) {
	f.Add([]byte{2, 0, 0, 80, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0}, false, false)
	f.Add(make([]byte, 28), true, true)
	f.Fuzz(func(t *testing.T, b []byte, six, alsoV4 bool) {
		domain, size := sockopt.AFInet, sockaddrInLen
		if six {
			domain, size = sockopt.AFInet6, sockaddrIn6Len
		}
		a, err := parseSockaddr(b, domain, alsoV4)
		if err != nil {
			return
		}
		out := appendSockaddr(nil, domain, a)
		if len(out) != size {
			t.Fatalf("%v became %d bytes", a, len(out))
		}
		if back, err := parseSockaddr(out, domain, false); err != nil || back != a {
			t.Fatalf("%v came back as %v, %v", a, back, err)
		}
	})
}

func TestControlData(t *testing.T) {
	b := appendControl(nil, 1, 2, []byte("abc"))
	b = appendControl(b, 3, 4, []byte("12345678"))
	if len(b) != 24+24 {
		t.Errorf("length %d", len(b))
	}
	var got []string
	err := eachControl(b, func(level, typ int, data []byte) error {
		got = append(got, string(rune('0'+level))+string(rune('0'+typ))+string(data))
		return nil
	})
	if err != nil || len(got) != 2 || got[0] != "12abc" || got[1] != "3412345678" {
		t.Errorf("%v, %v", got, err)
	}
}

func TestControlDataIsCut(t *testing.T) {
	for room, want := range map[int][2]int{0: {0, 0}, 15: {0, 0}, 16: {16, 16}, 20: {20, 20}, 28: {28, 28}, 40: {32, 28}} {
		b := appendControl(nil, 0, 8, make([]byte, 12))
		got, cut := fitControl(b, room)
		if len(got) != want[0] || cut != (room < 28) {
			t.Errorf("room %d: %d bytes, cut %v", room, len(got), cut)
		}
		if len(got) > 0 && int(got[0]) != want[1] {
			t.Errorf("room %d: cmsg_len %d", room, got[0])
		}
	}
}

func FuzzControlData(f *testing.F) {
	f.Add(appendControl(nil, 0, 8, make([]byte, 12)))
	f.Add([]byte{255, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		how := sendHow{tos: -1, ttl: -1}
		total := 0
		_ = eachControl(b, func(level, typ int, data []byte) error {
			total += len(data) + cmsghdrLen
			if f := sendControls[[2]int{level, typ}]; f != nil {
				_ = f(&how, data)
			}
			return nil
		})
		if total > len(b) {
			t.Fatalf("%d bytes out of %d", total, len(b))
		}
		if how.tos > 255 || how.ttl > 255 {
			t.Fatalf("%+v", how)
		}
		if !bytes.HasPrefix(appendControl(b[:len(b):len(b)], 1, 1, nil), b) {
			t.Fatal("appending changed what was there")
		}
	})
}

package wire

import (
	"encoding/binary"
	"net/netip"
	"testing"
)

// slowSum is RFC 1071 section 4.1, word by word.
func slowSum(b []byte, initial uint16) uint16 {
	acc := uint32(initial)
	for len(b) > 1 {
		acc += uint32(binary.BigEndian.Uint16(b))
		b = b[2:]
	}
	if len(b) == 1 {
		acc += uint32(b[0]) << 8
	}
	for acc > 0xffff {
		acc = acc>>16 + acc&0xffff
	}
	return uint16(acc)
}

func same(a, b uint16) bool { return a == b || (a|b == 0xffff && a&b == 0) }

func pattern(n int, seed byte) []byte {
	b := make([]byte, n)
	x := uint32(seed)*2654435761 + 1
	for i := range b {
		x = x*1664525 + 1013904223
		b[i] = byte(x >> 24)
	}
	return b
}

func TestSumExampleOfRFC1071(t *testing.T) {
	b := []byte{0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7}
	if got := Sum(b, 0); got != 0xddf2 {
		t.Fatalf("Sum = %#x, want 0xddf2 (RFC 1071 section 3)", got)
	}
}

func TestSumEqualsWordByWordAtEveryLength(t *testing.T) {
	for n := range 300 {
		for _, b := range [][]byte{pattern(n, byte(n)), make([]byte, n), ones(n)} {
			for _, init := range []uint16{0, 1, 0xfffe, 0xffff} {
				if got, want := Sum(b, init), slowSum(b, init); got != want {
					t.Fatalf("length %d initial %#x: %#x, want %#x", n, init, got, want)
				}
			}
		}
	}
}

func ones(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = 0xff
	}
	return b
}

func TestSummerOverOddPieces(t *testing.T) {
	whole := pattern(257, 9)
	want := slowSum(whole, 0x1234)
	for i := range whole {
		for _, j := range []int{i, (i + 257) / 2, 257} {
			if got := SumSlices([][]byte{whole[:i], whole[i:j], whole[j:]}, 0x1234); !same(got, want) {
				t.Fatalf("cut at %d and %d: %#x, want %#x", i, j, got, want)
			}
		}
	}
}

func TestUpdateEqualsRecomputing(t *testing.T) {
	b := pattern(40, 3)
	before := Checksum(b, 0)
	old := binary.BigEndian.Uint16(b[6:])
	for _, v := range []uint16{0, 1, 0xffff, 0x8000, old} {
		binary.BigEndian.PutUint16(b[6:], v)
		if got := Update(before, old, v); !same(got, Checksum(b, 0)) {
			t.Fatalf("to %#x: %#x, want %#x", v, got, Checksum(b, 0))
		}
	}
}

func TestPseudoSum(t *testing.T) {
	a4, b4 := netip.MustParseAddr("10.87.0.2"), netip.MustParseAddr("255.255.255.255")
	s4, d4 := a4.As4(), b4.As4()
	want := slowSum([]byte{0, 6, 0xff, 0xff}, slowSum(append(s4[:], d4[:]...), 0))
	if got := PseudoSum(a4, b4, 6, 65535); got != want {
		t.Errorf("IPv4: %#x, want %#x", got, want)
	}
	a6, b6 := netip.MustParseAddr("fd87::2"), netip.MustParseAddr("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")
	s6, d6 := a6.As16(), b6.As16()
	want = slowSum([]byte{0, 0, 0, 17, 0, 1, 0, 7}, slowSum(append(s6[:], d6[:]...), 0))
	if got := PseudoSum(a6, b6, 17, 65543); got != want {
		t.Errorf("IPv6: %#x, want %#x", got, want)
	}
}

func FuzzSum(f *testing.F) {
	f.Add([]byte{1, 2, 3}, uint16(7), uint8(1))
	f.Add(pattern(200, 1), uint16(0xffff), uint8(77))
	f.Fuzz(func(t *testing.T, b []byte, initial uint16, cut uint8) {
		want := slowSum(b, initial)
		if got := Sum(b, initial); got != want {
			t.Fatalf("Sum = %#x, want %#x", got, want)
		}
		i := min(int(cut), len(b))
		if got := SumSlices([][]byte{b[:i], b[i:]}, initial); !same(got, want) {
			t.Fatalf("SumSlices = %#x, want %#x", got, want)
		}
	})
}

func BenchmarkSum(b *testing.B) {
	for _, n := range []int{20, 1460, 65483} {
		data := pattern(n, 1)
		b.Run(itoa(n), func(b *testing.B) {
			b.SetBytes(int64(n))
			b.ReportAllocs()
			for b.Loop() {
				Sum(data, 0)
			}
		})
	}
}

func itoa(n int) string {
	if n < 10 {
		return string(rune('0' + n))
	}
	return itoa(n/10) + string(rune('0'+n%10))
}

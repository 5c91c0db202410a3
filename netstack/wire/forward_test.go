package wire

import (
	"bytes"
	"testing"
)

func TestDropUncopied(t *testing.T) {
	for _, c := range []struct{ in, want []byte }{
		{[]byte{0x94, 4, 0, 0, 0x44, 4, 5, 0}, []byte{0x94, 4, 0, 0, 1, 1, 1, 1}},
		{[]byte{1, 7, 3, 9, 0x83, 3, 4, 0}, []byte{1, 1, 1, 1, 0x83, 3, 4, 0}},
		{[]byte{0, 7, 3, 9}, []byte{0, 7, 3, 9}}, // behind the end
		{[]byte{7, 9, 0, 0}, []byte{7, 9, 0, 0}}, // longer than there is
		{[]byte{7, 0, 0, 0}, []byte{7, 0, 0, 0}},
		{[]byte{7}, []byte{7}},
		{nil, nil},
	} {
		got := append([]byte(nil), c.in...)
		if DropUncopied(got); !bytes.Equal(got, c.want) {
			t.Errorf("%x: %x, want %x", c.in, got, c.want)
		}
	}
}

func TestUnfragmentable(t *testing.T) {
	header := func(next byte) []byte { return []byte{next, 0, 1, 4, 0, 0, 0, 0} }
	chain := func(next ...byte) (b []byte) {
		for _, n := range next {
			b = append(b, header(n)...)
		}
		return b
	}
	for _, c := range []struct {
		name  string
		next  uint8
		chain []byte
		want  int
	}{
		{"none", ProtoUDP, nil, 0},
		{"hop by hop", ProtoHopByHop, chain(ProtoUDP), 8},
		{"hop by hop, destination", ProtoHopByHop, chain(ProtoDstOpts, ProtoUDP), 8},
		{"destination", ProtoDstOpts, chain(ProtoUDP), 0},
		{"destination, routing", ProtoDstOpts, chain(ProtoRouting, ProtoUDP), 16},
		{"all", ProtoHopByHop, chain(ProtoDstOpts, ProtoRouting, ProtoDstOpts, ProtoUDP), 24},
		{"cut off", ProtoHopByHop, []byte{ProtoUDP}, 0},
		{"longer than there is", ProtoHopByHop, []byte{ProtoUDP, 3, 0, 0, 0, 0, 0, 0}, 0},
	} {
		if n := Unfragmentable(c.next, c.chain); n != c.want {
			t.Errorf("%s: %d, want %d", c.name, n, c.want)
		}
	}
}

package tcp

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/tcpcni/tcpcni/sockopt/errno"
)

func TestAssociations(t *testing.T) {
	var d Associations
	a, b := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")
	six := netip.MustParseAddr("fd00::1")
	sel := Selector{Src: a, Dst: b, DstPort: 179}
	for name, bad := range map[string]Association{
		"no addresses":     {Selector{}, []byte("k")},
		"both families":    {Selector{Src: a, Dst: six}, []byte("k")},
		"everybody":        {Selector{Src: netip.IPv4Unspecified(), Dst: b}, []byte("k")},
		"a group":          {Selector{Src: a, Dst: netip.MustParseAddr("224.0.0.1")}, []byte("k")},
		"no key":           {sel, nil},
		"a key too long":   {sel, make([]byte, MaxAssociationKey+1)},
		"one address only": {Selector{Src: a}, []byte("k")},
	} {
		if err := d.Add(bad); err != errno.EINVAL {
			t.Errorf("%s: %v", name, err)
		}
	}
	key := []byte("key")
	if err := d.Add(Association{sel, key}); err != nil {
		t.Fatal(err)
	}
	key[0] = 'x'
	mapped := Selector{Src: netip.AddrFrom16(a.As16()), Dst: netip.AddrFrom16(b.As16()), DstPort: 179}
	if got, err := d.Get(mapped); err != nil || string(got.Key) != "key" || got.Selector != sel {
		t.Errorf("%+v, %v", got, err)
	}
	if err := d.Add(Association{mapped, []byte("other")}); err != errno.EEXIST {
		t.Errorf("twice: %v", err)
	}
	if err := d.Delete(Selector{Src: a, Dst: b}); err != errno.ESRCH {
		t.Errorf("another selector: %v", err)
	}
	if _, err := d.Get(Selector{Src: a, Dst: b}); err != errno.ESRCH {
		t.Errorf("another selector: %v", err)
	}
	// Entries of one pair of addresses, from the most to the least special.
	sels := []Selector{{a, b, 1000, 179}, {a, b, 0, 179}, {a, b, 1000, 0}, {a, b, 0, 0}}
	for i, s := range sels {
		if err := d.Add(Association{s, []byte{byte('1' + i)}}); err != nil && i != 1 {
			t.Fatal(err)
		}
	}
	src, dst := netip.AddrPortFrom(a, 1000), netip.AddrPortFrom(b, 179)
	for _, want := range []string{"1", "key", "3", "4"} {
		if got := d.find(src, dst); string(got) != want {
			t.Errorf("found %q, want %q", got, want)
		}
		if got := d.find(dst, src); got != nil {
			t.Errorf("found %q for the other direction", got)
		}
		for i, k := range []string{"1", "key", "3", "4"} {
			if k == want {
				if err := d.Delete(sels[i]); err != nil {
					t.Error(err)
				}
			}
		}
	}
	for i := range MaxAssociations + 1 {
		err := d.Add(Association{Selector{Src: a, Dst: b, SrcPort: uint16(i + 1)}, []byte("k")})
		if full := i >= MaxAssociations; errors.Is(err, errno.ENOSPC) != full {
			t.Fatalf("entry %d: %v", i, err)
		}
	}
	list := d.All()
	for i := range list[1:] {
		if list[i].compare(list[i+1].Selector) >= 0 {
			t.Fatal("the list is out of order")
		}
	}
	if d.Flush(); len(list) != MaxAssociations || len(d.All()) != 0 {
		t.Errorf("%d entries, %d after flush", len(list), len(d.All()))
	}
}

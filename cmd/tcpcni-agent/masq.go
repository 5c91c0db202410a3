package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
)

// Masquerading of what leaves the cluster, as one nftables table per family:
//
//	table ip tcpcni-agent {
//		set kept { type ipv4_addr; flags interval; … }
//		chain postrouting {
//			type nat hook postrouting priority srcnat
//			ip saddr OWN-SUBNET ip daddr != @kept masquerade
//		}
//	}
//
// The table is replaced in one transaction; connections under way keep the
// address that they have.

const tableName = "tcpcni-agent"

// An addressFamily is what nftables needs to know of one.
type addressFamily struct {
	family   nftables.TableFamily
	key      nftables.SetDatatype
	src, dst uint32 // offsets in the IP header
	size     uint32 // bytes of an address
	groups   netip.Prefix
}

var families = map[bool]addressFamily{ // by "is IPv4"
	true:  {nftables.TableFamilyIPv4, nftables.TypeIPAddr, 12, 16, 4, netip.MustParsePrefix("224.0.0.0/4")},
	false: {nftables.TableFamilyIPv6, nftables.TypeIP6Addr, 8, 24, 16, netip.MustParsePrefix("ff00::/8")},
}

// setMasquerading makes packets from own to anywhere but kept and multicast
// groups take the node's address.
func setMasquerading(own, kept []netip.Prefix) error {
	for _, v4 := range []bool{true, false} {
		sources := ofFamily(own, v4)
		if len(sources) == 0 {
			continue
		}
		f := families[v4]
		err := replaceTable(f, sources, append(ofFamily(kept, v4), f.groups))
		if err != nil {
			return fmt.Errorf("masquerading: nftables: %w: accepted: a kernel with nf_tables and NAT; otherwise --masquerade=false", err)
		}
	}
	return nil
}

func ofFamily(list []netip.Prefix, v4 bool) []netip.Prefix {
	var out []netip.Prefix
	for _, p := range list {
		if p.Addr().Is4() == v4 {
			out = append(out, p)
		}
	}
	return out
}

func replaceTable(f addressFamily, sources, kept []netip.Prefix) error {
	c, err := nftables.New()
	if err != nil {
		return err
	}
	t := &nftables.Table{Name: tableName, Family: f.family}
	c.AddTable(t) // so that there is one to delete
	c.DelTable(t)
	c.AddTable(t)
	set := &nftables.Set{Table: t, Name: "kept", KeyType: f.key, Interval: true}
	if err := c.AddSet(set, intervals(kept)); err != nil {
		return err
	}
	chain := c.AddChain(&nftables.Chain{
		Name: "postrouting", Table: t, Type: nftables.ChainTypeNAT,
		Hooknum: nftables.ChainHookPostrouting, Priority: nftables.ChainPriorityNATSource,
	})
	for _, p := range sources {
		c.AddRule(&nftables.Rule{Table: t, Chain: chain, Exprs: []expr.Any{
			load(f.src, f.size),
			&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: f.size, Mask: mask(p), Xor: make([]byte, f.size)},
			&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: p.Addr().AsSlice()},
			load(f.dst, f.size),
			&expr.Lookup{SourceRegister: 1, SetName: set.Name, SetID: set.ID, Invert: true},
			&expr.Masq{},
		}})
	}
	return c.Flush()
}

func load(offset, size uint32) *expr.Payload {
	return &expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: size}
}

func mask(p netip.Prefix) []byte {
	m := make([]byte, p.Addr().BitLen()/8)
	for i := range p.Bits() {
		m[i/8] |= 0x80 >> (i % 8)
	}
	return m
}

// intervals are the set elements for prefixes: each range of addresses by its
// first and by the one behind its last. Ranges that touch are one, as two
// elements may not have the same key.
func intervals(list []netip.Prefix) []nftables.SetElement {
	type span struct{ first, behind netip.Addr } // behind is invalid at the end of all addresses
	var spans []span
	sorted := slices.Clone(list)
	slices.SortFunc(sorted, func(a, b netip.Prefix) int { return a.Masked().Addr().Compare(b.Masked().Addr()) })
	for _, p := range sorted {
		s := span{p.Masked().Addr(), last(p).Next()}
		if n := len(spans); n > 0 {
			end := &spans[n-1].behind
			if !end.IsValid() || s.first.Compare(*end) <= 0 {
				if end.IsValid() && (!s.behind.IsValid() || s.behind.Compare(*end) > 0) {
					*end = s.behind
				}
				continue
			}
		}
		spans = append(spans, s)
	}
	var out []nftables.SetElement
	for _, s := range spans {
		out = append(out, nftables.SetElement{Key: s.first.AsSlice()})
		if s.behind.IsValid() {
			out = append(out, nftables.SetElement{Key: s.behind.AsSlice(), IntervalEnd: true})
		}
	}
	return out
}

// last is the highest address of a prefix.
func last(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().AsSlice()
	for i, m := range mask(p) {
		b[i] |= ^m
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

// removeMasquerading takes both tables away.
func removeMasquerading() error {
	c, err := nftables.New()
	if err != nil {
		return err
	}
	tables, err := c.ListTables()
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // no nf_tables, no rules
		}
		return err
	}
	for _, t := range tables {
		if t.Name == tableName && (t.Family == nftables.TableFamilyIPv4 || t.Family == nftables.TableFamilyIPv6) {
			c.DelTable(t)
		}
	}
	return c.Flush()
}

// sameRules reports whether two calls of setMasquerading would do the same.
func sameRules(a, b [][]netip.Prefix) bool {
	return slices.EqualFunc(a, b, slices.Equal[[]netip.Prefix])
}

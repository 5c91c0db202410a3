package plugin

// Masquerading by nftables, over netlink: starting nft takes longer than all else
// that ADD does on the host. Table, chains, rules and comments are those of the
// CNI project's plugins (ipmasq_nftables_linux.go of its package ip), so that
// both can share the table and `nft list` shows one thing.

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/containernetworking/plugins/pkg/utils"
	"github.com/google/nftables"
	"github.com/google/nftables/expr"
)

const (
	masqTable = "cni_plugins_masquerade"
	masqChain = "masq_checks"
	masqHash  = 16 // characters of a hash in a comment

	maxNFTComment = 128 // bytes, of the kernel's and nft's
)

// Where an IP header has its addresses, in bytes.
const (
	src4, dst4 = 12, 16
	src6, dst6 = 8, 24
)

// supportsNFTables reports whether this kernel has nftables and lets us at it.
func supportsNFTables() bool {
	c, err := nftables.New()
	if err != nil {
		return false
	}
	_, err = c.ListTablesOfFamily(nftables.TableFamilyINet)
	return err == nil
}

// masqMark is how the comments of an attachment's rules begin.
func masqMark(network string, s Sandbox) string {
	return utils.MustFormatHashWithPrefix(masqHash, "", network) + "-" +
		utils.MustFormatHashWithPrefix(masqHash, "", s.IfName+":"+s.ContainerID)
}

func masqComment(network string, s Sandbox) string {
	plain := func(w string) string { return strings.ReplaceAll(w, `"`, "") }
	text := fmt.Sprintf("%s, net: %s, if: %s, id: %s", masqMark(network, s), plain(network), plain(s.IfName), plain(s.ContainerID))
	return text[:min(len(text), maxNFTComment)]
}

// setUpNFTables adds the rules of an attachment in one transaction, instead of
// those that an earlier one of its name has left.
func setUpNFTables(network string, s Sandbox, addrs []netip.Prefix) error {
	c, err := nftables.New()
	if err != nil {
		return fmt.Errorf("nftables: %w", err)
	}
	stale, err := masqRules(c, masqMark(network, s))
	if err != nil {
		return err
	}
	table := c.AddTable(&nftables.Table{Name: masqTable, Family: nftables.TableFamilyINet})
	checks := c.AddChain(&nftables.Chain{Name: masqChain, Table: table})
	post := c.AddChain(&nftables.Chain{Name: "postrouting", Table: table,
		Type: nftables.ChainTypeNAT, Hooknum: nftables.ChainHookPostrouting, Priority: nftables.ChainPriorityNATSource})
	c.FlushChain(post)
	for _, multicast := range []string{"224.0.0.0/4", "ff00::/8"} {
		c.AddRule(&nftables.Rule{Table: table, Chain: post,
			Exprs: append(ofFamily(netip.MustParsePrefix(multicast), destination, expr.CmpOpEq), &expr.Verdict{Kind: expr.VerdictReturn})})
	}
	c.AddRule(&nftables.Rule{Table: table, Chain: post, Exprs: []expr.Any{&expr.Verdict{Kind: expr.VerdictGoto, Chain: masqChain}}})
	for _, r := range stale {
		if err := c.DelRule(r); err != nil {
			return fmt.Errorf("nftables: %w", err)
		}
	}
	for _, a := range addrs {
		host := netip.PrefixFrom(a.Addr(), a.Addr().BitLen())
		e := ofFamily(host, source, expr.CmpOpEq)
		e = append(e, address(a.Masked(), destination, expr.CmpOpNeq)...)
		c.AddRule(&nftables.Rule{Table: table, Chain: checks, Exprs: append(e, &expr.Masq{}), UserData: comment(masqComment(network, s))})
	}
	if err := c.Flush(); err != nil {
		return fmt.Errorf("nftables: table %s: %w", masqTable, err)
	}
	return nil
}

// tearDownNFTables removes the rules of an attachment.
func tearDownNFTables(network string, s Sandbox) error {
	c, err := nftables.New()
	if err != nil {
		return fmt.Errorf("nftables: %w", err)
	}
	rules, err := masqRules(c, masqMark(network, s))
	if err != nil || len(rules) == 0 {
		return err
	}
	for _, r := range rules {
		if err := c.DelRule(r); err != nil {
			return fmt.Errorf("nftables: %w", err)
		}
	}
	if err := c.Flush(); err != nil {
		return fmt.Errorf("nftables: table %s: %w", masqTable, err)
	}
	return nil
}

// masqRules are the rules whose comment begins with mark; none when there is no
// such table.
func masqRules(c *nftables.Conn, mark string) ([]*nftables.Rule, error) {
	table := &nftables.Table{Name: masqTable, Family: nftables.TableFamilyINet}
	rules, err := c.GetRules(table, &nftables.Chain{Name: masqChain, Table: table})
	if err != nil {
		return nil, fmt.Errorf("nftables: table %s: %w", masqTable, err)
	}
	var found []*nftables.Rule
	for _, r := range rules {
		if strings.HasPrefix(commentOf(r.UserData), mark) {
			found = append(found, r)
		}
	}
	return found, nil
}

// A masqEnd is which of a packet's addresses is looked at.
type masqEnd int

const (
	source masqEnd = iota
	destination
)

// ofFamily matches packets of a's family whose address compares so with a.
func ofFamily(a netip.Prefix, end masqEnd, op expr.CmpOp) []expr.Any {
	family := byte(nftables.TableFamilyIPv4)
	if a.Addr().Is6() {
		family = byte(nftables.TableFamilyIPv6)
	}
	return append([]expr.Any{
		&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{family}},
	}, address(a, end, op)...)
}

// address matches packets whose address compares so with a.
func address(a netip.Prefix, end masqEnd, op expr.CmpOp) []expr.Any {
	at := [2]uint32{src4, dst4}[end]
	if a.Addr().Is6() {
		at = [2]uint32{src6, dst6}[end]
	}
	b := a.Masked().Addr().AsSlice()
	e := []expr.Any{&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: at, Len: uint32(len(b))}}
	if !a.IsSingleIP() {
		e = append(e, &expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: uint32(len(b)),
			Mask: net.CIDRMask(a.Bits(), a.Addr().BitLen()), Xor: make([]byte, len(b))})
	}
	return append(e, &expr.Cmp{Op: op, Register: 1, Data: b})
}

// User data of a rule is a list of type, length, value; nft's comments have type 0
// and end with a zero byte (libnftnl, udata.h).
const udataComment = 0

func comment(text string) []byte {
	return append([]byte{udataComment, byte(len(text) + 1)}, append([]byte(text), 0)...)
}

func commentOf(udata []byte) string {
	for len(udata) >= 2 && len(udata) >= 2+int(udata[1]) {
		value := udata[2 : 2+int(udata[1])]
		if udata[0] == udataComment {
			return string(bytes.TrimRight(value, "\x00"))
		}
		udata = udata[2+len(value):]
	}
	return ""
}

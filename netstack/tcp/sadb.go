package tcp

// The association database: keys that the administrator gives to the stack, and
// not a program to its socket, in the manner of tcpkey(8) and setkey(8). A socket
// with the option TCP_MD5SIG as illumos and FreeBSD have it signs and checks by
// what is found here (RFC 2385). An association is for one direction: what one
// host sends to another, from a port and to a port when those are given.

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// MaxAssociations bounds the database of a layer.
const MaxAssociations = 4096

// MaxAssociationKey is the length of the longest key, in bytes.
const MaxAssociationKey = maxMD5Key

// A Selector says which segments an association is for. A port of 0 is any.
type Selector struct {
	Src, Dst         netip.Addr
	SrcPort, DstPort uint16
}

// valid is s as it is kept: IPv4 not mapped, no zones. False: the addresses are
// not two of one family that segments can be sent between.
func (s Selector) valid() (Selector, bool) {
	s.Src, s.Dst = s.Src.Unmap().WithZone(""), s.Dst.Unmap().WithZone("")
	one := func(a netip.Addr) bool { return a.IsValid() && !a.IsUnspecified() && !a.IsMulticast() }
	return s, one(s.Src) && one(s.Dst) && s.Src.Is4() == s.Dst.Is4()
}

// compare orders selectors by addresses, then by ports.
func (s Selector) compare(o Selector) int {
	return cmp.Or(s.Src.Compare(o.Src), s.Dst.Compare(o.Dst), cmp.Compare(s.SrcPort, o.SrcPort), cmp.Compare(s.DstPort, o.DstPort))
}

// An Association is one entry of the database.
type Association struct {
	Selector
	Key []byte // 1 to MaxAssociationKey bytes
}

// Associations are the database of one layer.
type Associations struct{ keys map[Selector][]byte }

// Associations returns the layer's database.
func (l *Layer) Associations() *Associations { return &l.sadb }

// Add enters an association. Connections that have found theirs keep it. Errors:
// EINVAL (addresses, length of the key), EEXIST (the selector has one), ENOSPC
// (more than MaxAssociations).
func (d *Associations) Add(a Association) error {
	s, ok := a.Selector.valid()
	if !ok || len(a.Key) == 0 || len(a.Key) > MaxAssociationKey {
		return errno.EINVAL
	}
	switch {
	case d.keys[s] != nil:
		return errno.EEXIST
	case len(d.keys) >= MaxAssociations:
		return errno.ENOSPC
	case d.keys == nil:
		d.keys = make(map[Selector][]byte)
	}
	d.keys[s] = slices.Clone(a.Key)
	return nil
}

// Delete takes an association out. Connections that use it go on with it: ESRCH,
// as PF_KEY has it, when there is none.
func (d *Associations) Delete(s Selector) error {
	s, _ = s.valid()
	if d.keys[s] == nil {
		return errno.ESRCH
	}
	delete(d.keys, s)
	return nil
}

// Get finds the association of exactly this selector. Errors: ESRCH.
func (d *Associations) Get(s Selector) (Association, error) {
	s, _ = s.valid()
	if k := d.keys[s]; k != nil {
		return Association{s, slices.Clone(k)}, nil
	}
	return Association{}, errno.ESRCH
}

// Flush empties the database.
func (d *Associations) Flush() { d.keys = nil }

// All lists the database in the order of its selectors.
func (d *Associations) All() []Association {
	list := make([]Association, 0, len(d.keys))
	for s, k := range d.keys {
		list = append(list, Association{s, slices.Clone(k)})
	}
	slices.SortFunc(list, func(a, b Association) int { return a.compare(b.Selector) })
	return list
}

// find is the key for a segment, nil when there is no association: one with
// more ports goes before one with fewer, and of two with one port the one with
// the destination's.
func (d *Associations) find(src, dst netip.AddrPort) []byte {
	if len(d.keys) == 0 {
		return nil
	}
	s := Selector{src.Addr().WithZone(""), dst.Addr().WithZone(""), src.Port(), dst.Port()}
	for _, ports := range [...][2]uint16{{s.SrcPort, s.DstPort}, {0, s.DstPort}, {s.SrcPort, 0}, {0, 0}} {
		s.SrcPort, s.DstPort = ports[0], ports[1]
		if k := d.keys[s]; k != nil {
			return k
		}
	}
	return nil
}

// A seeker looks for the associations of one connection until it has them.
type seeker struct {
	from          *Associations
	local, remote netip.AddrPort
}

func (l *Layer) seek(local, remote netip.Addr, lport, rport uint16) *auth {
	return &auth{seek: &seeker{&l.sadb, netip.AddrPortFrom(local, lport), netip.AddrPortFrom(remote, rport)}}
}

// out is the MD5 key of what we send, in that of what we receive; nil: there is
// none, and silence. What was found is kept: an association cannot change under
// a connection.
func (a *auth) out() []byte {
	if a.md5 == nil && a.seek != nil {
		a.md5 = a.seek.from.find(a.seek.local, a.seek.remote)
	}
	return a.md5
}

func (a *auth) in() []byte {
	if a.seek == nil {
		return a.md5
	}
	if a.md5In == nil {
		a.md5In = a.seek.from.find(a.seek.remote, a.seek.local)
	}
	return a.md5In
}

// signs reports whether segments of the socket may have to be signed.
func (s *Socket) signs() bool { return s.keys != nil || s.opts.Rare().MD5Sig }

// authTo is what signs the segments of a connection; nil: nothing does. A key
// that the program gave for the peer goes before the database.
func (s *Socket) authTo(local, remote netip.Addr, lport, rport uint16) *auth {
	if a := s.keys.auth(remote); a != nil || !s.opts.Rare().MD5Sig {
		return a
	}
	return s.l.seek(local, remote, lport, rport)
}

// authFrom is authTo for a listener and a peer that asks for a connection. With
// an option of the illumos kind peers without an association are taken as if the
// option were off (tcp(4P)); with one of the FreeBSD kind they meet silence
// (tcp(4)).
func (s *Socket) authFrom(local, remote netip.Addr, lport, rport uint16) *auth {
	a := s.authTo(local, remote, lport, rport)
	if a != nil && a.seek != nil && a.in() == nil && !s.l.profile.MD5SigAlways {
		return nil
	}
	return a
}

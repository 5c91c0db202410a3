package sockopt

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// A Profile is one system's sockets as one sandbox has them: its options, its
// tunables and the choices that depend on them. It belongs to one stack.
type Profile struct {
	Name     string
	BindRule string // name of the rule in netstack/ports

	// Bind is what else bind(2) goes by. It follows from BindRule.
	Bind BindPolicy

	// ConnectMulticast and ConnectBroadcast are what connect(2) of a TCP socket
	// to such an address fails with (RFC 9293 section 3.9.2.3, MUST-46).
	ConnectMulticast, ConnectBroadcast errno.Errno

	// ConnectNoPort is what connect(2) of a TCP socket to port 0 fails with; 0:
	// port 0 is tried like another.
	ConnectNoPort errno.Errno

	// LinkDown is what connect(2) of a TCP socket fails with, and what the time-out
	// of a connection is, while an interface on the way is not up; 0: packets are
	// lost there like elsewhere.
	LinkDown errno.Errno

	// NoNeighbour is the error of packets to a host of the link that does not answer
	// ARP or neighbour discovery; 0: EHOSTUNREACH, as it is for one that a silent
	// router leads to.
	NoNeighbour errno.Errno

	// PermanentErrors: reading SO_ERROR does not clear it.
	PermanentErrors bool

	// PollShut: to poll(2) a socket that is shut for writing has hung up and is
	// not writable. Else it hangs up when both directions are shut, and stays
	// writable.
	PollShut bool

	// MD5SigAlways: a listener with the switch TCP_MD5SIG takes signed peers only.
	// Else it takes those that have no association unsigned.
	MD5SigAlways bool

	// ECNFallbackAnswers: Tunables.ECNMaxRetries is about SYN-ACKs, too. Else they
	// agree to ECN however often they are sent.
	ECNFallbackAnswers bool

	// Tunables are the sandbox's values; NewTunables replaces the defaults.
	Tunables *Tunables

	// Congestion lists the algorithms that TCP_CONGESTION may name, as the system
	// names them. The stack leaves in it what it has.
	Congestion []string

	// CongestionAliases are further names that TCP_CONGESTION may be given, with
	// those that it then shows.
	CongestionAliases map[string]string

	// Links resolves link names for SO_BINDTODEVICE; with nil no link has one.
	Links Links

	// Gauges is the stack, for tunables that tell of it; with nil it is at rest.
	Gauges Gauges

	rows     []Row
	index    map[optionKey]*Row
	calls    callRules
	tunables []tunableRow      // by the names of its system
	values   map[string]string // defaults of tunables that are not its own
	follows  []ID              // options whose default an unchosen one follows; see Follower
	patience Patience

	holeDefaultMSS bool // see Fine.HoleDefaultMSS

	defaults func(*Tunables) Options
	fresh    []func(*Options, *Tunables) // what an accepted socket does not inherit
}

type optionKey struct{ level, number int }

// profiles are the systems that can be chosen, by name.
var profiles = map[string]func() *Profile{
	"linux":   newLinux,
	"illumos": newIllumos,
	"omnios":  newOmniOS,
	"freebsd": newFreeBSD,
	"sortix":  newSortix,
	"cxux":    newCXUX,
}

// ProfileByName returns a new profile of the named system with its default
// tunables. The error of an unknown name lists the names.
func ProfileByName(name string) (*Profile, error) {
	build, ok := profiles[name]
	if !ok {
		return nil, fmt.Errorf("profile %q is unknown; accepted: %s", name, strings.Join(ProfileNames(), ", "))
	}
	return build(), nil
}

// ProfileNames are the names that ProfileByName accepts, linux before the others
// in their order.
func ProfileNames() []string {
	names := make([]string, 0, len(profiles))
	for name := range profiles {
		if name != "linux" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Insert(names, 0, "linux")
}

// Rows are the options of the profile in the order of the documentation.
func (p *Profile) Rows() []Row { return p.rows }

// Set is setsockopt(2). It returns the row that took the value, so that the
// engine can see Row.Mirror; the error is an errno.Errno.
func (p *Profile) Set(t Target, level, name int, val []byte, priv Privilege) (*Row, error) {
	domain, typ, _ := t.Kind()
	if !hasLevel(domain, typ, level) {
		return nil, p.calls.setLevel(domain)
	}
	row := p.find(typ, level, name)
	short := p.calls.lengthFirst && len(val) < sizeofInt && (level == SolSocket || level == protoTCP || level == protoUDP)
	switch {
	case row == nil && short, row != nil && row.Access == ReadOnly && short:
		return nil, errno.EINVAL
	case row == nil:
		return nil, errno.ENOPROTOOPT
	case row.Access == ReadOnly:
		return nil, p.calls.readOnly
	case row.Refuse != 0:
		return nil, row.Refuse
	case p.calls.tooLong(row, len(val)):
		return nil, errno.EINVAL
	}
	if err := row.take(&call{p: p, t: t, o: t.Options(), priv: priv}, val); err != nil {
		return nil, err
	}
	t.Options().Chosen.Add(canonical(row.ID))
	t.Changed(row.ID)
	return row, nil
}

// Get is getsockopt(2) with a buffer of maxLen bytes. The value comes back cut
// to that length where Linux cuts it; the error is an errno.Errno.
func (p *Profile) Get(t Target, level, name, maxLen int) ([]byte, error) {
	return p.GetAsked(t, level, name, maxLen, nil)
}

// Asks is how many bytes of the program's buffer GetAsked wants to see.
func (p *Profile) Asks(t Target, level, name int) int {
	if row := p.RowOf(t, level, name); row != nil {
		return row.Asks
	}
	return 0
}

// Weighs reports whether Set wants the caller's true privileges at once: what it
// refuses without them is not only EPERM.
func (p *Profile) Weighs(level, name int) bool {
	row := p.index[optionKey{level, name}]
	return row != nil && row.Weighs
}

// RowOf is the row of an option of t's kind of socket; nil: there is none.
func (p *Profile) RowOf(t Target, level, name int) *Row {
	domain, typ, _ := t.Kind()
	if !hasLevel(domain, typ, level) {
		return nil
	}
	return p.find(typ, level, name)
}

// GetAsked is Get with what the program has written into its buffer.
func (p *Profile) GetAsked(t Target, level, name, maxLen int, asked []byte) ([]byte, error) {
	domain, typ, _ := t.Kind()
	if !hasLevel(domain, typ, level) {
		return nil, p.calls.getLevel(domain)
	}
	row := p.find(typ, level, name)
	switch {
	case row == nil:
		return nil, errno.ENOPROTOOPT
	case row.Access == WriteOnly:
		return nil, p.calls.writeOnly
	case row.Refuse != 0:
		return nil, row.Refuse
	case maxLen < 0:
		return nil, errno.EINVAL
	}
	return row.give(&call{p: p, t: t, o: t.Options(), asked: asked}, maxLen)
}

// hasLevel reports whether a socket of the kind has any options at the level.
func hasLevel(domain, typ, level int) bool {
	switch level {
	case SolSocket, protoIP:
		return true
	case protoIPv6:
		return domain == AFInet6
	case protoTCP:
		return typ == SockStream
	case protoUDP:
		return typ == SockDgram
	}
	return false
}

func (p *Profile) find(typ, level, name int) *Row {
	row := p.index[optionKey{level, name}]
	if row == nil || typ == SockStream && row.On&TCPOnly == 0 || typ != SockStream && row.On&UDPOnly == 0 {
		return nil
	}
	return row
}

// NewOptions are the settings of a new TCP socket, with the tunables' defaults.
func (p *Profile) NewOptions() Options { return p.defaults(p.Tunables) }

// NewDatagramOptions are those of a new UDP socket.
func (p *Profile) NewDatagramOptions() Options {
	o := p.NewOptions()
	o.RcvBuf, o.SndBuf = p.Tunables.CoreRmemDefault, p.Tunables.CoreWmemDefault
	return o
}

// Inherit gives an accepted socket its listener's settings.
func (p *Profile) Inherit(child, listener *Options) {
	*child = *listener
	if child.Rare().IPOptions != "" {
		child.SetRare(func(r *Rare) { r.IPOptions = "" }) // what the first segment came with counts
	}
	if child.Rare().Cookie != 0 {
		child.SetRare(func(r *Rare) { r.Cookie = 0 })
	}
	for _, reset := range p.fresh {
		reset(child, p.Tunables)
	}
}

// seal gives the tunables their defaults and builds the index after the rows are
// complete.
func (p *Profile) seal() *Profile {
	policy, ok := bindPolicies[p.BindRule]
	if !ok {
		panic("profile " + p.Name + ": there is no bind rule " + p.BindRule)
	}
	p.Bind = policy
	if _, err := NewTunables(p, nil); err != nil {
		panic("profile " + p.Name + ": a default is outside its own range: " + err.Error())
	}
	p.index = make(map[optionKey]*Row, len(p.rows))
	for i := range p.rows {
		r := &p.rows[i]
		key := optionKey{r.Level, r.Number}
		if p.index[key] != nil {
			panic("two rows for option " + r.Name)
		}
		p.index[key] = r
	}
	return p
}

package sockopt

// Values that sockets start with because the sandbox's configuration says so. A
// program's own setsockopt comes before them.

import (
	"encoding/binary"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// An IDSet is a set of options.
type IDSet [(numIDs + 63) / 64]uint64

// Has reports whether the set holds id.
func (s *IDSet) Has(id ID) bool { return s[id>>6]&(1<<(id&63)) != 0 }

// Add puts id into the set.
func (s *IDSet) Add(id ID) { s[id>>6] |= 1 << (id & 63) }

// sameAs are the options that write the field of another.
var sameAs = map[ID]ID{SndBufForce: SndBuf, RcvBufForce: RcvBuf, KeepAliveThreshold: KeepIdle}

func canonical(id ID) ID {
	if other, ok := sameAs[id]; ok {
		return other
	}
	return id
}

// defaultable are the options of TCP sockets that a configuration may give
// values to, each with what brings its fields back to another socket's. The other
// options count at bind or listen, which come before a peer is known, live in the
// program's end of the pair, or have no effect.
var defaultable = map[ID]func(o, from *Options){
	SndBuf:      func(o, from *Options) { o.SndBuf, o.SndBufLocked = from.SndBuf, from.SndBufLocked },
	RcvBuf:      func(o, from *Options) { o.RcvBuf, o.RcvBufLocked = from.RcvBuf, from.RcvBufLocked },
	KeepAlive:   func(o, from *Options) { o.KeepAlive = from.KeepAlive },
	Priority:    func(o, from *Options) { o.Priority = from.Priority },
	Linger:      func(o, from *Options) { o.Linger = from.Linger },
	DontRoute:   func(o, from *Options) { o.DontRoute = from.DontRoute },
	NoDelay:     func(o, from *Options) { o.NoDelay = from.NoDelay },
	MaxSeg:      func(o, from *Options) { o.MaxSeg = from.MaxSeg },
	Cork:        func(o, from *Options) { o.Cork = from.Cork },
	KeepIdle:    func(o, from *Options) { o.KeepIdle = from.KeepIdle },
	KeepIntvl:   func(o, from *Options) { o.KeepIntvl = from.KeepIntvl },
	KeepCnt:     func(o, from *Options) { o.KeepCnt = from.KeepCnt },
	SynCnt:      func(o, from *Options) { o.SynCnt = from.SynCnt },
	Linger2:     func(o, from *Options) { o.Linger2 = from.Linger2 },
	WindowClamp: func(o, from *Options) { o.WinClamp = from.WinClamp },
	QuickAck:    func(o, from *Options) { o.QuickAck = from.QuickAck },
	Congestion:  func(o, from *Options) { o.Congestion = from.Congestion },
	UserTimeout: func(o, from *Options) { o.UserTimeout = from.UserTimeout },

	NotSentLowat: func(o, from *Options) { o.NotSentLowat = from.NotSentLowat },
	TOS: func(o, from *Options) {
		o.TOS = from.TOS
		if !o.Chosen.Has(Priority) {
			o.Priority = from.Priority // IP_TOS sets it as well
		}
	},
	TTL:          func(o, from *Options) { o.TTL = from.TTL },
	MTUDiscover:  func(o, from *Options) { o.MTUDiscover = from.MTUDiscover },
	MinTTL:       func(o, from *Options) { o.MinTTL = from.MinTTL },
	HopLimit:     func(o, from *Options) { o.HopLimit = from.HopLimit },
	TClass:       func(o, from *Options) { o.TClass = from.TClass },
	MTUDiscover6: func(o, from *Options) { o.MTUDiscover6 = from.MTUDiscover6 },
	MinHopCount:  func(o, from *Options) { o.MinHopCount = from.MinHopCount },

	InitCwnd:            rare(func(o, from *Rare) { o.InitCwnd = from.InitCwnd }),
	NotifyThreshold:     rare(func(o, from *Rare) { o.Notify = from.Notify }),
	AbortThreshold:      rare(func(o, from *Rare) { o.Abort = from.Abort }),
	ConnNotifyThreshold: rare(func(o, from *Rare) { o.ConnNotify = from.ConnNotify }),
	ConnAbortThreshold:  rare(func(o, from *Rare) { o.ConnAbort = from.ConnAbort }),
	KeepAliveAbort:      rare(func(o, from *Rare) { o.KeepAbort = from.KeepAbort }),
	RTOInitial:          rare(func(o, from *Rare) { o.RTOInitial = from.RTOInitial }),
	RTOMin:              rare(func(o, from *Rare) { o.RTOMin = from.RTOMin }),
	RTOMax:              rare(func(o, from *Rare) { o.RTOMax = from.RTOMax }),
}

// rare restores a setting that hangs behind the pointer.
func rare(restore func(o, from *Rare)) func(o, from *Options) {
	return func(o, from *Options) { o.SetRare(func(r *Rare) { restore(r, from.Rare()) }) }
}

// mayDefault reports whether a configuration may give the row a value. It has no
// text for structures.
func (r *Row) mayDefault() bool {
	return defaultable[canonical(r.ID)] != nil && r.Codec != Struct && r.Refuse == 0 && r.Access != ReadOnly && r.On&TCPOnly != 0
}

// A Setting is an option with a value that the option's row has accepted.
type Setting struct {
	row *Row
	val []byte
}

// DefaultRows are the rows that ParseSetting takes, in the order of the
// documentation.
func (p *Profile) DefaultRows() []Row {
	var list []Row
	for _, r := range p.rows {
		if r.mayDefault() {
			list = append(list, r)
		}
	}
	return list
}

// ParseSetting reads a value as a configuration has it: a number for an integer,
// 0 or 1 for a switch, seconds or "off" for SO_LINGER, a name for
// TCP_CONGESTION. priv is what the one who configures may do: an option that
// takes a capability is refused without. The error names the option, the value
// and what is accepted.
func (p *Profile) ParseSetting(name, value string, priv Privilege) (Setting, error) {
	i := slices.IndexFunc(p.rows, func(r Row) bool { return r.Name == name })
	if i < 0 || !p.rows[i].mayDefault() {
		return Setting{}, fmt.Errorf("option %q: accepted: %s", name, strings.Join(p.defaultNames(), ", "))
	}
	s := Setting{row: &p.rows[i]}
	if !s.row.Needs.heldBy(priv) {
		return Setting{}, fmt.Errorf("option %s: value %q: accepted: no value, since setting it takes a capability", name, value)
	}
	var ok bool
	if s.val, ok = s.row.Codec.fromText(value); !ok {
		return Setting{}, fmt.Errorf("option %s: value %q: accepted: %s", name, value, p.ValueOf(s.row))
	}
	trial := &newborn{o: p.NewOptions(), domain: AFInet6}
	switch err := s.row.take(&call{p: p, t: trial, o: &trial.o, priv: priv}, s.val); err {
	case nil:
		return s, nil
	case errno.EPERM:
		return Setting{}, fmt.Errorf("option %s: value %q: accepted: what takes no capability", name, value)
	default:
		return Setting{}, fmt.Errorf("option %s: value %q: accepted: %s", name, value, p.ValueOf(s.row))
	}
}

func (p *Profile) defaultNames() []string {
	var names []string
	for _, r := range p.DefaultRows() {
		names = append(names, r.Name)
	}
	return names
}

// ValueOf says in words what ParseSetting takes for a row.
func (p *Profile) ValueOf(r *Row) string {
	var text string
	switch {
	case r.ID == Congestion:
		return "one of " + strings.Join(p.Congestion, ", ")
	case r.Codec == LingerPair:
		return fmt.Sprintf("seconds from 0 to %d, or off", math.MaxInt32)
	case r.Codec == Bool, r.Codec == BoolOrByte:
		return "0 or 1"
	case r.Min != 0 || r.Max != 0:
		text = fmt.Sprintf("an integer from %d to %d", r.Min, r.Max)
	default:
		text = "an integer"
	}
	if r.Unit != "" {
		text += ", " + r.Unit
	}
	if r.Note != "" {
		text += " (" + r.Note + ")"
	}
	return text
}

// fromText makes the bytes of setsockopt's value.
func (c Codec) fromText(s string) ([]byte, bool) {
	switch c {
	case Text:
		return []byte(s), s != "" && !strings.ContainsRune(s, 0)
	case LingerPair:
		if s == "off" {
			return appendLinger(nil, LingerSetting{}), true
		}
		n, err := strconv.ParseInt(s, 10, 32)
		return appendLinger(nil, LingerSetting{On: true, Seconds: int32(n)}), err == nil && n >= 0
	case Uint, UintMillis:
		n, err := strconv.ParseUint(s, 10, 32)
		return binary.NativeEndian.AppendUint32(nil, uint32(n)), err == nil
	case Timeval, Struct:
		return nil, false // none of them is defaultable
	}
	n, err := strconv.ParseInt(s, 10, 32)
	if (c == Bool || c == BoolOrByte) && n != 0 && n != 1 {
		return nil, false
	}
	return binary.NativeEndian.AppendUint32(nil, uint32(n)), err == nil
}

// ApplyDefaults gives settings to a socket of the domain (AFInet or AFInet6)
// that has no connection yet, but none to an option that its program has set. A
// later setting of the same option comes before an earlier one. An option that
// the domain lacks is left out. What an earlier call gave, for another peer,
// goes first.
func (p *Profile) ApplyDefaults(o *Options, domain int, settings []Setting) {
	p.takeBack(o)
	if len(settings) == 0 {
		return
	}
	t := &newborn{o: *o, domain: domain}
	c := &call{p: p, t: t, o: &t.o, priv: Privilege{NetAdmin: true, NetRaw: true}}
	for _, s := range settings {
		id := canonical(s.row.ID)
		if o.Chosen.Has(id) || !hasLevel(domain, SockStream, s.row.Level) {
			continue
		}
		priority := t.o.Priority
		if s.row.take(c, s.val) != nil {
			continue // ParseSetting has tried it; what depends on the socket stays as it is
		}
		t.o.SetRare(func(r *Rare) { r.Given.Add(id) })
		if id == TOS && o.Chosen.Has(Priority) {
			t.o.Priority = priority // IP_TOS sets it as well
		}
	}
	*o = t.o
}

// takeBack makes the options as they were before ApplyDefaults, except for those
// that the program has set since.
func (p *Profile) takeBack(o *Options) {
	given := o.Rare().Given
	if given == (IDSet{}) {
		return
	}
	fresh := p.NewOptions()
	for id, restore := range defaultable {
		if given.Has(id) && !o.Chosen.Has(id) {
			restore(o, &fresh)
		}
	}
	o.SetRare(func(r *Rare) { r.Given = IDSet{} })
}

// A newborn is a TCP socket before its connection: a Target for values that are
// set before anybody uses it.
type newborn struct {
	o      Options
	domain int
}

func (n *newborn) Options() *Options         { return &n.o }
func (n *newborn) Changed(ID)                {}
func (n *newborn) Kind() (int, int, int)     { return n.domain, SockStream, protoTCP }
func (n *newborn) TakeError() errno.Errno    { return 0 }
func (n *newborn) LocalAddr() netip.AddrPort { return netip.AddrPort{} }
func (n *newborn) Listening() bool           { return false }
func (n *newborn) Connected() bool           { return false }
func (n *newborn) MSS() int                  { return 0 }
func (n *newborn) PathMTU() int              { return 0 }
func (n *newborn) Info(*TCPInfo)             {}

var _ Target = (*newborn)(nil)

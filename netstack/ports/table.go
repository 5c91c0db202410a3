package ports

import "github.com/tcpcni/tcpcni/sockopt/errno"

// A Table holds the claims to the ports of one protocol. The zero value is an
// empty table of a stream protocol under the Linux rule.
type Table struct {
	rule  *Rule
	cfg   Config
	ports map[uint16]port
	query Query // for refused, which is asked often
}

// Config is what a table needs to know beside its rule.
type Config struct {
	Datagram bool // the protocol has no connections of its own

	// What is answered when no port of the range is free, to a program that asks
	// for any and to a connection; 0 is as Linux has it.
	BindExhausted, ConnectExhausted errno.Errno
}

// A port is in the map while somebody claims it.
type port struct {
	first *Claim
	bound int // claims that came by Bind or Share, not by Ephemeral
}

// NewTable returns an empty table under the rule.
func NewTable(rule *Rule, cfg Config) *Table { return &Table{rule: rule, cfg: cfg} }

// Candidates are the ports that the system may choose from: those from Lo to Hi
// that are not reserved; nil reserves none. With Share, when no port is free, one
// that the program could have named is (ip_autobind_reuse of Linux).
type Candidates struct {
	Lo, Hi   uint16
	Reserved func(port uint16) bool
	Share    bool
}

func (r *Candidates) pick(rng func() uint32, free func(uint16) bool) (uint16, bool) {
	if r.Reserved == nil {
		return pick(rng, r.Lo, r.Hi, free)
	}
	return pick(rng, r.Lo, r.Hi, func(p uint16) bool { return !r.Reserved(p) && free(p) })
}

// Bind takes c.Port, or with port 0 a random free one of the candidates, for c.
// EADDRINUSE: the rule forbids it. No port of the range is free: as configured.
// The rule is not asked about a claim that is Agreed.
func (t *Table) Bind(c *Claim, rng func() uint32, from Candidates) error {
	if c.Port == 0 {
		p, ok := from.pick(rng, func(p uint16) bool { return !t.refused(c, p, true) })
		if !ok && from.Share {
			p, ok = from.pick(rng, func(p uint16) bool { return !t.refused(c, p, false) })
		}
		if !ok {
			return orElse(t.cfg.BindExhausted, errno.EADDRINUSE)
		}
		c.Port = p
	} else if !c.Agreed && t.refused(c, c.Port, false) {
		return errno.EADDRINUSE
	}
	t.insert(c, true)
	return nil
}

// Ephemeral takes a random port of the candidates for the one connection that c is
// for. Where the rule says so connections share ports as long as used, which
// knows the other three parts of the address pair, says that the port is free
// for this one; ports that were claimed by Bind are left alone. Elsewhere the
// port is one that Bind could have chosen. No port is free: as configured.
func (t *Table) Ephemeral(c *Claim, rng func() uint32, from Candidates, used func(port uint16) bool) error {
	p, ok := from.pick(rng, func(p uint16) bool {
		if t.law().PeersShare {
			return t.ports[p].bound == 0 && !used(p)
		}
		return !t.refused(c, p, true) && !used(p)
	})
	if !ok {
		return orElse(t.cfg.ConnectExhausted, errno.EADDRNOTAVAIL)
	}
	c.Port, c.State = p, Active
	t.insert(c, false)
	return nil
}

func orElse(e, other errno.Errno) errno.Errno {
	if e != 0 {
		return e
	}
	return other
}

// Exact is Ephemeral for c.Port and no other, and shares it with connections to
// other peers under every rule, as the port is not for the system to choose.
// EADDRINUSE: it was claimed by Bind; EADDRNOTAVAIL: it is used.
func (t *Table) Exact(c *Claim, used func(port uint16) bool) error {
	switch {
	case t.ports[c.Port].bound != 0:
		return errno.EADDRINUSE
	case used(c.Port):
		return errno.EADDRNOTAVAIL
	}
	c.State = Active
	t.insert(c, false)
	return nil
}

// Share adds a claim to a port without asking: that of a connection accepted on
// it, which keeps others off the port after the listener is gone.
func (t *Table) Share(c *Claim) { t.insert(c, true) }

// SetListening marks c as a listener if the rule lets it be one beside the
// others on its port; the error is EADDRINUSE.
func (t *Table) SetListening(c *Claim) error {
	for held := t.ports[c.Port].first; held != nil; held = held.next {
		if held != c && t.law().RefuseListen(c, held) {
			return errno.EADDRINUSE
		}
	}
	c.State = Listen
	return nil
}

// Release gives the port of c back. A claim that is not held is left alone.
func (t *Table) Release(c *Claim) {
	if !c.held {
		return
	}
	p := t.ports[c.Port]
	if c.prev != nil {
		c.prev.next = c.next
	} else {
		p.first = c.next
	}
	if c.next != nil {
		c.next.prev = c.prev
	}
	if c.counted {
		p.bound--
	}
	if p.first == nil {
		delete(t.ports, c.Port)
	} else {
		t.ports[c.Port] = p
	}
	c.prev, c.next, c.held, c.counted, c.State = nil, nil, false, false, Bound
}

func (t *Table) insert(c *Claim, bound bool) {
	if t.ports == nil {
		t.ports = make(map[uint16]port)
	}
	p := t.ports[c.Port]
	c.prev, c.next, c.held, c.counted = nil, p.first, true, bound
	if p.first != nil {
		p.first.prev = c
	}
	p.first = c
	if bound {
		p.bound++
	}
	t.ports[c.Port] = p
}

// law is the table's rule.
func (t *Table) law() *Rule {
	if t.rule == nil {
		return &Linux
	}
	return t.rule
}

// refused asks the rule about c on the port.
func (t *Table) refused(c *Claim, number uint16, choosing bool) bool {
	t.query = Query{Want: c, Choosing: choosing, Datagram: t.cfg.Datagram, first: t.ports[number].first}
	refused := t.law().Refuse(&t.query)
	t.query = Query{}
	return refused
}

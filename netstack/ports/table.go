package ports

import "github.com/tcpcni/tcpcni/sockopt/errno"

// A Table holds the claims to the ports of one protocol. The zero value is an
// empty table under the Linux rule.
type Table struct {
	rule  Rule
	ports map[uint16]port
}

// A port is in the map while somebody claims it.
type port struct {
	first *Claim
	bound int // claims that came by Bind or Share, not by Ephemeral
}

// NewTable returns an empty table under the rule.
func NewTable(rule Rule) *Table { return &Table{rule: rule} }

// Bind takes c.Port, or with port 0 a random free one of [lo, hi], for c. The
// error is EADDRINUSE: the rule forbids it, or no port of the range is free.
func (t *Table) Bind(c *Claim, rng func() uint32, lo, hi uint16) error {
	if c.Port == 0 {
		p, ok := pick(rng, lo, hi, func(p uint16) bool { return !t.conflict(c, p, true) })
		if !ok {
			return errno.EADDRINUSE
		}
		c.Port = p
	} else if t.conflict(c, c.Port, false) {
		return errno.EADDRINUSE
	}
	t.insert(c, true)
	return nil
}

// Ephemeral takes a random port of [lo, hi] for the one connection that c is
// for. Connections share ports as long as used, which knows the other three
// parts of the address pair, says that the port is free for this one; ports
// that were claimed by Bind are left alone. EADDRNOTAVAIL: none is free.
func (t *Table) Ephemeral(c *Claim, rng func() uint32, lo, hi uint16, used func(port uint16) bool) error {
	p, ok := pick(rng, lo, hi, func(p uint16) bool { return t.ports[p].bound == 0 && !used(p) })
	if !ok {
		return errno.EADDRNOTAVAIL
	}
	c.Port, c.Connected = p, true
	t.insert(c, false)
	return nil
}

// Exact is Ephemeral for c.Port and no other. EADDRINUSE: it was claimed by Bind;
// EADDRNOTAVAIL: it is used.
func (t *Table) Exact(c *Claim, used func(port uint16) bool) error {
	switch {
	case t.ports[c.Port].bound != 0:
		return errno.EADDRINUSE
	case used(c.Port):
		return errno.EADDRNOTAVAIL
	}
	c.Connected = true
	t.insert(c, false)
	return nil
}

// Share adds a claim to a port without asking: that of a connection accepted on
// it, which keeps others off the port after the listener is gone.
func (t *Table) Share(c *Claim) { t.insert(c, true) }

// SetListening marks c as a listener if the rule lets it be one beside the
// others on its port; the error is EADDRINUSE.
func (t *Table) SetListening(c *Claim) error {
	if t.conflict(c, c.Port, false) {
		return errno.EADDRINUSE
	}
	c.Listening = true
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
	c.prev, c.next, c.held, c.counted, c.Listening = nil, nil, false, false, false
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

func (t *Table) conflict(c *Claim, number uint16, choosing bool) bool {
	rule := t.rule
	if rule == nil {
		rule = Linux
	}
	for held := t.ports[number].first; held != nil; held = held.next {
		if held != c && rule(c, held, choosing) {
			return true
		}
	}
	return false
}

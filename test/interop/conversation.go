package main

// What is said in a scenario, and what must be true of it.

import (
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/tcpcni/tcpcni/sockopt"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// conversation is one connection between the two, which ours is host 0 of.
type conversation struct {
	l     *lab
	s     *scenario
	port  uint16
	ends  [2]*talker // ours, the kernel's
	watch stalls
}

// converse opens a connection and waits for what done says.
func (c *conversation) converse(limit time.Duration, done func() (bool, error)) error {
	ours := sockopts{ip6: c.s.get(fFamily) == "6", congestion: c.s.get(fOurCC)}
	theirs := sockopts{ip6: ours.ip6, congestion: c.s.get(fKernelCC), outOfLine: c.s.get(fUrgent) == "apart"}
	ours.fastOpen, theirs.fastOpen = c.s.get(fOurTFO) != "0", c.s.get(fKernelTFO) != "0"
	if c.s.get(fMD5) == "yes" {
		ours.md5, theirs.md5 = "a key of both", "a key of both"
	}
	opts := [2]sockopts{ours, theirs}
	active := c.s.level[fConnects]
	passive := 1 - active
	for i := range c.ends {
		c.ends[i].l = c.l
		c.ends[i].name = [2]string{"ours", "kernel"}[i]
	}
	c.watch.ends = c.ends
	err := c.l.hosts[passive].listen(c.port, opts[passive], func(s socket) program {
		t := c.ends[passive]
		if t.s != nil {
			t.breaks("a second connection")
		}
		t.s, t.up = s, true
		return t
	})
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	t := c.ends[active]
	if t.s, err = c.l.hosts[active].connect(c.port, opts[active], t); err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	if opts[active].fastOpen {
		t.connected() // what is written now may leave with the SYN
		t.writable()
	}
	return c.l.run(limit, func() (bool, error) {
		if bad := c.l.cables[0].trace.bad; bad != nil {
			return false, bad
		}
		for _, t := range c.ends {
			if t.turn(); t.bad != nil {
				return false, t.bad
			}
		}
		if ok, err := done(); ok || err != nil {
			return ok, err
		}
		return false, c.watch.look(c.l.awake)
	})
}

func (c *conversation) state() string {
	text := ""
	for _, t := range c.ends {
		text += fmt.Sprintf("; %s: sent %d, got %d of %d, connected %v, eof %v, %v", t.name, t.sent, t.got, t.expect, t.up, t.eof, t.err)
		if t.s != nil {
			text += fmt.Sprintf(" %+v", t.s.vitals())
		}
	}
	return text
}

// limit ends what would not end; it decides nothing else.
const limit = 2 * time.Minute

// transfer is a connection with bytes both ways at once, urgent bytes, a pause
// of a reader, and one end that closes its half first.
func (c *conversation) transfer(n int) error {
	active := c.s.level[fConnects]
	for i := range c.ends {
		t := &talker{key: c.s.seed + uint64(i), peerKey: c.s.seed + uint64(1-i), size: n, expect: n}
		if c.s.get(fUrgent) != "none" {
			t.urgent = n/2 + i
		}
		if i == active {
			t.expect += n / 4 // which come after our end
		} else {
			t.tail = n / 4
		}
		if reader := c.s.level[fReader]; reader > 0 && reader-1 == i {
			t.holdAt, t.holdFor = n/3, 300*time.Millisecond
		}
		c.ends[i] = t
	}
	var options [2]uint8
	err := c.converse(limit, func() (bool, error) {
		over := true
		for i, t := range c.ends {
			if t.s != nil && t.up {
				// Before the answer Linux shows what it offers.
				if v := t.s.vitals(); v.state != synSent {
					options[i] |= v.options
				}
			}
			over = over && (t.eof && t.shut || t.err != nil)
		}
		return over, nil
	})
	if err != nil {
		return fmt.Errorf("transfer: %w%s", err, c.state())
	}
	for _, t := range c.ends {
		if err := t.check(); err != nil {
			return fmt.Errorf("transfer: %w%s", err, c.state())
		}
		t.s.close()
	}
	return errors.Join(c.urgents(), c.agreed(options))
}

// urgents compares the bytes that were said to be urgent with those that were
// written as such.
func (c *conversation) urgents() error {
	for i, t := range c.ends {
		peer := c.ends[1-i]
		if peer.urgent == 0 {
			continue
		}
		pointed := c.l.cables[1-i].trace.urg[c.l.cables[1-i].name]
		beyond := false
		for end := range pointed {
			beyond = beyond || end > peer.urgent
		}
		if i == 0 && beyond {
			// Linux cuts a super-segment that it sends again without mending the
			// pointers of all but the first, which then point beyond the byte.
			continue
		}
		if len(t.urgents) != 1 || t.urgents[0] != peer.urgent {
			return fmt.Errorf("%s: byte %d was urgent, bytes %v were said to be; on the wire: %v", t.name, peer.urgent, t.urgents, pointed)
		}
	}
	return nil
}

// agreed compares what the ends say they agreed on with what both offer.
func (c *conversation) agreed(options [2]uint8) error {
	both := func(a, b int) bool { return c.s.get(a) != "0" && c.s.get(b) != "0" }
	var want uint8
	for _, o := range []struct {
		on  bool
		bit uint8
	}{
		{both(fOurScale, fKernelScale), sockopt.TCPInfoWScale},
		// Linux sends no timestamps where it signs.
		{both(fOurTS, fKernelTS) && c.s.get(fMD5) == "no", sockopt.TCPInfoTimestamps},
		{both(fOurSACK, fKernelSACK), sockopt.TCPInfoSACK},
		{both(fOurECN, fKernelECN) && known["net.ipv4.tcp_ecn"], sockopt.TCPInfoECN},
	} {
		if o.on {
			want |= o.bit
		}
	}
	mask := uint8(sockopt.TCPInfoWScale | sockopt.TCPInfoTimestamps | sockopt.TCPInfoSACK | sockopt.TCPInfoECN)
	if c.s.level[fImpair] != 0 || c.l.cables[0].trace.syns > 1 {
		mask &^= sockopt.TCPInfoECN // a SYN that is sent again goes without
	}
	for i, t := range c.ends {
		if options[i]&mask != want&mask {
			return fmt.Errorf("%s says that options %#x were agreed on, offered were %#x", t.name, options[i]&mask, want&mask)
		}
	}
	return nil
}

// abort is a connection that one end resets in the middle.
func (c *conversation) abort(n int) error {
	aborter := c.s.level[fAborts]
	if c.s.get(fMD5) == "yes" {
		// If the reset is lost, in a full queue at least, only a host that still has the key, with its
		// listener, can sign another: RFC 2385 section 4.1.
		aborter = 1 - c.s.level[fConnects]
	}
	for i := range c.ends {
		t := &talker{key: c.s.seed + uint64(i), peerKey: c.s.seed + uint64(1-i), size: 1 << 40, expect: -1}
		if i == aborter {
			t.abortAt = n / 4
		}
		c.ends[i] = t
	}
	other := c.ends[1-aborter]
	err := c.converse(limit, func() (bool, error) { return other.err != nil, nil })
	if err != nil {
		return fmt.Errorf("abort: %w%s", err, c.state())
	}
	if !reset(other.err) {
		return fmt.Errorf("abort: %s got %w instead of a reset%s", other.name, other.err, c.state())
	}
	return nil
}

// fast checks that a SYN carried text: the second connection has the cookie that
// the first asked for.
func (c *conversation) fast() error {
	both := c.s.get(fOurTFO) != "0" && c.s.get(fKernelTFO) != "0"
	signed := c.s.get(fMD5) == "yes" // which may leave no room for the cookie
	n := c.l.cables[0].trace.fast
	switch {
	case !both && n > 0:
		return fmt.Errorf("%d SYNs carried text although one side does not offer it", n)
	case both && !signed && n == 0 && c.s.level[fImpair] == 0:
		return errors.New("no SYN carried text although both sides offer it")
	}
	return nil
}

// reset reports whether err is one of those that a reset may end a connection
// with.
func reset(err error) bool {
	for _, e := range []error{syscall.ECONNRESET, syscall.EPIPE, errno.ECONNRESET} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

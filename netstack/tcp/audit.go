package tcp

// What must hold between calls: the invariants of RFC 9293 section 3.3.1, that
// nobody waits for ever, and that what is counted is what is held. Simulations
// and fuzzing ask after every step.

import (
	"fmt"
	"time"
)

// Audit returns an error for the first thing in the layer that cannot be. It is
// meant for a driver that has just called Flush, and costs time in proportion to
// everything that the layer holds.
func (l *Layer) Audit() error {
	held, ahead, orphans := 0, 0, 0
	for k, c := range l.conns {
		if c.l != l {
			continue // lent, and the guest's to look at
		}
		if k != c.key() || c.state == StateClosed {
			return fmt.Errorf("a connection in %v stands under %v, is %v", c.state, k, c.key())
		}
		if err := c.audit(); err != nil {
			return fmt.Errorf("%v %d to %d: %w", c.state, c.lport, c.rport, err)
		}
		held += c.sq.mem + c.rq.mem
		if c.ooo != nil {
			ahead += c.ooo.mem
		}
		if c.flags&flagOrphan != 0 {
			orphans++
		}
	}
	switch {
	case ahead != l.ooo.bytes:
		return fmt.Errorf("reassembly queues hold %d bytes, %d are counted", ahead, l.ooo.bytes)
	case held+ahead > l.pool.InUse():
		return fmt.Errorf("queues hold %d bytes, the pool has given out %d", held+ahead, l.pool.InUse())
	case orphans != l.orphans:
		return fmt.Errorf("%d orphans, %d are counted", orphans, l.orphans)
	}
	return l.auditTables()
}

// auditTables looks at half-open connections, TIME-WAIT and the timer heap.
func (l *Layer) auditTables() error {
	half := make(map[*listener]int)
	for _, h := range l.half {
		half[h.lst]++
		if h.heapIndex == 0 {
			return fmt.Errorf("half-open from port %d without a timer", h.key.rport)
		}
	}
	for lst, n := range half {
		if lst.half != n {
			return fmt.Errorf("%d half-open connections of a listener, %d are counted", n, lst.half)
		}
	}
	if n := l.syns.linked(); n != len(l.half) || n != l.syns.len {
		return fmt.Errorf("%d half-open connections, %d of them in lists, %d are counted", len(l.half), n, l.syns.len)
	}
	linked := 0
	for w := l.waits.oldest; w != nil; w = w.newer {
		if linked++; l.waits.byTuple[w.key] != w {
			return fmt.Errorf("a record in TIME-WAIT is not in its table")
		}
	}
	if linked != len(l.waits.byTuple) {
		return fmt.Errorf("%d records in TIME-WAIT, %d of them expire", len(l.waits.byTuple), linked)
	}
	for i, e := range l.timers {
		if *e.t.heapPos() != int32(i+1) || e.at < l.timers[max(i-1, 0)/2].at {
			return fmt.Errorf("the timer heap is out of order at %d", i)
		}
	}
	return nil
}

// audit is Audit for one connection.
func (c *conn) audit() error {
	synced := c.state.rule().synced
	busy := c.sndUna != c.sndNxt || synced && c.unsent() > 0
	finOwed := c.flags&(flagFinQueued|flagFinSent) == flagFinQueued && synced && c.unsent() == 0
	switch {
	case busy && c.timers[timerRexmt] == 0 && c.flags&flagDirty == 0 && (c.sndUna != c.sndNxt || !c.corked()):
		return fmt.Errorf("%d bytes in flight, %d unsent, no timer", c.sndNxt-c.sndUna, c.unsent())
	case c.unacked > 0 && c.timers[timerDelack] == 0:
		return fmt.Errorf("%d bytes are never acknowledged", c.unacked)
	case c.state == StateFinWait2 && c.s.orphan && c.timers[timerLinger] == 0:
		return fmt.Errorf("an orphan without a timer")
	case c.heapIndex == 0 && c.timers != [numTimers]time.Duration{}:
		return fmt.Errorf("timers %v are not in the heap", c.timers)
	case seqLT(c.sndNxt, c.sndUna), seqLT(c.sq.end+1, c.sndNxt):
		return fmt.Errorf("SND.UNA %d, SND.NXT %d, end %d", c.sndUna-c.iss, c.sndNxt-c.iss, c.sq.end-c.iss)
	case synced && uint64(c.rcvAdv-c.rcvNxt) > c.l.largestWindow():
		return fmt.Errorf("a window of %d bytes, limit %d", int32(c.rcvAdv-c.rcvNxt), c.rcvLimit())
	case finOwed && c.sndUna == c.sndNxt && c.flags&flagDirty == 0:
		return fmt.Errorf("the FIN was never sent")
	case c.log != nil && c.log.sacked+c.log.lost > c.sndNxt-c.sndUna:
		return fmt.Errorf("%d bytes sacked, %d lost, of %d in flight", c.log.sacked, c.log.lost, c.sndNxt-c.sndUna)
	case synced && (c.cwnd == 0 || c.mss == 0):
		return fmt.Errorf("window %d, segment %d", c.cwnd, c.mss)
	}
	return nil
}

// largestWindow is more than any window: a program may make its buffer smaller
// than the window that it has offered already.
func (l *Layer) largestWindow() uint64 {
	return 2*uint64(max(l.tun.TCPRmem.Max, l.tun.CoreRmemMax)) + 1<<14
}

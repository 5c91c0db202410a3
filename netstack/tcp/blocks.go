package tcp

// Function blocks: a connection's way of finding and repairing losses, chosen by
// name as FreeBSD's TCP_FUNCTION_BLK does (tcp(4), tcp_functions(9)).

import (
	"time"

	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// A stackBlock is one row of the table.
type stackBlock struct {
	name string
	rack bool // RFC 8985; else RFC 6675 with its count of segments
	// paced spreads the window of every algorithm over the round trip.
	paced bool
	// burst bounds what leaves at once while paced, in segments; 0: the rate does.
	burst uint32
}

// stackBlocks is the table. The first row is the default.
var stackBlocks = []stackBlock{
	{name: "default", rack: true},
	{name: "rack", rack: true, paced: true, burst: 40},
	{name: "classic"},
}

// maxBlocks is more than the table has rows.
const maxBlocks = 8

func blockByName(name string) *stackBlock {
	for i := range stackBlocks {
		if stackBlocks[i].name == name {
			return &stackBlocks[i]
		}
	}
	return nil
}

// FunctionBlocks lists what SetFunctionBlock may name, the default first.
func FunctionBlocks() []string {
	var names []string
	for i := range stackBlocks {
		names = append(names, stackBlocks[i].name)
	}
	return names
}

// SetFunctionBlock chooses the function block of the socket's connection, now or
// when it has one; a connection that it accepts has the listener's, if the
// tunable says so. It is ENOENT for a name that FunctionBlocks does not list, and
// EINVAL at a point where a connection cannot change: without SACK there is
// nothing to detect losses by time from, what is being recovered from a loss was
// found in the way of the old block, and a connection that has ended has none.
func (s *Socket) SetFunctionBlock(name string) error {
	b := blockByName(name)
	if b == nil {
		return errno.ENOENT
	}
	if c := s.conn; c != nil && c.block != b {
		switch {
		case c.state == StateClosed,
			c.state.rule().synced && b.rack && c.flags&flagSACK == 0,
			c.caState != caOpen && c.block.rack != b.rack:
			return errno.EINVAL
		}
		c.switchBlock(b)
	}
	s.block = uint8(b.index() + 1)
	return nil
}

// FunctionBlock is the name of the socket's function block.
func (s *Socket) FunctionBlock() string {
	if s.conn != nil {
		return s.conn.block.name
	}
	return s.functionBlock().name
}

// FunctionBlockUsers is how many connections have the function block.
func (s *Socket) FunctionBlockUsers(name string) int {
	if b := blockByName(name); b != nil {
		return s.l.blockUsers[b.index()]
	}
	return 0
}

func (b *stackBlock) index() int {
	for i := range stackBlocks {
		if &stackBlocks[i] == b {
			return i
		}
	}
	return 0
}

func (s *Socket) functionBlock() *stackBlock {
	if s.block != 0 {
		return &stackBlocks[s.block-1]
	}
	if b := blockByName(s.l.tun.FunctionsDefault); b != nil {
		return b
	}
	return &stackBlocks[0]
}

// switchBlock carries a connection over. What is in flight, the round trip and
// the window are the same for all; timers and probes are not.
func (c *conn) switchBlock(b *stackBlock) {
	c.l.blockUsers[c.block.index()]--
	c.l.blockUsers[b.index()]++
	c.block = b
	c.flags &^= flagProbeOut | flagProbeRexmt
	if c.log == nil {
		return
	}
	c.log.reoAt = 0
	c.armProbe() // something is in flight
	c.l.markDirty(c)
}

// windowRate is the window over the smoothed round trip, in bytes per second, with
// a gain in percent: slow start needs room to double, congestion avoidance to keep
// up (tcp_pacing_ss_ratio and tcp_pacing_ca_ratio). 0: what leaves is not paced.
func (c *conn) windowRate() uint64 {
	if c.srtt == 0 {
		return 0
	}
	w, gain := c.cwnd, uint64(c.l.tun.PaceAvoidance)
	switch {
	case c.caState == caRecovery && c.ssthresh < maxCwnd:
		w = max(w, c.ssthresh) // what recovery ends with; until then the window is the pipe
	case c.slowStart():
		gain = uint64(c.l.tun.PaceSlowStart)
	}
	if gain == 0 {
		return 0
	}
	return max(uint64(w)*gain/100*uint64(time.Second)/uint64(c.srtt), uint64(c.mss))
}

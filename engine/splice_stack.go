package engine

import (
	"time"

	"github.com/tcpcni/tcpcni/netstack"
	"github.com/tcpcni/tcpcni/netstack/tcp"
	"github.com/tcpcni/tcpcni/sockopt"
)

// A stackEnd is an end that one of the engine's own stacks speaks TCP for. It
// implements tcp.Owner.
type stackEnd struct {
	endState
	splice *splice
	stack  *netstack.Stack // of sock
	sock   *tcp.Socket
	events tcp.Events
}

// open makes the socket. Nagle's algorithm would be a second one after the
// sender's own. A peer that dies in silence is found on either side, since the
// probes of one side do not reach the other.
func (x *stackEnd) open(stack *netstack.Stack, domain int) {
	x.discard()
	x.stack = stack
	x.sock = stack.NewTCP(domain, x)
	o := x.sock.Options()
	o.NoDelay = true
	o.KeepAlive = true
	o.Chosen.Add(sockopt.NoDelay) // neither is left to the rules of socketOptions
	o.Chosen.Add(sockopt.KeepAlive)
}

// orphanProbe is how often a connection is looked at that a container's program
// has ended on its side.
const orphanProbe = 10 * time.Second

// watchOrphan finds out when the sandbox's kernel forgets a connection that its
// program has closed: it does so after tcp_fin_timeout without a word, and the
// peer, which has not closed, would keep the splice until the keep-alive of the
// tunables.
func (x *stackEnd) watchOrphan() {
	if x.stack != x.splice.eng.inline.stack {
		return
	}
	o := x.sock.Options()
	o.KeepIdle, o.KeepIntvl = min(o.KeepIdle, orphanProbe), min(o.KeepIntvl, orphanProbe)
	x.sock.Changed(sockopt.KeepIdle)
}

// discard gives a socket up of which nobody needs to hear.
func (x *stackEnd) discard() {
	if x.sock != nil {
		x.sock.SetOwner(nil)
		x.sock.Close()
	}
}

// Event implements tcp.Owner.
func (x *stackEnd) Event(ev tcp.Events) {
	x.events |= ev
	x.splice.mark()
}

// Deliver implements tcp.Owner.
func (x *stackEnd) Deliver(p []byte) int {
	s := x.splice
	if !s.joined || s.over {
		return 0
	}
	urgent := false
	if ahead, ok := x.sock.UrgentOffset(); ok && ahead == 0 {
		urgent, p = true, p[:1]
	}
	return s.other(x).write(p, urgent)
}

func (x *stackEnd) act() {
	ev := x.events
	x.events = 0
	if ev&tcp.EventConnected != 0 {
		x.up = true
	}
	if ev&tcp.EventEOF != 0 {
		x.ended = true
		x.watchOrphan()
	}
	if ev&tcp.EventError != 0 {
		x.failed, x.why = true, x.sock.Err()
	}
	if ev&tcp.EventWritable != 0 && x.splice.joined {
		x.splice.other(x).resume()
	}
}

func (x *stackEnd) write(p []byte, urgent bool) int {
	if urgent {
		return x.sock.WriteUrgent(p)
	}
	if e := x.splice.eng; len(p) >= copyBelow && len(p) <= x.sock.SendSpace() && e.frame != nil && e.frame.Narrow(p) {
		x.sock.WriteChunk(e.frame)
		e.frame = nil
		return len(p)
	}
	n := x.sock.Write(p)
	if n < len(p) {
		x.sock.SendSpace() // asks for EventWritable
	}
	return n
}

func (x *stackEnd) room() int        { return x.sock.SendSpace() }
func (x *stackEnd) resume()          { x.sock.Resume() }
func (x *stackEnd) closeWrite()      { x.sock.CloseWrite() }
func (x *stackEnd) unread() int      { return x.sock.Unread() }
func (x *stackEnd) abort()           { x.sock.Abort() }
func (x *stackEnd) state() *endState { return &x.endState }

func (x *stackEnd) unsent() int {
	var in sockopt.TCPInfo
	x.sock.Info(&in)
	return int(in.NotSentBytes) + inFlight(&in)
}

func (x *stackEnd) leave() { x.discard() }

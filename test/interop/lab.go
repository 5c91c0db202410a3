package main

import (
	"fmt"
	"time"

	"github.com/tcpcni/tcpcni/hostlink"
	"github.com/tcpcni/tcpcni/netstack/sim"
	"github.com/tcpcni/tcpcni/sockopt"
)

// A host is a TCP and its end of the two cables.
type host interface {
	// join begins to send the host's frames by wire. sources registers what the
	// loop has to watch.
	join(l *lab, wire func(frame []byte)) error
	// leave ends what join began, and every socket.
	leave() error
	// receive takes a frame from the cable.
	receive(frame []byte)
	// turn runs what is due and sends what is owed.
	turn(now time.Duration)
	// deadline is when turn wants to be called again.
	deadline() (time.Duration, bool)
	listen(port uint16, o sockopts, accepted func(socket) program) error
	connect(port uint16, o sockopts, p program) (socket, error)
}

// sockopts are what a socket is given before it is used.
type sockopts struct {
	ip6        bool
	congestion string // "": the default
	sndbuf     int    // bytes, 0: the default
	rcvbuf     int
	outOfLine  bool // urgent bytes do not stay in the stream, where the host can do that
	fastOpen   bool
	md5        string // the key of both; "": none
}

// A socket is one end of a connection.
type socket interface {
	write(p []byte) int       // takes what there is room for
	writeUrgent(p []byte) int // the last byte that it takes is urgent
	closeWrite()
	close()
	abort()    // RST
	hold(bool) // the program reads nothing, or does again
	vitals() vitals
}

// A program is told what happens to its socket.
type program interface {
	connected()
	// took gets the next bytes of the stream; urgent is the index of an urgent
	// byte among them, or -1.
	took(p []byte, urgent int)
	writable()
	ended()           // the peer's FIN
	failed(err error) // and nothing comes after that
}

// vitals are what a stall is told from, out of struct tcp_info.
type vitals struct {
	state   uint8 // TCP_ESTABLISHED = 1
	rto     time.Duration
	rtoMax  time.Duration // what RFC 6298 makes of the round trips; 0: not known
	waiting bool          // bytes are unacknowledged or unsent
	acked   uint64        // bytes
	options uint8         // as sockopt.TCPInfo.Options
}

// vitalsOf reads struct tcp_info.
func vitalsOf(i *sockopt.TCPInfo) vitals {
	v := vitals{
		state: i.State, rto: time.Duration(i.RTO) * time.Microsecond,
		waiting: i.Unacked > 0 || i.NotSentBytes > 0,
		acked:   i.BytesAcked, options: i.Options,
	}
	if i.RTT > 0 {
		// As Linux: the least of 200 ms is of the variance, not of the sum.
		usec := i.RTT + max(4*i.RTTVar, 200_000)
		v.rtoMax = (time.Duration(usec)*time.Microsecond + rtoSlack) << min(i.Backoff, 20)
	}
	return v
}

// rtoSlack is for what tcp_info rounds.
const rtoSlack = 10 * time.Millisecond

// A lab is two hosts, what lies between them, and the loop that runs all of it:
// one goroutine, so that nothing waits for a scheduler but the kernel's timers.
type lab struct {
	poll     *hostlink.Poller
	now      time.Duration
	awake    time.Duration // like now, but not going on while the loop was kept from running
	hosts    [2]host
	cables   [2]*cable // from host i to the other
	handlers map[uint64]func(mask uint32)
	tags     uint64
}

// oversleep is the longest turn that counts in full against those who must make
// progress: what goes beyond is the machine's fault.
const oversleep = 5 * time.Millisecond

// newLab joins two hosts by lines, there and back.
func newLab(a, b host, ways [2]sim.Way, seed uint64) (*lab, error) {
	poll, err := hostlink.NewPoller(64)
	if err != nil {
		return nil, err
	}
	l := &lab{poll: poll, now: hostlink.Now(), hosts: [2]host{a, b}, handlers: make(map[uint64]func(uint32))}
	for i := range l.cables {
		to := l.hosts[1-i]
		l.cables[i] = &cable{line: sim.NewLine(ways[i], seed^uint64(i)<<32), out: to.receive}
	}
	for i, h := range l.hosts {
		c := l.cables[i]
		if err := h.join(l, func(f []byte) { c.send(l.now, f) }); err != nil {
			_ = l.close()
			return nil, err
		}
	}
	return l, nil
}

func (l *lab) close() error {
	var first error
	for _, h := range l.hosts {
		if err := h.leave(); err != nil && first == nil {
			first = err
		}
	}
	if err := l.poll.Close(); err != nil && first == nil {
		first = err
	}
	return first
}

// add watches a descriptor.
func (l *lab) add(fd int, mask uint32, f func(mask uint32)) (tag uint64, err error) {
	l.tags++
	l.handlers[l.tags] = f
	return l.tags, l.poll.Add(fd, mask, l.tags)
}

func (l *lab) remove(fd int, tag uint64) {
	delete(l.handlers, tag)
	_ = l.poll.Remove(fd)
}

// run goes on until done says so, which is asked once in each turn. It fails
// when limit passes first.
func (l *lab) run(limit time.Duration, done func() (bool, error)) error {
	for end := l.awake + limit; ; {
		// All that has arrived, then all that it gives rise to: a host that has to
		// wait for the next turn answers in larger bursts than it would.
		for _, c := range l.cables {
			c.deliver(l.now)
		}
		for _, h := range l.hosts {
			h.turn(l.now)
		}
		if ok, err := done(); ok || err != nil {
			return err
		}
		if l.awake >= end {
			return fmt.Errorf("no end after %v", limit)
		}
		events, err := l.poll.Wait(l.patience())
		if err != nil {
			return err
		}
		was, asleep := l.now, l.patience()
		l.now = hostlink.Now()
		l.awake += min(l.now-was, max(asleep, 0)+oversleep)
		for i := range events {
			if f := l.handlers[events[i].Data()]; f != nil {
				f(events[i].Ready())
			}
		}
	}
}

// longest is how long a turn may sleep: whoever watches for stalls wants to look.
const longest = 10 * time.Millisecond

func (l *lab) patience() time.Duration {
	wait := longest
	for i, h := range l.hosts {
		if q := l.cables[i].flight; len(q) > 0 {
			wait = min(wait, q[0].at-hostlink.Now())
		}
		if at, ok := h.deadline(); ok {
			wait = min(wait, at-hostlink.Now())
		}
	}
	return max(wait, 0)
}

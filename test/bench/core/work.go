// Package core holds what the pure core may cost: allocations, bytes and, where
// a process may trace another, processor instructions of a segment, an exchange,
// a handshake and a transfer, compared with committed baselines. None of it is a
// time, so a busy machine changes nothing.
//
// Two stacks are wired to each other in memory, with links that cut
// super-segments and finish checksums, as a TAP does. Everything goes through
// the stack's public methods, from Ethernet header to socket.
package core

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/tcpcni/tcpcni/netstack"
	"github.com/tcpcni/tcpcni/netstack/tcp"
	"github.com/tcpcni/tcpcni/netstack/udp"
	"github.com/tcpcni/tcpcni/netstack/wire"
	"github.com/tcpcni/tcpcni/sockopt"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// A task is work that repeats exactly; once does it once more.
type task struct {
	name string
	per  string  // what once is
	some int     // times that are counted; even, as every second segment is acknowledged
	most float64 // times the baseline's instructions; more where memory is allocated, whose costs vary
	make func() (once func() error, err error)
}

var tasks = []task{
	{"segment", "1 byte one way: written, sent, received, delivered", 4, 1.05, func() (func() error, error) { return transfer(1) }},
	{"exchange", "1 byte there and back", 4, 1.05, exchange},
	{"bulk", "64 KiB one way in super-segments, acknowledged", 2, 1.05, func() (func() error, error) { return transfer(64 << 10) }},
	{"handshake", "connect, accept, exchange of 1 byte, close, TIME-WAIT", 1, 1.2, handshake},
	{"datagram", "UDP, 100 bytes one way", 4, 1.05, datagram},
}

// A cable is one direction: it copies frames, which the other stack then gets.
type cable struct {
	frames []netstack.RxFrame // the first n are in use; the others keep their memory
	n      int
}

func (c *cable) Transmit(f *netstack.TxFrame) {
	if c.n == len(c.frames) {
		c.frames = append(c.frames, netstack.RxFrame{Data: make([]byte, 0, 70000)})
	}
	r := &c.frames[c.n]
	c.n++
	data := append(r.Data[:0], f.Buf[netstack.VnetRoom:]...)
	for _, p := range f.Payload {
		data = append(data, p...)
	}
	*r = netstack.RxFrame{Data: data, NeedsCsum: f.NeedsCsum, CsumStart: f.CsumStart, CsumOffset: f.CsumOffset, GSOType: f.GSOType, GSOSize: f.GSOSize}
}

var privileged = sockopt.Privilege{NetBindService: true}

// A pair is two stacks, the cables between them, and the time of both.
type pair struct {
	a, b     *netstack.Stack
	toA, toB cable
	now      time.Duration
	linkA    int
	linkB    int
	addrA    netip.Addr
	addrB    netip.Addr
}

func newPair() (*pair, error) {
	p := &pair{addrA: netip.MustParseAddr("10.0.0.1"), addrB: netip.MustParseAddr("10.0.0.2"), now: time.Second}
	p.a, p.b = netstack.New(netstack.Config{Seed: [32]byte{1}}), netstack.New(netstack.Config{Seed: [32]byte{2}})
	link := func(s *netstack.Stack, addr netip.Addr, last byte, out *cable) (int, error) {
		return s.AddLink(netstack.LinkConfig{
			Name: "eth0", MAC: wire.MAC{2, 0, 0, 0, 0, last}, MTU: 1500, Addrs: []netip.Prefix{netip.PrefixFrom(addr, 24)},
			TxChecksum: true, TSO: true, Sink: out,
		})
	}
	var err error
	if p.linkA, err = link(p.a, p.addrA, 1, &p.toB); err != nil {
		return nil, err
	}
	if p.linkB, err = link(p.b, p.addrB, 2, &p.toA); err != nil {
		return nil, err
	}
	p.pass(0)
	return p, nil
}

// pass lets time go by and frames travel until both stacks are at rest.
func (p *pair) pass(d time.Duration) {
	p.now += d
	p.a.Advance(p.now)
	p.b.Advance(p.now)
	for {
		p.a.Flush()
		p.b.Flush()
		if p.toA.n == 0 && p.toB.n == 0 {
			return
		}
		for i := range p.toB.n {
			p.b.Input(p.linkB, &p.toB.frames[i])
		}
		p.toB.n = 0
		for i := range p.toA.n {
			p.a.Input(p.linkA, &p.toA.frames[i])
		}
		p.toA.n = 0
	}
}

// A taker reads everything and counts.
type taker struct{ bytes int }

func (t *taker) Deliver(p []byte) int { t.bytes += len(p); return len(p) }
func (t *taker) Event(tcp.Events)     {}

// listening is a pair of which one listens.
func listening() (*pair, *tcp.Socket, error) {
	p, err := newPair()
	if err != nil {
		return nil, nil, err
	}
	l, err := p.listener()
	return p, l, err
}

func (p *pair) listener() (*tcp.Socket, error) {
	l := p.b.NewTCP(2, nil)
	if err := l.Bind(netip.AddrPortFrom(p.addrB, 80), 0, privileged); err != nil {
		return nil, err
	}
	return l, l.Listen(16)
}

func (p *pair) connect(l *tcp.Socket) (client, server *tcp.Socket, fromServer, fromClient *taker, err error) {
	fromServer, fromClient = new(taker), new(taker)
	client = p.a.NewTCP(2, fromServer)
	if err := client.Connect(netip.AddrPortFrom(p.addrB, 80)); err != nil && !client.Connected() && client.TakeError() != 0 {
		return nil, nil, nil, nil, err
	}
	p.pass(0)
	if server, err = l.Accept(); err != nil {
		return nil, nil, nil, nil, err
	}
	server.SetOwner(fromClient)
	server.Resume()
	client.Resume()
	return client, server, fromServer, fromClient, nil
}

// transfer moves n bytes from a to b at a time, a millisecond apart.
func transfer(n int) (func() error, error) {
	p, l, err := listening()
	if err != nil {
		return nil, err
	}
	client, _, _, got, err := p.connect(l)
	if err != nil {
		return nil, err
	}
	data := make([]byte, n)
	return func() error {
		want := got.bytes + n
		for left := data; len(left) > 0 || got.bytes != want; {
			before := got.bytes
			took := client.Write(left)
			left = left[took:]
			p.pass(time.Millisecond)
			if took == 0 && got.bytes == before {
				p.pass(50 * time.Millisecond)
				if got.bytes == before && client.SendSpace() == 0 {
					return fmt.Errorf("stuck with %d of %d bytes", got.bytes+n-want, n)
				}
			}
		}
		return nil
	}, nil
}

func exchange() (func() error, error) {
	p, l, err := listening()
	if err != nil {
		return nil, err
	}
	client, server, back, there, err := p.connect(l)
	if err != nil {
		return nil, err
	}
	data := []byte{1}
	return func() error {
		wantThere, wantBack := there.bytes+1, back.bytes+1
		client.Write(data)
		p.pass(0)
		server.Write(data)
		p.pass(time.Millisecond)
		if there.bytes != wantThere || back.bytes != wantBack {
			return fmt.Errorf("there %d, back %d of 1", there.bytes-wantThere+1, back.bytes-wantBack+1)
		}
		return nil
	}, nil
}

func handshake() (func() error, error) {
	p, l, err := listening()
	if err != nil {
		return nil, err
	}
	data := []byte{1}
	return func() error {
		client, server, back, there, err := p.connect(l)
		if err != nil {
			return err
		}
		client.Write(data)
		p.pass(0)
		server.Write(data)
		p.pass(0)
		client.Close()
		p.pass(0)
		server.Close()
		p.pass(2 * time.Minute) // beyond TIME-WAIT
		if there.bytes != 1 || back.bytes != 1 {
			return fmt.Errorf("there %d, back %d of 1", there.bytes, back.bytes)
		}
		return nil
	}, nil
}

// A mailbox counts datagrams.
type mailbox struct{ datagrams int }

func (m *mailbox) Deliver(netip.AddrPort, netip.Addr, udp.Marks, []byte) bool {
	m.datagrams++
	return true
}

func (m *mailbox) Error(errno.Errno) {}

func datagram() (func() error, error) {
	p, err := newPair()
	if err != nil {
		return nil, err
	}
	box := &mailbox{}
	to := netip.AddrPortFrom(p.addrB, 7777)
	if err := p.b.NewUDP(2, box).Bind(to, 0, privileged); err != nil {
		return nil, err
	}
	from := p.a.NewUDP(2, &mailbox{})
	data := make([]byte, 100)
	return func() error {
		want := box.datagrams + 1
		if err := from.SendTo(data, to); err != nil {
			return err
		}
		p.pass(time.Millisecond)
		if box.datagrams != want {
			return fmt.Errorf("%d datagrams of 1", box.datagrams-want+1)
		}
		return nil
	}, nil
}

package engine

// What shards begin with: the queues of the uplink, and a loop for each.

import (
	"errors"
	"fmt"

	"github.com/tcpcni/tcpcni/hostlink"
	"github.com/tcpcni/tcpcni/netstack/tcp"
)

// openUplink opens the uplink, and its further queues where the configuration asks
// for shards.
func (e *engine) openUplink() (hostlink.Link, []*hostlink.TAP, error) {
	if e.cfg.Shards <= 1 {
		up, err := e.openLink("uplink", e.cfg.Uplink)
		return up, nil, err
	}
	if e.held == nil {
		all, err := OpenQueues(e.cfg.Uplink, e.cfg.Shards)
		if err != nil {
			return nil, nil, fmt.Errorf("uplink: %w", err)
		}
		return all[0], all[1:], nil
	}
	if n := len(e.held.Queues) + 1; n != e.cfg.Shards {
		return nil, nil, fmt.Errorf("uplink: %d queues for %d shards", n, e.cfg.Shards)
	}
	var queues []*hostlink.TAP
	for _, fd := range e.held.Queues {
		queues = append(queues, hostlink.AdoptTAP(fd, e.cfg.Uplink.Ifname))
	}
	return hostlink.AdoptTAP(e.held.Uplink, e.cfg.Uplink.Ifname), queues, nil
}

// OpenQueues opens n queues of a TAP of the configuration, which was made for
// several.
func OpenQueues(spec LinkSpec, n int) ([]*hostlink.TAP, error) {
	var all []*hostlink.TAP
	for range n {
		l, err := hostlink.OpenTAP(hostlink.TAPConfig{Name: spec.Ifname, NetNS: spec.NetNS, AsIs: true, MultiQueue: true})
		if err != nil {
			for _, l := range all {
				_ = l.Close()
			}
			return nil, err
		}
		all = append(all, l)
	}
	return all, nil
}

// openShards makes the loops, one for each further queue of the uplink.
func (e *engine) openShards(queues []*hostlink.TAP) error {
	n := len(queues) + 1
	x := &shards{eng: e, asked: map[*stream]bool{}, failed: make(chan error, n)}
	x.balance.init(e.now)
	if e.held != nil {
		x.uptime = e.held.Uptime
	} else if fd, err := hostlink.OpenIdle(); err == nil {
		x.uptime = fd
	}
	e.shards = x
	e.stack.SetLender(x, n, func() { x.stranded = true })
	for i, l := range queues {
		sh := &shard{home: e, asks: map[*stream]bool{}, until: 1<<63 - 1}
		sh.seen.init()
		x.list = append(x.list, sh)
		if err := sh.open(l, n); err != nil {
			for _, l := range queues[i+1:] {
				_ = l.Close()
			}
			return fmt.Errorf("shard %d: %w", i+1, err)
		}
	}
	return nil
}

func (sh *shard) open(l *hostlink.TAP, n int) (err error) {
	sh.queue = l
	if err := l.EnableQueue(false); err != nil && !errors.Is(err, hostlink.ErrQueue) {
		return err
	}
	e := sh.home
	g := &engine{cfg: e.cfg, log: e.log, profile: e.profile, started: e.started, now: e.now, shard: sh}
	sh.eng = g
	var seed [32]byte
	hostlink.Entropy(seed[:])
	g.stack = e.stack.NewGuest(seed, n, func(t *tcp.Socket) { sh.ask(t.Owner().(*stream)) })
	g.stack.Advance(g.now)
	g.ports = []*port{{Link: l, name: e.cfg.Uplink.Ifname, kind: e.cfg.Uplink.Kind, stack: g.stack}}
	if g.poll, err = hostlink.NewPoller(pollerBatch); err != nil {
		return err
	}
	g.poll.SetSpin(pollerSpin)
	if err := g.plug(g.ports[0], l); err != nil {
		return err
	}
	return g.poll.Add(l.FD(), hostlink.In, tag(kindPort, 0, 0))
}

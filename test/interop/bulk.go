package main

// What the table measures: bulk senders on a line, alone or two at once, in real
// time.

import (
	"errors"
	"fmt"
	"time"

	"github.com/tcpcni/tcpcni/netstack/sim"
)

// The line is the one of TestCongestionDocument in netstack/sim.
const (
	bulkRate   = 20_000_000 // bits per second
	leastQueue = 60_000     // bytes
	bulkSettle = 5 * time.Second
	bulkSpan   = 15 * time.Second
	// The second of two begins so much after the first; then they have time to
	// find their shares, and are measured.
	pairLater  = 3 * time.Second
	pairSettle = 10 * time.Second
	pairSpan   = 20 * time.Second
	// fullShare is the part of a packet of 1500 bytes that is text, with
	// timestamps.
	fullShare = 1448.0 / 1500
)

// A path is a line, and whose algorithm is on it.
type path struct {
	algorithm string
	loss      int // per thousand packets, towards the receiver only
	ms        int // round trip without queue
}

func (p path) ways() [2]sim.Way {
	delay := time.Duration(p.ms) * time.Millisecond / 2
	held := bulkRate / 8 * p.ms / 1000
	return [2]sim.Way{
		{Rate: bulkRate, Delay: delay, Loss: p.loss, Queue: max(held, leastQueue)},
		{Delay: delay},
	}
}

// shaken is the path for two. Queues that drop what comes last are unfair by the
// phase of the flows: of two whose packets come at a fixed distance, one finds the
// queue full each time (Floyd and Jacobson, On Traffic Phase Effects in
// Packet-Switched Gateways, 1992). Acknowledgements that are late by up to the time
// of one packet, drawn at random, are their remedy.
func (p path) shaken() [2]sim.Way {
	ways := p.ways()
	ways[1].Jitter = mtu * 8 * time.Second / bulkRate
	return ways
}

// filler writes as much as it can.
type filler struct {
	s    socket
	up   bool
	err  error
	data [64 << 10]byte
}

func (f *filler) connected() { f.up = true }

func (f *filler) took([]byte, int) {}

func (f *filler) writable() {
	for f.s != nil && f.up && f.err == nil && f.s.write(f.data[:]) > 0 {
	}
}

func (f *filler) ended() {}

func (f *filler) failed(err error) { f.err = err }

// sink counts what comes.
type sink struct {
	got int
	err error
}

func (k *sink) connected() {}

func (k *sink) took(p []byte, _ int) { k.got += len(p) }

func (k *sink) writable() {}

func (k *sink) ended() {}

func (k *sink) failed(err error) { k.err = err }

// A flow is a sender and what has come of it.
type flow struct {
	out filler
	in  sink
}

// start connects a flow from a host to the one that l receives with.
func (f *flow) start(l *lab, from host, port uint16, algorithm string) (err error) {
	if err := l.hosts[1].listen(port, sockopts{}, func(socket) program { return &f.in }); err != nil {
		return err
	}
	f.out.s, err = from.connect(port, sockopts{congestion: algorithm}, &f.out)
	return err
}

func (f *flow) failed() error { return errors.Join(f.out.err, f.in.err) }

// alone measures one flow: Mbit/s of text.
func (p path) alone(l *lab, port uint16) (float64, error) {
	var f flow
	start := l.now
	if err := f.start(l, l.hosts[0], port, p.algorithm); err != nil {
		return 0, err
	}
	rates, err := p.rates(l, start+bulkSettle, bulkSpan, &f)
	if err != nil {
		return 0, err
	}
	return rates[0], nil
}

// shared measures two flows, of which the second begins later.
func (p path) shared(l *lab, from [2]host, ports [2]uint16) ([]float64, error) {
	var flows [2]flow
	start := l.now
	for i := range flows {
		until := start + time.Duration(i)*pairLater
		err := l.run(time.Hour, func() (bool, error) { return l.now >= until, flows[0].failed() })
		if err == nil {
			err = flows[i].start(l, from[i], ports[i], p.algorithm)
		}
		if err != nil {
			return nil, err
		}
	}
	return p.rates(l, start+pairLater+pairSettle, pairSpan, &flows[0], &flows[1])
}

// rates measures from an instant on: Mbit/s of text of each flow.
func (p path) rates(l *lab, from, span time.Duration, flows ...*flow) (rates []float64, err error) {
	until := func(end time.Duration) error {
		return l.run(time.Hour, func() (bool, error) {
			for _, f := range flows {
				if err := f.failed(); err != nil {
					return false, err
				}
			}
			return l.now >= end, nil
		})
	}
	if err := until(from); err != nil {
		return nil, err
	}
	was, at, all := make([]int, len(flows)), l.now, 0
	for i, f := range flows {
		was[i] = f.in.got
	}
	if err := until(at + span); err != nil {
		return nil, err
	}
	took := (l.now - at).Seconds()
	for i, f := range flows {
		rates = append(rates, float64(f.in.got-was[i])*8e-6/took)
		all += f.in.got - was[i]
	}
	if all == 0 {
		return nil, fmt.Errorf("%+v: nothing came in %v", p, span)
	}
	return rates, nil
}

// jain is the index of fairness: 1 when all have the same, 1/n when one has all.
func jain(rates []float64) float64 {
	var sum, squares float64
	for _, r := range rates {
		sum += r
		squares += r * r
	}
	return sum * sum / (float64(len(rates)) * squares)
}

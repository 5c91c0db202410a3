package main

// The comparison of docs/congestion.md: what an algorithm reaches alone on a
// line, in real time.

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
	// fullShare is the part of a packet of 1500 bytes that is text, with
	// timestamps.
	fullShare = 1448.0 / 1500
)

// A cell is one entry of the table.
type cell struct {
	algorithm string
	loss      int // per thousand packets, towards the receiver only
	ms        int // round trip without queue
}

func (c cell) ways() [2]sim.Way {
	delay := time.Duration(c.ms) * time.Millisecond / 2
	held := bulkRate / 8 * c.ms / 1000
	return [2]sim.Way{
		{Rate: bulkRate, Delay: delay, Loss: c.loss, Queue: max(held, leastQueue)},
		{Delay: delay},
	}
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

// measure runs the cell between two hosts and returns the share of the line.
func (c cell) measure(from, to host, port uint16, seed uint64) (float64, error) {
	l, err := newLab(from, to, c.ways(), seed)
	if err != nil {
		return 0, err
	}
	share, err := c.run(l, port)
	return share, errors.Join(err, l.close())
}

func (c cell) run(l *lab, port uint16) (float64, error) {
	var in sink
	out := new(filler)
	err := l.hosts[1].listen(port, sockopts{}, func(socket) program { return &in })
	if err != nil {
		return 0, err
	}
	out.s, err = l.hosts[0].connect(port, sockopts{congestion: c.algorithm}, out)
	if err != nil {
		return 0, err
	}
	until := func(end time.Duration) error {
		return l.run(time.Hour, func() (bool, error) { return l.now >= end, errors.Join(out.err, in.err) })
	}
	start := l.now
	if err := until(start + bulkSettle); err != nil {
		return 0, err
	}
	was, at := in.got, l.now
	if err := until(at + bulkSpan); err != nil {
		return 0, err
	}
	span := (l.now - at).Seconds()
	if in.got == was {
		return 0, fmt.Errorf("%+v: nothing came in %v", c, bulkSpan)
	}
	return float64(in.got-was) / (bulkRate / 8 * span * fullShare), nil
}

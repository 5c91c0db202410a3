package main

// The cells of the table: what is measured, between whom, and what it is called.

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tcpcni/tcpcni/netstack/wire"
)

var (
	tableLosses = []int{0, 10, 30, 100} // per thousand
	fairLosses  = []int{0, 10, 30}
	tableTrips  = []int{1, 50, 200}
	algorithms  = []string{"cubic", "reno", "bbr"} // what both have
)

// Who sends to whom.
const (
	kernelAlone  = "kernel"
	oursAlone    = "ours"
	oursToKernel = "ours to kernel"
	kernelToOurs = "kernel to ours"
	// Two on one line.
	twoKernel   = "two of the kernel's"
	twoOurs     = "two of ours"
	oursFirst   = "ours, then the kernel's"
	kernelFirst = "the kernel's, then ours"
)

var (
	aloneSides = []string{kernelAlone, oursAlone, oursToKernel, kernelToOurs}
	fairSides  = []string{twoKernel, twoOurs, oursFirst, kernelFirst}
	mixedSides = []string{oursFirst, kernelFirst}
)

// A cell is a path and who is on it.
type cell struct {
	path
	side string
}

func (c cell) fair() bool { return slices.Contains(fairSides, c.side) }

// Beginnings of the names of results.
const (
	aloneName = "path-" // Mbit/s of text
	fairName  = "fair-" // Jain's index
	partName  = "part-" // ours of both
)

// name is that of a result, after one of the beginnings.
func (p path) name() string { return fmt.Sprintf("%s-%dms-%d%%", p.algorithm, p.ms, p.loss/10) }

func (p path) what() string {
	return fmt.Sprintf("%s, %d ms, %d %% loss", p.algorithm, p.ms, p.loss/10)
}

// cells lists those whose name begins with one of the comma-separated only.
func cells(only string) (list []cell) {
	wanted := func(name string) bool {
		return slices.ContainsFunc(strings.Split(only, ","), func(begin string) bool {
			return strings.HasPrefix(name, strings.TrimSpace(begin))
		})
	}
	for _, table := range []struct {
		begin  string
		losses []int
		sides  []string
	}{{aloneName, tableLosses, aloneSides}, {fairName, fairLosses, fairSides}} {
		for _, algorithm := range algorithms {
			for _, ms := range tableTrips {
				for _, loss := range table.losses {
					p := path{algorithm, loss, ms}
					for _, side := range table.sides {
						if wanted(table.begin + p.name()) {
							list = append(list, cell{p, side})
						}
					}
				}
			}
		}
	}
	return list
}

// measure runs the cell and returns what its flows reached, Mbit/s of text.
func (w *worker) measure(c cell, seed uint64) (rates []float64, err error) {
	w.port += 2
	var ours [3]*stackHost
	for i := range ours {
		if ours[i], err = newStackHost(i, largeBuffers, seed+uint64(i)<<32); err != nil {
			return nil, err
		}
	}
	from, to := host(w.hosts[0]), host(w.hosts[1])
	switch c.side {
	case oursAlone, twoOurs:
		from, to = ours[0], ours[1]
	case oursToKernel:
		from = ours[0]
	case kernelToOurs:
		to = ours[1]
	case oursFirst, kernelFirst:
		from = &together{host: ours[0], more: w.hosts[2], macs: [2]wire.MAC{macOf(0), macOf(2)}}
	}
	ways := c.ways()
	if c.fair() {
		ways = c.shaken()
	}
	l, err := newLab(from, to, ways, seed)
	if err != nil {
		return nil, err
	}
	senders := [2]host{from, from}
	switch c.side {
	case oursFirst:
		senders = [2]host{ours[0], w.hosts[2]}
	case kernelFirst:
		senders = [2]host{w.hosts[2], ours[0]}
	}
	if c.fair() {
		rates, err = c.shared(l, senders, [2]uint16{w.port, w.port + 1})
	} else {
		var rate float64
		rate, err = c.alone(l, w.port)
		rates = []float64{rate}
	}
	return rates, errors.Join(err, l.close())
}

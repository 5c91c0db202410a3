package main

import (
	"fmt"
	"slices"
)

// The sides of the comparison.
const (
	kernelSide  = "kernel"
	sandboxSide = "sandbox" // the server's socket calls are intercepted
	inlineSide  = "inline"  // the server has the sockets of the sandbox's kernel
	runscSide   = "runsc"
	librarySide = "library" // a Go server, so its threads are not the C server's
	slirpSide   = "slirp4netns"
	pastaSide   = "pasta"

	// Sandboxes of one loop and of two, each with two servers.
	oneShardSide  = "shards-1"
	twoShardsSide = "shards-2"
)

var (
	ourSides   = []string{kernelSide, sandboxSide, inlineSide}
	allSides   = []string{kernelSide, sandboxSide, inlineSide, runscSide, librarySide, slirpSide, pastaSide}
	shardSides = []string{oneShardSide, twoShardsSide}
	knownSides = slices.Concat(allSides, shardSides)
	// Sides that can have a client where the server is, and a second sandbox.
	insiders = []string{kernelSide, sandboxSide, runscSide}
)

// A way is the one that packets take between client and server.
const (
	outside  = ""       // from a namespace to the server's sandbox
	loopback = "loop"   // inside the server's sandbox, 127.0.0.1
	bridged  = "bridge" // between two sandboxes at a bridge
)

// A test is one thing that all sides are measured at.
type test struct {
	name  string // also what -tests selects
	what  string // for people
	mode  string // of the client
	count int
	size  int
	way   string
	six   bool
	mtu   int // 0 is that of -mtu
	deep  bool
	twice bool     // two clients at once, each with a server of its own
	sides []string // that can do it; all if nil
}

func (t *test) mtuOr(otherwise int) int {
	if t.mtu != 0 {
		return t.mtu
	}
	return otherwise
}

func (t *test) on(side string) bool { return t.sides == nil || slices.Contains(t.sides, side) }

// A measure is the unit of a mode's numbers.
type measure struct {
	unit     string
	scale    float64 // from the client's rate per second
	cpuUnit  string
	cpuScale float64 // from CPU seconds for each byte or exchange
}

var (
	bulkMeasure = measure{"Gbit/s", 8e-9, "CPU s/GB", 1e9}
	rateMeasure = measure{"per s", 1, "CPU µs", 1e6}
	measures    = map[string]measure{"up": bulkMeasure, "down": bulkMeasure}
)

func (t *test) measure() measure {
	if m, ok := measures[t.mode]; ok {
		return m
	}
	return rateMeasure
}

var (
	withUDP = []string{kernelSide, sandboxSide, inlineSide, runscSide, librarySide, pastaSide}
	// What the library's server does not offer.
	withUDPModes = []string{kernelSide, sandboxSide, inlineSide, runscSide}
	withIPv6     = []string{kernelSide, sandboxSide, inlineSide, runscSide}
	withMessages = []string{kernelSide, sandboxSide, inlineSide, runscSide, librarySide}
)

var tests = slices.Concat(
	[]test{
		{name: "up-1", what: "bulk in, 1 stream", mode: "up", count: 1},
		{name: "down-1", what: "bulk out, 1 stream", mode: "down", count: 1},
		{name: "up-8", what: "bulk in, 8 streams", mode: "up", count: 8},
		{name: "down-8", what: "bulk out, 8 streams", mode: "down", count: 8},
		{name: "rr-1", what: "1-byte exchanges, 1 connection", mode: "rr", count: 1},
		{name: "rr-8", what: "1-byte exchanges, 8 connections", mode: "rr", count: 8},
		{name: "crr-1", what: "connect, exchange, close, 1 client", mode: "crr", count: 1},
		{name: "crr-8", what: "connect, exchange, close, 8 clients", mode: "crr", count: 8},
		{name: "cc-1", what: "connect, close, 1 client", mode: "cc", count: 1},
		{name: "cc-8", what: "connect, close, 8 clients", mode: "cc", count: 8},
		{name: "urr-1", what: "UDP exchanges, 1 client", mode: "urr", count: 1, sides: withUDP},
		{name: "ucrr-1", what: "UDP exchanges, server connected", mode: "ucrr", count: 1, sides: withUDPModes},
		{name: "loop-up-1", what: "inside, 127.0.0.1: bulk, 1 stream", mode: "up", count: 1, way: loopback, sides: insiders},
		{name: "loop-rr-1", what: "inside, 127.0.0.1: exchanges, 1 connection", mode: "rr", count: 1, way: loopback, sides: insiders},

		{name: "loop-up-8", what: "inside, 127.0.0.1: bulk, 8 streams", mode: "up", count: 8, way: loopback, sides: insiders, deep: true},
		{name: "loop-rr-8", what: "inside, 127.0.0.1: exchanges, 8 connections", mode: "rr", count: 8, way: loopback, sides: insiders, deep: true},
		{name: "loop-crr-1", what: "inside, 127.0.0.1: connect, exchange, close", mode: "crr", count: 1, way: loopback, sides: insiders, deep: true},
		{name: "up-64", what: "bulk in, 64 streams", mode: "up", count: 64, deep: true},
		{name: "down-64", what: "bulk out, 64 streams", mode: "down", count: 64, deep: true},
		{name: "rr-64", what: "1-byte exchanges, 64 connections", mode: "rr", count: 64, deep: true},
		{name: "rr-1000", what: "1-byte exchanges, 1,000 connections", mode: "rr", count: 1000, deep: true},
		{name: "lat-8", what: "exchanges at half of the side's own rate, 8 connections", mode: "lat", count: 8, deep: true},
		{name: "urr-8", what: "UDP exchanges, 8 clients", mode: "urr", count: 8, sides: withUDP, deep: true},
		{name: "uin-64", what: "UDP in, 64 bytes", mode: "uin", count: 1, size: 64, sides: withUDPModes, deep: true},
		{name: "uin-1400", what: "UDP in, 1,400 bytes", mode: "uin", count: 1, size: 1400, sides: withUDPModes, deep: true},
		{name: "uout-64", what: "UDP out, 64 bytes", mode: "uout", count: 1, size: 64, sides: withUDPModes, deep: true},
		{name: "uout-1400", what: "UDP out, 1,400 bytes", mode: "uout", count: 1, size: 1400, sides: withUDPModes, deep: true},
		{name: "bridge-up-1", what: "sandbox to sandbox: bulk, 1 stream", mode: "up", count: 1, way: bridged, sides: insiders, deep: true},
		{name: "bridge-up-8", what: "sandbox to sandbox: bulk, 8 streams", mode: "up", count: 8, way: bridged, sides: insiders, deep: true},
		{name: "bridge-rr-1", what: "sandbox to sandbox: exchanges, 1 connection", mode: "rr", count: 1, way: bridged, sides: insiders, deep: true},
		{name: "bridge-crr-1", what: "sandbox to sandbox: connect, exchange, close", mode: "crr", count: 1, way: bridged, sides: insiders, deep: true},
		{name: "six-up-1", what: "IPv6: bulk in, 1 stream", mode: "up", count: 1, six: true, sides: withIPv6, deep: true},
		{name: "six-down-1", what: "IPv6: bulk out, 1 stream", mode: "down", count: 1, six: true, sides: withIPv6, deep: true},
		{name: "six-rr-1", what: "IPv6: exchanges, 1 connection", mode: "rr", count: 1, six: true, sides: withIPv6, deep: true},
		{name: "six-crr-1", what: "IPv6: connect, exchange, close", mode: "crr", count: 1, six: true, sides: withIPv6, deep: true},
	},
	paired(),
	sized(),
	atMTU(9000), atMTU(65520),
)

// paired is about sandboxes with shards: two load generators, and two programs that
// they are for. COUNT is of each.
func paired() (list []test) {
	for _, t := range []test{
		{name: "rr-1", what: "1-byte exchanges, 1 connection each", mode: "rr", count: 1},
		{name: "rr-4", what: "1-byte exchanges, 4 connections each", mode: "rr", count: 4},
		{name: "rr-32", what: "1-byte exchanges, 32 connections each", mode: "rr", count: 32},
		{name: "up-1", what: "bulk in, 1 stream each", mode: "up", count: 1},
		{name: "up-4", what: "bulk in, 4 streams each", mode: "up", count: 4},
		{name: "down-1", what: "bulk out, 1 stream each", mode: "down", count: 1},
		{name: "down-4", what: "bulk out, 4 streams each", mode: "down", count: 4},
		{name: "crr-2", what: "connect, exchange, close, 2 clients each", mode: "crr", count: 2},
	} {
		t.name, t.what, t.twice, t.deep, t.sides = "two-"+t.name, "two generators: "+t.what, true, true, shardSides
		list = append(list, t)
	}
	return list
}

// sized is about the size of what the client writes at once.
func sized() (list []test) {
	for _, s := range []struct {
		size int
		name string
	}{{64, "64 B"}, {1 << 10, "1 KiB"}, {16 << 10, "16 KiB"}, {64 << 10, "64 KiB"}, {1 << 20, "1 MiB"}} {
		list = append(list,
			test{name: fmt.Sprintf("write-%d", s.size), what: "bulk in by writes of " + s.name, mode: "up", count: 1, size: s.size, deep: true},
			test{name: fmt.Sprintf("msg-%d", s.size), what: "exchanges of " + s.name + " each way", mode: "msg", count: 1, size: s.size, sides: withMessages, deep: true})
	}
	return list
}

func atMTU(mtu int) (list []test) {
	for _, t := range []test{
		{name: "up-1", what: "bulk in, 1 stream", mode: "up", count: 1},
		{name: "down-1", what: "bulk out, 1 stream", mode: "down", count: 1},
		{name: "up-8", what: "bulk in, 8 streams", mode: "up", count: 8},
		{name: "rr-1", what: "exchanges, 1 connection", mode: "rr", count: 1},
	} {
		t.name, t.what, t.mtu, t.deep = fmt.Sprintf("mtu-%s@%d", t.name, mtu), fmt.Sprintf("MTU %d: %s", mtu, t.what), mtu, true
		list = append(list, t)
	}
	return list
}

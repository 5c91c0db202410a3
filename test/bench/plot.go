package main

import "github.com/tcpcni/tcpcni/test/bench/figures"

var charts = []figures.Chart{
	{File: "bulk.svg", Title: "Bulk", Tests: []string{"up-1", "down-1", "up-8", "down-8", "up-64", "down-64"}},
	{File: "exchanges.svg", Title: "1-byte exchanges", Tests: []string{"rr-1", "rr-8", "rr-64", "rr-1000", "urr-1", "ucrr-1"}},
	{File: "connections.svg", Title: "Connections", Tests: []string{"crr-1", "crr-8", "cc-1", "cc-8"}},
	{File: "inside.svg", Title: "Inside one sandbox, 127.0.0.1", Tests: []string{"loop-up-1", "loop-up-8"}},
	{File: "cpu-bulk.svg", Title: "CPU time per byte", Tests: []string{"up-1.cpu", "down-1.cpu", "up-8.cpu", "down-8.cpu"}},
	{File: "cpu-exchange.svg", Title: "CPU time per exchange or connection", Tests: []string{"rr-1.cpu", "rr-8.cpu", "crr-1.cpu", "urr-1.cpu"}},
	{File: "latency.svg", Title: "Latency at half of the side's own rate, 8 connections", Tests: []string{"lat-8.p50", "lat-8.p99", "lat-8.p99.9"}},
	{File: "mtu.svg", Title: "Bulk by MTU", Tests: []string{"up-1", "mtu-up-1@9000", "mtu-up-1@65520", "down-1", "mtu-down-1@9000", "mtu-down-1@65520"}},
	{File: "messages.svg", Title: "Exchanges by size", Tests: []string{"msg-64", "msg-1024", "msg-16384", "msg-65536", "msg-1048576"}},
	{File: "memory.svg", Title: "Memory per idle connection", Tests: []string{"memory-conn"}},
}

// Colours by side; they differ in lightness as well, for those who see no
// colours.
var colours = map[string]string{
	kernelSide: "#444444", sandboxSide: "#0a7d32", inlineSide: "#7cc08f", runscSide: "#c0392b",
	librarySide: "#e59866", slirpSide: "#5d6dbe", pastaSide: "#aab4e6",
}

// drawn are the sides as plots show them.
func drawn() (list []figures.Side) {
	for _, name := range allSides {
		list = append(list, figures.Side{Name: name, Colour: colours[name]})
	}
	return list
}

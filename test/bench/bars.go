package main

import "fmt"

// A bar says what a side's median has to be: so much of another side's median of
// the same run, or a number. Bars whose numbers were not measured say nothing.
type bar struct {
	what   string
	test   string // name of the result
	atMost bool   // instead of at least
	factor float64
	of     string // the other side; "" makes the factor a number of the result's unit
	side   string // "" is the sandbox
	plus   float64
}

var bars = []bar{
	{what: "bulk in, 1 stream", test: "up-1", factor: 0.75, of: kernelSide},
	{what: "bulk out, 1 stream", test: "down-1", factor: 0.75, of: kernelSide},
	{what: "bulk in, 1 stream", test: "up-1", factor: 2.2, of: runscSide},
	{what: "bulk out, 1 stream", test: "down-1", factor: 2.2, of: runscSide},
	{what: "bulk in, 8 streams", test: "up-8", factor: 0.4, of: kernelSide},
	{what: "bulk out, 8 streams", test: "down-8", factor: 0.4, of: kernelSide},
	{what: "bulk in, 8 streams", test: "up-8", factor: 2, of: runscSide},
	{what: "bulk out, 8 streams", test: "down-8", factor: 2, of: runscSide},
	{what: "exchanges, 1 connection", test: "rr-1", factor: 0.65, of: kernelSide},
	{what: "exchanges, 1 connection", test: "rr-1", factor: 1.7, of: runscSide},
	{what: "exchanges, 8 connections", test: "rr-8", factor: 3, of: runscSide},
	{what: "connect, exchange, close, 1 client", test: "crr-1", factor: 3, of: runscSide},
	{what: "connect, exchange, close, 8 clients", test: "crr-8", factor: 3, of: runscSide},
	{what: "connect, exchange, close, 1 client", test: "crr-1", factor: 1, of: librarySide},
	{what: "connect, exchange, close, 8 clients", test: "crr-8", factor: 1, of: librarySide},
	{what: "CPU per GB in", test: "up-1.cpu", factor: 0.55, of: runscSide, atMost: true},
	{what: "CPU per GB out", test: "down-1.cpu", factor: 0.55, of: runscSide, atMost: true},
	{what: "CPU per exchange", test: "rr-1.cpu", factor: 0.75, of: runscSide, atMost: true},
	{what: "idle engine, resident", test: "memory-idle", factor: 15, atMost: true},
	{what: "engine memory per idle connection", test: "memory-conn", factor: 2048, atMost: true},
	{what: "connections held in one sandbox", test: "memory-100k-held", factor: 100000},
	{what: "inside, 127.0.0.1: bulk", test: "loop-up-1", factor: 1.5, of: runscSide},
	{what: "inside, 127.0.0.1: bulk", test: "loop-up-1", factor: 0.6, of: kernelSide},
	{what: "inside, 127.0.0.1: exchanges", test: "loop-rr-1", factor: 1.5, of: runscSide},
	{what: "inside, 127.0.0.1: exchanges", test: "loop-rr-1", factor: 0.6, of: kernelSide},
	{what: "inline, bulk in", test: "up-1", side: inlineSide, factor: 0.6, of: kernelSide},
	{what: "inline, bulk out", test: "down-1", side: inlineSide, factor: 0.6, of: kernelSide},
	{what: "ADD, beyond the reference bridge plugin's", test: "start-add", factor: 1, of: kernelSide, plus: 60, atMost: true},
	{what: "tcpcni run -- true", test: "start-run", factor: 150, atMost: true},
	{what: "UDP exchanges", test: "urr-1", factor: 1.5, of: runscSide},
	{what: "UDP exchanges, connected", test: "ucrr-1", factor: 3, of: runscSide},
}

// An outcome is a bar with the numbers of a run.
type outcome struct {
	Bar   string  `json:"bar"` // in words
	Value float64 `json:"value"`
	Limit float64 `json:"limit"` // of Value
	Ratio float64 `json:"ratio,omitempty"`
	Unit  string  `json:"unit"`
	Met   bool    `json:"met"`
}

func (b *bar) words(unit string) string {
	relation := "at least"
	if b.atMost {
		relation = "at most"
	}
	switch {
	case b.of == "":
		return fmt.Sprintf("%s: %s %g %s", b.what, relation, b.factor, unit)
	case b.plus != 0:
		return fmt.Sprintf("%s: %s %g %s", b.what, relation, b.plus, unit)
	}
	return fmt.Sprintf("%s: %s %g × %s", b.what, relation, b.factor, b.of)
}

// outcomes returns the bars whose numbers the report has.
func (r *report) outcomes() (list []outcome) {
	for _, b := range bars {
		side := b.side
		if side == "" {
			side = sandboxSide
		}
		value, ok := r.Median(b.test, side)
		if !ok {
			if res := r.Results[b.test]; res != nil && res.Failed[side] != "" {
				list = append(list, outcome{Bar: b.words(res.Unit), Limit: b.factor, Unit: res.Unit})
			}
			continue
		}
		o := outcome{Bar: b.words(r.Results[b.test].Unit), Value: value, Limit: b.factor, Unit: r.Results[b.test].Unit}
		if b.of != "" {
			other, ok := r.Median(b.test, b.of)
			if !ok {
				continue
			}
			o.Limit, o.Ratio = other*b.factor+b.plus, value/other
		}
		o.Met = value >= o.Limit
		if b.atMost {
			o.Met = value <= o.Limit
		}
		list = append(list, o)
	}
	return list
}

// missed counts the bars that were not kept.
func (r *report) missed() (n int) {
	for _, o := range r.outcomes() {
		if !o.Met {
			n++
		}
	}
	return n
}

package main

// Plots as SVG, written by hand: horizontal bars, the medians of every side for
// a few tests, with a line from the smallest to the largest. A renderer, a font
// or a library is not needed for that.

import (
	"fmt"
	"html"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A chart is a file with the tests that have one unit in common.
type chart struct {
	file, title string
	tests       []string
}

var charts = []chart{
	{"bulk.svg", "Bulk", []string{"up-1", "down-1", "up-8", "down-8", "up-64", "down-64"}},
	{"exchanges.svg", "1-byte exchanges", []string{"rr-1", "rr-8", "rr-64", "rr-1000", "urr-1", "ucrr-1"}},
	{"connections.svg", "Connections", []string{"crr-1", "crr-8", "cc-1", "cc-8"}},
	{"inside.svg", "Inside one sandbox, 127.0.0.1", []string{"loop-up-1", "loop-up-8"}},
	{"cpu-bulk.svg", "CPU time per byte", []string{"up-1.cpu", "down-1.cpu", "up-8.cpu", "down-8.cpu"}},
	{"cpu-exchange.svg", "CPU time per exchange or connection", []string{"rr-1.cpu", "rr-8.cpu", "crr-1.cpu", "urr-1.cpu"}},
	{"latency.svg", "Latency at half of the side's own rate, 8 connections", []string{"lat-8.p50", "lat-8.p99", "lat-8.p99.9"}},
	{"mtu.svg", "Bulk by MTU", []string{"up-1", "mtu-up-1@9000", "mtu-up-1@65520", "down-1", "mtu-down-1@9000", "mtu-down-1@65520"}},
	{"messages.svg", "Exchanges by size", []string{"msg-64", "msg-1024", "msg-16384", "msg-65536", "msg-1048576"}},
	{"memory.svg", "Memory per idle connection", []string{"memory-conn"}},
}

// Colours by side; they differ in lightness as well, for those who see no
// colours.
var colours = map[string]string{
	kernelSide: "#444444", sandboxSide: "#0a7d32", inlineSide: "#7cc08f", runscSide: "#c0392b",
	librarySide: "#e59866", slirpSide: "#5d6dbe", pastaSide: "#aab4e6",
}

// Sizes in pixels.
const (
	plotWidth   = 900
	labelWidth  = 290
	valueWidth  = 130
	barHeight   = 15
	groupGap    = 14
	titleHeight = 60
)

// plot writes the charts that have numbers.
func (r *report) plot(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, c := range charts {
		text := r.svg(c)
		if text == "" {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, c.file), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

func (r *report) svg(c chart) string {
	var most float64
	unit, height := "", titleHeight
	var names []string
	for _, name := range c.tests {
		res := r.Results[name]
		if res == nil || len(res.Rounds) == 0 {
			continue
		}
		names, unit = append(names, name), res.Unit
		for _, v := range res.Rounds {
			most = max(most, slices.Max(v))
		}
		height += len(res.Rounds)*barHeight + groupGap
	}
	if most <= 0 {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+"\n", plotWidth, height, plotWidth, height)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="white"/>`+"\n", plotWidth, height)
	fmt.Fprintf(&b, `<text x="10" y="20" font-size="15" font-weight="bold">%s, %s</text>`+"\n", html.EscapeString(c.title), html.EscapeString(unit))
	fmt.Fprintf(&b, `<text x="10" y="38" fill="#666">%s</text>`+"\n", html.EscapeString(fmt.Sprintf("medians of %d rounds; %s, %d processors, Linux %s, %s", r.Rounds, r.CPU, r.CPUs, r.Kernel, r.Commit)))
	scale := (plotWidth - labelWidth - valueWidth) / most
	y := titleHeight
	for _, name := range names {
		res := r.Results[name]
		fmt.Fprintf(&b, `<text x="10" y="%d">%s</text>`+"\n", y+barHeight-3, html.EscapeString(res.What))
		for _, side := range allSides {
			v := res.Rounds[side]
			if len(v) == 0 {
				continue
			}
			middle := float64(y) + barHeight/2
			m := max(0, median(v))
			fmt.Fprintf(&b, `<rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"/>`+"\n", labelWidth, y, m*scale, barHeight-2, colours[side])
			fmt.Fprintf(&b, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="black"/>`+"\n",
				labelWidth+max(0, slices.Min(v))*scale, middle, labelWidth+max(0, slices.Max(v))*scale, middle)
			fmt.Fprintf(&b, `<text x="%.1f" y="%d" font-size="11">%s %s</text>`+"\n", labelWidth+max(0, slices.Max(v))*scale+5, y+barHeight-4, number(median(v)), side)
			y += barHeight
		}
		y += groupGap
	}
	b.WriteString("</svg>\n")
	return b.String()
}

package figures

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

// A Chart is a file with the tests that have one unit in common.
type Chart struct {
	File, Title string
	Tests       []string
}

// A Side is a bar of each test, with its colour.
type Side struct{ Name, Colour string }

// Sizes in pixels.
const (
	plotWidth   = 900
	labelWidth  = 290
	valueWidth  = 130
	barHeight   = 15
	groupGap    = 14
	titleHeight = 60
)

// Plot writes the charts that have numbers into dir.
func (r *Report) Plot(dir string, charts []Chart, sides []Side) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, c := range charts {
		text := r.SVG(c, sides)
		if text == "" {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, c.File), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// SVG draws a chart; without numbers it is empty.
func (r *Report) SVG(c Chart, sides []Side) string {
	var most float64
	unit, height := "", titleHeight
	var names []string
	for _, name := range c.Tests {
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
	fmt.Fprintf(&b, `<text x="10" y="20" font-size="15" font-weight="bold">%s, %s</text>`+"\n", html.EscapeString(c.Title), html.EscapeString(unit))
	fmt.Fprintf(&b, `<text x="10" y="38" fill="#666">%s</text>`+"\n", html.EscapeString(fmt.Sprintf("medians of %d rounds; %s, %d processors, Linux %s, %s", r.Rounds, r.CPU, r.CPUs, r.Kernel, r.Commit)))
	scale := (plotWidth - labelWidth - valueWidth) / most
	y := titleHeight
	for _, name := range names {
		res := r.Results[name]
		fmt.Fprintf(&b, `<text x="10" y="%d">%s</text>`+"\n", y+barHeight-3, html.EscapeString(res.What))
		for _, side := range sides {
			v := res.Rounds[side.Name]
			if len(v) == 0 {
				continue
			}
			middle := float64(y) + barHeight/2
			m := max(0, Median(v))
			fmt.Fprintf(&b, `<rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"/>`+"\n", labelWidth, y, m*scale, barHeight-2, side.Colour)
			fmt.Fprintf(&b, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="black"/>`+"\n",
				labelWidth+max(0, slices.Min(v))*scale, middle, labelWidth+max(0, slices.Max(v))*scale, middle)
			fmt.Fprintf(&b, `<text x="%.1f" y="%d" font-size="11">%s %s</text>`+"\n", labelWidth+max(0, slices.Max(v))*scale+5, y+barHeight-4, Number(Median(v)), html.EscapeString(side.Name))
			y += barHeight
		}
		y += groupGap
	}
	b.WriteString("</svg>\n")
	return b.String()
}

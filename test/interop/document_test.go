package main

import (
	"os"
	"strings"
	"testing"

	"github.com/tcpcni/tcpcni/test/bench/figures"
)

// TestDocument: the pages have what was measured.
func TestDocument(t *testing.T) {
	r := new(figures.Report)
	if err := figures.Read("../../"+resultsDir+"/"+resultsName, r); err != nil {
		t.Fatal(err)
	}
	want, err := realTimeTable(r)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := os.ReadFile("../../" + congestionDoc)
	if err != nil {
		t.Fatal(err)
	}
	_, table, _, err := splitDocument(string(doc))
	if err != nil {
		t.Fatal(err)
	}
	if strings.TrimSpace(table) != strings.TrimSpace(want) {
		t.Errorf("the table is not that of %s, which makes\n%s", resultsName, want)
	}
	shares, err := kernelShares(r)
	if err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile("../../" + kernelFile); err != nil || string(text) != shares {
		t.Errorf("%s is not of %s, which makes (%v)\n%s", kernelFile, resultsName, err, shares)
	}
}

// TestCells: every cell has results and a place in the page and the plots.
func TestCells(t *testing.T) {
	r := figures.New()
	list := cells("")
	if want := 3 * 3 * (4*4 + 3*4); len(list) != want {
		t.Errorf("%d cells, want %d", len(list), want)
	}
	for _, c := range list {
		rates := []float64{3, 1}
		if !c.fair() {
			rates = rates[:1]
		}
		add(&r, c, rates)
	}
	if v := r.Results[fairName+"cubic-50ms-1%"].Rounds[twoOurs][0]; v != 0.8 {
		t.Errorf("Jain's index of 3 and 1 is %v", v)
	}
	for side, want := range map[string]float64{oursFirst: 75, kernelFirst: 25} {
		if v := r.Results[partName+"bbr-1ms-0%"].Rounds[side][0]; v != want {
			t.Errorf("%s: our part is %v, want %v", side, v, want)
		}
	}
	var b strings.Builder
	if err := page(&b, &r); err != nil {
		t.Fatal(err)
	}
	for _, c := range list {
		if !strings.Contains(b.String(), "| "+c.what()+" |") {
			t.Errorf("the page has no %s", c.what())
		}
	}
	for _, c := range charts() {
		if r.SVG(c, drawn) == "" {
			t.Errorf("%s is empty", c.File)
		}
	}
	if n := len(cells("fair-cubic-50ms, path-bbr-1ms-0")); n != 3*4+4 {
		t.Errorf("%d cells by two beginnings", n)
	}
}

package main

import (
	"os"
	"strings"
	"testing"
)

// TestDocument: the page has what was measured.
func TestDocument(t *testing.T) {
	text, err := os.ReadFile("testdata/ours-congestion.txt")
	if err != nil {
		t.Fatal(err)
	}
	want, err := realTimeTable(string(text))
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
		t.Errorf("the table is not that of testdata/ours-congestion.txt, which makes\n%s", want)
	}
}

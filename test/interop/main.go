// Command interop compares congestion control in our TCP and in the kernel's,
// over one and the same emulated line in real time: what each algorithm reaches
// that both have, in every combination of who sends to whom, and how two share the
// line. It needs root.
//
//	go run ./test/interop -table                                    # everything, into docs/
//	go run ./test/interop -table -only path-bbr,fair-cubic-50ms     # some of it, printed
//	go run ./test/interop -table -only path-bbr -json r.json        # added to what r.json has
//	go run ./test/interop -document r.json                          # into docs/
//
// The tests of this package have the two talk to each other:
//
//	go test ./test/interop            # every pair of levels of every two factors
//	go test ./test/interop -all       # the whole matrix
package main

import (
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/tcpcni/tcpcni/test/bench/figures"
)

func main() {
	var o tableOptions
	table := flag.Bool("table", false, "measure, and write the tables and plots of docs/")
	flag.IntVar(&o.passes, "passes", 3, "measurements of each cell, at least 1, whose median counts")
	flag.IntVar(&o.jobs, "jobs", 1, "cells that are measured at once, at least 1")
	flag.StringVar(&o.only, "only", "", "measure only what begins with one of these comma-separated names, such as path-bbr or fair-cubic-50ms-0, and write nothing below docs/")
	flag.StringVar(&o.json, "json", "", "add the numbers to those of this file, and write nothing below docs/")
	from := flag.String("document", "", "measure nothing, write the tables and plots of docs/ from this file")
	flag.Parse()
	if *table == (*from != "") || flag.NArg() > 0 || o.passes < 1 || o.jobs < 1 {
		fmt.Fprintln(os.Stderr, "usage: interop -table [-passes 3] [-jobs 1] [-only NAMES] [-json FILE], or -document FILE; the rest is in go test ./test/interop")
		os.Exit(2)
	}
	if err := run(&o, *from); err != nil {
		fmt.Fprintln(os.Stderr, "interop:", err)
		os.Exit(1)
	}
}

func run(o *tableOptions, from string) error {
	if from != "" {
		r := new(figures.Report)
		if err := figures.Read(from, r); err != nil {
			return err
		}
		return document(r)
	}
	// Namespaces must go whatever ends this.
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	r, err := o.run(stop)
	if err != nil {
		return err
	}
	if o.only != "" || o.json != "" {
		return page(os.Stdout, r)
	}
	return document(r)
}

// Command interop compares congestion control in our TCP and in the kernel's,
// over one and the same emulated line in real time: it measures what each of the
// kernel's algorithms reaches between two namespaces, and the same of ours
// between two stacks, and writes both into the repository. It needs root.
//
//	go run ./test/interop -table
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
)

func main() {
	var o tableOptions
	table := flag.Bool("table", false, "measure and write the table")
	flag.IntVar(&o.passes, "passes", 3, "measurements of each cell, whose median counts")
	flag.IntVar(&o.jobs, "jobs", 1, "cells that are measured at once")
	flag.StringVar(&o.only, "only", "", "measure only the algorithm of this name, and write nothing")
	flag.StringVar(&o.side, "side", "", "measure and write only this side: kernel or ours")
	flag.Parse()
	if o.side != "" && o.side != "kernel" && o.side != "ours" {
		fmt.Fprintf(os.Stderr, "interop: -side %q; accepted: kernel, ours\n", o.side)
		os.Exit(2)
	}
	if !*table || flag.NArg() > 0 {
		fmt.Fprintln(os.Stderr, "interop: -table is all that there is; the rest is in go test ./test/interop")
		os.Exit(2)
	}
	// Namespaces must go whatever ends this.
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	if err := o.run(stop); err != nil {
		fmt.Fprintln(os.Stderr, "interop:", err)
		os.Exit(1)
	}
}

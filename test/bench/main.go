// Command bench compares the sandbox path and the inline path with the kernel's
// own TCP. One client and one server program, both plain C, run on two kernels'
// sockets with a veth pair between them, with the server inside a sandbox, and
// with the server on the sockets of a sandbox's kernel, by turns, round after
// round; what counts is the median and its ratio to the kernel's.
//
// Everything happens in network namespaces of its own, with cubic on the
// kernel's side. The numbers mean something on a machine that does nothing else:
// the sandbox path runs one process more than the kernel's. It needs root, gcc, and bin/tcpcni unless -only kernel is set.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

type options struct {
	command  string
	only     string
	tests    string
	rounds   int
	duration time.Duration
	mtu      int
	conns    int
	json     string
	check    bool
}

func parseOptions() (*options, error) {
	o := new(options)
	flag.StringVar(&o.command, "tcpcni", "bin/tcpcni", "the command under test")
	flag.StringVar(&o.only, "only", "", "measure one side: kernel, sandbox or inline")
	flag.StringVar(&o.tests, "tests", "", "measure what matches one of these comma-separated prefixes, such as up,rr-1,memory (default everything)")
	flag.IntVar(&o.rounds, "rounds", 5, "rounds, at least 1; each measures everything once on each side")
	flag.DurationVar(&o.duration, "time", 2*time.Second, "length of one measurement, at least 10ms")
	flag.IntVar(&o.mtu, "mtu", 1500, "MTU of both sides in bytes, 1280 to 65521")
	flag.IntVar(&o.conns, "conns", 10000, "idle connections whose memory is measured, 1 to 60000")
	flag.StringVar(&o.json, "json", "", "write every number to this file as well")
	flag.BoolVar(&o.check, "check", false, "exit with 1 if a floor is missed")
	flag.Parse()
	for _, c := range []struct {
		ok       bool
		name     string
		value    any
		accepted string
	}{
		{o.only == "" || slices.Contains(sides, o.only), "-only", o.only, strings.Join(sides, ", ")},
		{o.rounds >= 1, "-rounds", o.rounds, "1 and more"},
		{o.duration >= 10*time.Millisecond, "-time", o.duration, "10ms and more"},
		{o.mtu >= 1280 && o.mtu <= 65521, "-mtu", o.mtu, "1280 to 65521"},
		{o.conns >= 1 && o.conns <= 60000, "-conns", o.conns, "1 to 60000"},
		{flag.NArg() == 0, "argument", strings.Join(flag.Args(), " "), "none"},
	} {
		if !c.ok {
			return nil, fmt.Errorf("%s: %q: accepted: %s", c.name, fmt.Sprint(c.value), c.accepted)
		}
	}
	return o, nil
}

// wants reports whether the test called name was asked for.
func (o *options) wants(name string) bool {
	if o.tests == "" {
		return true
	}
	return slices.ContainsFunc(strings.Split(o.tests, ","), func(prefix string) bool {
		return strings.HasPrefix(name, strings.TrimSpace(prefix))
	})
}

func main() {
	o, err := parseOptions()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	missed, err := bench(ctx, o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	if o.check && missed > 0 {
		os.Exit(1)
	}
}

// bench measures, reports, and returns the number of floors that were missed.
func bench(ctx context.Context, o *options) (missed int, err error) {
	if os.Geteuid() != 0 {
		return 0, errors.New("needs root to make network namespaces")
	}
	l, err := newLab(ctx, o)
	defer func() { err = errors.Join(err, l.close()) }()
	if err != nil {
		return 0, err
	}
	r := newReport(o)
	// The memory first, while the machine is quiet and the engines are young.
	if l.server[sandboxSide] != "" && o.wants("memory") {
		if err := l.memory(r); err != nil {
			return 0, err
		}
	}
	if err := l.speed(r); err != nil {
		return 0, err
	}
	r.print(os.Stdout)
	if o.json != "" {
		if err := r.writeJSON(o.json); err != nil {
			return 0, err
		}
	}
	return r.missed(), nil
}

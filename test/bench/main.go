// Command bench compares the sandbox path and the inline path with the kernel's
// own TCP, and on request with what people would use instead: gVisor's runtime
// (runsc), a Go server on gVisor's network stack (library), slirp4netns and
// pasta. One client and one server program, both plain C, run on all of them by
// turns, round after round; what counts is the median and its ratio to another
// side's of the same run.
//
// Everything happens in network namespaces of its own, with cubic on the
// kernel's side. The numbers mean something on a machine that does nothing else:
// the sandbox path runs one process more than the kernel's. docs/performance.md
// says how to repeat what is written there. It needs root and gcc, and the
// programs under test.
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

	"golang.org/x/sys/unix"
)

type options struct {
	command  string
	runsc    string
	library  string
	bridge   string
	sides    []string
	tests    string
	all      bool
	rounds   int
	duration time.Duration
	mtu      int
	conns    int
	many     int
	json     string
	markdown string
	plots    string
	from     string
	check    bool
}

func parseOptions() (*options, error) {
	o := new(options)
	var chosen string
	var peers bool
	flag.StringVar(&o.command, "tcpcni", "bin/tcpcni", "the command under test")
	flag.StringVar(&o.runsc, "runsc", "bin/bench/runsc", "gVisor's runtime")
	flag.StringVar(&o.library, "library", "bin/bench/library", "the server on gVisor's network stack")
	flag.StringVar(&o.bridge, "bridge", "bin/bench/bridge", "the reference bridge plugin, for start-up")
	flag.BoolVar(&peers, "peers", false, "compare with runsc, library, slirp4netns and pasta as well")
	flag.StringVar(&chosen, "sides", "", "measure these sides alone, separated by commas: "+strings.Join(knownSides, ", "))
	flag.StringVar(&o.tests, "tests", "", "measure what matches one of these comma-separated prefixes, such as up,rr-1,memory (default what takes a few minutes)")
	flag.BoolVar(&o.all, "all", false, "measure everything; takes an hour and more")
	flag.IntVar(&o.rounds, "rounds", 5, "rounds, at least 1; each measures everything once on each side")
	flag.DurationVar(&o.duration, "time", time.Second, "length of one measurement, at least 10ms")
	flag.IntVar(&o.mtu, "mtu", 1500, "MTU of all sides in bytes, 1280 to 65520; tests whose name ends in @N have their own")
	flag.IntVar(&o.conns, "conns", 10000, "idle connections whose memory is measured, 1 to 100000")
	flag.IntVar(&o.many, "many", 100000, "idle connections that one sandbox is to hold in memory-100k, 1 to 110000; each takes a descriptor of every process")
	flag.StringVar(&o.json, "json", "", "write every number to this file as well")
	flag.StringVar(&o.markdown, "markdown", "", "write the tables to this file as well")
	flag.StringVar(&o.plots, "plots", "", "write plots (SVG) into this folder")
	flag.StringVar(&o.from, "from", "", "measure nothing, report what -json has written to this file; with more of them, separated by commas, the later ones have what the first lacks")
	flag.BoolVar(&o.check, "check", false, "exit with 1 if a bar is missed")
	flag.Parse()
	switch {
	case chosen != "":
		for name := range strings.SplitSeq(chosen, ",") {
			o.sides = append(o.sides, strings.TrimSpace(name))
		}
	case peers:
		o.sides = allSides
	default:
		o.sides = ourSides
	}
	for _, c := range []struct {
		ok       bool
		name     string
		value    any
		accepted string
	}{
		{!slices.ContainsFunc(o.sides, func(s string) bool { return !slices.Contains(knownSides, s) }), "-sides", chosen, strings.Join(knownSides, ", ")},
		{o.rounds >= 1, "-rounds", o.rounds, "1 and more"},
		{o.duration >= 10*time.Millisecond, "-time", o.duration, "10ms and more"},
		{o.mtu >= 1280 && o.mtu <= 65520, "-mtu", o.mtu, "1280 to 65520"},
		{o.conns >= 1 && o.conns <= 100000, "-conns", o.conns, "1 to 100000"},
		{o.many >= 1 && o.many <= mostHeld, "-many", o.many, fmt.Sprintf("1 to %d", mostHeld)},
		{flag.NArg() == 0, "argument", strings.Join(flag.Args(), " "), "none"},
	} {
		if !c.ok {
			return nil, fmt.Errorf("%s: %q: accepted: %s", c.name, fmt.Sprint(c.value), c.accepted)
		}
	}
	return o, nil
}

// wants reports whether the test called name was asked for; deep is one that is
// not part of the short run.
func (o *options) wants(name string, deep bool) bool {
	if o.tests == "" {
		return o.all || !deep
	}
	return slices.ContainsFunc(strings.Split(o.tests, ","), func(prefix string) bool {
		return strings.HasPrefix(name, strings.TrimSpace(prefix))
	})
}

// names reports whether the test was asked for by its whole name.
func (o *options) names(test string) bool {
	return slices.ContainsFunc(strings.Split(o.tests, ","), func(name string) bool { return strings.TrimSpace(name) == test })
}

func main() {
	o, err := parseOptions()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	r, err := bench(ctx, o)
	if r != nil {
		err = errors.Join(err, r.publish(o))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	if o.check && r.missed() > 0 {
		os.Exit(1)
	}
}

// bench measures. What it returns besides an error is what was measured before.
func bench(ctx context.Context, o *options) (*report, error) {
	if o.from != "" {
		return readReports(o.from)
	}
	if os.Geteuid() != 0 {
		return nil, errors.New("needs root to make network namespaces")
	}
	raiseFiles()
	r := newReport(o)
	var mtus []int // in the order of the tests
	for _, t := range tests {
		if mtu := t.mtuOr(o.mtu); o.wants(t.name, t.deep) && !slices.Contains(mtus, mtu) {
			mtus = append(mtus, mtu)
		}
	}
	if (o.wants("start-add", false) || o.wants("start-run", false) || o.wants("memory", false) || o.wants("memory-100k", true)) && !slices.Contains(mtus, o.mtu) {
		mtus = append([]int{o.mtu}, mtus...)
	}
	for _, mtu := range mtus {
		if err := benchAt(ctx, o, mtu, r); err != nil {
			return r, err
		}
	}
	return r, nil
}

// raiseFiles asks for a descriptor for each of many connections, here and in what
// is started. Without CAP_SYS_RESOURCE the hard limit stays what it is.
func raiseFiles() {
	files := unix.Rlimit{Cur: 1 << 20, Max: 1 << 20}
	if unix.Setrlimit(unix.RLIMIT_NOFILE, &files) != nil && unix.Getrlimit(unix.RLIMIT_NOFILE, &files) == nil {
		files.Cur = files.Max
		_ = unix.Setrlimit(unix.RLIMIT_NOFILE, &files)
	}
}

// benchAt measures what has this MTU.
func benchAt(ctx context.Context, o *options, mtu int, r *report) (err error) {
	l, err := newLab(ctx, o, mtu)
	defer func() { err = errors.Join(err, l.close()) }()
	if err != nil {
		return err
	}
	if mtu == o.mtu {
		// The memory first, while the machine is quiet and the engines are young.
		if err := l.memory(r, false); err != nil {
			return err
		}
		if err := l.startup(r); err != nil {
			return err
		}
	}
	if err := l.speed(r); err != nil || mtu != o.mtu {
		return err
	}
	return l.memory(r, true)
}

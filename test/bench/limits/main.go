// Command limits measures what the machine takes for the pieces of every path:
// system calls, memory copies, a pair of local sockets, a TAP, and for pieces that
// could be used instead. They are bare loops in C (c/limits.c), so nothing that
// does more can be faster. It needs root and gcc, and works in a network namespace
// of its own. What the pieces mean for the paths is in docs/performance.md.
//
//	go run ./test/bench/limits > docs/performance/limits.md
package main

import (
	"embed"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/tcpcni/tcpcni/hostlink"
)

//go:embed c
var sources embed.FS

type options struct {
	duration time.Duration
	rounds   int
	only     string
}

func main() {
	var o options
	flag.DurationVar(&o.duration, "time", 100*time.Millisecond, "length of each loop, at least 1ms")
	flag.IntVar(&o.rounds, "rounds", 5, "rounds, at least 1, of which the least counts")
	flag.StringVar(&o.only, "only", "", "run only the loops whose name begins so")
	flag.Parse()
	if flag.NArg() != 0 || o.duration < time.Millisecond || o.rounds < 1 {
		fmt.Fprintln(os.Stderr, "usage: limits [-time 100ms] [-rounds 5] [-only NAME]")
		os.Exit(2)
	}
	if err := o.run(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "limits:", err)
		os.Exit(1)
	}
}

func (o *options) run(w io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "tcpcni-limits-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	program, space := filepath.Join(dir, "limits"), filepath.Join(dir, "ns")
	if err := compile(dir, program); err != nil {
		return err
	}
	if err := hostlink.NewNetNS(space); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, hostlink.DeleteNetNS(space)) }()
	loops := newLoops()
	for range o.rounds {
		var out []byte
		err := hostlink.InNetNS(space, func() (err error) {
			if err := makeVeth(); err != nil {
				return err
			}
			cmd := exec.Command(program, fmt.Sprint(o.duration.Milliseconds()), o.only)
			cmd.Stderr = os.Stderr
			out, err = cmd.Output()
			return errors.Join(err, removeVeth())
		})
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(out)) {
			if err := loops.add(line); err != nil {
				return err
			}
		}
	}
	return loops.print(w, o)
}

func compile(dir, program string) error {
	if err := os.CopyFS(dir, sources); err != nil {
		return err
	}
	files, err := filepath.Glob(filepath.Join(dir, "c", "*.c"))
	if err != nil {
		return err
	}
	args := append([]string{"-O2", "-Wall", "-pthread", "-o", program}, files...)
	if out, err := exec.Command("gcc", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("gcc: %w: %s", err, out)
	}
	return nil
}

// The ends of the pair for the packet sockets.
const vethName, vethPeer = "limit1", "limit2"

func makeVeth() error {
	// A kernel that speaks of itself would be in the way of what is measured.
	for _, which := range []string{"all", "default"} {
		file := "/proc/sys/net/ipv6/conf/" + which + "/disable_ipv6"
		if err := os.WriteFile(file, []byte("1"), 0o644); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	v := &netlink.Veth{LinkAttrs: netlink.NewLinkAttrs(), PeerName: vethPeer}
	v.Name = vethName
	if err := netlink.LinkAdd(v); err != nil {
		return fmt.Errorf("veth pair: %w", err)
	}
	for _, name := range []string{vethName, vethPeer} {
		link, err := netlink.LinkByName(name)
		if err == nil {
			err = netlink.LinkSetUp(link)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func removeVeth() error {
	link, err := netlink.LinkByName(vethName)
	if err != nil {
		return err
	}
	return netlink.LinkDel(link)
}

package main

// How long a sandbox takes: ADD of the CNI plugin against the reference bridge
// plugin's, and a program that ends at once against runsc's.

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"github.com/tcpcni/tcpcni/hostlink"
)

// startup repeats both as often as there are rounds, by turns.
func (l *lab) startup(r *report) error {
	if l.o.wants("start-add", false) {
		if err := l.additions(r); err != nil {
			return err
		}
	}
	if !l.o.wants("start-run", false) {
		return nil
	}
	for round := range l.o.rounds {
		for _, name := range []string{sandboxSide, runscSide} {
			if !slices.Contains(l.o.sides, name) {
				continue
			}
			took, err := l.runTrue(name, round)
			if err != nil {
				return err
			}
			r.Add("start-run", "a program that ends at once, in a sandbox of its own", "ms", name, took)
			fmt.Fprintf(os.Stderr, "round %d  start-run      %-11s %12.2f ms\n", round+1, name, took)
		}
	}
	return nil
}

// milliseconds says how long a command took.
func milliseconds(ns string, cmd *exec.Cmd) (float64, error) {
	begin := time.Now()
	err := hostlink.InNetNS(ns, func() error {
		out, err := cmd.CombinedOutput()
		if err != nil {
			err = fmt.Errorf("%s: %w: %s", filepath.Base(cmd.Path), err, out)
		}
		return err
	})
	return float64(time.Since(begin)) / 1e6, err
}

func (l *lab) runTrue(name string, round int) (float64, error) {
	ns, err := l.namespace(fmt.Sprintf("start-%s%d", name, round))
	if err != nil {
		return 0, err
	}
	if name == sandboxSide {
		conf, err := l.network("starting", "ptp", "10.82.0.0/24", "fd82::/64")
		if err != nil {
			return 0, err
		}
		return milliseconds(ns, l.quiet(l.o.command, "run", "--name", fmt.Sprintf("start%d", round), "--conf", conf, "--", "/bin/true"))
	}
	id := fmt.Sprintf("start%d", round)
	// Nothing waits at standard input, so the client's idle mode ends at once.
	bundle, err := l.bundle(ns, id, []string{"/client", "idle", "127.0.0.1", fmt.Sprint(port), "0", "0", congestion})
	if err != nil {
		return 0, err
	}
	args := l.runsc("run", "--bundle", bundle, id)
	return milliseconds(ns, l.quiet(args[0], args[1:]...))
}

// additions calls the plugins as a container runtime does. The reference is the
// kernel's side.
func (l *lab) additions(r *report) error {
	host, err := l.namespace("additions")
	if err != nil {
		return err
	}
	command, err := filepath.Abs(l.o.command)
	if err != nil {
		return err
	}
	for round := range l.o.rounds {
		for _, p := range []struct{ side, binary, conf string }{
			{kernelSide, l.o.bridge, `{"cniVersion":"1.0.0","name":"reference","type":"bridge","bridge":"ref0","ipam":{"type":"host-local","dataDir":%q,"subnet":"10.80.0.0/24"}}`},
			{sandboxSide, command, `{"cniVersion":"1.1.0","name":"ours","type":"tcpcni","uplink":"bridge","bridge":"our0","ipam":{"type":"host-local","dataDir":%q,"ranges":[[{"subnet":"10.81.0.0/24"}]]}}`},
		} {
			if !slices.Contains(l.o.sides, p.side) {
				continue
			}
			id := fmt.Sprintf("add-%s%d", p.side, round)
			ns, err := l.namespace(id)
			if err != nil {
				return err
			}
			conf := filepath.Join(l.dir, id+".conf")
			if err := os.WriteFile(conf, fmt.Appendf(nil, p.conf, filepath.Join(l.dir, "ipam")), 0o644); err != nil {
				return err
			}
			call := func(verb string) (float64, error) {
				in, err := os.Open(conf)
				if err != nil {
					return 0, err
				}
				defer func() { _ = in.Close() }()
				cmd := l.quiet(p.binary)
				cmd.Stdin = in
				cmd.Env = append(l.env(), "CNI_COMMAND="+verb, "CNI_CONTAINERID="+id, "CNI_NETNS="+ns, "CNI_IFNAME=eth0", "CNI_PATH="+filepath.Dir(command))
				return milliseconds(host, cmd)
			}
			took, err := call("ADD")
			if err != nil {
				return err
			}
			if _, err := call("DEL"); err != nil {
				return err
			}
			r.Add("start-add", "ADD at a bridge (kernel: the reference plugin)", "ms", p.side, took)
			fmt.Fprintf(os.Stderr, "round %d  start-add      %-11s %12.2f ms\n", round+1, p.side, took)
		}
	}
	return nil
}

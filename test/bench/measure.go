package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tcpcni/tcpcni/hostlink"
)

// settle is how long an engine has to give back what it only needed meanwhile.
const settle = 2 * time.Second

// A sample is what a client measured.
type sample struct {
	rate    float64 // per second
	amount  float64 // bytes or exchanges
	latency []float64
	cpu     time.Duration // of every process of the side, the client included
}

// latencies name the numbers of a sample's latency.
var latencies = []string{"p50", "p99", "p99.9"}

// speed measures every test on every side, round after round. A peer that cannot
// do a test is left out of it from then on.
func (l *lab) speed(r *report) error {
	unable := map[string]bool{}
	for round := range l.o.rounds {
		for i := range tests {
			t := &tests[i]
			if !l.o.wants(t.name, t.deep) || t.mtuOr(l.o.mtu) != l.mtu {
				continue
			}
			for _, name := range l.o.sides {
				s := l.side(t, name)
				if s == nil || unable[t.name+name] {
					continue
				}
				m, err := l.measure(s, t)
				if err != nil {
					if l.ctx.Err() != nil || slices.Contains(ourSides, name) {
						return err
					}
					unable[t.name+name] = true
					r.Fail(t.name, t.what, t.measure().unit, name, err)
					fmt.Fprintf(os.Stderr, "round %d  %-14s %-11s %v\n", round+1, t.name, name, err)
					continue
				}
				r.sample(t, name, m)
				u := t.measure()
				fmt.Fprintf(os.Stderr, "round %d  %-14s %-11s %12.2f %-7s %8.2f %s %v\n", round+1, t.name, name, m.rate*u.scale, u.unit,
					m.cpu.Seconds()/m.amount*u.cpuScale, u.cpuUnit, m.latency)
			}
		}
	}
	return nil
}

func (l *lab) side(t *test, name string) *side {
	if !t.on(name) {
		return nil
	}
	way := t.way
	if way == loopback {
		way = outside
	}
	return l.sides[sideKey{name, way}]
}

// clientCommand prepares the client; run it in the side's namespace.
func (l *lab) clientCommand(s *side, t *test, duration time.Duration, rate float64) *exec.Cmd {
	program, prefix, address := l.program("client"), s.within, s.addr[0]
	if t.six {
		address = s.addr[1]
	}
	if t.way == loopback {
		prefix, address = s.inside, "127.0.0.1"
	}
	if len(prefix) > 0 && s.name == runscSide {
		program = "/client"
	}
	args := append(slices.Clone(prefix), program, t.mode, address, fmt.Sprint(port), fmt.Sprint(t.count),
		fmt.Sprint(duration.Milliseconds()), congestion, fmt.Sprint(t.size), fmt.Sprint(rate))
	cmd := s.group.command(args[0], args[1:]...)
	cmd.Env = s.env
	return cmd
}

// quiet prepares a command with the sandboxes' environment.
func (l *lab) quiet(name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(l.ctx, name, args...)
	cmd.Env = l.env()
	return cmd
}

// swamped is a median latency in microseconds that only a queue without end has.
const swamped = 5000

// measure runs the client and returns the numbers that it prints.
func (l *lab) measure(s *side, t *test) (m sample, err error) {
	if t.mode != "lat" {
		return l.run(s, t, l.o.duration, 0)
	}
	// Half of what the side does when it is asked for all. A request that comes
	// alone costs more than one in a crowd, which nobody has to be woken for, so
	// that may be too much: then half of it.
	capacity := *t
	capacity.mode = "rr"
	most, err := l.run(s, &capacity, l.o.duration/2, 0)
	if err != nil {
		return m, err
	}
	for rate, tries := most.rate/2, 0; ; rate, tries = rate/2, tries+1 {
		if m, err = l.run(s, t, l.o.duration, rate); err != nil || tries == 4 || m.latency[0] < swamped {
			return m, err
		}
	}
}

func (l *lab) run(s *side, t *test, duration time.Duration, rate float64) (m sample, err error) {
	cmd := l.clientCommand(s, t, duration, rate)
	var out, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &stderr
	before, err := s.group.usage()
	if err != nil {
		return m, err
	}
	if err := hostlink.InNetNS(s.client, cmd.Start); err != nil {
		return m, err
	}
	kill := func() { _ = cmd.Process.Kill() }
	hang := time.AfterFunc(duration+patience/3, kill)
	defer hang.Stop()
	gone := make(chan struct{})
	defer close(gone)
	go func() {
		select {
		case <-l.ctx.Done():
			kill()
		case <-gone:
		}
	}()
	if err := cmd.Wait(); err != nil {
		return m, fmt.Errorf("%s on the %s side: %w: %s", t.name, s.name, errors.Join(l.ctx.Err(), err), strings.TrimSpace(stderr.String()))
	}
	after, err := s.group.usage()
	if err != nil {
		return m, err
	}
	m.cpu = after - before
	var numbers []float64
	for _, f := range strings.Fields(out.String()) {
		v, err := strconv.ParseFloat(f, 64)
		if err != nil {
			return m, fmt.Errorf("client printed %q: %w", out.String(), err)
		}
		numbers = append(numbers, v)
	}
	if len(numbers) < 2 || numbers[1] == 0 {
		return m, fmt.Errorf("%s on the %s side: nothing arrived: client printed %q", t.name, s.name, out.String())
	}
	m.rate, m.amount, m.latency = numbers[0], numbers[1], numbers[2:]
	return m, nil
}

// weighed are the sides whose memory is measured.
var weighed = []string{sandboxSide, runscSide, librarySide}

// A load is a number of idle connections.
type load struct {
	name, what string
	conns      int
	deep       bool
	sides      []string
}

const many = 100000

func (l *lab) loads() []load {
	return []load{
		{"memory", fmt.Sprintf("each of %d idle connections, resident", l.o.conns), l.o.conns, false, weighed},
		{"memory-100k", "each of 100,000 idle connections, resident", many, true, []string{sandboxSide}},
	}
}

// memory measures what serves the side before and under idle connections; deep is
// about those loads that a server may not survive.
func (l *lab) memory(r *report, deep bool) error {
	for _, m := range l.loads() {
		if m.deep != deep || !l.o.wants(m.name, m.deep) {
			continue
		}
		for _, name := range m.sides {
			s := l.sides[sideKey{name, outside}]
			if s == nil {
				continue
			}
			err := l.weigh(s, r, m.name, m.what, m.conns)
			if err != nil && m.deep && l.ctx.Err() == nil {
				// Limits of the machine or of the sandbox: an answer as well.
				r.Fail(m.name+"-held", "connections held", "connections", name, err)
				fmt.Fprintln(os.Stderr, err)
				err = nil
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// idleFor is how long nothing happens before an idle side is weighed.
const idleFor = 3 * time.Second

func (l *lab) weigh(s *side, r *report, name, what string, conns int) error {
	time.Sleep(idleFor)
	idle, err := s.resident()
	if err != nil {
		return err
	}
	release, err := l.holdIdle(s, conns)
	if err != nil {
		return err
	}
	time.Sleep(idleFor)
	loaded, err := s.resident()
	if err := errors.Join(err, release()); err != nil {
		return err
	}
	each := float64(loaded-idle) / float64(conns)
	fmt.Fprintf(os.Stderr, "%-12s %-11s idle %.1f MB, %d connections %.1f MB, %.0f bytes each\n", name, s.name, mb(idle), conns, mb(loaded), each)
	if name == "memory" {
		r.Add("memory-idle", "nothing connected, resident", "MB", s.name, mb(idle))
	} else {
		r.Add(name+"-held", "connections held", "connections", s.name, float64(conns))
	}
	r.Add(name+"-conn", what, "bytes", s.name, each)
	time.Sleep(settle)
	return nil
}

// holdIdle opens count connections to the side's server and returns what closes
// them.
func (l *lab) holdIdle(s *side, count int) (release func() error, err error) {
	cmd := l.clientCommand(s, &test{mode: "idle", count: count}, 0, 0)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := hostlink.InNetNS(s.client, cmd.Start); err != nil {
		return nil, err
	}
	hang := time.AfterFunc(8*patience, func() { _ = cmd.Process.Kill() })
	defer hang.Stop()
	ready := make([]byte, len("ready\n"))
	if _, err := io.ReadFull(out, ready); err != nil {
		_ = in.Close()
		return nil, fmt.Errorf("client idle %d on the %s side: %w", count, s.name, errors.Join(err, cmd.Wait()))
	}
	return func() error { return errors.Join(in.Close(), cmd.Wait()) }, nil
}

// resident returns the bytes that the side's own processes have in memory.
func (s *side) resident() (sum int64, err error) {
	pids, err := s.memory()
	if err != nil {
		return 0, err
	}
	for _, pid := range pids {
		n, err := residentBytes(pid)
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return sum, nil
}

// residentBytes returns the resident set of a process (VmRSS of proc(5)).
func residentBytes(pid int) (int64, error) {
	text, err := os.ReadFile(filepath.Join("/proc", fmt.Sprint(pid), "status"))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, err := strconv.ParseInt(strings.Fields(value)[0], 10, 64)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("process %d shows no VmRSS", pid)
}

func mb(n int64) float64 { return float64(n) / 1e6 }

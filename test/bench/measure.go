package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tcpcni/tcpcni/hostlink"
)

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
	if t.twice {
		again := slices.Clone(args)
		again[len(prefix)+3] = fmt.Sprint(port + twin)
		args = []string{"sh", "-c", strings.Join(again, " ") + " & " + strings.Join(args, " ") + "; wait"}
	}
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
	if t.twice {
		if len(numbers) != 4 {
			return m, fmt.Errorf("%s on the %s side: two clients printed %q", t.name, s.name, out.String())
		}
		m.rate, m.amount = numbers[0]+numbers[2], numbers[1]+numbers[3]
		return m, nil
	}
	m.rate, m.amount, m.latency = numbers[0], numbers[1], numbers[2:]
	return m, nil
}

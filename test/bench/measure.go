package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// A test is one thing that both sides are measured at.
type test struct {
	name  string // also what -tests selects
	what  string // for people
	mode  string // of the client
	count int
	unit  string
	scale float64 // from the client's number to the unit
	floor float64 // of the sandbox's ratio to the kernel; 0 is none
}

const (
	gbit     = 8e-9
	bulkUnit = "Gbit/s"
	rateUnit = "per s"
)

var tests = []test{
	{"up-1", "bulk into the server, 1 stream", "up", 1, bulkUnit, gbit, 0.5},
	{"up-8", "bulk into the server, 8 streams", "up", 8, bulkUnit, gbit, 0},
	{"down-1", "bulk out of the server, 1 stream", "down", 1, bulkUnit, gbit, 0.5},
	{"down-8", "bulk out of the server, 8 streams", "down", 8, bulkUnit, gbit, 0},
	{"rr-1", "1-byte request/response, 1 connection", "rr", 1, rateUnit, 1, 0.45},
	{"rr-8", "1-byte request/response, 8 connections", "rr", 8, rateUnit, 1, 0.45},
	{"crr-1", "connect-exchange-close, 1 client", "crr", 1, rateUnit, 1, 0.3},
	{"crr-8", "connect-exchange-close, 8 clients", "crr", 8, rateUnit, 1, 0.3},
}

// Ceilings of the engine's memory, in bytes.
const (
	idleCeiling = 20 << 20
	connCeiling = 6 << 10
)

// settle is how long an engine has to give back what it only needed meanwhile.
const settle = 2 * time.Second

// speed measures every test on every side, round after round.
func (l *lab) speed(r *report) error {
	for round := range l.o.rounds {
		for _, t := range tests {
			if !l.o.wants(t.name) {
				continue
			}
			for _, side := range sides {
				if l.server[side] == "" {
					continue
				}
				rate, err := l.measure(side, t.mode, t.count)
				if err != nil {
					return err
				}
				r.add(t.name, side, rate*t.scale)
				fmt.Fprintf(os.Stderr, "round %d  %-7s %-8s %12.2f %s\n", round+1, t.name, side, rate*t.scale, t.unit)
			}
		}
	}
	return nil
}

// memory measures the engine before and under idle connections.
func (l *lab) memory(r *report) error {
	pid, err := l.enginePID()
	if err != nil {
		return err
	}
	time.Sleep(settle)
	if r.IdleRSS, err = residentBytes(pid); err != nil {
		return err
	}
	release, err := l.holdIdle(l.o.conns)
	if err != nil {
		return err
	}
	time.Sleep(settle)
	loaded, err := residentBytes(pid)
	if err != nil {
		return err
	}
	r.Conns, r.ConnBytes = l.o.conns, (loaded-r.IdleRSS)/int64(l.o.conns)
	fmt.Fprintf(os.Stderr, "memory   idle %.1f MiB, %d connections %.1f MiB\n", mib(r.IdleRSS), l.o.conns, mib(loaded))
	if err := release(); err != nil {
		return err
	}
	time.Sleep(settle)
	return nil
}

// enginePID finds the engine of the sandbox whose server is intercepted.
func (l *lab) enginePID() (int, error) {
	files, err := filepath.Glob(filepath.Join(l.state(), "sandboxes", "*"+sandboxSide+"*", "engine.pid"))
	if err != nil || len(files) != 1 {
		return 0, fmt.Errorf("engine.pid: found %v, %v", files, err)
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		return 0, err
	}
	first, _, _ := strings.Cut(strings.TrimSpace(string(text)), " ")
	return strconv.Atoi(first)
}

// residentBytes returns the resident set of a process (VmRSS of proc(5)).
func residentBytes(pid int) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
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

func mib(n int64) float64 { return float64(n) / (1 << 20) }

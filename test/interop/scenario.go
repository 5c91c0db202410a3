package main

import (
	"errors"
	"fmt"
	"slices"
	"syscall"
	"time"

	"github.com/tcpcni/tcpcni/netstack/sim"
	"github.com/tcpcni/tcpcni/sockopt"
)

// An impairment is what the line does in both directions, and what it may be
// asked to carry in reasonable time.
type impairment struct {
	name string
	way  sim.Way
	size int // bytes of a transfer, each way
}

var impairments = []impairment{
	{"none", sim.Way{Rate: 100e6, Delay: time.Millisecond, Queue: 150_000}, 600_000},
	{"loss 1%", sim.Way{Rate: 50e6, Delay: 2 * time.Millisecond, Queue: 150_000, Loss: 10}, 400_000},
	{"burst", sim.Way{Rate: 50e6, Delay: 2 * time.Millisecond, Queue: 150_000, Burst: sim.Burst{Enter: 8, Leave: 400, Loss: 700}}, 300_000},
	{"reorder", sim.Way{Rate: 50e6, Delay: 2 * time.Millisecond, Queue: 150_000, Reorder: 80, Duplicate: 20, Corrupt: 5}, 300_000},
	{"loss 3% 50ms", sim.Way{Rate: 20e6, Delay: 25 * time.Millisecond, Queue: 100_000, Loss: 30}, 120_000},
	{"loss 10%", sim.Way{Rate: 50e6, Delay: 2 * time.Millisecond, Queue: 150_000, Loss: 100}, 40_000},
	{"marks", sim.Way{Rate: 20e6, Delay: 5 * time.Millisecond, Queue: 100_000, Mark: 15_000, Loss: 3}, 300_000},
}

// A factor is something that a scenario has one of several levels of.
type factor struct {
	name   string
	levels []string
}

// The factors. Those of ours that the stack has no tunable for are left at
// their first level.
const (
	fImpair = iota
	fConnects
	fFamily
	fOurScale
	fOurTS
	fOurSACK
	fOurECN
	fOurTFO
	fKernelScale
	fKernelTS
	fKernelSACK
	fKernelECN
	fKernelTFO
	fOurCC
	fKernelCC
	fMD5
	fUrgent
	fReader
	fAborts
)

var factors = func() []factor {
	onOff := []string{"1", "0"}
	// tcp_ecn: 0 never, 1 classic, 3 accurate, as Linux numbers them since 6.18.
	ecn := []string{"0", "1", "3"}
	f := []factor{
		fImpair: {name: "line"}, fConnects: {"connects", []string{"ours", "kernel"}}, fFamily: {"ip", []string{"4", "6"}},
		fOurScale: {"our-wscale", onOff}, fOurTS: {"our-ts", onOff}, fOurSACK: {"our-sack", onOff}, fOurECN: {"our-ecn", ecn}, fOurTFO: {"our-tfo", onOff},
		fKernelScale: {"kernel-wscale", onOff}, fKernelTS: {"kernel-ts", onOff}, fKernelSACK: {"kernel-sack", onOff}, fKernelECN: {"kernel-ecn", slices.Clone(ecn)}, fKernelTFO: {"kernel-tfo", onOff},
		fOurCC: {"our-cc", []string{"cubic", "bbr", "reno"}}, fKernelCC: {"kernel-cc", []string{"cubic", "bbr", "reno"}},
		fMD5: {"md5", []string{"no", "yes"}}, fUrgent: {"urgent", []string{"inline", "apart", "none"}}, fReader: {"reader", []string{"quick", "ours pauses", "kernel pauses"}},
		fAborts: {"aborts", onOff},
	}
	for _, i := range impairments {
		f[fImpair].levels = append(f[fImpair].levels, i.name)
	}
	f[fAborts].levels = []string{"ours", "kernel"}
	return f
}()

// askKernel leaves out the levels that this kernel does not have.
func askKernel(dir string) error {
	k, err := newKernelHost(1, dir)
	if err != nil {
		return err
	}
	ecn := &factors[fKernelECN].levels
	*ecn = slices.DeleteFunc(*ecn, func(level string) bool {
		return errors.Is(k.set(map[string]string{"tcp_ecn": level}), syscall.EINVAL)
	})
	return k.remove()
}

// A scenario has a level for each factor.
type scenario struct {
	level [fAborts + 1]int
	seed  uint64
}

func (s *scenario) get(f int) string { return factors[f].levels[s.level[f]] }

func (s *scenario) String() string {
	text := ""
	for i, f := range factors {
		text += f.name + "=" + s.get(i) + " "
	}
	return text + fmt.Sprint("seed=", s.seed)
}

// known are the names of our tunables.
var known = func() map[string]bool {
	names := make(map[string]bool)
	p, _ := sockopt.ProfileByName("linux") // is always there
	for _, t := range p.TunableTable() {
		names[t.Name] = true
	}
	return names
}()

// sysctls are the settings of one side.
func (s *scenario) sysctls(scale, ts, sack, ecn, tfo int) map[string]string {
	fast := "0"
	if s.get(tfo) != "0" {
		fast = "3" // client and server
	}
	return map[string]string{
		"tcp_window_scaling": s.get(scale), "tcp_timestamps": s.get(ts), "tcp_sack": s.get(sack), "tcp_ecn": s.get(ecn), "tcp_fastopen": fast,
	}
}

// play runs the scenario against a kernel that knows nothing of others. Its
// namespace begins in dir.
func (s *scenario) play(dir string) (worst float64, err error) {
	k, err := newKernelHost(1, dir)
	if err != nil {
		return 0, err
	}
	defer func() {
		if e := k.remove(); err == nil {
			err = e
		}
	}()
	if err := k.set(s.sysctls(fKernelScale, fKernelTS, fKernelSACK, fKernelECN, fKernelTFO)); err != nil {
		return 0, err
	}
	ours := s.sysctls(fOurScale, fOurTS, fOurSACK, fOurECN, fOurTFO)
	for name := range ours {
		if !known["net.ipv4."+name] {
			delete(ours, name)
		}
	}
	h, err := newStackHost(0, ours, s.seed)
	if err != nil {
		return 0, err
	}
	imp := impairments[s.level[fImpair]]
	l, err := newLab(h, k, [2]sim.Way{imp.way, imp.way}, s.seed)
	if err != nil {
		return 0, err
	}
	defer func() {
		if e := l.close(); err == nil {
			err = e
		}
	}()
	tr := newTrace()
	l.cables[0].trace, l.cables[0].name = tr, "ours  "
	l.cables[1].trace, l.cables[1].name = tr, "kernel"
	defer func() {
		if err != nil {
			err = fmt.Errorf("%w\n%v", err, tr)
		}
	}()
	first := &conversation{l: l, s: s, port: 80}
	if err := first.transfer(imp.size); err != nil {
		return 0, err
	}
	second := &conversation{l: l, s: s, port: 81}
	if err := second.abort(imp.size); err != nil {
		return 0, err
	}
	if err := second.fast(); err != nil {
		return 0, err
	}
	return max(first.watch.worst, second.watch.worst), nil
}

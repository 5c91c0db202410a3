package sim

import (
	"fmt"
	"testing"
	"time"

	"github.com/tcpcni/tcpcni/netstack/wire"
)

// ecnPair has a send size bytes to b, with the given values of tcp_ecn, over the way
// there; acknowledgements come back over back.
func ecnPair(t *testing.T, seed uint64, size int, a, b map[string]string, there, back Way) *pair {
	t.Helper()
	p := &pair{w: New(seed)}
	p.a, p.b = p.w.HostWith(a, "10.0.0.1"), p.w.HostWith(b, "10.0.0.2")
	p.w.JoinWays(p.a, p.b, there, back)
	p.start(t, "10.0.0.2:80", Program{ToSend: size}, Program{ToSend: 100_000})
	return p
}

// ends runs the pair to its end, and says how long the programs took.
func (p *pair) ends() (time.Duration, error) {
	began := p.w.Now()
	p.w.Run(time.Hour, p.done)
	took := p.w.Now() - began
	return took, p.check(time.Hour)
}

// ecnValues of tcp_ecn have both sides use RFC 3168, RFC 9768.
var ecnValues = []string{"1", "3"}

var ecnWay = Way{Rate: 50_000_000, Delay: 5 * time.Millisecond, Mark: 40_000, Queue: 400_000}

// A line that marks long before its queue is full loses nothing, and its queue
// stays short.
func TestMarksInPlaceOfLoss(t *testing.T) {
	for _, cc := range []string{"cubic", "reno", "dctcp"} {
		for _, ecn := range ecnValues {
			t.Run(cc+" "+ecn, func(t *testing.T) {
				set := map[string]string{"tcp_ecn": ecn, "tcp_congestion_control": cc}
				p := ecnPair(t, 1, 5_000_000, set, set, ecnWay, Way{Delay: 5 * time.Millisecond})
				took, err := p.ends()
				if err != nil {
					t.Fatal(err)
				}
				line, c := p.a.Lines("10.0.0.2")[0], p.a.TCP.Counters()
				if line.Stats.Marked == 0 || c.ECNReductions == 0 {
					t.Errorf("%d marks, %d reductions", line.Stats.Marked, c.ECNReductions)
				}
				if line.Stats.Full != 0 || c.RetransSegs != 0 {
					t.Errorf("%d packets dropped, %d segments sent again", line.Stats.Full, c.RetransSegs)
				}
				if took > 1200*time.Millisecond {
					t.Errorf("took %v", took)
				}
			})
		}
	}
}

// Whatever a box does to ECN, what the programs said arrives.
func TestBoxesThatDislikeECN(t *testing.T) {
	boxes := map[string]Box{
		"bleaches": BleachECN, "marks all": MarkAll, "drops SYNs": DropECNSyn, "clears flags": ClearECNFlags,
		"clears flags of all":    func(p *packet) bool { return clearACE(p, 0) },
		"clears flags of text":   func(p *packet) bool { return clearACE(p, wire.TCPSyn) },
		"strips AccECN options":  StripOptions(172, 174),
		"drops AccECN options":   dropAccECN,
		"marks what cannot be":   func(p *packet) bool { p.tos |= ecnCE; return true },
		"makes everything ECT 0": func(p *packet) bool { p.tos = p.tos&^3 | 2; return true },
	}
	for name, box := range boxes {
		for _, dir := range []string{"there", "back", "both"} {
			for _, ecn := range ecnValues {
				t.Run(fmt.Sprintf("%s %s %s", name, dir, ecn), func(t *testing.T) {
					there, back := ecnWay, Way{Delay: 5 * time.Millisecond}
					if dir != "back" {
						there.Boxes = []Box{box}
					}
					if dir != "there" {
						back.Boxes = []Box{box}
					}
					set := map[string]string{"tcp_ecn": ecn}
					p := ecnPair(t, 7, 1_000_000, set, set, there, back)
					if took, err := p.ends(); err != nil {
						t.Fatal(err)
					} else if took > 30*time.Second {
						t.Errorf("took %v", took)
					}
				})
			}
		}
	}
}

const ecnCE = 3

// clearACE clears the three ECN flags of segments without any of the flags.
func clearACE(p *packet, but wire.TCPFlags) bool {
	if p.flags()&but == 0 {
		p.edit(func(seg []byte) { seg[12] &^= 1; seg[13] &^= byte(wire.TCPEce | wire.TCPCwr) })
	}
	return true
}

// dropAccECN drops what carries an AccECN option.
func dropAccECN(p *packet) bool {
	keep := true
	options(p.segment, func(kind byte, _ []byte) { keep = keep && kind != 172 && kind != 174 })
	return keep
}

// Every pair of values of tcp_ecn works, marked or not.
func TestEveryPairOfECNPolicies(t *testing.T) {
	for a := range 6 {
		for b := range 6 {
			for _, cookies := range []string{"1", "2"} {
				set := func(n int) map[string]string {
					return map[string]string{"tcp_ecn": fmt.Sprint(n), "tcp_syncookies": cookies}
				}
				p := ecnPair(t, 3, 500_000, set(a), set(b), ecnWay, ecnWay)
				if err := p.check(time.Hour); err != nil {
					t.Fatalf("%d to %d: %v", a, b, err)
				}
				asks, agrees := [...]int{0, 1, 0, 2, 1, 0}[a], [...]int{0, 1, 1, 2, 2, 2}[b]
				marked := p.a.Lines("10.0.0.2")[0].Stats.Marked > 0
				if want := min(asks, agrees) > 0; marked != want {
					t.Errorf("%d to %d: marked %v, want %v", a, b, marked, want)
				}
			}
		}
	}
}

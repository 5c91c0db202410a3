package ports

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/tcpcni/tcpcni/sockopt"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

var update = flag.Bool("update", false, "rewrite the table of docs/binding.md")

const document = "../../docs/binding.md"

// A column of the table is the profiles of one rule.
type column struct {
	rule     string
	profiles []string
	rng      string // tunables of its range; "": it is fixed
	reserved string // tunable of its reserved ports; "": they are fixed
}

var columns = []column{
	{"linux", []string{"linux"}, "net.ipv4.ip_local_port_range", "net.ipv4.ip_unprivileged_port_start"},
	{"illumos", []string{"illumos", "omnios"}, "tcp_smallest_anon_port, tcp_largest_anon_port", "tcp_smallest_nonpriv_port"},
	{"freebsd", []string{"freebsd"}, "net.inet.ip.portrange.first, net.inet.ip.portrange.last", "net.inet.ip.portrange.reservedhigh"},
	{"sortix", []string{"sortix"}, "", ""},
	{"cxux", []string{"cxux"}, "", ""},
}

func (s *column) profile(t *testing.T) *sockopt.Profile {
	t.Helper()
	p, err := sockopt.ProfileByName(s.profiles[0])
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func fixedUnless(tunable string) string {
	if tunable == "" {
		return "fixed"
	}
	return tunable
}

func allowedUnless(e errno.Errno) string {
	if e == 0 {
		return "allowed"
	}
	return e.Name()
}

// policyRows are the rows, each with what a column has there.
var policyRows = []struct {
	what string
	cell func(*column, *Rule, *sockopt.BindPolicy) string
}{
	{"range", func(_ *column, _ *Rule, b *sockopt.BindPolicy) string {
		return fmt.Sprintf("%d-%d", b.PortMin, b.PortMax)
	}},
	{"its tunables", func(s *column, _ *Rule, _ *sockopt.BindPolicy) string { return fixedUnless(s.rng) }},
	{"range of TCP_ANONPRIVBIND", func(_ *column, _ *Rule, b *sockopt.BindPolicy) string {
		if b.AnonPrivMin == 0 {
			return "no such option"
		}
		return fmt.Sprintf("%d-%d", b.AnonPrivMin, b.AnonPrivMax)
	}},
	{"none free: bind, listen", func(_ *column, _ *Rule, b *sockopt.BindPolicy) string { return b.BindExhausted.Name() }},
	{"none free: connect", func(_ *column, _ *Rule, b *sockopt.BindPolicy) string { return b.ConnectExhausted.Name() }},
	{"none free: a datagram socket sends", func(_ *column, _ *Rule, b *sockopt.BindPolicy) string { return b.DatagramExhausted.Name() }},
	{"connections to different peers share a port that nobody asked for", func(_ *column, r *Rule, _ *sockopt.BindPolicy) string {
		return map[bool]string{true: "yes", false: "no"}[r.PeersShare]
	}},
	{"same two ends twice", func(_ *column, _ *Rule, b *sockopt.BindPolicy) string { return b.PairTaken.Name() }},
	{"EACCES without CAP_NET_BIND_SERVICE", func(_ *column, _ *Rule, b *sockopt.BindPolicy) string {
		return fmt.Sprintf("below %d", b.Reserved)
	}},
	{"its tunable", func(s *column, _ *Rule, _ *sockopt.BindPolicy) string { return fixedUnless(s.reserved) }},
	{"255.255.255.255", func(_ *column, _ *Rule, b *sockopt.BindPolicy) string { return allowedUnless(b.LimitedBroadcast) }},
	{"an interface's broadcast address", func(_ *column, _ *Rule, b *sockopt.BindPolicy) string { return allowedUnless(b.LinkBroadcast) }},
	{"IPv4 multicast", func(_ *column, _ *Rule, b *sockopt.BindPolicy) string { return allowedUnless(b.Multicast4) }},
	{"IPv6 multicast", func(_ *column, _ *Rule, b *sockopt.BindPolicy) string { return allowedUnless(b.Multicast6) }},
	{"IPv4-mapped with IPV6_V6ONLY", func(_ *column, _ *Rule, b *sockopt.BindPolicy) string { return allowedUnless(b.MappedV6Only) }},
}

// TestBindingDocument holds the table of docs/binding.md against the policies and
// the rules; -update writes it.
func TestBindingDocument(t *testing.T) {
	have, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "<!-- table policy -->\n", "<!-- end -->"
	head, rest, ok := strings.Cut(string(have), begin)
	_, tail, closed := strings.Cut(rest, end)
	if !ok || !closed {
		t.Fatalf("%s has no section %q", document, begin)
	}
	want := head + begin + policyTable(t) + end + tail
	switch {
	case want == string(have):
	case !*update:
		t.Fatalf("%s is not what the policies say; rewrite it with go test ./netstack/ports -run TestBindingDocument -update", document)
	default:
		if err := os.WriteFile(document, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func policyTable(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("| |")
	for _, s := range columns {
		b.WriteString(" " + strings.Join(s.profiles, ", ") + " |")
	}
	b.WriteString("\n" + strings.Repeat("|---", len(columns)+1) + "|\n")
	for _, row := range policyRows {
		b.WriteString("| " + row.what + " |")
		for i := range columns {
			s := &columns[i]
			rule, err := RuleByName(s.rule)
			if err != nil {
				t.Fatal(err)
			}
			b.WriteString(" " + row.cell(s, rule, &s.profile(t).Bind) + " |")
		}
		b.WriteString("\n")
	}
	return b.String()
}

// TestBindingColumns: every profile and every rule has its column, and the
// tunables that the document names have what the policy says.
func TestBindingColumns(t *testing.T) {
	seen := make(map[string]bool)
	for _, s := range columns {
		for _, name := range s.profiles {
			p, err := sockopt.ProfileByName(name)
			if err != nil {
				t.Fatal(err)
			}
			if seen[name] = true; p.BindRule != s.rule {
				t.Errorf("%s has rule %s", name, p.BindRule)
			}
			first := p.Bind.Reserved
			if strings.HasSuffix(s.reserved, "high") {
				first-- // it is the last that is reserved
			}
			for tunables, want := range map[string]string{s.rng: fmt.Sprintf("%d %d", p.Bind.PortMin, p.Bind.PortMax), s.reserved: fmt.Sprint(first)} {
				if tunables == "" {
					continue
				}
				var values []string
				for _, tunable := range strings.Split(tunables, ", ") {
					v, ok := p.Value(tunable)
					if !ok {
						t.Errorf("%s: there is no tunable %s", name, tunable)
					}
					values = append(values, v)
				}
				if got := strings.Join(values, " "); got != want {
					t.Errorf("%s: %s is %s, the policy says %s", name, tunables, got, want)
				}
			}
		}
	}
	for _, name := range sockopt.ProfileNames() {
		if !seen[name] {
			t.Errorf("profile %s has no column", name)
		}
	}
	if len(columns) != len(rules) {
		t.Errorf("%d columns for %d rules", len(columns), len(rules))
	}
}

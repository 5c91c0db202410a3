package sockopt

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTunablesThatAreText(t *testing.T) {
	const key, other = "2d8652cc-61fd49f4-047b1794-a6cfc78e", "00000001-00000000-00000000-ffffffff"
	for _, c := range []struct{ name, value, reads string }{
		{"tcp_fastopen_key", key, key},
		{"tcp_fastopen_key", " " + key + "," + other + " ", key + "," + other},
		{"tcp_fastopen_key", "1-2-3-4", "00000001-00000002-00000003-00000004"},
		{"tcp_fastopen_key", noKey, noKey},
		{"ip_local_reserved_ports", "", ""},
		{"ip_local_reserved_ports", "8080", "8080"},
		{"ip_local_reserved_ports", "0", "0"},
		{"ip_local_reserved_ports", "9000-9100,80,443,81,9050-9200,65535", "80-81,443,9000-9200,65535"},
		{"ip_local_reserved_ports", "1-65535", "1-65535"},
	} {
		p := linux(t)
		if _, err := NewTunables(p, map[string]string{c.name: c.value}); err != nil {
			t.Errorf("%s=%q: %v", c.name, c.value, err)
		} else if v, _ := p.Value(c.name); v != c.reads {
			t.Errorf("%s=%q reads %q, want %q", c.name, c.value, v, c.reads)
		}
	}
	for name, values := range map[string][]string{
		"tcp_fastopen_key":        {"", "1-2-3", "1-2-3-4-5", "1-2-3-g", "1-2-3-123456789", "1-2-3--4", key + ",", key + "," + key + "," + key, noKey + "," + noKey + "," + noKey},
		"ip_local_reserved_ports": {"-1", "70000", "5-4", "5-", "-5", "5,,6", ",", "a", "5 6", "1-2-3", "+5"},
	} {
		for _, v := range values {
			p := linux(t)
			if _, err := NewTunables(p, map[string]string{name: v}); err == nil || !strings.Contains(err.Error(), "value "+`"`+v+`"; accepted: `) {
				t.Errorf("%s=%q: %v", name, v, err)
			}
		}
	}
	p := linux(t)
	if _, err := NewTunables(p, map[string]string{"tcp_fastopen_key": "04030201-0-0-14131211"}); err != nil || p.Tunables.FastOpenKey[:4] != "\x01\x02\x03\x04" || p.Tunables.FastOpenKey[15] != 0x14 {
		t.Errorf("%v: %x", err, p.Tunables.FastOpenKey)
	}
}

func TestPortReserved(t *testing.T) {
	p := linux(t)
	if _, err := NewTunables(p, map[string]string{"ip_local_reserved_ports": "80-81,443,9000-9200,65535"}); err != nil {
		t.Fatal(err)
	}
	for port := range 1 << 16 {
		want := port == 80 || port == 81 || port == 443 || port >= 9000 && port <= 9200 || port == 65535
		if got := p.Tunables.PortReserved(uint16(port)); got != want {
			t.Errorf("%d: %v", port, got)
		}
	}
	if linux(t).Tunables.PortReserved(80) {
		t.Error("reserved by nobody")
	}
	if n := testing.AllocsPerRun(10, func() { p.Tunables.PortReserved(9001) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestNonlocalIsByFamily(t *testing.T) {
	p := linux(t)
	if _, err := NewTunables(p, map[string]string{"ip_nonlocal_bind": "1"}); err != nil {
		t.Fatal(err)
	}
	if tun := p.Tunables; !tun.Nonlocal(netip.MustParseAddr("1.2.3.4")) || tun.Nonlocal(netip.MustParseAddr("2001:db8::1")) {
		t.Error("of both families or of none")
	}
}

// A name that a sandbox does not have says why, and the others cannot be what the
// stack does not do.
func TestTunablesThatAreNotHad(t *testing.T) {
	for name, want := range map[string]string{
		"net.ipv4.tcp_plb_enabled": "a sandbox does not have it: a connection cannot be moved",
		"udp_mem":                  "a sandbox does not have it: a datagram socket",
		"tcp_autocorking":          `value "0"; accepted: 1`,
		"tcp_retrans_collapse":     `value "0"; accepted: 1`,
		"tcp_available_ulp":        "as it can only be read",
	} {
		if _, err := linux(t).LongName(name); (err != nil) != strings.HasPrefix(want, "a sandbox") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("reading %s: %v", name, err)
		}
		if _, err := NewTunables(linux(t), map[string]string{name: "0"}); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "accepted: ") {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
	}
	for _, a := range AbsentTunables {
		for _, n := range a.Names {
			if r := linux(t).tunable(n); r != nil {
				t.Errorf("%s is in both tables", n)
			}
			if a.Why == "" || absence(n) != a.Why || absence(n[strings.LastIndexByte(n, '.')+1:]) != a.Why {
				t.Errorf("%s: %q", n, absence(n))
			}
		}
	}
}

// knownSince618 are the names of kernels until 6.18 that either table answers
// for. Newer ones do not fail the test on a newer kernel.
const knownSince618 = "tcp_ ip_ udp_"

// TestEveryNameOfTheKernel: whatever this machine has under /proc/sys/net/ipv4 for
// TCP, IP and UDP and in /proc/sys/net/core is a tunable or among those that a
// sandbox does not have, with the reason.
func TestEveryNameOfTheKernel(t *testing.T) {
	if _, err := os.Stat("/proc/sys/net/ipv4/tcp_rmem"); err != nil {
		t.Skipf("this machine does not show its sysctls: %v", err)
	}
	release, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		t.Fatal(err)
	}
	p := linux(t)
	names := 0
	for dir, prefixes := range map[string][]string{"net/ipv4": strings.Fields(knownSince618), "net/core": {""}} {
		for _, prefix := range prefixes {
			files, err := filepath.Glob("/proc/sys/" + dir + "/" + prefix + "*")
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range files {
				names++
				name := strings.ReplaceAll(strings.TrimPrefix(f, "/proc/sys/"), "/", ".")
				if p.tunable(name) != nil || absence(name) != "" {
					continue
				}
				if newer(string(release), 6, 18) {
					t.Logf("%s: of a kernel newer than the table", name)
					continue
				}
				t.Errorf("%s is in no table", name)
			}
		}
	}
	if names < 50 {
		t.Errorf("%d names", names)
	}
}

// newer reports whether a release of uname -r is above major.minor.
func newer(release string, major, minor int) bool {
	var a, b int
	for i, field := range strings.SplitN(release, ".", 3)[:2] {
		n := 0
		for _, c := range field {
			if c < '0' || c > '9' {
				break
			}
			n = n*10 + int(c-'0')
		}
		if i == 0 {
			a = n
		} else {
			b = n
		}
	}
	return a > major || a == major && b > minor
}

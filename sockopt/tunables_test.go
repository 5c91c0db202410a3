package sockopt

import (
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestTunables(t *testing.T) {
	p := linux(t)
	tun, err := NewTunables(p, map[string]string{
		"net.ipv4.tcp_rmem":          "4096\t65536\t1000000", // as the kernel prints it
		"tcp_syn_retries":            "2",
		"tcp_keepalive_time":         "600",
		"somaxconn":                  "128",
		"ip_local_port_range":        "1024 1025",
		"tcp_sack":                   "0",
		"tcp_rto_min_us":             "50000",
		"net.ipv4.ip_default_ttl":    "32",
		"tcp_congestion_control":     "reno",
		"tcp_notsent_lowat":          "131072",
		"ip_unprivileged_port_start": "0",
	})
	if err != nil {
		t.Fatal(err)
	}
	if tun.TCPRmem != (Triple{4096, 65536, 1000000}) || tun.SynRetries != 2 || tun.KeepaliveTime != 10*time.Minute || tun.Somaxconn != 128 ||
		tun.PortMin != 1024 || tun.PortMax != 1025 || tun.SACK || tun.RTOMin != 50*time.Millisecond || tun.DefaultTTL != 32 ||
		tun.NotSentLowat != 131072 || tun.UnprivilegedPortStart != 0 {
		t.Errorf("%+v", tun)
	}
	if tun.TCPWmem.Default != 16384 || tun.FinTimeout != time.Minute || !tun.Timestamps {
		t.Errorf("the others have no defaults: %+v", tun)
	}
	if o := p.NewOptions(); p.Tunables != tun || o.RcvBuf != 65536 || o.KeepIdle != 10*time.Minute || o.SynCnt != 2 {
		t.Errorf("the profile does not use them: %+v", o)
	}
	if v, ok := p.Value("tcp_rmem"); !ok || v != "4096 65536 1000000" {
		t.Errorf("tcp_rmem reads %q", v)
	}
}

func TestTunableErrors(t *testing.T) {
	for _, c := range []struct{ name, value, want string }{
		{"tcp_syn_retries", "0", `tunable net.ipv4.tcp_syn_retries: value "0"; accepted: 1..127`},
		{"tcp_syn_retries", "many", `tunable net.ipv4.tcp_syn_retries: value "many"; accepted: 1..127`},
		{"tcp_syn_retries", "", `tunable net.ipv4.tcp_syn_retries: value ""; accepted: 1..127`},
		{"tcp_syn_retries", "3 4", `tunable net.ipv4.tcp_syn_retries: value "3 4"; accepted: 1..127`},
		{"tcp_syn_retries", "99999999999999999999", `tunable net.ipv4.tcp_syn_retries: value "99999999999999999999"; accepted: 1..127`},
		{"net.ipv4.tcp_wmem", "4096 16384", `tunable net.ipv4.tcp_wmem: value "4096 16384"; accepted: 3 ascending numbers of 4096..2147483647`},
		{"net.ipv4.tcp_wmem", "8192 4096 9000", `tunable net.ipv4.tcp_wmem: value "8192 4096 9000"; accepted: 3 ascending numbers of 4096..2147483647`},
		{"ip_local_port_range", "5000 4000", `tunable net.ipv4.ip_local_port_range: value "5000 4000"; accepted: 2 ascending numbers of 1..65535`},
		{"tcp_congestion_control", "luck", `tunable net.ipv4.tcp_congestion_control: value "luck"; accepted: one of `},
		{"tcp_nosuch", "1", `tunable "tcp_nosuch" is unknown; accepted: tcp_rmem, tcp_wmem, rmem_default, `},
	} {
		p := linux(t)
		before := p.Tunables
		_, err := NewTunables(p, map[string]string{c.name: c.value})
		if err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s = %q: %v, want %s", c.name, c.value, err, c.want)
		}
		if p.Tunables != before {
			t.Errorf("%s = %q: the profile changed", c.name, c.value)
		}
	}
}

// Every default is what reading it back gives, and its limits hold.
func TestTunableTable(t *testing.T) {
	p := linux(t)
	seen := make(map[string]bool)
	for _, row := range p.TunableTable() {
		if v, ok := p.Value(row.Name); !ok || v != row.Default {
			t.Errorf("%s reads %q, its default is %q", row.Name, v, row.Default)
		}
		if v, ok := p.Value(row.Short); !ok || v != row.Default {
			t.Errorf("%s reads %q", row.Short, v)
		}
		if seen[row.Name] || row.Unit == "" || row.Accepted == "" {
			t.Errorf("the row of %s is not whole: %+v", row.Name, row)
		}
		seen[row.Name] = true
	}
	if _, ok := p.Value("nosuch"); ok {
		t.Error("an unknown name has a value")
	}
	for i := range p.tunables {
		r := &p.tunables[i]
		if r.words != nil || r.fields > 1 {
			continue
		}
		for _, v := range []int64{r.min - 1, r.max + 1} {
			if _, err := NewTunables(p, map[string]string{r.name: strconv.FormatInt(v, 10)}); err == nil {
				t.Errorf("%s takes %d", r.name, v)
			}
		}
		for _, v := range []int64{r.min, r.max} {
			if _, err := NewTunables(p, map[string]string{r.name: strconv.FormatInt(v, 10)}); err != nil {
				t.Error(err)
			}
			if got, _ := p.Value(r.name); got != strconv.FormatInt(v, 10) {
				t.Errorf("%s set to %d reads %s", r.name, v, got)
			}
		}
	}
}

func TestProfileByName(t *testing.T) {
	_, err := ProfileByName("solaris")
	if want := `profile "solaris" is unknown; accepted: linux, cxux, freebsd, illumos, omnios, sortix`; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	a, b := linux(t), linux(t)
	if _, err := NewTunables(a, map[string]string{"tcp_syn_retries": "1"}); err != nil {
		t.Fatal(err)
	}
	if b.Tunables.SynRetries != 6 {
		t.Error("two sandboxes share their tunables")
	}
}

func FuzzTunables(f *testing.F) {
	p, err := ProfileByName("linux")
	if err != nil {
		f.Fatal(err)
	}
	for _, row := range p.TunableTable() {
		f.Add(row.Short, row.Default)
		f.Add(row.Name, "-1")
	}
	f.Fuzz(func(t *testing.T, name, value string) {
		if _, err := NewTunables(p, map[string]string{name: value}); err != nil {
			return
		}
		shown, ok := p.Value(name)
		if !ok || strings.Join(strings.Fields(value), " ") != shown && !strings.ContainsAny(value, "+0") {
			t.Errorf("%s = %q reads %q", name, value, shown)
		}
	})
}

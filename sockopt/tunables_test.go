package sockopt

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tcpcni/tcpcni/sockopt/errno"
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
		if r.words != nil || r.fields != 1 {
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
		words := strings.Join(strings.Fields(value), " ")
		if p.tunable(name).text != nil {
			words = shown // written in more ways than it reads
		}
		if !ok || words != shown && !strings.ContainsAny(value, "+0") && !slices.Contains(neverPassiveActive, words) {
			t.Errorf("%s = %q reads %q", name, value, shown)
		}
		if _, err := NewTunables(p, map[string]string{name: shown}); err != nil {
			t.Errorf("%s = %q reads %q, which is refused: %v", name, value, shown, err)
		}
	})
}

// Every system's names are accepted in every profile, on the same values.
func TestTunablesByOtherNames(t *testing.T) {
	for _, c := range []struct{ set, value, name, want string }{
		{"net.inet.tcp.keepidle", "5000", "tcp_keepalive_time", "5"},
		{"tcp_keepalive_time", "20", "tcp_keepalive_interval", "20000"},
		{"_keepalive_interval", "10000", "net.inet.tcp.keepidle", "10000"},
		{"net.inet.tcp.ecn.enable", "1", "tcp_ecn_permitted", "2"},
		{"tcp_ecn_permitted", "1", "tcp_ecn", "2"},
		{"ecn", "active", "net.ipv4.tcp_ecn", "1"},
		{"tcp_ecn", "4", "tcp_ecn_permitted", "2"},
		{"sack", "never", "tcp_sack", "0"},
		{"sack", "passive", "net.inet.tcp.sack.enable", "1"},
		{"tcp_sack", "0", "tcp_sack_permitted", "0"},
		{"net.inet.tcp.rfc1323", "0", "tcp_timestamps", "0"},
		{"tcp_window_scaling", "0", "net.inet.tcp.rfc1323", "0"},
		{"net.inet.tcp.msl", "1000", "tcp_time_wait_interval", "2000"},
		{"net.inet.tcp.syncookies", "0", "tcp_syncookies", "0"},
		{"tcp_syncookies", "2", "net.inet.tcp.syncookies", "1"},
		{"net.inet.tcp.syncookies_only", "1", "tcp_syncookies", "2"},
		{"net.inet.tcp.recvspace", "70000", "tcp_rmem", "4096 70000 6291456"},
		{"net.inet.ip.portrange.first", "40000", "ip_local_port_range", "40000 60999"},
		{"smallest_nonpriv_port", "100", "net.inet.ip.portrange.reservedhigh", "99"},
		{"net.inet.tcp.cc.algorithm", "reno", "tcp_congestion_control", "reno"},
		{"net.inet.tcp.functions_default", "rack", "net.tcpcni.functions_default", "rack"},
		{"net.inet.tcp.nolocaltimewait", "1", "net.inet.tcp.nolocaltimewait", "1"},
		{"kern.ipc.maxsockbuf", "100000", "net.core.wmem_max", "100000"},
		{"tcp_allowed_congestion_control", "reno\tbbr", "net.ipv4.tcp_allowed_congestion_control", "reno bbr"},
	} {
		p := linux(t)
		if _, err := NewTunables(p, map[string]string{c.set: c.value}); err != nil {
			t.Error(err)
			continue
		}
		if got, ok := p.Value(c.name); !ok || got != c.want {
			t.Errorf("%s = %s: %s reads %q, want %q", c.set, c.value, c.name, got, c.want)
		}
	}
}

func TestTunablesThatCannotBe(t *testing.T) {
	for _, c := range []struct {
		set  map[string]string
		want string
	}{
		{map[string]string{"net.inet.tcp.pcbcount": "1"}, "net.inet.tcp.pcbcount: value \"1\"; accepted: none, as it can only be read"},
		{map[string]string{"tcp_ecn": "0", "net.inet.tcp.ecn.enable": "1"}, "accepted: what the other names of the same value are set to: "},
		{map[string]string{"net.inet.tcp.rfc1323": "1", "tcp_timestamps": "0"}, "accepted: what the other names"},
		{map[string]string{"net.inet.tcp.recvspace": "7000000"}, "accepted: 2304..2147483647, not above recvbuf_max"},
		{map[string]string{"net.inet.tcp.sendbuf_max": "10000"}, "accepted: 2304..2147483647, not below sendspace"},
		{map[string]string{"net.inet.ip.portrange.first": "61000"}, "not above portrange.last"},
		{map[string]string{"tcp_allowed_congestion_control": "reno luck"}, "accepted: names with spaces between, of cubic, "},
		{map[string]string{"sack": "sometimes"}, "accepted: 0..2 (never, passive, active)"},
		{map[string]string{"tcp_strong_iss": "3"}, "accepted: 0..2"},
	} {
		p := linux(t)
		if _, err := NewTunables(p, c.set); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %v, want %s", c.set, err, c.want)
		}
	}
	p := linux(t)
	if err := p.ChangeTunables(map[string]string{"net.inet.tcp.reass.maxsegments": "5"}); err == nil || !strings.Contains(err.Error(), "while the sandbox runs") {
		t.Errorf("a tunable of the start: %v", err)
	}
	// Together they fit.
	if err := p.ChangeTunables(map[string]string{"net.inet.tcp.recvspace": "7000000", "net.inet.tcp.recvbuf_max": "8000000"}); err != nil {
		t.Error(err)
	}
}

// No name stands for two tunables, in whatever system.
func TestTunableNamesAreUnique(t *testing.T) {
	seen := make(map[string]string)
	for _, rows := range allTunables {
		for i := range rows {
			r := &rows[i]
			for name := range map[string]bool{r.name: true, r.short(): true} {
				if other, ok := seen[name]; ok {
					t.Errorf("%s is a name of %s and of %s", name, other, r.name)
				}
				seen[name] = r.name
			}
			if r.show == nil && (r.set == nil || r.get == nil) && r.word == nil && r.text == nil {
				t.Errorf("%s has no value", r.name)
			}
		}
	}
}

// tcp_congestion_control's algorithms are for everybody unless the tunable
// tcp_allowed_congestion_control names some.
func TestAllowedCongestionControl(t *testing.T) {
	p := linux(t)
	if _, err := NewTunables(p, map[string]string{"tcp_allowed_congestion_control": "reno cubic"}); err != nil {
		t.Fatal(err)
	}
	s := newFake(p, AFInet, SockStream)
	if _, err := p.Set(s, protoTCP, 13, []byte("bbr"), Privilege{}); err != errno.EPERM {
		t.Errorf("bbr without privilege: %v", err)
	}
	if _, err := p.Set(s, protoTCP, 13, []byte("bbr"), Privilege{NetAdmin: true}); err != nil {
		t.Errorf("bbr with CAP_NET_ADMIN: %v", err)
	}
	if _, err := p.Set(s, protoTCP, 13, []byte("reno"), Privilege{}); err != nil {
		t.Errorf("reno: %v", err)
	}
}

// A pod's tunables come before the configuration's, by whatever system's names
// either has them.
func TestOverlay(t *testing.T) {
	p := linux(t)
	got, err := p.Overlay(map[string]string{"tcp_rmem": "4096 65536 100000", "tcp_ecn": "0", "tcp_fin_timeout": "9"},
		map[string]string{"net.inet.tcp.recvspace": "70000", "ecn": "active"})
	want := map[string]string{"tcp_rmem": "4096 70000 100000", "tcp_ecn": "1", "tcp_fin_timeout": "9"}
	if err != nil || !maps.Equal(got, want) {
		t.Errorf("%v, %v", got, err)
	}
	if p.Tunables.ECN != 5 {
		t.Error("the profile has changed")
	}
	for _, c := range [][2]map[string]string{{{"tcp_luck": "1"}, nil}, {nil, {"tcp_luck": "1"}}, {{"tcp_sack": "1"}, {"net.inet.tcp.recvspace": "7000000"}}} {
		if _, err := p.Overlay(c[0], c[1]); err == nil {
			t.Errorf("%v is accepted", c)
		}
	}
}

package engine

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tcpcni/tcpcni/sockopt"
)

// TestTunablesChange: all of a request or nothing of it, and the sockets that
// look at the tunable see it.
func TestTunablesChange(t *testing.T) {
	e := bare(t)
	s, _ := e.mustStream(t)
	own, _ := e.mustStream(t)
	own.tcp.Options().KeepIdle = time.Hour
	own.tcp.Options().Chosen.Add(sockopt.KeepIdle)
	r := e.tunables(&request{Set: map[string]string{"tcp_keepalive_time": "60", "net.ipv4.tcp_rmem": "4096 65536 70000"}, Get: []string{"tcp_keepalive_time", "tcp_rmem"}})
	if r.Error != "" || fmt.Sprint(r.Tunables) != "[{net.ipv4.tcp_keepalive_time 60} {net.ipv4.tcp_rmem 4096 65536 70000}]" {
		t.Fatalf("%+v", r)
	}
	if got := s.tcp.Options().KeepIdle; got != time.Minute {
		t.Errorf("a socket without a choice waits %v", got)
	}
	if got := own.tcp.Options().KeepIdle; got != time.Hour {
		t.Errorf("a socket with a choice waits %v", got)
	}
	fresh, _ := e.mustStream(t)
	if o := fresh.tcp.Options(); o.RcvBuf != 65536 || o.KeepIdle != time.Minute {
		t.Errorf("a new socket: %d bytes, %v", o.RcvBuf, o.KeepIdle)
	}
	for _, q := range []*request{
		{Set: map[string]string{"tcp_syn_retries": "3", "tcp_sack": "2"}},
		{Set: map[string]string{"tcp_syn_retries": "3", "tcp_nosuch": "2"}},
		{Set: map[string]string{"tcp_syn_retries": "3", "net.ipv4.tcp_syn_retries": "4"}},
		{Set: map[string]string{"tcp_syn_retries": "3"}, Get: []string{"tcp_nosuch"}},
	} {
		if r := e.tunables(q); r.Error == "" || !strings.Contains(r.Error, "accepted") || e.profile.Tunables.SynRetries != 6 {
			t.Errorf("%v: %+v, tcp_syn_retries is %d", q.Set, r, e.profile.Tunables.SynRetries)
		}
	}
	all := e.tunables(&request{Own: true}).Tunables
	if len(all) < 50 {
		t.Errorf("%d names", len(all))
	}
}

// TestTunablesOutliveTheEngine: the successor has the configuration and the
// journal.
func TestTunablesOutliveTheEngine(t *testing.T) {
	old := bare(t)
	for _, set := range []map[string]string{
		{"tcp_syn_retries": "2"}, {"tcp_sack": "0", "tcp_syn_retries": "3"}, {"tcp_rmem": "4096 65536 70000"},
		{"tcp_fastopen_key": "1-2-3-4,5-6-7-8", "ip_local_reserved_ports": "8080,80-90"}, {"ip_local_reserved_ports": ""}, {"ip_local_reserved_ports": "9-10"},
	} {
		if r := old.tunables(&request{Set: set}); r.Error != "" {
			t.Fatal(r.Error)
		}
	}
	e, _ := succeed(t, old)
	tun := e.profile.Tunables
	if tun.SynRetries != 3 || tun.SACK || tun.TCPRmem.Max != 70000 || !tun.Timestamps {
		t.Errorf("%+v", tun)
	}
	if len(tun.FastOpenKey) != 32 || !tun.PortReserved(9) || tun.PortReserved(80) {
		t.Errorf("key %x, ports %x", tun.FastOpenKey, tun.ReservedPorts)
	}
	next, _ := succeed(t, e)
	if next.profile.Tunables.SynRetries != 3 {
		t.Error("the second successor does not know")
	}
}

// TestTunablesOfABadJournal: what an engine that was taken over has left is
// checked like any other value.
func TestTunablesOfABadJournal(t *testing.T) {
	for _, text := range []string{"", "tcp_sack=7\n", "nosuch=1\ntcp_sack=0\n", "=\n\n=", strings.Repeat("tcp_sack=0", 4000), "\x00\xff"} {
		old := bare(t)
		if len(text) > maxTuned {
			text = text[:maxTuned]
		}
		old.journal.tune([]byte(text))
		if len(text) > 100 { // a length beyond the place
			old.journal.mem.Publish(tunedAt(0), 1<<31)
		}
		e, _ := succeed(t, old)
		if !e.profile.Tunables.SACK {
			t.Errorf("%.20q: tcp_sack was set", text)
		}
	}
}

// TestFinerNameOfAKeptTunable: what is kept for the successor does not contradict
// itself where one name of a value counts seconds and another milliseconds.
func TestFinerNameOfAKeptTunable(t *testing.T) {
	e := bare(t)
	e.cfg.Profile = "freebsd"
	if err := e.makeStack(); err != nil {
		t.Fatal(err)
	}
	const coarse, fine = "net.ipv4.tcp_fin_timeout", "net.inet.tcp.finwait2_timeout"
	for _, c := range []struct {
		name, value string
		want        time.Duration
	}{
		{coarse, "1", time.Second}, {fine, "1500", 1500 * time.Millisecond}, {coarse, "1", time.Second},
		{fine, "2000", 2 * time.Second}, {fine, "2500", 2500 * time.Millisecond},
	} {
		if r := e.tunables(&request{Set: map[string]string{c.name: c.value, "tcp_syn_retries": "3"}}); r.Error != "" {
			t.Fatal(r.Error)
		}
		next, err := sockopt.ProfileByName("freebsd")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := sockopt.NewTunables(next, nil); err != nil {
			t.Fatal(err)
		}
		if err := next.ChangeTunables(e.changed); err != nil || next.Tunables.FinTimeout != c.want {
			t.Errorf("%s=%s: the successor has %v of %v: %v", c.name, c.value, next.Tunables.FinTimeout, e.changed, err)
		}
	}
}

// What was set to nothing is nothing for the successor, too.
func TestEmptyTunableOutlivesTheEngine(t *testing.T) {
	old := bare(t)
	for _, v := range []string{"80", ""} {
		if r := old.tunables(&request{Set: map[string]string{"ip_local_reserved_ports": v}, Get: []string{"ip_local_reserved_ports"}}); r.Error != "" || r.Tunables[0].Value != v {
			t.Fatalf("%+v", r)
		}
	}
	if e, _ := succeed(t, old); e.profile.Tunables.ReservedPorts != "" {
		t.Errorf("%x", e.profile.Tunables.ReservedPorts)
	}
}

// A list that is changed by one element is the whole list to the successor.
func TestEditedListOutlivesTheEngine(t *testing.T) {
	old := bare(t)
	old.cfg.Profile = "illumos"
	if err := old.makeStack(); err != nil {
		t.Fatal(err)
	}
	for _, set := range []map[string]string{{"tcp_extra_priv_ports_add": "6000"}, {"tcp_extra_priv_ports_add": "7000"}, {"tcp_extra_priv_ports_del": "2049"}} {
		if r := old.tunables(&request{Set: set}); r.Error != "" {
			t.Fatal(r.Error)
		}
	}
	next, err := sockopt.ProfileByName("illumos")
	if err != nil {
		t.Fatal(err)
	}
	if err := next.ChangeTunables(old.changed); err != nil {
		t.Fatal(err)
	}
	if v, _ := next.Value("extra_priv_ports"); v != "4045,6000,7000" {
		t.Errorf("%s of %v", v, old.changed)
	}
}

// optmem_max bounds the ancillary data of a call.
func TestOptmemMax(t *testing.T) {
	s := newSandbox(t, func(c *Config) { c.Tunables = map[string]string{"optmem_max": "2000"} })
	got := s.run("/usr/bin/python3", "-c", `
import errno, socket, struct
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for n in 1000, 3000:
    pieces = [(socket.IPPROTO_IP, socket.IP_TTL, struct.pack("i", 9))] * (n // 24)
    try:
        print(s.sendmsg([b"x"], pieces, 0, ("127.0.0.1", 9)))
    except OSError as e:
        print(errno.errorcode[e.errno])
`)
	if want := "1\nENOBUFS\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// tcp_migrate_req: a connection that waits at a listener that closes is accepted
// by another one that shares its port.
func TestMigrateReqInASandbox(t *testing.T) {
	s := newSandbox(t, func(c *Config) { c.Tunables = map[string]string{"tcp_migrate_req": "1"} })
	got := s.run("/usr/bin/python3", "-c", `
import select, socket
def listener():
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    s.bind(("127.0.0.1", 8080))
    s.listen(5)
    return s
old = listener()
c = socket.create_connection(("127.0.0.1", 8080))
c.sendall(b"early")
select.select([old], [], [])
new = listener()
old.close()
print(len(select.select([new], [], [], 10)[0]))
a, peer = new.accept()
print(a.recv(5), peer == c.getsockname())
a.sendall(b"late")
print(c.recv(4))
`)
	if want := "1\nb'early' True\nb'late'\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

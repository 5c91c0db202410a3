package engine

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/tcpcni/tcpcni/sockopt"
)

func prefixOf(s string) netip.Prefix { return netip.MustParsePrefix(s) }

func newDefaults(t *testing.T, rules ...SocketRule) (*sockopt.Profile, *Defaults) {
	t.Helper()
	p, err := sockopt.ProfileByName("linux")
	if err != nil {
		t.Fatal(err)
	}
	d, err := NewDefaults(p, rules)
	if err != nil {
		t.Fatal(err)
	}
	return p, d
}

func TestDefaultsMatch(t *testing.T) {
	set := func(idle string) map[string]string { return map[string]string{"TCP_KEEPIDLE": idle} }
	p, d := newDefaults(t,
		SocketRule{Set: map[string]string{"TCP_NODELAY": "1", "TCP_KEEPIDLE": "1"}},
		SocketRule{Match: SocketMatch{Direction: DirectionOut, Port: "443"}, Set: set("2")},
		SocketRule{Match: SocketMatch{Direction: DirectionIn, Port: "8000-9000"}, Set: set("3")},
		SocketRule{Match: SocketMatch{Address: prefixOf("10.0.0.0/8"), Direction: DirectionOut}, Set: set("4")},
		SocketRule{Match: SocketMatch{Address: prefixOf("fd00::/8")}, Set: set("5")},
	)
	for _, c := range []struct {
		in            bool
		local, remote string
		idle          float64
	}{
		{false, "", "192.0.2.1:80", 1},
		{false, "", "192.0.2.1:443", 2},
		{false, "", "[::ffff:192.0.2.1]:443", 2},
		{false, "", "10.1.2.3:443", 4},
		{false, "", "[::ffff:10.1.2.3]:80", 4},
		{false, "", "[fd01::1]:443", 5},
		{false, "", "[fe80::1%eth0]:80", 1},
		{true, "10.98.0.2:443", "192.0.2.1:443", 1},
		{true, "10.98.0.2:8000", "192.0.2.1:443", 3},
		{true, "10.98.0.2:9000", "10.0.0.1:1", 3},
		{true, "10.98.0.2:9001", "10.0.0.1:8500", 1},
		{true, "[fd98::2]:9000", "[fd98::1]:1", 5},
	} {
		o := p.NewOptions()
		if c.in {
			d.Incoming(&o, sockopt.AFInet6, netip.MustParseAddrPort(c.local), netip.MustParseAddrPort(c.remote))
		} else {
			d.Outgoing(&o, sockopt.AFInet6, netip.MustParseAddrPort(c.remote))
		}
		if o.KeepIdle.Seconds() != c.idle || !o.NoDelay {
			t.Errorf("%+v: idle %v, nodelay %v", c, o.KeepIdle, o.NoDelay)
		}
	}
}

func TestNewDefaultsErrors(t *testing.T) {
	good := map[string]string{"TCP_NODELAY": "1"}
	p, _ := newDefaults(t)
	for _, c := range []struct {
		rule SocketRule
		says []string
	}{
		{SocketRule{Match: SocketMatch{Direction: "up"}, Set: good}, []string{"[0].match.direction", "up", `"in" or "out"`}},
		{SocketRule{Match: SocketMatch{Port: "0"}, Set: good}, []string{".match.port", `"0"`, "65535"}},
		{SocketRule{Match: SocketMatch{Port: "65536"}, Set: good}, []string{".match.port", "65536"}},
		{SocketRule{Match: SocketMatch{Port: "9-8"}, Set: good}, []string{".match.port", "9-8"}},
		{SocketRule{Match: SocketMatch{Port: "1-2-3"}, Set: good}, []string{".match.port"}},
		{SocketRule{Match: SocketMatch{Address: prefixOf("10.0.0.1/8")}, Set: good}, []string{".match.address", "10.0.0.1/8", "10.0.0.0/8"}},
		{SocketRule{Match: SocketMatch{Address: prefixOf("::ffff:10.0.0.0/104")}, Set: good}, []string{".match.address"}},
		{SocketRule{}, []string{".set", "at least one"}},
		{SocketRule{Set: map[string]string{"TCP_LUCK": "1"}}, []string{".set", "TCP_LUCK", "TCP_NODELAY"}},
		{SocketRule{Set: map[string]string{"SO_RCVBUFFORCE": "9999"}, Unprivileged: true}, []string{".set", "SO_RCVBUFFORCE", "capability"}},
	} {
		_, err := NewDefaults(p, []SocketRule{c.rule})
		if err == nil {
			t.Errorf("%+v: accepted", c.rule)
			continue
		}
		for _, w := range c.says {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%+v: the error does not say %q: %v", c.rule, w, err)
			}
		}
	}
	if _, err := NewDefaults(p, make([]SocketRule, maxRules+1)); err == nil {
		t.Error("too many rules were accepted")
	}
}

// A program sees the values on both sides of its connections, and its own choice
// wins, before and after.
func TestDefaultsOfPrograms(t *testing.T) {
	bin := compile(t, "defaults")
	s := newSandbox(t, func(c *Config) {
		c.SocketOptions = []SocketRule{
			{Match: SocketMatch{Direction: DirectionOut, Port: "8080"}, Set: map[string]string{"TCP_CONGESTION": "reno", "TCP_NODELAY": "1"}},
			{Match: SocketMatch{Direction: DirectionIn, Address: prefixOf("127.0.0.0/8"), Port: "8000-9000"}, Set: map[string]string{"TCP_NODELAY": "1", "TCP_KEEPIDLE": "11"}},
			{Match: SocketMatch{Port: "9090"}, Set: map[string]string{"TCP_KEEPIDLE": "22"}},
		}
	})
	want := `new: cubic nodelay 0 idle 7200
to 8080: reno nodelay 1 idle 7200
at 8080: cubic nodelay 1 idle 11
later: reno nodelay 0 idle 7200
to 9090: cubic nodelay 0 idle 22
at 9090: cubic nodelay 0 idle 22
to 8080: cubic nodelay 1 idle 7200
at 8080: cubic nodelay 0 idle 11
`
	if got := s.run(bin); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

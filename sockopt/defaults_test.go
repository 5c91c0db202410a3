package sockopt

import (
	"strings"
	"testing"
)

func settings(t *testing.T, p *Profile, pairs ...string) []Setting {
	t.Helper()
	var list []Setting
	for i := 0; i+1 < len(pairs); i += 2 {
		s, err := p.ParseSetting(pairs[i], pairs[i+1], Privilege{NetAdmin: true, NetRaw: true})
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, s)
	}
	return list
}

func TestParseSettingErrors(t *testing.T) {
	p := linux(t)
	for _, c := range []struct {
		name, value string
		says        []string
	}{
		{"TCP_LUCK", "7", []string{"TCP_LUCK", "TCP_NODELAY", "SO_KEEPALIVE"}},
		{"SO_REUSEADDR", "1", []string{"SO_REUSEADDR", "accepted"}},
		{"SO_RCVTIMEO", "1", []string{"SO_RCVTIMEO"}},
		{"TCP_INFO", "1", []string{"TCP_INFO"}},
		{"TCP_FASTOPEN", "1", []string{"TCP_FASTOPEN"}},
		{"IP_RECVERR", "1", []string{"IP_RECVERR"}},
		{"TCP_KEEPIDLE", "0", []string{"TCP_KEEPIDLE", `"0"`, "1 to 32767"}},
		{"TCP_KEEPIDLE", "99999999999", []string{"99999999999"}},
		{"TCP_KEEPIDLE", "soon", []string{"soon", "1 to 32767"}},
		{"TCP_NODELAY", "2", []string{"TCP_NODELAY", `"2"`, "0 or 1"}},
		{"TCP_NODELAY", "", []string{"0 or 1"}},
		{"TCP_MAXSEG", "87", []string{"TCP_MAXSEG", "87", "88..32767"}},
		{"TCP_CONGESTION", "luck", []string{"TCP_CONGESTION", "luck", "cubic", "reno"}},
		{"TCP_CONGESTION", "", []string{"cubic"}},
		{"SO_LINGER", "-1", []string{"SO_LINGER", "-1", "off"}},
		{"IP_TTL", "256", []string{"IP_TTL", "256", "1..255"}},
	} {
		_, err := p.ParseSetting(c.name, c.value, Privilege{NetAdmin: true, NetRaw: true})
		if err == nil {
			t.Errorf("%s=%s: accepted", c.name, c.value)
			continue
		}
		for _, w := range c.says {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s=%s: the error does not say %q: %v", c.name, c.value, w, err)
			}
		}
	}
}

// What takes a capability is refused to those who have none, and a value that
// takes one too.
func TestParseSettingPrivilege(t *testing.T) {
	p := linux(t)
	for _, c := range [][2]string{{"SO_RCVBUFFORCE", "100000"}, {"SO_SNDBUFFORCE", "100000"}, {"SO_PRIORITY", "7"}} {
		if _, err := p.ParseSetting(c[0], c[1], Privilege{}); err == nil || !strings.Contains(err.Error(), "capability") {
			t.Errorf("%v: %v", c, err)
		}
		if _, err := p.ParseSetting(c[0], c[1], Privilege{NetAdmin: true}); err != nil {
			t.Error(err)
		}
	}
	if _, err := p.ParseSetting("SO_PRIORITY", "6", Privilege{}); err != nil {
		t.Error(err)
	}
}

func TestApplyDefaults(t *testing.T) {
	p := linux(t)
	o := p.NewOptions()
	p.ApplyDefaults(&o, AFInet6, settings(t, p, "TCP_CONGESTION", "reno", "TCP_NODELAY", "1", "TCP_KEEPIDLE", "60",
		"SO_RCVBUF", "50000", "SO_LINGER", "3", "IP_TOS", "16", "IPV6_TCLASS", "32", "TCP_CONGESTION", "cubic", "TCP_MAXSEG", "1000"))
	switch {
	case o.Congestion != "cubic", !o.NoDelay, o.KeepIdle.Seconds() != 60, o.RcvBuf != 100000 || !o.RcvBufLocked,
		o.Linger != LingerSetting{true, 3}, o.TOS != 16 || o.Priority != 6, o.TClass != 32, o.MaxSeg != 1000:
		t.Fatalf("%+v", o)
	}
	// An IPv4 socket has no options of IPv6.
	o = p.NewOptions()
	p.ApplyDefaults(&o, AFInet, settings(t, p, "IPV6_TCLASS", "32", "IP_TTL", "9"))
	if o.TClass != 0 || o.TTL != 9 {
		t.Fatalf("%+v", o)
	}
}

// What the program has set stays, whether it uses the option's own name or
// another that writes the same field.
func TestApplyDefaultsLeavesWhatIsChosen(t *testing.T) {
	p := linux(t)
	s := newFake(p, AFInet, SockStream)
	for _, c := range []struct{ level, name, value int }{
		{protoTCP, 1, 0}, {SolSocket, 33, 60000}, {SolSocket, 12, 1},
	} {
		if _, err := p.Set(s, c.level, c.name, intBytes(c.value), Privilege{NetAdmin: true}); err != nil {
			t.Fatal(err)
		}
	}
	p.ApplyDefaults(&s.opts, AFInet, settings(t, p, "TCP_NODELAY", "1", "SO_RCVBUF", "5000", "IP_TOS", "16", "TCP_CORK", "1"))
	if s.opts.NoDelay || s.opts.RcvBuf != 120000 || s.opts.Priority != 1 || s.opts.TOS != 16 || !s.opts.Cork {
		t.Fatalf("%+v", s.opts)
	}
	// A refused value is no choice.
	s = newFake(p, AFInet, SockStream)
	if _, err := p.Set(s, protoTCP, 4, intBytes(0), Privilege{}); err == nil {
		t.Fatal("TCP_KEEPIDLE took 0")
	}
	p.ApplyDefaults(&s.opts, AFInet, settings(t, p, "TCP_KEEPIDLE", "9"))
	if s.opts.KeepIdle.Seconds() != 9 {
		t.Fatalf("%+v", s.opts)
	}
	// An accepted socket inherits its listener's choices.
	var child Options
	p.Inherit(&child, &s.opts)
	if child.Chosen != s.opts.Chosen {
		t.Error("the choices were not inherited")
	}
}

// A socket that connects again is as new for the next peer, but for what its
// program did.
func TestApplyDefaultsAgain(t *testing.T) {
	p := linux(t)
	s := newFake(p, AFInet, SockStream)
	all := make([]string, 0)
	for _, r := range p.DefaultRows() {
		value := "1"
		switch {
		case r.ID == Congestion:
			value = "reno"
		case r.ID == MaxSeg:
			value = "100"
		case r.ID == RTOMax:
			value = "1000"
		}
		all = append(all, r.Name, value)
	}
	before := s.opts
	p.ApplyDefaults(&s.opts, AFInet6, settings(t, p, all...))
	if s.opts.Rare().Given == (IDSet{}) || s.opts.Congestion != "reno" || s.opts.MinTTL != 1 {
		t.Fatalf("%+v", s.opts)
	}
	given := s.opts
	p.ApplyDefaults(&given, AFInet6, nil)
	if given != before {
		t.Errorf("%+v\nis not as before\n%+v", given, before)
	}
	if _, err := p.Set(s, protoTCP, 13, []byte("cubic"), Privilege{}); err != nil {
		t.Fatal(err)
	}
	p.ApplyDefaults(&s.opts, AFInet6, settings(t, p, "TCP_NODELAY", "1", "TCP_CONGESTION", "reno"))
	if s.opts.Congestion != "cubic" || !s.opts.NoDelay || s.opts.Cork {
		t.Fatalf("%+v", s.opts)
	}
}

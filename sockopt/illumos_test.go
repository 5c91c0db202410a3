package sockopt

import (
	"encoding/binary"
	"math"
	"testing"
	"time"

	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// illumosSteps are what tcp(7P) and the sources of illumos say of each option.
var illumosSteps = map[string][]step{
	"tcp4": {
		{"SO_DEBUG", 1, okay, 1}, {"SO_REUSEADDR", 1, okay, 4}, {"SO_REUSEADDR", 0, okay, 0}, {"SO_REUSEADDR", short, errno.EINVAL, 0},
		{"SO_REUSEADDR", "\x01\x00\x00\x00\x00\x00\x00\x00", errno.EINVAL, 0},
		{"SO_KEEPALIVE", 7, okay, 8}, {"SO_DONTROUTE", 1, okay, 0x10}, {"SO_BROADCAST", 1, okay, 0x20}, {"SO_OOBINLINE", 1, okay, 0x100},
		{"SO_ACCEPTCONN", 1, errno.ENOPROTOOPT, 0}, {"SO_TYPE", 1, errno.ENOPROTOOPT, 0}, {"SO_ERROR", short, errno.ENOPROTOOPT, 0},
		{"SO_PROTOCOL", 6, errno.ENOPROTOOPT, 0}, {"SO_DOMAIN", 2, errno.ENOPROTOOPT, 0}, {"SO_SNDLOWAT", 1, errno.ENOPROTOOPT, 0},
		{"SO_EXCLBIND", 1, okay, 0x1015}, {"SO_EXCLBIND", -1, okay, 0x1015}, {"SO_EXCLBIND", 0, okay, 0},
		{"SO_SNDBUF", 100000, okay, 100000}, {"SO_SNDBUF", 1048576, okay, 1048576}, {"SO_SNDBUF", 1048577, errno.ENOBUFS, 0}, {"SO_SNDBUF", -1, errno.ENOBUFS, 0}, {"SO_SNDBUF", 1, okay, 2304},
		{"SO_RCVBUF", 100000, okay, 100000}, {"SO_RCVBUF", 0, okay, 128000}, {"SO_RCVBUF", 1048577, errno.ENOBUFS, 0}, {"SO_RCVBUF", 5, okay, 2304},
		{"SO_LINGER", "\x01\x00\x00\x00\x05\x00\x00", errno.EINVAL, 0}, {"SO_RCVLOWAT", 5000, okay, 5000},
		{"SO_RCVTIMEO", 1, errno.EINVAL, 0}, {"SO_SNDTIMEO", 1, errno.EINVAL, 0},

		{"TCP_NODELAY", 1, okay, 1}, {"TCP_CORK", 5, okay, 1}, {"TCP_MAXSEG", 1000, errno.ENOPROTOOPT, 0},
		{"TCP_INIT_CWND", 4, okay, 4}, {"TCP_INIT_CWND", 16, okay, 16}, {"TCP_INIT_CWND", 17, errno.EINVAL, 0}, {"TCP_INIT_CWND", 0, okay, 0}, {"TCP_INIT_CWND", -1, errno.EINVAL, 0},
		{"TCP_KEEPALIVE_THRESHOLD", 9999, errno.EINVAL, 0}, {"TCP_KEEPALIVE_THRESHOLD", 10000, okay, 10000}, {"TCP_KEEPALIVE_THRESHOLD", 864000000, okay, 864000000},
		{"TCP_KEEPALIVE_THRESHOLD", 864000001, errno.EINVAL, 0}, {"TCP_KEEPALIVE_THRESHOLD", -1, errno.EINVAL, 0},
		{"TCP_KEEPIDLE", 9, errno.EINVAL, 0}, {"TCP_KEEPIDLE", 10, okay, 10}, {"TCP_KEEPIDLE", 864000, okay, 864000}, {"TCP_KEEPIDLE", 864001, errno.EINVAL, 0},
		{"TCP_KEEPALIVE_ABORT_THRESHOLD", 0, okay, 0}, {"TCP_KEEPALIVE_ABORT_THRESHOLD", 5, okay, 5}, {"TCP_KEEPALIVE_ABORT_THRESHOLD", -1, okay, -1},
		{"TCP_KEEPCNT", 0, errno.EINVAL, 0}, {"TCP_KEEPCNT", 8, okay, 8}, {"TCP_KEEPCNT", -1, errno.EINVAL, 0},
		{"TCP_KEEPINTVL", 0, errno.EINVAL, 0}, {"TCP_KEEPINTVL", 1, okay, 1}, {"TCP_KEEPINTVL", 60, okay, 60}, {"TCP_KEEPINTVL", 61, errno.EINVAL, 0}, {"TCP_KEEPINTVL", -1, errno.EINVAL, 0},
		{"TCP_NOTIFY_THRESHOLD", 20000, okay, 20000}, {"TCP_NOTIFY_THRESHOLD", 0, okay, 0}, {"TCP_ABORT_THRESHOLD", 0, okay, 0}, {"TCP_ABORT_THRESHOLD", 1, okay, 1}, {"TCP_ABORT_THRESHOLD", -1, okay, -1},
		{"TCP_CONN_NOTIFY_THRESHOLD", 500, okay, 500}, {"TCP_CONN_ABORT_THRESHOLD", 45000, okay, 45000}, {"TCP_CONN_ABORT_THRESHOLD", 0, okay, 0},
		{"TCP_RTO_INITIAL", 0, okay, 1000}, {"TCP_RTO_INITIAL", 399, errno.EINVAL, 0}, {"TCP_RTO_INITIAL", 400, okay, 400}, {"TCP_RTO_INITIAL", 20000, okay, 20000}, {"TCP_RTO_INITIAL", 20001, errno.EINVAL, 0},
		{"TCP_RTO_MIN", 0, okay, 400}, {"TCP_RTO_MIN", 1, okay, 1}, {"TCP_RTO_MIN", 60000, okay, 60000}, {"TCP_RTO_MIN", 60001, errno.EINVAL, 0},
		{"TCP_RTO_MAX", 0, okay, 60000}, {"TCP_RTO_MAX", 399, errno.EINVAL, 0}, {"TCP_RTO_MAX", 300000, okay, 300000}, {"TCP_RTO_MAX", 300001, errno.EINVAL, 0},
		{"TCP_LINGER2", 0, okay, 60}, {"TCP_LINGER2", 1, okay, 1}, {"TCP_LINGER2", 60, okay, 60}, {"TCP_LINGER2", 61, errno.EINVAL, 0}, {"TCP_LINGER2", -1, errno.EINVAL, 0},
		{"TCP_ANONPRIVBIND", 1, okay, 1}, {"TCP_EXCLBIND", 1, okay, 0x21},
		{"TCP_QUICKACK", 1, okay, 1}, {"TCP_QUICKACK", 0, okay, 0}, {"TCP_MD5SIG", 1, okay, 0}, {"TCP_MD5SIG", short, errno.EINVAL, 0},
		{"TCP_CONGESTION", "cubic", okay, 0}, {"TCP_CONGESTION", "newreno\x00", okay, 0}, {"TCP_CONGESTION", "bbr", errno.ENOENT, 0},
		{"TCP_CONGESTION", "", errno.EINVAL, 0}, {"TCP_CONGESTION", "a name that is far too long", errno.EINVAL, 0},
		{"TCP_RECVDSTADDR", 3, okay, 1}, {"TCP_RECVDSTADDR", 0, okay, 0}, {"TCP_RECVDSTADDR", short, errno.EINVAL, 0},
		{"TCP_KEEPALIVE", pair(1, 5), okay, 0}, {"TCP_KEEPALIVE", pair(0, 14400), okay, 0}, {"TCP_KEEPALIVE", pair(1, 14401), errno.EINVAL, 0}, {"TCP_KEEPALIVE", pair(1, 0), errno.EINVAL, 0},
		{"TCP_KEEPALIVE", pair(2, 5), errno.EINVAL, 0}, {"TCP_KEEPALIVE", pair(1, 1<<32-1), errno.EINVAL, 0}, {"TCP_KEEPALIVE", 1, errno.EINVAL, 0}, {"TCP_KEEPALIVE", pair(1, 5) + "\x00", errno.EINVAL, 0},
		{"IP_TOS", 0x10, okay, 0x10}, {"IP_TTL", 9, okay, 9}, // "IP level options may also be used with TCP"
	},
	"udp4": {
		{"SO_EXCLBIND", 1, okay, 0x1015}, {"SO_SNDBUF", 30000, okay, 30000}, {"TCP_EXCLBIND", 1, errno.ENOPROTOOPT, 0},
	},
}

func init() {
	profileSteps["illumos"], profileSteps["omnios"] = illumosSteps, illumosSteps
}

// pair is struct t_kpalive.
func pair(a, b uint32) string {
	return string(binary.NativeEndian.AppendUint32(binary.NativeEndian.AppendUint32(nil, a), b))
}

func TestIllumosCongestion(t *testing.T) {
	for _, name := range []string{"illumos", "omnios"} {
		p := profileOf(t, name)
		s := newFake(p, AFInet, SockStream)
		for _, c := range []struct{ set, get string }{{"", "sunreno\x00"}, {"cubic", "cubic\x00"}, {"newreno\x00", "newreno\x00"}} {
			if c.set != "" {
				set(t, p, s, "TCP_CONGESTION", []byte(c.set))
			}
			if b, _ := get(t, p, s, "TCP_CONGESTION", 32); string(b) != c.get {
				t.Errorf("%s: set %q reads %q, want %q", name, c.set, b, c.get)
			}
		}
	}
}

// TestIllumosXTIKeepAlive: TCP_KEEPALIVE is SO_KEEPALIVE and TCP_KEEPIDLE, and a
// configuration cannot name it.
func TestIllumosXTIKeepAlive(t *testing.T) {
	p := profileOf(t, "illumos")
	s := newFake(p, AFInet, SockStream)
	read := func(want string) {
		t.Helper()
		if b, e := get(t, p, s, "TCP_KEEPALIVE", 99); e != 0 || string(b) != want {
			t.Errorf("reads %x (%v), want %x", b, e, want)
		}
	}
	read(pair(0, 120))
	if e := set(t, p, s, "TCP_KEEPALIVE", []byte(pair(1, 3))); e != 0 || !s.opts.KeepAlive || s.opts.KeepIdle != 3*time.Minute || s.changed[len(s.changed)-1] != KeepAlive {
		t.Errorf("%v: %v, %v, changed %v", e, s.opts.KeepAlive, s.opts.KeepIdle, s.changed)
	}
	if !s.opts.Chosen.Has(KeepAlive) || !s.opts.Chosen.Has(KeepIdle) {
		t.Error("the configuration may take the program's values back")
	}
	set(t, p, s, "TCP_KEEPALIVE_THRESHOLD", intBytes(60001))
	read(pair(1, 2))
	if _, err := p.ParseSetting("TCP_KEEPALIVE", "1", Privilege{}); err == nil {
		t.Error("a configuration has given a structure a value")
	}
}

// TestIllumosRecvDstAddr: tcp_opt_set refuses it beyond LISTEN.
func TestIllumosRecvDstAddr(t *testing.T) {
	p := profileOf(t, "illumos")
	s := newFake(p, AFInet, SockStream)
	s.isActive = true
	if e := set(t, p, s, "TCP_RECVDSTADDR", intBytes(1)); e != errno.EOPNOTSUPP {
		t.Errorf("on a connection: %v", e)
	}
}

func TestIllumosDefaults(t *testing.T) {
	for _, name := range []string{"illumos", "omnios"} {
		p := profileOf(t, name)
		if !p.Tunables.AcceptSourceRoute {
			t.Error(name, "does not use the reverse source route")
		}
		s := newFake(p, AFInet, SockStream)
		for option, want := range map[string]int{
			"SO_SNDBUF": 49152, "SO_RCVBUF": 128000, "SO_EXCLBIND": 0, "SO_KEEPALIVE": 0, "TCP_NODELAY": 0, "TCP_CORK": 0, "TCP_INIT_CWND": 0,
			"TCP_KEEPALIVE_THRESHOLD": 2 * 3600 * 1000, "TCP_KEEPIDLE": 7200, "TCP_KEEPALIVE_ABORT_THRESHOLD": 8 * 60 * 1000, "TCP_KEEPCNT": 0, "TCP_KEEPINTVL": 0,
			"TCP_NOTIFY_THRESHOLD": 10000, "TCP_ABORT_THRESHOLD": 300000, "TCP_CONN_NOTIFY_THRESHOLD": 10000, "TCP_CONN_ABORT_THRESHOLD": 180000,
			"TCP_RTO_INITIAL": 1000, "TCP_RTO_MIN": 400, "TCP_RTO_MAX": 60000, "TCP_LINGER2": 60, "TCP_ANONPRIVBIND": 0, "TCP_EXCLBIND": 0, "TCP_MAXSEG": 536,
		} {
			if got := getInt(t, p, s, option); got != want {
				t.Errorf("%s: %s is %d, want %d", name, option, got, want)
			}
		}
	}
}

// TestIllumosOptionsByPage: what a page does not have, its system refuses.
func TestIllumosOptionsByPage(t *testing.T) {
	p := profileOf(t, "illumos")
	s := newFake(p, AFInet, SockStream)
	for _, c := range []struct{ level, number int }{
		{protoTCP, 11}, {protoTCP, 18}, {protoTCP, 7}, {SolSocket, 15}, {SolSocket, 25}, {SolSocket, 36},
		{protoTCP, marked(markFreeBSD, 0x15)}, {protoTCP, 0x15},
	} {
		if _, err := p.Set(s, c.level, c.number, intBytes(1), everything); err != errno.ENOPROTOOPT {
			t.Errorf("level %d option %#x set: %v", c.level, c.number, err)
		}
		if _, err := p.Get(s, c.level, c.number, 64); err != errno.ENOPROTOOPT {
			t.Errorf("level %d option %#x read: %v", c.level, c.number, err)
		}
	}
}

func getInt(t *testing.T, p *Profile, s Target, option string) int {
	t.Helper()
	b, e := get(t, p, s, option, 4)
	if e != 0 || len(b) != 4 {
		t.Fatalf("%s: %v, %d bytes", option, e, len(b))
	}
	return int(int32(nativeInt(b)))
}

// TestIllumosKeepAliveIsOneThing: count, interval and threshold belong together.
func TestIllumosKeepAliveIsOneThing(t *testing.T) {
	type setting struct {
		option string
		value  int
	}
	for _, c := range []struct {
		set                   []setting
		count, interval, msec int
	}{
		{[]setting{{"TCP_KEEPCNT", 16}}, 16, 30, 480000},
		{[]setting{{"TCP_KEEPCNT", 3}}, 3, 60, 480000},            // the interval ends at TCP_RTO_MAX
		{[]setting{{"TCP_KEEPCNT", 1000000}}, 1000000, 0, 480000}, // and begins at TCP_RTO_MIN
		{[]setting{{"TCP_KEEPINTVL", 10}}, 48, 10, 480000},
		{[]setting{{"TCP_KEEPINTVL", 10}, {"TCP_KEEPCNT", 3}}, 3, 10, 30000},
		{[]setting{{"TCP_KEEPCNT", 3}, {"TCP_KEEPINTVL", 10}}, 3, 10, 30000},
		{[]setting{{"TCP_KEEPCNT", 3}, {"TCP_KEEPINTVL", 10}, {"TCP_KEEPALIVE_ABORT_THRESHOLD", 7000}}, 0, 0, 7000},
		{[]setting{{"TCP_KEEPALIVE_ABORT_THRESHOLD", 60000}, {"TCP_KEEPCNT", 6}}, 6, 10, 60000},
		{[]setting{{"TCP_KEEPALIVE_ABORT_THRESHOLD", 0}, {"TCP_KEEPINTVL", 5}}, 0, 5, 0},
	} {
		p := profileOf(t, "illumos")
		s := newFake(p, AFInet, SockStream)
		for _, o := range c.set {
			if e := set(t, p, s, o.option, intBytes(o.value)); e != 0 {
				t.Fatal(c.set, o, e)
			}
		}
		count, interval, msec := getInt(t, p, s, "TCP_KEEPCNT"), getInt(t, p, s, "TCP_KEEPINTVL"), getInt(t, p, s, "TCP_KEEPALIVE_ABORT_THRESHOLD")
		if count != c.count || interval != c.interval || msec != c.msec {
			t.Errorf("%v: %d probes every %d s, %d ms; want %d, %d, %d", c.set, count, interval, msec, c.count, c.interval, c.msec)
		}
	}
	p := profileOf(t, "illumos")
	s := newFake(p, AFInet, SockStream)
	set(t, p, s, "TCP_KEEPINTVL", intBytes(60))
	if e := set(t, p, s, "TCP_KEEPCNT", intBytes(math.MaxInt32)); e != errno.EINVAL {
		t.Errorf("a threshold that milliseconds cannot say: %v", e)
	}
}

// TestIllumosTimeoutsAreOrdered: TCP_RTO_MIN <= TCP_RTO_INITIAL <= TCP_RTO_MAX
// when they are set, and each below the threshold that ends the wait.
func TestIllumosTimeoutsAreOrdered(t *testing.T) {
	p := profileOf(t, "illumos")
	s := newFake(p, AFInet, SockStream)
	for _, st := range []struct {
		option string
		value  int
		want   errno.Errno
	}{
		{"TCP_RTO_MIN", 2000, 0},
		{"TCP_RTO_INITIAL", 1999, errno.EINVAL},
		{"TCP_RTO_MAX", 1999, errno.EINVAL},
		{"TCP_RTO_MAX", 3000, 0},
		{"TCP_RTO_INITIAL", 3001, errno.EINVAL},
		{"TCP_RTO_INITIAL", 2500, 0},
		{"TCP_RTO_MIN", 3001, errno.EINVAL},
		{"TCP_CONN_ABORT_THRESHOLD", 2200, 0},
		{"TCP_RTO_INITIAL", 2300, errno.EINVAL},
		{"TCP_CONN_ABORT_THRESHOLD", 0, 0},
		{"TCP_RTO_INITIAL", 2300, 0},
		{"TCP_ABORT_THRESHOLD", 2900, 0},
		{"TCP_RTO_MAX", 3000, errno.EINVAL},
		{"TCP_ABORT_THRESHOLD", 0, 0},
		{"TCP_RTO_MAX", 7200000, 0},
		{"TCP_RTO_MAX", 7200001, errno.EINVAL},
	} {
		if e := set(t, p, s, st.option, intBytes(st.value)); e != st.want {
			t.Errorf("%s %d: %v, want %v", st.option, st.value, e, st.want)
		}
	}
}

func TestIllumosPrivileges(t *testing.T) {
	p := profileOf(t, "illumos")
	for _, c := range []struct {
		option     string
		value, mss int
		priv       Privilege
		want       errno.Errno
	}{
		{"TCP_INIT_CWND", 4, 0, Privilege{}, 0},
		{"TCP_INIT_CWND", 5, 0, Privilege{}, errno.EPERM},
		{"TCP_INIT_CWND", 99, 0, Privilege{}, errno.EPERM},
		{"TCP_INIT_CWND", 5, 0, Privilege{NetAdmin: true}, 0},
		{"TCP_INIT_CWND", 3, 1460, Privilege{}, 0},
		{"TCP_INIT_CWND", 4, 1460, Privilege{}, errno.EPERM},
		{"TCP_INIT_CWND", 2, 8960, Privilege{}, 0},
		{"TCP_INIT_CWND", 3, 8960, Privilege{}, errno.EPERM},
		{"TCP_ANONPRIVBIND", 1, 0, Privilege{}, errno.EACCES},
		{"TCP_ANONPRIVBIND", 1, 0, Privilege{NetAdmin: true}, errno.EACCES},
		{"TCP_ANONPRIVBIND", 1, 0, Privilege{NetBindService: true}, 0},
	} {
		s := newFake(p, AFInet, SockStream)
		s.mss = c.mss
		row := rowByName(t, p, c.option)
		if _, err := p.Set(s, row.Level, row.Number, intBytes(c.value), c.priv); errno.Of(err) != c.want {
			t.Errorf("%s %d with %+v: %v, want %v", c.option, c.value, c.priv, err, c.want)
		}
	}
}

func TestIllumosBufferIsWholeSegments(t *testing.T) {
	p := profileOf(t, "illumos")
	s := newFake(p, AFInet, SockStream)
	s.mss, s.isActive = 1460, true
	set(t, p, s, "SO_RCVBUF", intBytes(14601))
	if got := getInt(t, p, s, "SO_RCVBUF"); got != 11*1460 {
		t.Errorf("%d bytes, want 11 segments", got)
	}
}

func TestIllumosInherit(t *testing.T) {
	p := profileOf(t, "illumos")
	s := newFake(p, AFInet, SockStream)
	for option, value := range map[string]int{
		"SO_KEEPALIVE": 1, "SO_REUSEADDR": 1, "TCP_NODELAY": 1, "TCP_INIT_CWND": 3, "TCP_KEEPIDLE": 20, "TCP_KEEPINTVL": 10, "TCP_ABORT_THRESHOLD": 70000,
		"TCP_RTO_MIN": 500, "TCP_LINGER2": 5, "SO_RCVBUF": 70000,
		"SO_EXCLBIND": 1, "TCP_CORK": 1, "TCP_QUICKACK": 1, "TCP_ANONPRIVBIND": 1, "SO_DONTROUTE": 1, "TCP_RECVDSTADDR": 1,
	} {
		if e := set(t, p, s, option, intBytes(value)); e != 0 {
			t.Fatal(option, e)
		}
	}
	set(t, p, s, "TCP_CONGESTION", []byte("cubic"))
	child := newFake(p, AFInet, SockStream)
	p.Inherit(&child.opts, &s.opts)
	for _, row := range p.Rows() {
		if row.Refuse != 0 || row.Access != ReadWrite || row.Level != SolSocket && row.Level != protoTCP {
			continue
		}
		want := s
		if row.NotInherited {
			want = newFake(p, AFInet, SockStream)
		}
		a, _ := p.Get(child, row.Level, row.Number, 64)
		b, _ := p.Get(want, row.Level, row.Number, 64)
		if string(a) != string(b) {
			t.Errorf("%s of an accepted socket is %x, want %x", row.Name, a, b)
		}
	}
	if s.opts.Rare().AnonPrivBind != true {
		t.Error("the child has changed its listener")
	}
}

// TestIllumosSocketsShareTheirDefaults: the settings behind the pointer cost a
// socket nothing until it changes one.
func TestIllumosSocketsShareTheirDefaults(t *testing.T) {
	p := profileOf(t, "illumos")
	a, b := p.NewOptions(), p.NewOptions()
	if a.rare != b.rare || a.rare == nil {
		t.Error("two sockets have two records")
	}
	a.SetRare(func(r *Rare) { r.Abort = time.Second })
	if b.Rare().Abort != 5*time.Minute {
		t.Error("one socket's setting is another's")
	}
}

// TestIllumosConfiguration: a sandbox's configuration names the options too.
func TestIllumosConfiguration(t *testing.T) {
	p := profileOf(t, "illumos")
	s, err := p.ParseSetting("TCP_KEEPALIVE_THRESHOLD", "30000", Privilege{})
	if err != nil {
		t.Fatal(err)
	}
	cwnd, err := p.ParseSetting("TCP_INIT_CWND", "3", Privilege{})
	if err != nil {
		t.Fatal(err)
	}
	o := p.NewOptions()
	p.ApplyDefaults(&o, AFInet, []Setting{s, cwnd})
	if o.KeepIdle != 30*time.Second || o.Rare().InitCwnd != 3 {
		t.Errorf("%v, %d segments", o.KeepIdle, o.Rare().InitCwnd)
	}
	p.ApplyDefaults(&o, AFInet, nil)
	if o.KeepIdle != 2*time.Hour || o.Rare().InitCwnd != 0 {
		t.Errorf("taken back: %v, %d segments", o.KeepIdle, o.Rare().InitCwnd)
	}
	if _, err := p.ParseSetting("TCP_KEEPALIVE_ABORT_THRESHOLD", "4294967296", Privilege{}); err == nil {
		t.Error("more than a word was taken")
	}
}

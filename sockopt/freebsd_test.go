package sockopt

import (
	"encoding/binary"
	"math"
	"testing"
	"time"

	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// freebsdSteps are what tcp(4), getsockopt(2) and the sources of FreeBSD say of
// each option.
var freebsdSteps = map[string][]step{
	"tcp4": {
		{"SO_DEBUG", 1, okay, 1}, {"SO_REUSEADDR", 1, okay, 4}, {"SO_REUSEADDR", 0, okay, 0}, {"SO_REUSEADDR", short, errno.EINVAL, 0},
		{"SO_REUSEPORT", 1, okay, 0x200}, {"SO_REUSEPORT_LB", 2, okay, 0x10000}, {"SO_REUSEPORT_LB", 0, okay, 0}, {"SO_KEEPALIVE", 7, okay, 8}, {"SO_DONTROUTE", 1, okay, 0x10}, {"SO_BROADCAST", 1, okay, 0x20}, {"SO_OOBINLINE", 1, okay, 0x100},
		{"SO_ACCEPTCONN", 1, errno.ENOPROTOOPT, 0}, {"SO_TYPE", 1, errno.ENOPROTOOPT, 0}, {"SO_ERROR", short, errno.ENOPROTOOPT, 0},
		{"SO_PROTOCOL", 6, errno.ENOPROTOOPT, 0}, {"SO_DOMAIN", 2, errno.ENOPROTOOPT, 0}, {"SO_SNDLOWAT", 1, errno.ENOPROTOOPT, 0},
		{"SO_SNDBUF", 100000, okay, 100000}, {"SO_SNDBUF", 0, errno.EINVAL, 0}, {"SO_SNDBUF", -1, errno.EINVAL, 0}, {"SO_SNDBUF", 2097152 / 9 * 8, okay, 2097152 / 9 * 8}, {"SO_SNDBUF", 2097152, errno.ENOBUFS, 0},
		{"SO_RCVBUF", 100000, okay, 100000}, {"SO_RCVBUF", 0, errno.EINVAL, 0}, {"SO_RCVBUF", 2097152, errno.ENOBUFS, 0}, {"SO_RCVBUF", 1, okay, 2304},
		{"SO_LINGER", "\x01\x00\x00\x00\x05\x00\x00", errno.EINVAL, 0}, {"SO_LINGER", "\x01\x00\x00\x00\xff\xff\xff\xff", errno.EDOM, 0}, {"SO_LINGER", "\x01\x00\x00\x00\x00\x00\x01\x00", errno.EDOM, 0},
		{"SO_LINGER", "\x01\x00\x00\x00\xff\xff\x00\x00", okay, 0},
		{"SO_RCVLOWAT", 5000, okay, 5000}, {"SO_RCVLOWAT", 0, errno.EINVAL, 0}, {"SO_RCVLOWAT", math.MaxInt32, okay, 65536},
		{"SO_RCVTIMEO", 1, errno.EINVAL, 0}, {"SO_RCVTIMEO", "\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00\x00\x00\x00\x00", errno.EDOM, 0},
		{"SO_SNDTIMEO", 1, errno.EINVAL, 0}, {"SO_SNDTIMEO", "\x01\x00\x00\x00\x00\x00\x00\x00\x40\x42\x0f\x00\x00\x00\x00\x00", errno.EDOM, 0},

		{"TCP_NODELAY", 1, okay, 4}, {"TCP_NODELAY", short, errno.EINVAL, 0}, {"TCP_NOPUSH", 1, okay, 0x1000}, {"TCP_NOOPT", 1, okay, 8}, {"TCP_NOOPT", 0, okay, 0},
		{"TCP_MAXSEG", 537, errno.EINVAL, 0}, {"TCP_MAXSEG", 536, okay, 536}, {"TCP_MAXSEG", 176, okay, 176}, {"TCP_MAXSEG", 175, errno.EINVAL, 0}, {"TCP_MAXSEG", 0, errno.EINVAL, 0}, {"TCP_MAXSEG", -1, errno.EINVAL, 0},
		{"TCP_MD5SIG", 1, okay, 1}, {"TCP_MD5SIG", short, errno.EINVAL, 0}, {"TCP_INFO", 1, errno.ENOPROTOOPT, 0},
		{"TCP_CONGESTION", "cubic", okay, 0}, {"TCP_CONGESTION", "newreno\x00", okay, 0}, {"TCP_CONGESTION", "reno", errno.EINVAL, 0}, {"TCP_CONGESTION", "", errno.EINVAL, 0},
		{"TCP_CCALGOOPT", "\x01\x00\x00\x00\x32\x00\x00\x00", okay, 0}, {"TCP_CCALGOOPT", "\x02\x00\x00\x00\x50\x00\x00\x00", okay, 0}, {"TCP_CCALGOOPT", "\x01\x00\x00\x00\x65\x00\x00\x00", errno.EINVAL, 0},
		{"TCP_CCALGOOPT", "\x03\x00\x00\x00\x32\x00\x00\x00", errno.ENOPROTOOPT, 0}, {"TCP_CCALGOOPT", 1, errno.EMSGSIZE, 0},
		{"TCP_KEEPINIT", 30, okay, 30}, {"TCP_KEEPINIT", 0, okay, 75}, {"TCP_KEEPINIT", 4294967, okay, 4294967}, {"TCP_KEEPINIT", 4294968, errno.EINVAL, 0}, {"TCP_KEEPINIT", -1, errno.EINVAL, 0},
		{"TCP_KEEPIDLE", 30, okay, 30}, {"TCP_KEEPIDLE", 0, okay, 7200}, {"TCP_KEEPIDLE", 4294968, errno.EINVAL, 0}, {"TCP_KEEPINTVL", 5, okay, 5}, {"TCP_KEEPINTVL", 0, okay, 75}, {"TCP_KEEPINTVL", -1, errno.EINVAL, 0},
		{"TCP_KEEPCNT", 3, okay, 3}, {"TCP_KEEPCNT", 0, okay, 8}, {"TCP_KEEPCNT", -1, okay, math.MaxInt32},
		{"TCP_FUNCTION_BLK", functionSet("rack"), okay, 0}, {"TCP_FUNCTION_BLK", functionSet("bbr"), errno.ENOENT, 0}, {"TCP_FUNCTION_BLK", "rack", errno.EINVAL, 0},
	},
	"tcp6": {{"TCP_MAXSEG", 1220, okay, 1220}, {"TCP_MAXSEG", 1221, errno.EINVAL, 0}},
	"udp4": {{"SO_REUSEPORT", 1, okay, 0x200}, {"SO_RCVBUF", 30000, okay, 30000}, {"TCP_NOOPT", 1, errno.EINVAL, 0}},
}

var sortixSteps = map[string][]step{
	"tcp4": {
		{"SO_BINDTODEVICE", "nosuchif", errno.ENODEV, 0}, {"SO_BINDTOINDEX", 0, okay, 0}, {"SO_BINDTOINDEX", 3, okay, 3},
		{"SO_DEBUG", 1, errno.EPERM, 0}, {"SO_DEBUG", -1, errno.EPERM, 0}, {"SO_DEBUG", 0, okay, 0},
		{"SO_DOMAIN", 2, errno.ENOPROTOOPT, 0}, {"SO_ERROR", 0, errno.ENOPROTOOPT, 0}, {"SO_PROTOCOL", 6, errno.ENOPROTOOPT, 0}, {"SO_TYPE", 1, errno.ENOPROTOOPT, 0},
		{"SO_RCVBUF", 100000, okay, 100000}, {"SO_RCVBUF", 0, errno.EINVAL, 0}, {"SO_SNDBUF", 8192, okay, 8192}, {"SO_SNDBUF", 4<<20 + 1, errno.EINVAL, 0},
		{"SO_REUSEADDR", 1, okay, 1}, {"SO_REUSEADDR", 0, okay, 0},
	},
}

var cxuxSteps = map[string][]step{
	"tcp4": {
		{"TCP_NODELAY", 1, okay, 1}, {"TCP_NODELAY", 0, okay, 0}, {"TCP_NODELAY", short, errno.EINVAL, 0},
		{"SO_DEBUG", 1, okay, 1}, {"SO_REUSEADDR", 1, okay, 1}, {"SO_DONTROUTE", 1, okay, 1}, {"SO_BROADCAST", 1, okay, 1}, {"SO_KEEPALIVE", 1, okay, 1}, {"SO_OOBINLINE", 1, okay, 1},
		{"SO_SNDBUF", 100000, okay, 100000}, {"SO_RCVBUF", 100000, okay, 100000}, {"SO_SNDBUF", 0, errno.ENOBUFS, 0}, {"SO_RCVBUF", 4194305, errno.ENOBUFS, 0}, {"SO_RCVBUF", 4194304, okay, 4194304}, {"SO_SNDBUF", 1, okay, 2304}, {"SO_RCVLOWAT", 5, okay, 5}, {"SO_SNDLOWAT", 5, errno.ENOPROTOOPT, 0},
		{"SO_LINGER", "\x01\x00\x00\x00\x05\x00\x00", errno.EINVAL, 0}, {"SO_RCVTIMEO", 1, errno.EINVAL, 0}, {"SO_SNDTIMEO", 1, errno.EINVAL, 0},
		{"SO_TYPE", 1, errno.ENOPROTOOPT, 0}, {"SO_ERROR", 0, errno.ENOPROTOOPT, 0}, {"SO_ACCEPTCONN", 1, errno.ENOPROTOOPT, 0},
	},
}

func init() {
	profileSteps["freebsd"], profileSteps["sortix"], profileSteps["cxux"] = freebsdSteps, sortixSteps, cxuxSteps
}

// functionSet is a struct tcp_function_set.
func functionSet(name string) string { return name + string(make([]byte, functionSetLen-len(name))) }

func TestFreeBSDDefaults(t *testing.T) {
	p := profileOf(t, "freebsd")
	s := newFake(p, AFInet, SockStream)
	for option, want := range map[string]int{
		"SO_SNDBUF": 32768, "SO_RCVBUF": 65536, "SO_RCVLOWAT": 1, "SO_KEEPALIVE": 0, "TCP_NODELAY": 0, "TCP_NOOPT": 0, "TCP_NOPUSH": 0, "TCP_MD5SIG": 0,
		"TCP_MAXSEG": 536, "TCP_KEEPINIT": 75, "TCP_KEEPIDLE": 7200, "TCP_KEEPINTVL": 75, "TCP_KEEPCNT": 8, "SO_TYPE": 1, "SO_PROTOCOL": 6,
	} {
		b, err := get(t, p, s, option, 4)
		if err != 0 || int(int32(nativeInt(b))) != want {
			t.Errorf("%s reads %x (%v), want %d", option, b, err, want)
		}
	}
	if b, err := get(t, p, s, "TCP_CONGESTION", 16); err != 0 || string(b) != "newreno\x00" {
		t.Errorf("TCP_CONGESTION reads %q, %v", b, err)
	}
	for name, want := range map[string]string{
		"net.inet.tcp.keepinit": "75000", "net.inet.tcp.keepidle": "7200000", "net.inet.tcp.keepintvl": "75000", "net.inet.tcp.keepcnt": "8", "net.inet.tcp.always_keepalive": "1",
		"net.inet.tcp.initcwnd_segments": "10", "net.inet.tcp.sack.maxholes": "128", "net.inet.tcp.sack.globalmaxholes": "65536", "net.inet.tcp.finwait2_timeout": "60000",
		"net.inet.tcp.rfc1323": "1", "net.inet.tcp.log_in_vain": "0", "net.inet.tcp.isn_reseed_interval": "0", "net.inet.tcp.syncookies": "1", "net.inet.tcp.rexmit_slop": "200",
		"net.inet.tcp.functions_inherit_listen_socket_stack": "1", "net.inet.tcp.insecure_rst": "0", "net.inet.tcp.insecure_syn": "0", "net.inet.tcp.cc.algorithm": "newreno",
		"net.inet.tcp.maxtcptw": "27767", "net.inet.tcp.cc.available": "newreno cubic htcp vegas dctcp cdg", "net.inet.tcp.pcbcount": "0",
	} {
		if got, ok := p.Value(name); !ok || got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

// tcp(4), ERRORS and options.md: what the profile answers where it has nothing.
func TestFreeBSDUnknown(t *testing.T) {
	p := profileOf(t, "freebsd")
	for _, c := range []struct {
		level, number int
		want          errno.Errno
	}{
		{protoTCP, 999, errno.ENOPROTOOPT}, {SolSocket, 999, errno.ENOPROTOOPT}, {SolSocket, soExclBind, errno.ENOPROTOOPT}, {protoTCP, 23, errno.ENOPROTOOPT}, // TCP_FASTOPEN
		{284, 1, errno.EINVAL}, {protoIPv6, 26, errno.EINVAL}, {protoUDP, 1, errno.EINVAL},
	} {
		s := newFake(p, AFInet, SockStream)
		if _, err := p.Set(s, c.level, c.number, intBytes(1), everything); err != c.want {
			t.Errorf("set level %d option %d: %v, want %v", c.level, c.number, err, c.want)
		}
		if _, err := p.Get(s, c.level, c.number, 4); err != c.want {
			t.Errorf("get level %d option %d: %v, want %v", c.level, c.number, err, c.want)
		}
	}
}

// tcp(4): TCP_KEEPINIT, TCP_KEEPIDLE, TCP_KEEPINTVL and TCP_KEEPCNT of a listener
// are inherited; the congestion control is the system's.
func TestFreeBSDInherit(t *testing.T) {
	p := profileOf(t, "freebsd")
	s := newFake(p, AFInet, SockStream)
	for option, v := range map[string]int{"TCP_KEEPINIT": 11, "TCP_KEEPIDLE": 12, "TCP_KEEPINTVL": 13, "TCP_KEEPCNT": 14, "TCP_NOPUSH": 1, "TCP_NODELAY": 1, "TCP_NOOPT": 1, "SO_KEEPALIVE": 1, "TCP_MAXSEG": 200} {
		if e := set(t, p, s, option, intBytes(v)); e != 0 {
			t.Errorf("%s: %v", option, e)
		}
	}
	if e := set(t, p, s, "TCP_CONGESTION", []byte("cubic")); e != 0 {
		t.Error(e)
	}
	child := newFake(p, AFInet, SockStream)
	p.Inherit(child.Options(), s.Options())
	o := child.Options()
	if o.Rare().KeepInit != 11*time.Second || o.KeepIdle != 12*time.Second || o.KeepIntvl != 13*time.Second || o.KeepCnt != 14 ||
		!o.Cork || !o.NoDelay || !o.Rare().NoOpt || !o.KeepAlive || o.MaxSeg != 0 || o.Congestion != "newreno" {
		t.Errorf("%+v %+v", o, o.Rare())
	}
}

// Where a program has not chosen, FreeBSD and Linux go by the tunable's present
// value, illumos by that of the socket's beginning.
func TestFollower(t *testing.T) {
	for _, profile := range []string{"linux", "freebsd"} {
		p := profileOf(t, profile)
		o := p.NewOptions()
		if err := p.ChangeTunables(map[string]string{"tcp_fin_timeout": "7", "net.inet.tcp.fast_finwait2_recycle": "1"}); err != nil {
			t.Fatal(err)
		}
		if p.Follower()(&o); o.Linger2 != 7*time.Second {
			t.Errorf("%s: FIN-WAIT-2 lasts %v", profile, o.Linger2)
		}
	}
	for profile, want := range map[string]time.Duration{"linux": time.Minute, "freebsd": time.Minute, "illumos": 2 * time.Hour} {
		p := profileOf(t, profile)
		o, own := p.NewOptions(), p.NewOptions()
		own.KeepIdle = time.Hour
		own.Chosen.Add(KeepIdle)
		if err := p.ChangeTunables(map[string]string{"net.inet.tcp.keepidle": "60000"}); err != nil {
			t.Fatal(err)
		}
		follow := p.Follower()
		follow(&o)
		follow(&own)
		if o.KeepIdle != want || own.KeepIdle != time.Hour {
			t.Errorf("%s: %v, chosen %v", profile, o.KeepIdle, own.KeepIdle)
		}
	}
}

// getsockopt(2) of TCP_CCALGOOPT says in the buffer what it asks for.
func TestCCAlgoOpt(t *testing.T) {
	p := profileOf(t, "freebsd")
	s := newFake(p, AFInet, SockStream)
	row := rowByName(t, p, "TCP_CCALGOOPT")
	if n := p.Asks(s, row.Level, row.Number); n != newRenoOptsLen {
		t.Errorf("asks for %d bytes", n)
	}
	if e := set(t, p, s, "TCP_CCALGOOPT", []byte("\x02\x00\x00\x00\x46\x00\x00\x00")); e != 0 {
		t.Fatal(e)
	}
	for _, c := range []struct {
		asked, want string
		err         error
	}{
		{"\x02\x00\x00\x00\xff\xff\xff\xff", "\x02\x00\x00\x00\x46\x00\x00\x00", nil},
		{"\x01\x00\x00\x00\x00\x00\x00\x00", "\x01\x00\x00\x00\x32\x00\x00\x00", nil},
		{"\x09\x00\x00\x00\x00\x00\x00\x00", "", errno.ENOPROTOOPT},
		{"\x01\x00\x00\x00", "", errno.EMSGSIZE},
		{"", "", errno.EMSGSIZE},
	} {
		got, err := p.GetAsked(s, row.Level, row.Number, 64, []byte(c.asked))
		if string(got) != c.want || err != c.err {
			t.Errorf("asked %x: %x, %v", c.asked, got, err)
		}
	}
	if e := set(t, p, s, "TCP_CONGESTION", []byte("cubic")); e != 0 {
		t.Fatal(e)
	}
	if e := set(t, p, s, "TCP_CCALGOOPT", []byte("\x02\x00\x00\x00\x46\x00\x00\x00")); e != errno.ENOENT {
		t.Errorf("cubic has parameters: %v", e)
	}
}

// TCP_FUNCTION_BLK reads a name and how many connections have it.
func TestFunctionBlk(t *testing.T) {
	p := profileOf(t, "freebsd")
	s := newFake(p, AFInet, SockStream)
	if e := set(t, p, s, "TCP_FUNCTION_BLK", []byte(functionSet("rack"))); e != 0 {
		t.Fatal(e)
	}
	b, err := get(t, p, s, "TCP_FUNCTION_BLK", 64)
	if err != 0 || len(b) != functionSetLen || text(b[:functionNameLen]) != "rack" || nativeInt(b[functionNameLen:]) != 7 {
		t.Errorf("%x %v", b, err)
	}
	s.fixed = true
	if e := set(t, p, s, "TCP_FUNCTION_BLK", []byte(functionSet("classic"))); e != errno.EINVAL {
		t.Errorf("at an invalid point: %v", e)
	}
}

// TCP_INFO has FreeBSD's layout: the state by its number, windows in bytes.
func TestFreeBSDInfo(t *testing.T) {
	p := profileOf(t, "freebsd")
	s := newFake(p, AFInet, SockStream)
	s.info = TCPInfo{
		State: 5, Options: TCPInfoSACK | TCPInfoSynData, SndWScale: 3, RcvWScale: 7, RTO: 230000, SndMSS: 1448, RcvMSS: 1440, LastDataRecv: 17, RTT: 1000, RTTVar: 200,
		CwndBytes: 14480, SsthreshBytes: 1 << 30, RcvWnd: 65535, SndWnd: 70000, SndNxt: 11, RcvNxt: 22, TotalRetrans: 4, RcvOOOPack: 5, ZeroWindows: 6,
	}
	b, err := get(t, p, s, "TCP_INFO", 300)
	if err != 0 || len(b) != 236 {
		t.Fatalf("%d bytes, %v", len(b), err)
	}
	word := func(n int) uint32 { return binary.NativeEndian.Uint32(b[8+4*n:]) }
	if b[0] != 9 || b[5] != TCPInfoSACK || b[6] != 0x73 {
		t.Errorf("head %x", b[:8])
	}
	for n, want := range map[int]uint32{0: 230000, 2: 1448, 3: 1440, 11: 17000, 15: 1000, 16: 200, 17: 1 << 30, 18: 14480, 22: 65535, 23: 70000, 24: 0, 25: 11, 26: 22, 28: 4, 29: 5, 30: 6} {
		if word(n) != want {
			t.Errorf("word %d is %d, want %d", n, word(n), want)
		}
	}
	if b, _ := get(t, p, s, "TCP_INFO", 8); len(b) != 8 {
		t.Errorf("%d bytes of 8", len(b))
	}
}

// tcp(4) of Sortix, SOCKET OPTIONS: these and no others; errors are permanent;
// the queues have 64 KiB.
func TestSortixOptions(t *testing.T) {
	p := profileOf(t, "sortix")
	s := newFake(p, AFInet, SockStream)
	for option, want := range map[string]int{"SO_RCVBUF": 65536, "SO_SNDBUF": 65536, "SO_DEBUG": 0, "SO_DOMAIN": 2, "SO_PROTOCOL": 6, "SO_TYPE": 1, "SO_REUSEADDR": 0, "SO_ERROR": 0} {
		b, err := get(t, p, s, option, 4)
		if err != 0 || int(int32(nativeInt(b))) != want {
			t.Errorf("%s reads %x (%v), want %d", option, b, err, want)
		}
	}
	s.pending = errno.ETIMEDOUT
	for range 3 {
		if b, _ := get(t, p, s, "SO_ERROR", 4); errno.Errno(nativeInt(b)) != errno.ETIMEDOUT {
			t.Errorf("SO_ERROR reads %x", b)
		}
	}
	for number := range 140 {
		if _, err := p.Get(s, protoTCP, number, 4); err != errno.ENOPROTOOPT {
			t.Errorf("getsockopt of TCP option %d: %v", number, err)
		}
		if _, err := p.Set(s, protoTCP, number, intBytes(1), everything); err != errno.ENOPROTOOPT {
			t.Errorf("setsockopt of TCP option %d: %v", number, err)
		}
	}
	for _, number := range []int{9, 13} { // SO_KEEPALIVE, SO_LINGER: not on the page
		if _, err := p.Set(s, SolSocket, number, make([]byte, 8), everything); err != errno.ENOPROTOOPT {
			t.Errorf("option %d: %v", number, err)
		}
	}
	if _, err := p.Get(s, 284, 1, 4); err != errno.EINVAL {
		t.Errorf("an unknown level: %v", err)
	}
	// No privilege is named on the page.
	p.Links = loopbackOnly{}
	if _, err := p.Set(s, SolSocket, 25, []byte("lo"), Privilege{}); err != nil {
		t.Errorf("SO_BINDTODEVICE: %v", err)
	}
}

// tcp(4P) of CX/UX: one option of TCP, and ENOPROTOOPT for the rest.
func TestCXUXHasOneOption(t *testing.T) {
	p := profileOf(t, "cxux")
	s := newFake(p, AFInet, SockStream)
	for number := range 140 {
		want := error(errno.ENOPROTOOPT)
		if number == 1 {
			want = nil
		}
		if _, err := p.Get(s, protoTCP, number, 4); err != want {
			t.Errorf("getsockopt of TCP option %d: %v", number, err)
		}
		if _, err := p.Set(s, protoTCP, number, intBytes(1), everything); err != want {
			t.Errorf("setsockopt of TCP option %d: %v", number, err)
		}
	}
	if !p.Tunables.AcceptSourceRoute {
		t.Error("a source route is not used in responding")
	}
}

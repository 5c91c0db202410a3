package sockopt

import (
	"bytes"
	"encoding/binary"
	"math"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// A step is one setsockopt and what getsockopt shows afterwards.
type step struct {
	option string
	set    any // int, string or []byte
	want   errno.Errno
	get    int // Valid iff want is 0 and set is an int
}

const (
	okay  = errno.Errno(0)
	short = "\x01\x00\x00" // three bytes of an int
)

// steps run on fresh sockets with the default tunables. The numbers are Linux's
// own; kernel_test.go holds them against a kernel.
var steps = map[string][]step{
	"tcp4": {
		{"SO_DEBUG", 1, okay, 1},
		{"SO_REUSEADDR", 1, okay, 1}, {"SO_REUSEADDR", -3, okay, 1}, {"SO_REUSEADDR", short, errno.EINVAL, 0},
		{"SO_REUSEPORT", 2, okay, 1}, {"SO_KEEPALIVE", 1, okay, 1}, {"SO_BROADCAST", 1, okay, 1}, {"SO_DONTROUTE", 1, okay, 1}, {"SO_OOBINLINE", 1, okay, 1},
		{"SO_TYPE", 1, errno.ENOPROTOOPT, 0}, {"SO_TYPE", short, errno.EINVAL, 0}, {"SO_ERROR", 0, errno.ENOPROTOOPT, 0},
		{"SO_ACCEPTCONN", 1, errno.ENOPROTOOPT, 0}, {"SO_PROTOCOL", 6, errno.ENOPROTOOPT, 0}, {"SO_DOMAIN", 2, errno.ENOPROTOOPT, 0},
		{"SO_SNDLOWAT", 1, errno.ENOPROTOOPT, 0}, {"SO_PEERCRED", 1, errno.ENOPROTOOPT, 0},
		{"SO_SNDBUF", 100000, okay, 200000}, {"SO_SNDBUF", 0, okay, 4608}, {"SO_SNDBUF", 2305, okay, 4610}, {"SO_SNDBUF", -1, okay, 2 * 4194304}, {"SO_SNDBUF", 1 << 30, okay, 2 * 4194304},
		{"SO_RCVBUF", 100000, okay, 200000}, {"SO_RCVBUF", 1, okay, 2304}, {"SO_RCVBUF", 1153, okay, 2306}, {"SO_RCVBUF", math.MaxInt32, okay, 2 * 4194304},
		{"SO_SNDBUFFORCE", 1 << 29, okay, 1 << 30}, {"SO_SNDBUFFORCE", -5, okay, 4608}, {"SO_RCVBUFFORCE", math.MaxInt32, okay, math.MaxInt32 - 1},
		{"SO_BUF_LOCK", 3, okay, 3}, {"SO_BUF_LOCK", 4, errno.EINVAL, 0},
		{"SO_PRIORITY", 6, okay, 6}, {"SO_PRIORITY", 7, okay, 7}, {"SO_MARK", -2, okay, -2},
		{"SO_LINGER", "\x01\x00\x00\x00\x05\x00\x00", errno.EINVAL, 0},
		{"SO_RCVLOWAT", 0, okay, 1}, {"SO_RCVLOWAT", 5000, okay, 5000}, {"SO_RCVLOWAT", -1, okay, 6291456 / 2},
		{"SO_RCVTIMEO", 1, errno.EINVAL, 0}, {"SO_SNDTIMEO", 1, errno.EINVAL, 0},
		{"SO_BINDTODEVICE", "nosuchif", errno.ENODEV, 0}, {"SO_BINDTOIFINDEX", -1, errno.EINVAL, 0}, {"SO_BINDTOIFINDEX", 3, okay, 3},
		{"SO_TIMESTAMP", 1, okay, 1}, {"SO_TIMESTAMPING", 0x18, okay, 0x18}, {"SO_TIMESTAMPING", 0x12, errno.EINVAL, 0}, {"SO_TIMESTAMPING_NEW", 0x18, okay, 0x18}, {"SO_TIMESTAMPING", short, errno.EINVAL, 0},
		{"SO_PEEK_OFF", 5, okay, 5}, {"SO_PEEK_OFF", -2, okay, -2}, {"SO_PEEK_OFF", math.MaxInt32, okay, math.MaxInt32}, {"SO_COOKIE", 1, errno.ENOPROTOOPT, 0},
		{"TCP_INQ", 1, okay, 1}, {"TCP_INQ", 2, errno.EINVAL, 0}, {"TCP_INQ", -1, errno.EINVAL, 0}, {"TCP_INQ", short, errno.EINVAL, 0}, {"IP_RECVERR", 1, okay, 1}, {"TCP_AO_GET_KEYS", 1, errno.ENOPROTOOPT, 0},
		{"SO_PASSCRED", 1, errno.EOPNOTSUPP, 0}, {"SO_ZEROCOPY", 1, errno.EOPNOTSUPP, 0},

		{"TCP_NODELAY", 1, okay, 1}, {"TCP_NODELAY", short, errno.EINVAL, 0}, {"TCP_CORK", 1, okay, 1},
		{"TCP_MAXSEG", 87, errno.EINVAL, 0}, {"TCP_MAXSEG", 88, okay, 88}, {"TCP_MAXSEG", 32767, okay, 32767}, {"TCP_MAXSEG", 32768, errno.EINVAL, 0}, {"TCP_MAXSEG", 0, okay, 536},
		{"TCP_KEEPIDLE", 0, errno.EINVAL, 0}, {"TCP_KEEPIDLE", 1, okay, 1}, {"TCP_KEEPIDLE", 32767, okay, 32767}, {"TCP_KEEPIDLE", 32768, errno.EINVAL, 0},
		{"TCP_KEEPINTVL", 0, errno.EINVAL, 0}, {"TCP_KEEPINTVL", 32767, okay, 32767}, {"TCP_KEEPINTVL", 32768, errno.EINVAL, 0},
		{"TCP_KEEPCNT", 0, errno.EINVAL, 0}, {"TCP_KEEPCNT", 127, okay, 127}, {"TCP_KEEPCNT", 128, errno.EINVAL, 0},
		{"TCP_SYNCNT", 0, errno.EINVAL, 0}, {"TCP_SYNCNT", 127, okay, 127}, {"TCP_SYNCNT", 128, errno.EINVAL, 0},
		{"TCP_LINGER2", -7, okay, -1}, {"TCP_LINGER2", 0, okay, 60}, {"TCP_LINGER2", 30, okay, 30}, {"TCP_LINGER2", 121, okay, 120},
		{"TCP_DEFER_ACCEPT", 0, okay, 0}, {"TCP_DEFER_ACCEPT", -1, okay, 0}, {"TCP_DEFER_ACCEPT", 1, okay, 1}, {"TCP_DEFER_ACCEPT", 2, okay, 3},
		{"TCP_DEFER_ACCEPT", 10, okay, 15}, {"TCP_DEFER_ACCEPT", 128, okay, 247},
		{"TCP_WINDOW_CLAMP", 0, okay, 0}, {"TCP_WINDOW_CLAMP", 1, okay, 1152}, {"TCP_WINDOW_CLAMP", 65536, okay, 65536},
		{"TCP_QUICKACK", 0, okay, 0}, {"TCP_QUICKACK", 2, okay, 1},
		{"TCP_CONGESTION", "", errno.EINVAL, 0}, {"TCP_CONGESTION", "westwood", errno.ENOENT, 0}, {"TCP_CONGESTION", "reno", okay, 0}, {"TCP_CONGESTION", "reno\x00junk", okay, 0},
		{"TCP_USER_TIMEOUT", -1, errno.EINVAL, 0}, {"TCP_USER_TIMEOUT", 30001, okay, 30001},
		{"TCP_NOTSENT_LOWAT", 16384, okay, 16384}, {"TCP_NOTSENT_LOWAT", -1, okay, -1},
		{"TCP_INFO", 1, errno.ENOPROTOOPT, 0}, {"TCP_INFO", short, errno.EINVAL, 0},
		{"TCP_MD5SIG", 1, errno.EINVAL, 0}, {"TCP_MD5SIG_EXT", 1, errno.EINVAL, 0},
		{"TCP_AO_ADD_KEY", 1, errno.EINVAL, 0}, {"TCP_AO_DEL_KEY", 1, errno.EINVAL, 0}, {"TCP_AO_INFO", 1, errno.EINVAL, 0},
		{"TCP_FASTOPEN", 5, okay, 5}, {"TCP_FASTOPEN", 10000, okay, 4096}, {"TCP_FASTOPEN", -1, errno.EINVAL, 0},
		{"TCP_FASTOPEN_CONNECT", 1, okay, 1}, {"TCP_FASTOPEN_CONNECT", 2, errno.EINVAL, 0}, {"TCP_FASTOPEN_NO_COOKIE", 1, okay, 1}, {"TCP_FASTOPEN_NO_COOKIE", 2, errno.EINVAL, 0},
		{"TCP_FASTOPEN_KEY", "0123456789abcdef", okay, 0}, {"TCP_FASTOPEN_KEY", "0123456789abcdef0123456789abcdef", okay, 0}, {"TCP_FASTOPEN_KEY", "0123456789abcde", errno.EINVAL, 0},
		{"TCP_RTO_MAX_MS", 999, errno.EINVAL, 0}, {"TCP_RTO_MAX_MS", 1000, okay, 1000}, {"TCP_RTO_MAX_MS", 120000, okay, 120000}, {"TCP_RTO_MAX_MS", 120001, errno.EINVAL, 0},
		{"TCP_RTO_MIN_US", 1999, errno.EINVAL, 0}, {"TCP_RTO_MIN_US", 20000, okay, 20000}, {"TCP_RTO_MIN_US", 200001, errno.EINVAL, 0},
		{"TCP_DELACK_MAX_US", 0, errno.EINVAL, 0}, {"TCP_DELACK_MAX_US", 10000, okay, 10000}, {"TCP_DELACK_MAX_US", 200001, errno.EINVAL, 0},
		{"TCP_CC_INFO", 1, errno.ENOPROTOOPT, 0}, {"TCP_SAVE_SYN", 1, okay, 1}, {"TCP_SAVE_SYN", 2, okay, 2}, {"TCP_SAVE_SYN", 3, errno.EINVAL, 0}, {"TCP_SAVED_SYN", 1, errno.ENOPROTOOPT, 0},
		{"TCP_THIN_LINEAR_TIMEOUTS", 1, okay, 1}, {"TCP_THIN_LINEAR_TIMEOUTS", 2, errno.EINVAL, 0}, {"TCP_THIN_LINEAR_TIMEOUTS", -1, errno.EINVAL, 0},
		{"TCP_THIN_DUPACK", 1, okay, 0}, {"TCP_THIN_DUPACK", 2, errno.EINVAL, 0},
		{"TCP_TX_DELAY", 50000, okay, 50000}, {"TCP_TX_DELAY", 1 << 28, errno.EINVAL, 0}, {"TCP_TX_DELAY", -1, errno.EINVAL, 0},
		{"TCP_ULP", "tls", errno.ENOENT, 0}, {"TCP_ULP", "", errno.EINVAL, 0},
		{"SO_MAX_PACING_RATE", 125000, okay, 125000}, {"SO_MAX_PACING_RATE", -1, okay, -1}, {"SO_MAX_PACING_RATE", 0, okay, 0}, {"SO_MAX_PACING_RATE", short, errno.EINVAL, 0},
		{"SO_BUSY_POLL", 50, okay, 50}, {"SO_BUSY_POLL", -1, errno.EINVAL, 0}, {"SO_INCOMING_CPU", 3, okay, 3}, {"SO_INCOMING_CPU", -1, okay, -1},
		{"SO_PREFER_BUSY_POLL", 1, okay, 1}, {"SO_BUSY_POLL_BUDGET", 64, okay, 64}, {"SO_BUSY_POLL_BUDGET", 65536, errno.EINVAL, 0}, {"SO_BUSY_POLL_BUDGET", -1, errno.EINVAL, 0},

		{"IP_TOS", 0x10, okay, 0x10}, {"IP_TOS", 0xff, okay, 0xfc}, {"IP_TOS", "", okay, 0}, {"IP_TOS", "\x08", okay, 0},
		{"IP_TTL", 1, okay, 1}, {"IP_TTL", 255, okay, 255}, {"IP_TTL", -1, okay, 64}, {"IP_TTL", 0, errno.EINVAL, 0}, {"IP_TTL", 256, errno.EINVAL, 0}, {"IP_TTL", "", errno.EINVAL, 0},
		{"IP_RECVOPTS", 1, okay, 1}, {"IP_RETOPTS", 5, okay, 1}, {"IP_OPTIONS", "", okay, 0}, {"IP_OPTIONS", 1, okay, 1}, {"IP_OPTIONS", "\x83\x07\x08\x0a\x00\x00\x01", errno.EINVAL, 0}, {"IP_OPTIONS", strings.Repeat("\x01", 41), errno.EINVAL, 0},
		{"IP_MTU_DISCOVER", 5, okay, 5}, {"IP_MTU_DISCOVER", 6, errno.EINVAL, 0}, {"IP_MTU_DISCOVER", -1, errno.EINVAL, 0},
		{"IP_MTU", 1500, errno.ENOPROTOOPT, 0}, {"IP_RECVERR", 1, okay, 1}, {"IP_PKTINFO", 1, okay, 1}, {"IP_FREEBIND", 1, okay, 1}, {"IP_FREEBIND", "", errno.EINVAL, 0},
		{"IP_MINTTL", 255, okay, 255}, {"IP_MINTTL", 256, errno.EINVAL, 0}, {"IP_BIND_ADDRESS_NO_PORT", 1, okay, 1},
		{"IP_MULTICAST_TTL", 1, errno.EINVAL, 0}, {"IP_MULTICAST_LOOP", 0, okay, 0}, {"IP_MULTICAST_ALL", 0, okay, 0}, {"IP_MULTICAST_ALL", 2, errno.EINVAL, 0},
		{"IP_LOCAL_PORT_RANGE", 2000<<16 | 1000, okay, 2000<<16 | 1000}, {"IP_LOCAL_PORT_RANGE", 1000<<16 | 2000, errno.EINVAL, 0}, {"IP_LOCAL_PORT_RANGE", "\x01\x00\x00\x00\x00", errno.EINVAL, 0},
		{"IP_ADD_MEMBERSHIP", "\xe0\x00\x00\x01\x00\x00\x00\x00", errno.ENOPROTOOPT, 0}, {"IP_HDRINCL", 1, errno.ENOPROTOOPT, 0}, {"IP_TRANSPARENT", 1, errno.ENOPROTOOPT, 0},
		{"IPV6_V6ONLY", 1, errno.ENOPROTOOPT, 0},
	},
	"tcp6": {
		{"IPV6_V6ONLY", 1, okay, 1}, {"IPV6_V6ONLY", 0, okay, 0}, {"IPV6_V6ONLY", short, errno.EINVAL, 0},
		{"IPV6_UNICAST_HOPS", -2, errno.EINVAL, 0}, {"IPV6_UNICAST_HOPS", -1, okay, 64}, {"IPV6_UNICAST_HOPS", 0, okay, 0}, {"IPV6_UNICAST_HOPS", 256, errno.EINVAL, 0},
		{"IPV6_TCLASS", 0xff, okay, 0xfc}, {"IPV6_TCLASS", -1, okay, 0}, {"IPV6_TCLASS", 256, errno.EINVAL, 0},
		{"IPV6_MTU_DISCOVER", 3, okay, 3}, {"IPV6_MTU_DISCOVER", 6, errno.EINVAL, 0}, {"IPV6_RECVERR", 1, okay, 1},
		{"IPV6_MULTICAST_HOPS", 1, errno.ENOPROTOOPT, 0}, {"IPV6_MULTICAST_LOOP", 2, errno.EINVAL, 0}, {"IPV6_MULTICAST_LOOP", 0, okay, 0},
		{"IPV6_FREEBIND", 1, okay, 1}, {"IPV6_MINHOPCOUNT", 255, okay, 255}, {"IPV6_MINHOPCOUNT", 256, errno.EINVAL, 0},
		{"IPV6_MTU", 1279, errno.EINVAL, 0}, {"IPV6_MTU", short, errno.EINVAL, 0}, {"IPV6_DONTFRAG", 2, okay, 1}, {"IPV6_DONTFRAG", short, okay, 0}, {"IPV6_ADD_MEMBERSHIP", 1, errno.ENOPROTOOPT, 0},
		{"IP_TOS", 0x10, okay, 0x10},
	},
	"udp4": {
		{"SO_RCVBUF", 100, okay, 2304}, {"SO_RCVLOWAT", -1, okay, math.MaxInt32}, {"IP_TOS", 0xff, okay, 0xff},
		{"IP_MULTICAST_TTL", -1, okay, 1}, {"IP_MULTICAST_TTL", 0, okay, 0}, {"IP_MULTICAST_TTL", 256, errno.EINVAL, 0}, {"IP_MULTICAST_TTL", "", errno.EINVAL, 0},
		{"IP_RECVERR", 1, okay, 1}, {"IP_PKTINFO", 1, okay, 1}, {"IP_RECVTTL", 1, okay, 1}, {"IP_RECVTTL", "", okay, 0}, {"IP_RECVTOS", 1, okay, 1}, {"IP_RECVORIGDSTADDR", 1, okay, 1},
		{"SO_TIMESTAMP", 1, okay, 1}, {"SO_TIMESTAMPNS", 1, okay, 1}, {"SO_TIMESTAMP_NEW", 1, okay, 1}, {"SO_TIMESTAMPNS_NEW", 1, okay, 1}, {"SO_TIMESTAMPNS", 0, okay, 0}, {"SO_RXQ_OVFL", 1, okay, 1},
		{"TCP_NODELAY", 1, errno.ENOPROTOOPT, 0}, {"UDP_GRO", 2, okay, 1}, {"UDP_SEGMENT", 1200, okay, 1200}, {"UDP_SEGMENT", 65536, errno.EINVAL, 0}, {"UDP_SEGMENT", -1, errno.EINVAL, 0}, {"UDP_SEGMENT", short, errno.EINVAL, 0},
	},
	"udp6": {
		{"IPV6_UNICAST_IF", 1 << 24, errno.EADDRNOTAVAIL, 0}, {"IPV6_UNICAST_IF", 0, okay, 0}, {"IPV6_UNICAST_IF", short, errno.EINVAL, 0}, {"IP_UNICAST_IF", 1 << 24, errno.EADDRNOTAVAIL, 0}, {"IP_UNICAST_IF", 0, okay, 0}, {"IP_UNICAST_IF", "\x00\x00\x00\x00\x00", errno.EINVAL, 0},
		{"IPV6_PKTINFO", strings.Repeat("\x00", 20), okay, 0}, {"IPV6_PKTINFO", strings.Repeat("\x00", 19), errno.EINVAL, 0}, {"IPV6_PKTINFO", "\xfd" + strings.Repeat("\x01", 23), okay, 0}, {"IPV6_PKTINFO", "", errno.EINVAL, 0},
		{"IPV6_RECVERR", 1, okay, 1}, {"IPV6_RECVPKTINFO", 1, okay, 1}, {"IPV6_RECVHOPLIMIT", 1, okay, 1}, {"IPV6_RECVHOPLIMIT", short, errno.EINVAL, 0}, {"IPV6_RECVTCLASS", 1, okay, 1}, {"IPV6_2292HOPLIMIT", 1, okay, 1}, {"IPV6_RECVORIGDSTADDR", 1, okay, 1}, {"IPV6_TCLASS", 0xff, okay, 0xff},
		{"IPV6_MULTICAST_HOPS", -1, okay, 1}, {"IPV6_MULTICAST_HOPS", 255, okay, 255}, {"IPV6_MULTICAST_HOPS", 256, errno.EINVAL, 0}, {"IPV6_MULTICAST_ALL", 0, okay, 0},
	},
}

// profileSteps are the steps of each profile, by kind of socket.
var profileSteps = map[string]map[string][]step{
	"linux": steps,
}

func TestOptions(t *testing.T) {
	for profile, list := range profileSteps {
		t.Run(profile, func(t *testing.T) { takeSteps(t, profile, list) })
	}
}

func takeSteps(t *testing.T, profile string, steps map[string][]step) {
	for _, kind := range socketKinds {
		for _, st := range steps[kind.name] {
			p := profileOf(t, profile)
			row := rowByName(t, p, st.option)
			s := newFake(p, kind.domain, kind.typ)
			taken, err := p.Set(s, row.Level, row.Number, st.bytes(), everything)
			if errno.Of(err) != st.want {
				t.Errorf("%s: %s set to %v: %v, want %v", kind.name, st.option, st.set, err, st.want)
				continue
			}
			if err != nil {
				if taken != nil || len(s.changed) != 0 {
					t.Errorf("%s: a refused value was announced", st.option)
				}
				continue
			}
			if taken != row || len(s.changed) != 1 || s.changed[0] != row.ID {
				t.Errorf("%s: announced as %v", st.option, s.changed)
			}
			if _, isInt := st.set.(int); !isInt || row.Access == WriteOnly || st.option == "IP_TOS" && len(st.bytes()) == 0 {
				continue
			}
			b, err := p.Get(s, row.Level, row.Number, 4)
			if got := int(int32(nativeInt(append(b, 0, 0, 0, 0)))); err != nil || got != st.get {
				t.Errorf("%s: %s set to %v reads %d (%v), want %d", kind.name, st.option, st.set, got, err, st.get)
			}
		}
	}
}

func (st step) bytes() []byte {
	switch v := st.set.(type) {
	case int:
		return intBytes(v)
	case string:
		return []byte(v)
	}
	return nil
}

func rowByName(t testing.TB, p *Profile, name string) *Row {
	t.Helper()
	for i := range p.rows {
		if p.rows[i].Name == name {
			return &p.rows[i]
		}
	}
	t.Fatalf("no row %s", name)
	return nil
}

// Every row that can be set is in the steps, so that a new row brings its own.
func TestEveryRowHasAStep(t *testing.T) {
	elsewhere := map[string]bool{ // TestTimeouts, TestObsolete
		"SO_RCVTIMEO_NEW": true, "SO_SNDTIMEO_NEW": true, "SO_BSDCOMPAT": true, "TCP_IS_MPTCP": true,
	}
	for profile, steps := range profileSteps {
		tested := make(map[string]bool)
		for _, list := range steps {
			for _, st := range list {
				tested[st.option] = true
			}
		}
		for _, row := range profileOf(t, profile).Rows() {
			linuxs := profile != "linux" && (row.Level == protoIP || row.Level == protoIPv6)
			if row.Refuse == 0 && !tested[row.Name] && !elsewhere[row.Name] && !linuxs {
				t.Errorf("%s: %s has no step", profile, row.Name)
			}
		}
	}
}

func TestRefusedOptionsFailBothWays(t *testing.T) {
	p := linux(t)
	for _, row := range p.Rows() {
		if row.Refuse == 0 {
			continue
		}
		for _, kind := range socketKinds {
			s := newFake(p, kind.domain, kind.typ)
			before := s.opts
			_, setErr := p.Set(s, row.Level, row.Number, make([]byte, 64), everything)
			_, getErr := p.Get(s, row.Level, row.Number, 64)
			if setErr == nil || getErr == nil || s.opts != before {
				t.Errorf("%s on %s: set %v, get %v", row.Name, kind.name, setErr, getErr)
			}
		}
		if row.Note == "" {
			t.Errorf("%s is refused without a reason", row.Name)
		}
	}
}

func TestPrivileges(t *testing.T) {
	p := linux(t)
	cases := []struct {
		option string
		set    int
		priv   Privilege
		want   errno.Errno
	}{
		{"SO_DEBUG", 1, Privilege{}, errno.EACCES},
		{"SO_DEBUG", 0, Privilege{}, 0},
		{"SO_DEBUG", 1, Privilege{NetAdmin: true}, 0},
		{"SO_MARK", 1, Privilege{}, errno.EPERM},
		{"SO_MARK", 1, Privilege{NetRaw: true}, 0},
		{"SO_MARK", 1, Privilege{NetAdmin: true}, 0},
		{"SO_PRIORITY", 6, Privilege{}, 0},
		{"SO_PRIORITY", 7, Privilege{}, errno.EPERM},
		{"SO_PRIORITY", -1, Privilege{}, errno.EPERM},
		{"SO_PRIORITY", 7, Privilege{NetRaw: true}, 0},
		{"SO_SNDBUFFORCE", 9000, Privilege{NetRaw: true}, errno.EPERM},
		{"SO_RCVBUFFORCE", 9000, Privilege{}, errno.EPERM},
		{"SO_RCVBUFFORCE", 9000, Privilege{NetAdmin: true}, 0},
	}
	for _, c := range cases {
		row := rowByName(t, p, c.option)
		_, err := p.Set(newFake(p, AFInet, SockStream), row.Level, row.Number, intBytes(c.set), c.priv)
		if errno.Of(err) != c.want {
			t.Errorf("%s = %d with %+v: %v, want %v", c.option, c.set, c.priv, err, c.want)
		}
	}
}

func TestUnknownOptions(t *testing.T) {
	p := linux(t)
	s := newFake(p, AFInet, SockStream)
	for _, c := range []struct {
		level, number int
		val           string
		set, get      errno.Errno
	}{
		{SolSocket, 0x1015, "\x01\x00\x00\x00", errno.ENOPROTOOPT, errno.ENOPROTOOPT}, // SO_EXCLBIND belongs to other profiles
		{SolSocket, 999, "\x01", errno.EINVAL, errno.ENOPROTOOPT},
		{protoTCP, 999, "\x01\x00\x00\x00", errno.ENOPROTOOPT, errno.ENOPROTOOPT},
		{protoIP, 999, "", errno.ENOPROTOOPT, errno.ENOPROTOOPT},
		{protoIPv6, 26, "\x01\x00\x00\x00", errno.ENOPROTOOPT, errno.EOPNOTSUPP},
		{protoUDP, 1, "\x01\x00\x00\x00", errno.ENOPROTOOPT, errno.EOPNOTSUPP},
		{284, 1, "\x01\x00\x00\x00", errno.ENOPROTOOPT, errno.EOPNOTSUPP}, // SOL_MPTCP
		{-1, -1, "", errno.ENOPROTOOPT, errno.EOPNOTSUPP},
	} {
		if _, err := p.Set(s, c.level, c.number, []byte(c.val), everything); errno.Of(err) != c.set {
			t.Errorf("set level %d option %d: %v, want %v", c.level, c.number, err, c.set)
		}
		if _, err := p.Get(s, c.level, c.number, 4); errno.Of(err) != c.get {
			t.Errorf("get level %d option %d: %v, want %v", c.level, c.number, err, c.get)
		}
	}
}

// get is getsockopt by name.
func get(t *testing.T, p *Profile, s Target, option string, maxLen int) ([]byte, errno.Errno) {
	t.Helper()
	row := rowByName(t, p, option)
	b, err := p.Get(s, row.Level, row.Number, maxLen)
	return b, errno.Of(err)
}

func set(t *testing.T, p *Profile, s Target, option string, val []byte) errno.Errno {
	t.Helper()
	row := rowByName(t, p, option)
	_, err := p.Set(s, row.Level, row.Number, val, everything)
	return errno.Of(err)
}

func TestReadOnlyOptions(t *testing.T) {
	p := linux(t)
	s := newFake(p, AFInet6, SockStream)
	s.pending, s.listening = errno.ECONNREFUSED, true
	for _, c := range []struct {
		option string
		want   int
	}{
		{"SO_TYPE", 1}, {"SO_DOMAIN", 10}, {"SO_PROTOCOL", 6}, {"SO_ACCEPTCONN", 1}, {"SO_SNDLOWAT", 1}, {"TCP_IS_MPTCP", 0},
		{"SO_ERROR", int(errno.ECONNREFUSED)}, {"SO_ERROR", 0}, // reading clears it
		{"TCP_MAXSEG", 536}, {"SO_SNDBUF", 16384}, {"SO_RCVBUF", 131072}, {"SO_RCVLOWAT", 1}, {"TCP_QUICKACK", 1}, {"TCP_LINGER2", 60},
		{"TCP_KEEPIDLE", 7200}, {"TCP_KEEPINTVL", 75}, {"TCP_KEEPCNT", 9}, {"TCP_SYNCNT", 6}, {"IP_TTL", 64}, {"IPV6_UNICAST_HOPS", 64}, {"IP_MTU_DISCOVER", 1},
	} {
		b, err := get(t, p, s, c.option, 4)
		if err != 0 || !bytes.Equal(b, intBytes(c.want)) {
			t.Errorf("%s reads %x (%v), want %d", c.option, b, err, c.want)
		}
	}
	s.pending = errno.EPIPE
	if p.Get(s, SolSocket, 3, 4); s.pending != errno.EPIPE {
		t.Error("another option takes the error")
	}
	if b, e := get(t, p, s, "SO_PEERCRED", 12); e != errno.ENOPROTOOPT {
		t.Errorf("SO_PEERCRED %x, %v", b, e)
	}
	if _, err := get(t, p, s, "SO_SNDBUFFORCE", 4); err != errno.ENOPROTOOPT {
		t.Errorf("SO_SNDBUFFORCE reads: %v", err)
	}
}

func TestConnectedSocketShowsItsPath(t *testing.T) {
	p := linux(t)
	s := newFake(p, AFInet6, SockStream)
	for _, option := range []string{"IP_MTU", "IPV6_MTU"} {
		if _, err := get(t, p, s, option, 4); err != errno.ENOTCONN {
			t.Errorf("%s before connect: %v", option, err)
		}
	}
	s.isActive, s.mss, s.mtu = true, 1428, 1500
	for option, want := range map[string]int{"IP_MTU": 1500, "IPV6_MTU": 1500, "TCP_MAXSEG": 1428} {
		if b, err := get(t, p, s, option, 4); err != 0 || !bytes.Equal(b, intBytes(want)) {
			t.Errorf("%s reads %x (%v), want %d", option, b, err, want)
		}
	}
	if err := set(t, p, s, "TCP_WINDOW_CLAMP", intBytes(0)); err != errno.EINVAL {
		t.Errorf("window clamp removed while connected: %v", err)
	}
}

// Room for less than the value gets its front part, and at level IPPROTO_IP a
// small value as one byte.
func TestShortBuffers(t *testing.T) {
	p := linux(t)
	s := newFake(p, AFInet, SockStream)
	for _, c := range []struct {
		option string
		room   int
		want   string
	}{
		{"SO_TYPE", 0, ""}, {"SO_TYPE", 2, "\x01\x00"}, {"SO_TYPE", 4, "\x01\x00\x00\x00"}, {"SO_TYPE", 99, "\x01\x00\x00\x00"},
		{"IP_TTL", 0, ""}, {"IP_TTL", 1, "\x40"}, {"IP_TTL", 3, "\x40"}, {"IP_TTL", 4, "\x40\x00\x00\x00"},
		{"SO_LINGER", 3, "\x00\x00\x00"}, {"TCP_CONGESTION", 3, "cub"}, {"TCP_CONGESTION", 99, "cubic" + strings.Repeat("\x00", 11)},
		{"IP_OPTIONS", 40, ""}, {"SO_BINDTODEVICE", 0, ""},
	} {
		if b, err := get(t, p, s, c.option, c.room); err != 0 || string(b) != c.want {
			t.Errorf("%s into %d bytes: %q (%v), want %q", c.option, c.room, b, err, c.want)
		}
	}
	if _, err := get(t, p, s, "SO_TYPE", -1); err != errno.EINVAL {
		t.Errorf("a negative length: %v", err)
	}
}

func TestLinger(t *testing.T) {
	p := linux(t)
	s := newFake(p, AFInet, SockStream)
	for _, c := range []struct{ set, get string }{
		{"\x01\x00\x00\x00\x05\x00\x00\x00", "\x01\x00\x00\x00\x05\x00\x00\x00"},
		{"\x00\x00\x00\x00\x09\x00\x00\x00", "\x00\x00\x00\x00\x05\x00\x00\x00"}, // off keeps the time
		{"\x02\x00\x00\x00\x00\x00\x00\x00", "\x01\x00\x00\x00\x00\x00\x00\x00"},
		{"\x01\x00\x00\x00\xff\xff\xff\xff", "\x01\x00\x00\x00\xff\xff\xff\x7f"},
	} {
		if err := set(t, p, s, "SO_LINGER", []byte(c.set)); err != 0 {
			t.Error(err)
		}
		if b, _ := get(t, p, s, "SO_LINGER", 8); string(b) != c.get {
			t.Errorf("after %x: %x, want %x", c.set, b, c.get)
		}
	}
	if l := s.opts.Linger; !l.On || l.Seconds != math.MaxInt32 {
		t.Errorf("a negative time is %+v", l)
	}
}

func TestTimeouts(t *testing.T) {
	timeval := func(sec, usec int64) []byte {
		return binary.NativeEndian.AppendUint64(binary.NativeEndian.AppendUint64(nil, uint64(sec)), uint64(usec))
	}
	p := linux(t)
	for _, c := range []struct {
		sec, usec int64
		want      errno.Errno
		field     time.Duration
	}{
		{0, 0, 0, 0}, {2, 500000, 0, 2500 * time.Millisecond}, {0, 1, 0, time.Microsecond}, {0, 1000000, errno.EDOM, 0}, {5, -1, errno.EDOM, 0},
		{-1, 0, 0, -1}, {math.MaxInt64, 0, 0, 0}, {math.MinInt64, 999999, 0, -1},
	} {
		for _, option := range []string{"SO_RCVTIMEO", "SO_SNDTIMEO", "SO_RCVTIMEO_NEW", "SO_SNDTIMEO_NEW"} {
			s := newFake(p, AFInet, SockStream)
			if err := set(t, p, s, option, timeval(c.sec, c.usec)); err != c.want {
				t.Errorf("%s %d.%06d: %v, want %v", option, c.sec, c.usec, err, c.want)
			}
			field := s.opts.RcvTimeo
			if strings.Contains(option, "SND") {
				field = s.opts.SndTimeo
			}
			if field != c.field {
				t.Errorf("%s %d.%06d is %v, want %v", option, c.sec, c.usec, field, c.field)
			}
			b, _ := get(t, p, s, option, 16)
			if shown := max(c.field, 0); !bytes.Equal(b, timeval(int64(shown/time.Second), int64(shown%time.Second/time.Microsecond))) {
				t.Errorf("%s %d.%06d reads %x", option, c.sec, c.usec, b)
			}
		}
	}
	if err := set(t, p, newFake(p, AFInet, SockStream), "SO_RCVTIMEO", timeval(1, 0)[:15]); err != errno.EINVAL {
		t.Errorf("a short timeval: %v", err)
	}
}

func TestV6OnlyIsFixedByBind(t *testing.T) {
	p := linux(t)
	s := newFake(p, AFInet6, SockStream)
	s.local = netip.MustParseAddrPort("[::]:80")
	if err := set(t, p, s, "IPV6_V6ONLY", intBytes(1)); err != errno.EINVAL {
		t.Errorf("after bind: %v", err)
	}
	for addr, want := range map[string]int{"[::]:80": 0, "[::1]:80": 1, "[::ffff:127.0.0.1]:80": 0} {
		s.local = netip.MustParseAddrPort(addr)
		if b, _ := get(t, p, s, "IPV6_V6ONLY", 4); !bytes.Equal(b, intBytes(want)) {
			t.Errorf("bound to %s: %x, want %d", addr, b, want)
		}
	}
}

type twoLinks struct{}

func (twoLinks) LinkByName(name string) (int, bool) {
	link := map[string]int{"lo": 1, "eth0": 2}[name]
	return link, link != 0
}

func (twoLinks) LinkName(link int) (string, bool) {
	name := map[int]string{1: "lo", 2: "eth0"}[link]
	return name, name != ""
}

func TestBindToDevice(t *testing.T) {
	p := linux(t)
	p.Links = twoLinks{}
	s := newFake(p, AFInet, SockStream)
	if err := set(t, p, s, "SO_BINDTODEVICE", []byte("eth0")); err != 0 || s.opts.BindToIf != 2 {
		t.Fatalf("eth0: %v, link %d", err, s.opts.BindToIf)
	}
	if b, err := get(t, p, s, "SO_BINDTODEVICE", 16); err != 0 || string(b) != "eth0\x00" {
		t.Errorf("reads %q, %v", b, err)
	}
	if _, err := get(t, p, s, "SO_BINDTODEVICE", 15); err != errno.EINVAL {
		t.Errorf("into 15 bytes: %v", err)
	}
	row := rowByName(t, p, "SO_BINDTODEVICE")
	if _, err := p.Set(s, row.Level, row.Number, []byte("lo\x00rubbish"), Privilege{}); err != errno.EPERM {
		t.Errorf("rebinding without privilege: %v", err)
	}
	if err := set(t, p, s, "SO_BINDTODEVICE", nil); err != 0 || s.opts.BindToIf != 0 {
		t.Errorf("unbinding: %v, link %d", err, s.opts.BindToIf)
	}
	s.opts.BindToIf = 9 // a link that has gone
	if _, err := get(t, p, s, "SO_BINDTODEVICE", 16); err != errno.ENODEV {
		t.Errorf("a link without a name: %v", err)
	}
}

// shifted are links that the kernel numbers otherwise.
type shifted struct{ twoLinks }

func (shifted) LinkByIndex(index int) (int, bool) { return index - 10, index == 11 || index == 12 }
func (shifted) IndexOf(link int) int              { return link + 10 }

func TestBindToIfindexSpeaksTheKernelsNumbers(t *testing.T) {
	p := linux(t)
	p.Links = shifted{}
	s := newFake(p, AFInet, SockStream)
	if err := set(t, p, s, "SO_BINDTOIFINDEX", intBytes(2)); err != errno.ENODEV {
		t.Errorf("an index without an interface: %v", err)
	}
	if err := set(t, p, s, "SO_BINDTOIFINDEX", intBytes(12)); err != 0 || s.opts.BindToIf != 2 {
		t.Errorf("index 12: %v, link %d", err, s.opts.BindToIf)
	}
	if b, err := get(t, p, s, "SO_BINDTOIFINDEX", 4); err != 0 || !bytes.Equal(b, intBytes(12)) {
		t.Errorf("reads %x, %v", b, err)
	}
	if err := set(t, p, s, "SO_BINDTOIFINDEX", intBytes(0)); err != 0 || s.opts.BindToIf != 0 {
		t.Errorf("unbinding: %v, link %d", err, s.opts.BindToIf)
	}
	if b, _ := get(t, p, s, "SO_BINDTOIFINDEX", 4); !bytes.Equal(b, intBytes(0)) {
		t.Errorf("unbound reads %x", b)
	}
}

func TestPortRange(t *testing.T) {
	tun := &Tunables{PortMin: 32768, PortMax: 60999}
	for _, c := range []struct{ min, max, lo, hi uint16 }{
		{0, 0, 32768, 60999}, {40000, 41000, 40000, 41000}, {40000, 0, 40000, 60999}, {0, 41000, 32768, 41000},
		{1000, 41000, 32768, 41000}, {40000, 65000, 40000, 60999}, {1000, 2000, 32768, 60999},
	} {
		var o Options
		o.SetRare(func(r *Rare) { r.PortMin, r.PortMax = c.min, c.max })
		if lo, hi := o.PortRange(tun); lo != c.lo || hi != c.hi {
			t.Errorf("%d..%d gives %d..%d, want %d..%d", c.min, c.max, lo, hi, c.lo, c.hi)
		}
	}
}

func TestTOSSetsPriority(t *testing.T) {
	p := linux(t)
	for tos, want := range map[int]int32{0x10: 6, 0x08: 2, 0x18: 4, 0x04: 0, 0xb8: 4} {
		s := newFake(p, AFInet, SockStream)
		if set(t, p, s, "IP_TOS", intBytes(tos)); s.opts.Priority != want {
			t.Errorf("TOS %#x gives priority %d, want %d", tos, s.opts.Priority, want)
		}
	}
}

func TestObsolete(t *testing.T) {
	p := linux(t)
	s := newFake(p, AFInet, SockDgram)
	if err := set(t, p, s, "SO_BSDCOMPAT", intBytes(1)); err != 0 {
		t.Error(err)
	}
	if b, err := get(t, p, s, "SO_BSDCOMPAT", 4); err != 0 || !bytes.Equal(b, intBytes(0)) {
		t.Errorf("%x, %v", b, err)
	}
}

func TestMirroredRows(t *testing.T) {
	p := linux(t)
	var got []string
	for _, row := range p.Rows() {
		if row.Mirror {
			got = append(got, row.Name)
		}
	}
	want := "SO_OOBINLINE SO_RCVLOWAT SO_RCVTIMEO SO_SNDTIMEO SO_RCVTIMEO_NEW SO_SNDTIMEO_NEW SO_PEEK_OFF"
	if strings.Join(got, " ") != want {
		t.Errorf("mirrored: %v", got)
	}
}

func TestInherit(t *testing.T) {
	p := linux(t)
	s := newFake(p, AFInet6, SockStream)
	for _, option := range []string{"SO_KEEPALIVE", "TCP_NODELAY", "TCP_CORK", "SO_REUSEADDR", "TCP_KEEPIDLE", "TCP_USER_TIMEOUT", "IP_TTL"} {
		if err := set(t, p, s, option, intBytes(1)); err != 0 {
			t.Fatal(option, err)
		}
	}
	set(t, p, s, "TCP_DEFER_ACCEPT", intBytes(5))
	set(t, p, s, "TCP_QUICKACK", intBytes(0))
	set(t, p, s, "SO_PRIORITY", intBytes(3))
	set(t, p, s, "SO_RCVBUF", intBytes(70000))
	var child Options
	p.Inherit(&child, &s.opts)
	want := s.opts
	want.DeferAccept, want.QuickAck, want.Priority = 0, true, 0
	if child != want {
		t.Errorf("inherited %+v\nwant %+v", child, want)
	}
}

func FuzzOptions(f *testing.F) {
	var profiles []*Profile
	for _, name := range ProfileNames() {
		p := profileOf(f, name)
		p.Links = twoLinks{}
		for _, row := range p.Rows() {
			which := uint8(len(profiles)) << 4
			f.Add(which|uint8(row.Number)&15, row.Level, row.Number, intBytes(1), 4)
			f.Add(which|uint8(row.Number+1)&15, row.Level, row.Number, make([]byte, 16), 16)
		}
		profiles = append(profiles, p)
	}
	f.Fuzz(func(t *testing.T, kind uint8, level, number int, val []byte, room int) {
		p := profiles[int(kind>>4)%len(profiles)]
		k := socketKinds[kind%4]
		s := newFake(p, k.domain, k.typ)
		_, err := p.Set(s, level, number, val, Privilege{NetAdmin: kind&4 != 0, NetRaw: kind&8 != 0})
		if err != nil && (errno.Of(err) == 0 || len(s.changed) != 0) {
			t.Errorf("set: %v, changed %v", err, s.changed)
		}
		o := s.opts
		if p.NewOptions().KeepCnt == 0 { // a system that goes by time
			r := o.Rare()
			if o.KeepCnt < 0 || o.KeepIntvl < 0 || r.KeepAbort == 0 || r.Abort == 0 || r.ConnAbort == 0 ||
				r.RTOMin < time.Millisecond || r.RTOInitial < time.Millisecond || r.RTOMax < r.RTOMin || r.InitCwnd < 0 || r.InitCwnd > maxInitCwnd {
				t.Errorf("level %d option %d with %x left %+v", level, number, val, r)
			}
			o.KeepIntvl, o.KeepCnt = time.Second, 1
		}
		if o.RcvBuf < minRcvBuf || o.SndBuf < minSndBuf || o.RcvLowat < 1 || o.KeepIdle < time.Second || o.KeepIntvl < time.Second ||
			o.KeepCnt < 1 || o.SynCnt < 1 || o.MaxSeg < 0 || o.WinClamp < 0 || o.UserTimeout < 0 || o.DeferAccept < 0 || o.TTL == 0 || o.Linger.Seconds < 0 {
			t.Errorf("level %d option %d with %x left %+v", level, number, val, o)
		}
		b, err := p.Get(s, level, number, room)
		if err == nil && len(b) > room {
			t.Errorf("get: %d bytes into %d", len(b), room)
		}
	})
}

package tcp

// The calls and checks of scripts.

import (
	"encoding/binary"
	"net/netip"
	"reflect"
	"strings"
	"time"

	"github.com/tcpcni/tcpcni/sockopt"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

var eventNames = map[string]Events{
	"connected": EventConnected, "acceptable": EventAcceptable, "writable": EventWritable, "eof": EventEOF,
	"error": EventError, "urgent": EventUrgent, "closed": EventClosed, "none": 0,
}

// result compares what a call returned with what the line says behind "=", or
// with def.
func (s *script) result(err error, def string) {
	s.t.Helper()
	got, want := "0", def
	if e, ok := err.(errno.Errno); ok && e != 0 {
		got = e.Name()
	} else if err != nil {
		got = err.Error()
	}
	if s.want != "" {
		want = s.want
	}
	s.same("result", got, want)
}

// written compares how many bytes a call took.
func (s *script) written(got, n int) {
	s.t.Helper()
	s.wrote += got
	if s.want != "" {
		n = s.number(s.want)
	}
	s.same("written", got, n)
}

func (s *script) seconds(w string) time.Duration {
	if d, err := time.ParseDuration(w); err == nil {
		return d
	}
	return time.Duration(s.number(w)) * time.Second
}

// row finds an option by name.
func (s *script) row(name string) *sockopt.Row {
	rows := s.l.profile.Rows()
	for i := range rows {
		if rows[i].Name == name {
			return &rows[i]
		}
	}
	s.fail("no option %s", name)
	return nil
}

func (s *script) check(what, want string, got int) {
	s.t.Helper()
	if !s.within(want, got) {
		s.fail("%s: %d, want %s", what, got, want)
	}
}

// member is a numeric field of a struct.
func (s *script) member(v any, name string) int {
	f := reflect.ValueOf(v).Elem().FieldByName(name)
	switch {
	case f.IsValid() && f.CanUint():
		return int(f.Uint())
	case f.IsValid() && f.CanInt():
		return int(f.Int())
	case f.IsValid() && f.Kind() == reflect.Bool && f.Bool():
		return 1
	case !f.IsValid():
		s.fail("no field %s", name)
	}
	return 0
}

func (s *script) bind(addr netip.AddrPort) error {
	return s.s.Bind(addr, 0, sockopt.Privilege{NetBindService: true})
}

// verbs are the calls and checks of scripts. Other test files may add theirs.
var verbs = map[string]func(s *script, args []string){
	// Sockets and connections.
	"use": func(s *script, args []string) {
		old := s.flow
		for _, f := range s.flows {
			if f.name == args[0] {
				s.flow = f
				return
			}
		}
		port := uint16(5000 + len(s.flows))
		if len(args) > 1 {
			port = uint16(s.number(args[1]))
		}
		s.flow = s.newFlow(args[0], port, old.local, old.remote)
		if old.lst != nil {
			s.lst, s.lport = old.lst, old.lport
		} else {
			s.s = s.l.NewSocket(s.domain(), s.flow)
		}
	},
	"connect": func(s *script, args []string) {
		to := netip.AddrPortFrom(s.remote, s.rport)
		if len(args) > 0 {
			to = netip.MustParseAddrPort(args[0])
		}
		live := s.s.live() != nil
		err := s.s.Connect(to)
		if !live {
			s.begin()
		}
		s.result(err, "EINPROGRESS")
	},
	"bind": func(s *script, args []string) { s.result(s.bind(netip.MustParseAddrPort(args[0])), "0") },
	"listen": func(s *script, args []string) {
		s.lport = 80
		s.lst = s.s
		if s.s.port() == 0 {
			if err := s.bind(netip.AddrPortFrom(s.local, 80)); err != nil {
				s.fail("%v", err)
			}
		} else {
			s.lport = s.s.port()
		}
		s.result(s.s.Listen(s.number(args[0])), "0")
	},
	"accept": func(s *script, _ []string) {
		c, err := s.lst.Accept()
		s.result(err, "0")
		if err != nil {
			return
		}
		s.s, s.events = c, 0
		s.begin()
		c.SetOwner(s.flow)
		c.Resume()
	},
	"write": func(s *script, args []string) {
		n := s.number(args[0])
		s.written(s.s.Write(patterned(s.wrote, n)), n)
	},
	"urgent": func(s *script, args []string) {
		n := s.number(args[0])
		s.written(s.s.WriteUrgent(patterned(s.wrote, n)), n)
	},
	"closew": func(s *script, _ []string) { s.s.CloseWrite() },
	"closer": func(s *script, _ []string) { s.s.CloseRead() },
	"close":  func(s *script, _ []string) { s.s.Close() },
	"abort":  func(s *script, _ []string) { s.s.Abort() },
	"resume": func(s *script, _ []string) { s.s.Resume() },
	"take":   func(s *script, args []string) { s.room = s.number(args[0]) },
	"port":   func(s *script, args []string) { s.rport = uint16(s.number(args[0])) },
	"forget": func(s *script, _ []string) { s.known, s.out = false, nil },
	"skip":   func(s *script, _ []string) { s.l.Flush(); s.out = nil },

	// Options.
	"option": func(s *script, args []string) {
		r := s.row(args[0])
		val := []byte(args[1])
		if v := args[1]; v[0] == '-' || v[0] >= '0' && v[0] <= '9' {
			val = nil
			for _, v := range args[1:] {
				val = binary.NativeEndian.AppendUint32(val, uint32(s.number(v)))
			}
		}
		_, err := s.l.profile.Set(s.s, r.Level, r.Number, val, noPrivilege)
		s.result(err, "0")
	},
	"getoption": func(s *script, args []string) {
		r := s.row(args[0])
		b, err := s.l.profile.Get(s.s, r.Level, r.Number, 64)
		s.result(err, "0")
		if err != nil {
			return
		}
		if len(b) >= 4 && (args[1][0] == '-' || args[1][0] >= '0' && args[1][0] <= '9') {
			s.check(args[0], args[1], int(int32(binary.NativeEndian.Uint32(b))))
			return
		}
		s.same(args[0], strings.TrimRight(string(b), "\x00"), args[1])
	},
	"nodelay": func(s *script, _ []string) { s.s.opts.NoDelay = true; s.s.Changed(sockopt.NoDelay) },
	"cork":    func(s *script, args []string) { s.s.opts.Cork = args[0] == "on"; s.s.Changed(sockopt.Cork) },
	"keepalive": func(s *script, args []string) {
		o := &s.s.opts
		o.KeepAlive, o.KeepCnt = true, int32(s.number(args[2]))
		o.KeepIdle, o.KeepIntvl = s.seconds(args[0]), s.seconds(args[1])
		s.s.Changed(sockopt.KeepAlive)
	},
	"usertimeout": func(s *script, args []string) { s.s.opts.UserTimeout = s.seconds(args[0]) },
	"linger0":     func(s *script, _ []string) { s.s.opts.Linger = sockopt.LingerSetting{On: true} },
	"rcvbuf": func(s *script, args []string) {
		s.s.opts.RcvBuf, s.s.opts.RcvBufLocked = 2*int32(s.number(args[0])), true
		s.s.opts.Chosen.Add(sockopt.RcvBuf)
	},
	"defer":    func(s *script, args []string) { s.s.opts.DeferAccept = s.seconds(args[0]) },
	"quickack": func(s *script, args []string) { s.s.opts.QuickAck = args[0] == "on"; s.s.Changed(sockopt.QuickAck) },

	// The world.
	"findelay":  func(s *script, args []string) { s.l.SetFINDelay(s.seconds(args[0])) },
	"tolerance": func(s *script, args []string) { s.tolerance = s.seconds(args[0]) },
	"mtu":       func(s *script, args []string) { s.n.mtu = s.number(args[0]) },
	"gso": func(s *script, args []string) {
		s.n.gso = s.number(args[0])
		if s.s.conn != nil {
			s.s.conn.path.GSOMax = s.n.gso
		}
	},
	"setcwnd": func(s *script, args []string) { s.s.conn.cwnd = uint32(s.number(args[0])) },
	"icmp":    (*script).icmp,
	"block": func(s *script, args []string) {
		if err := s.s.SetFunctionBlock(args[0]); err != nil {
			s.fail("%v", err)
		}
	},

	// Checks.
	"queue": func(s *script, args []string) { s.check("accept queue", args[0], s.lst.AcceptQueueLen()) },
	"half":  func(s *script, args []string) { s.check("half-open", args[0], len(s.l.half)) },
	"waits": func(s *script, args []string) { s.check("in TIME-WAIT", args[0], len(s.l.waits.byTuple)) },
	"conns": func(s *script, args []string) { s.check("connections", args[0], len(s.l.conns)) },
	"ahead": func(s *script, args []string) {
		n, ok := s.s.UrgentOffset()
		if args[0] == "none" {
			s.same("pending", ok, false)
			return
		}
		s.same("pending", ok, true)
		s.same("ahead", n, s.number(args[0]))
	},
	"got":      func(s *script, args []string) { s.check("delivered", args[0], s.got) },
	"unread":   func(s *script, args []string) { s.check("unread", args[0], s.s.Unread()) },
	"space":    func(s *script, args []string) { s.check("send space", args[0], s.s.SendSpace()) },
	"cwnd":     func(s *script, args []string) { s.check("cwnd", args[0], int(s.s.conn.cwnd)) },
	"ssthresh": func(s *script, args []string) { s.check("ssthresh", args[0], int(s.s.conn.ssthresh)) },
	"mss":      func(s *script, args []string) { s.check("mss", args[0], s.s.MSS()) },
	"state":    func(s *script, args []string) { s.l.Flush(); s.same("state", s.s.State().String(), args[0]) },
	"err": func(s *script, args []string) {
		name := "0"
		if s.s.Err() != 0 {
			name = s.s.Err().Name()
		}
		s.same("error", name, args[0])
	},
	"soerror": func(s *script, args []string) {
		name := "0"
		if e := s.s.TakeError(); e != 0 {
			name = e.Name()
		}
		s.same("SO_ERROR", name, args[0])
	},
	"localaddr":  func(s *script, args []string) { s.same("local address", s.s.LocalAddr().String(), args[0]) },
	"remoteaddr": func(s *script, args []string) { s.same("remote address", s.s.RemoteAddr().String(), args[0]) },
	"info": func(s *script, args []string) {
		var i sockopt.TCPInfo
		s.s.Info(&i)
		s.check(args[0], args[1], s.member(&i, args[0]))
	},
	"counter": func(s *script, args []string) {
		s.check(args[0], args[1], s.member(&s.l.counters, args[0]))
	},
	"pool": func(s *script, args []string) { s.check("bytes of the pool", args[0], s.n.pool.InUse()) },
	"ooo":  func(s *script, args []string) { s.check("bytes out of order", args[0], s.l.ooo.bytes) },
	"event": func(s *script, args []string) {
		s.l.Flush()
		var want Events
		for _, a := range args {
			e, ok := eventNames[a]
			if !ok {
				s.fail("event %q", a)
			}
			want |= e
		}
		s.same("events", s.events, want)
		s.events = 0
	},
}

// icmp SEQ hard|soft|MTU, or icmp SEQ ERRNO [hard], quotes a segment of ours.
func (s *script) icmp(args []string) {
	seq := s.iss + uint32(s.number(args[0]))
	q := []byte{byte(s.lport >> 8), byte(s.lport), byte(s.rport >> 8), byte(s.rport), byte(seq >> 24), byte(seq >> 16), byte(seq >> 8), byte(seq)}
	e := ICMPError{Errno: errno.EHOSTUNREACH}
	switch {
	case args[1] == "hard":
		e = ICMPError{Errno: errno.ECONNREFUSED, Hard: true}
	case args[1] == "soft":
	case args[1][0] == 'E':
		e.Errno = s.errno(args[1])
		e.Hard = len(args) > 2 && args[2] == "hard"
	default:
		e = ICMPError{MTU: s.number(args[1])}
	}
	s.l.ICMP(s.local, s.remote, q, e)
}

// errno finds an error by its name.
func (s *script) errno(name string) errno.Errno {
	for e := errno.Errno(1); e < 200; e++ {
		if e.Name() == name {
			return e
		}
	}
	s.fail("no error %s", name)
	return 0
}

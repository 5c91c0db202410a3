package tcp

// Words of scripts for TCP Fast Open.

import (
	"bytes"

	"github.com/tcpcni/tcpcni/netstack/wire"
)

// fastCookie is the option that the peer would send to this listener.
func (s *script) fastCookie() []byte {
	k := makeTuple(s.local, s.remote, 0, 0)
	b, _ := s.l.fastCookie(0, &k)
	return wire.AppendOption(nil, wire.OptFastOpen, b[:])
}

func init() {
	verbs["fastopen"] = func(s *script, args []string) { s.result(s.s.SetFastOpen(s.number(args[0])), "0") }
	verbs["fastconnect"] = func(s *script, args []string) { s.result(s.s.SetFastOpenConnect(args[0] == "on"), "0") }
	verbs["fastbare"] = func(s *script, args []string) { s.result(s.s.SetFastOpenNoCookie(args[0] == "on"), "0") }
	verbs["fastkey"] = func(s *script, args []string) {
		var keys [2]*[16]byte
		for i, a := range args {
			keys[i] = &[16]byte{byte(s.number(a))}
		}
		s.l.SetFastOpenKeys(keys[0], keys[1])
	}
	verbs["again"] = func(s *script, _ []string) { // another socket of the same program
		s.s.Abort()
		s.s = s.l.NewSocket(s.domain(), s.flow)
		s.l.Flush()
		s.events, s.lport, s.known, s.tsOK = 0, 0, false, false
		s.out = nil
	}
	verbs["connectdata"] = func(s *script, args []string) {
		n := s.number(args[0])
		s.begin()
		s.wrote = n
		took, err := s.s.ConnectWithData(netAddr(s), patterned(0, n))
		s.wrote = took
		s.result(err, "0")
	}
	traits["fo"] = func(o *sent) bool { return bytes.Contains(o.h.Extra, o.f.sc.fastCookie()) }
	traits["asksfo"] = func(o *sent) bool { return bytes.Contains(o.h.Extra, []byte{wire.OptFastOpen, 2}) }
	traits["nofo"] = func(o *sent) bool { return len(o.h.Extra) == 0 }
}

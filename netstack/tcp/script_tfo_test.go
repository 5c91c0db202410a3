package tcp

// Words of scripts for TCP Fast Open.

import (
	"bytes"
	"encoding/binary"

	"github.com/tcpcni/tcpcni/netstack/wire"
	"github.com/tcpcni/tcpcni/sockopt"
)

// fastCookie is the option that the peer would send to this listener.
func (s *script) fastCookie() []byte {
	k := makeTuple(s.local, s.remote, 0, 0)
	b, _ := s.l.fastCookie(s.s.opts.Rare().FastOpenKeys, 0, &k)
	return wire.AppendOption(nil, wire.OptFastOpen, b[:])
}

// Numbers of options, by linux/tcp.h.
const (
	tcpFastOpen         = 23
	tcpFastOpenConnect  = 30
	tcpFastOpenKey      = 33
	tcpFastOpenNoCookie = 34
)

var onOff = map[string]int{"on": 1, "off": 0}

// set is setsockopt of an int at level IPPROTO_TCP.
func (s *script) set(option, value int) error {
	_, err := s.l.profile.Set(s.s, protoTCP, option, binary.NativeEndian.AppendUint32(nil, uint32(value)), sockopt.Privilege{})
	return err
}

func init() {
	verbs["fastopen"] = func(s *script, args []string) { s.result(s.set(tcpFastOpen, s.number(args[0])), "0") }
	verbs["fastconnect"] = func(s *script, args []string) { s.result(s.set(tcpFastOpenConnect, onOff[args[0]]), "0") }
	verbs["fastbare"] = func(s *script, args []string) { s.result(s.set(tcpFastOpenNoCookie, onOff[args[0]]), "0") }
	verbs["fastkey"] = func(s *script, args []string) {
		var keys [2]*[16]byte
		for i, a := range args {
			keys[i] = &[16]byte{byte(s.number(a))}
		}
		s.l.SetFastOpenKeys(keys[0], keys[1])
	}
	verbs["listenerkey"] = func(s *script, args []string) {
		var keys []byte
		for _, a := range args {
			k := [16]byte{byte(s.number(a))}
			keys = append(keys, k[:]...)
		}
		_, err := s.l.profile.Set(s.s, protoTCP, tcpFastOpenKey, keys, sockopt.Privilege{})
		s.result(err, "0")
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

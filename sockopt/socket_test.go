package sockopt

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"

	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// fakeSocket is a Target whose state a test sets by hand.
type fakeSocket struct {
	opts                Options
	domain, typ, proto  int
	pending             errno.Errno
	local               netip.AddrPort
	listening, isActive bool
	mss, mtu            int
	info                TCPInfo
	changed             []ID

	block  string // function block
	fixed  bool   // it cannot change now
	params map[string]int64
}

func (s *fakeSocket) FunctionBlock() string              { return s.block }
func (s *fakeSocket) FunctionBlockUsers(name string) int { return 7 }

func (s *fakeSocket) SetFunctionBlock(name string) error {
	switch {
	case !slices.Contains(functionBlocks, name):
		return errno.ENOENT
	case s.fixed:
		return errno.EINVAL
	}
	s.block = name
	return nil
}

func (s *fakeSocket) CongestionParam(name string) (int64, error) {
	if v, ok := s.params[name]; ok {
		return v, nil
	}
	return 50, nil
}

func (s *fakeSocket) SetCongestionParam(name string, value int64) error {
	if value < 1 || value > 100 {
		return errno.EINVAL
	}
	s.params = map[string]int64{name: value}
	return nil
}

func (s *fakeSocket) Options() *Options         { return &s.opts }
func (s *fakeSocket) Cookie() uint64            { return 1<<40 | 7 }
func (s *fakeSocket) Changed(id ID)             { s.changed = append(s.changed, id) }
func (s *fakeSocket) Kind() (int, int, int)     { return s.domain, s.typ, s.proto }
func (s *fakeSocket) LocalAddr() netip.AddrPort { return s.local }
func (s *fakeSocket) Listening() bool           { return s.listening }
func (s *fakeSocket) Connected() bool           { return s.isActive }
func (s *fakeSocket) MSS() int                  { return s.mss }
func (s *fakeSocket) PathMTU() int              { return s.mtu }
func (s *fakeSocket) Info(i *TCPInfo)           { *i = s.info }
func (s *fakeSocket) TakeError() errno.Errno {
	e := s.pending
	s.pending = 0
	return e
}

func newFake(p *Profile, domain, typ int) *fakeSocket {
	s := &fakeSocket{domain: domain, typ: typ, proto: protoTCP, opts: p.NewOptions(), info: TCPInfo{State: tcpClose}}
	s.local = netip.AddrPortFrom(netip.IPv4Unspecified(), 0)
	if domain == AFInet6 {
		s.local = netip.AddrPortFrom(netip.IPv6Unspecified(), 0)
	}
	if typ == SockDgram {
		s.proto, s.opts = protoUDP, p.NewDatagramOptions()
	}
	return s
}

func linux(t testing.TB) *Profile {
	t.Helper()
	return profileOf(t, "linux")
}

func profileOf(t testing.TB, name string) *Profile {
	t.Helper()
	p, err := ProfileByName(name)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func intBytes(v int) []byte { return binary.NativeEndian.AppendUint32(nil, uint32(v)) }

var everything = Privilege{NetAdmin: true, NetRaw: true, NetBindService: true}

// socketKinds are the four kinds of sockets that a program can have.
var socketKinds = []struct {
	name        string
	domain, typ int
}{
	{"tcp4", AFInet, SockStream},
	{"tcp6", AFInet6, SockStream},
	{"udp4", AFInet, SockDgram},
	{"udp6", AFInet6, SockDgram},
}

package tcp

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"

	"github.com/tcpcni/tcpcni/sockopt"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

func init() {
	// option NAME VALUE is setsockopt on the socket under test.
	verbs["option"] = func(s *script, args []string) {
		for _, row := range s.l.profile.Rows() {
			if row.Name == args[0] {
				val := binary.NativeEndian.AppendUint32(nil, uint32(s.number(args[1])))
				if _, err := s.l.profile.Set(s.s, row.Level, row.Number, val, noPrivilege); err != nil {
					s.fail("%v", err)
				}
				return
			}
		}
		s.fail("no option %s", args[0])
	}
	verbs["space"] = func(s *script, args []string) { s.same("send space", s.s.SendSpace(), s.number(args[0])) }
}

func TestNotSentLowat(t *testing.T) {
	const rest = `
			setcwnd 2920
			space 5000
			write 5000
			space 0                 # nothing of it was sent yet
			> . seq 1 ack 1 len 2920
			event writable          # 2080 wait
			space 2920`
	stories(t, map[string]string{
		"the option bounds what waits":  "from established\noption TCP_NOTSENT_LOWAT 5000" + rest,
		"the tunable bounds what waits": "with tcp_notsent_lowat=5000\nfrom established" + rest,
	})
}

func TestMinTTL(t *testing.T) {
	stories(t, map[string]string{
		"a segment from afar is not seen": `
			from established
			option IP_MINTTL 65     # the script's segments have 64
			< . seq 1 ack 1 len 1460
			> none
			got 0
			option IP_MINTTL 64
			< . seq 1 ack 1 len 1460
			> . seq 1 ack 1461
			got 1460`,
		"nor is a SYN": `
			option IP_MINTTL 65
			listen 5
			< S seq 0 mss 1460
			> none
			half 0`,
	})
}

func TestMTUDiscoverInterface(t *testing.T) {
	stories(t, map[string]string{
		"a message about the path's MTU is followed": `
			from established
			write 1460
			> P. seq 1 ack 1 len 1460
			icmp 1 1000
			mss 960
			skip`,
		"unless the program knows better": `
			from established
			option IP_MTU_DISCOVER 4
			write 1460
			> P. seq 1 ack 1 len 1460
			icmp 1 1000
			mss 1460`,
	})
}

// farNet reaches everything by a router.
type farNet struct{ *fakeNet }

func (n farNet) Route(src, dst netip.Addr, link int) (Path, error) {
	p, err := n.fakeNet.Route(src, dst, link)
	p.Gateway = true
	return p, err
}

func TestDontRoute(t *testing.T) {
	s := newScript(t, nil)
	s.l.net = farNet{s.n}
	s.step("option SO_DONTROUTE 1")
	if err := s.s.Connect(netip.AddrPortFrom(testRemote, 80)); err != errno.ENETUNREACH {
		t.Errorf("connect through a router: %v", err)
	}
	for _, line := range strings.Split("listen 5\n< S seq 0 mss 1460\n> none\noption SO_DONTROUTE 0\n< S seq 0 mss 1460\n> S. ack 1", "\n") {
		s.line = line
		s.step(line)
	}
}

// TestMaxSegRaised: a congestion window counted in small segments must hold one
// of the larger ones that the program allows later.
func TestMaxSegRaised(t *testing.T) {
	s := newScript(t, nil)
	s.s.opts.MaxSeg = 88
	s.steps("connect", "> S seq 0 mss 88", "< S. seq 0 ack 1 win 65535 mss 1460", "> . seq 1 ack 1", "mss 88", "setcwnd 176")
	s.s.opts.MaxSeg = 1460
	s.s.Changed(sockopt.MaxSeg)
	s.steps("write 10000", "> . seq 1 len 1460")
}

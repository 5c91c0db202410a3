package tcp

import (
	"net/netip"
	"testing"

	"github.com/tcpcni/tcpcni/sockopt"
)

// What SetDefaults leaves in the options shows in the SYN-ACK already, also when
// that is a cookie, and the accepted socket has it.
func TestDefaultsOfIncomingConnections(t *testing.T) {
	for name, tunables := range map[string]map[string]string{"half-open": nil, "cookie": {"tcp_syncookies": "2"}} {
		t.Run(name, func(t *testing.T) {
			s := newScript(t, tunables)
			var asked []netip.AddrPort
			s.l.SetDefaults(func(o *sockopt.Options, domain int, local, remote netip.AddrPort) {
				if domain != afInet || local != netip.AddrPortFrom(testLocal, 80) {
					t.Errorf("asked for domain %d at %v", domain, local)
				}
				asked = append(asked, remote)
				if remote.Port() == 5000 {
					o.MaxSeg, o.Congestion, o.TTL = 1000, "reno", 7
					o.RcvBuf, o.RcvBufLocked = 20000, true
				}
			})
			if err := s.s.Bind(netip.AddrPortFrom(testLocal, 80), 0, sockopt.Privilege{NetBindService: true}); err != nil {
				t.Fatal(err)
			}
			if err := s.s.Listen(5); err != nil {
				t.Fatal(err)
			}
			s.lport = 80
			before := *s.s.Options()
			for _, line := range []string{
				"< S seq 0 win 65535 mss 1460 ws 7 sackok ts 7 0 port 5000",
				"> S. seq 0 ack 1 mss 1000 win 10000 ws 0",
				"< . seq 1 ack 1 win 500 ts 8 0 port 5000",
			} {
				s.line = line
				s.step(line)
			}
			child, err := s.s.Accept()
			if err != nil {
				t.Fatal(err)
			}
			if o := child.Options(); o.MaxSeg != 1000 || o.Congestion != "reno" || child.conn.cc.info().name != "reno" || child.conn.path.TTL != 7 {
				t.Errorf("accepted with %+v, %s, TTL %d", o, child.conn.cc.info().name, child.conn.path.TTL)
			}
			// Another peer has what the listener has, which is as it was.
			s.known, s.tsOK = false, false
			for _, line := range []string{"< S seq 0 win 65535 mss 1460 ws 7 port 5001 sackok", "> S. seq 0 ack 1 mss 1460 win 65535"} {
				s.line = line
				s.step(line)
			}
			if *s.s.Options() != before {
				t.Error("the listener's options have changed")
			}
			if len(asked) == 0 || asked[0] != netip.AddrPortFrom(testRemote, 5000) || asked[len(asked)-1].Port() != 5001 {
				t.Errorf("asked about %v", asked)
			}
		})
	}
}

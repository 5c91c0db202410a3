package udp

import (
	"errors"
	"strings"
	"testing"

	"github.com/tcpcni/tcpcni/sockopt"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// TestSegments: the limits are Linux's, by the modes of path MTU discovery.
func TestSegments(t *testing.T) {
	for _, c := range []struct {
		to      string
		n, size int
		mode    uint8
		options int // bytes of IP_OPTIONS
		sent    int
		want    error
	}{
		{"10.87.0.1:9", 3000, 1472, sockopt.PMTUDiscWant, 0, 3, nil},
		{"10.87.0.1:9", 3000, 1473, sockopt.PMTUDiscWant, 0, 0, errno.EMSGSIZE},
		{"10.87.0.1:9", 3000, 1473, sockopt.PMTUDiscDont, 0, 0, errno.EMSGSIZE},
		{"10.87.0.1:9", 3000, 1472, sockopt.PMTUDiscDont, 4, 0, errno.EMSGSIZE},
		{"10.87.0.1:9", 3000, 1468, sockopt.PMTUDiscDo, 4, 3, nil},
		{"10.87.0.1:9", 1472, 5000, sockopt.PMTUDiscWant, 0, 1, nil},
		{"10.87.0.1:9", 1473, 5000, sockopt.PMTUDiscWant, 0, 0, errno.EMSGSIZE},
		{"10.87.0.1:9", 4000, 0, sockopt.PMTUDiscWant, 0, 1, nil},
		{"10.87.0.1:9", 128 * 14, 14, sockopt.PMTUDiscWant, 0, 128, nil},
		{"10.87.0.1:9", 128*14 + 1, 14, sockopt.PMTUDiscWant, 0, 0, errno.EINVAL},
		{"10.87.0.1:9", 65507, 1472, sockopt.PMTUDiscWant, 0, 45, nil},
		{"10.87.0.1:9", 65508, 1472, sockopt.PMTUDiscWant, 0, 0, errno.EMSGSIZE},
		{"10.87.0.1:9", 0, 100, sockopt.PMTUDiscWant, 0, 1, nil},
		{"[fd87::1]:9", 3000, 1452, sockopt.PMTUDiscWant, 0, 3, nil},
		{"[fd87::1]:9", 3000, 1453, sockopt.PMTUDiscWant, 0, 0, errno.EMSGSIZE},
		{"[fd87::1]:9", 65527, 1000, sockopt.PMTUDiscWant, 0, 66, nil},
	} {
		l, g := newLayer(t)
		domain := v4
		if strings.HasPrefix(c.to, "[") {
			domain = v6
		}
		s := l.NewSocket(domain, &app{})
		s.opts.MTUDiscover = c.mode
		s.opts.SetRare(func(r *sockopt.Rare) {
			r.UDPSegment, r.IPOptions = uint16(c.size), strings.Repeat("\x01", c.options)
		})
		err := s.SendTo(make([]byte, c.n), ap(c.to))
		if !errors.Is(err, c.want) || len(g.sent) != c.sent {
			t.Errorf("%d bytes by %d to %s: %d datagrams, %v, want %d, %v", c.n, c.size, c.to, len(g.sent), err, c.sent, c.want)
		}
		if got := l.Counters().OutDatagrams; got != uint64(c.sent) {
			t.Errorf("%d bytes by %d: %d are counted", c.n, c.size, got)
		}
	}
}

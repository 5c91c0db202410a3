package tcp

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tcpcni/tcpcni/sockopt"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// TestProfileNamesWhatThereIs: the list of the profile, from which configuration
// is checked, and the table are the same.
func TestProfileNamesWhatThereIs(t *testing.T) {
	p, err := sockopt.ProfileByName("linux")
	if err != nil {
		t.Fatal(err)
	}
	want := slices.Sorted(slices.Values(CongestionNames()))
	if got := slices.Sorted(slices.Values(p.Congestion)); !slices.Equal(got, want) {
		t.Errorf("profile has %v, the stack %v", got, want)
	}
	if p.Congestion[0] != CongestionNames()[0] || p.Congestion[0] != "cubic" {
		t.Error("the default is", p.Congestion[0], CongestionNames()[0])
	}
}

func TestAlias(t *testing.T) {
	if congestionByName("newreno") != &newRenoInfo || congestionByName("reno") != &newRenoInfo || congestionByName("") != nil {
		t.Error("reno and newreno are one")
	}
	if slices.Contains(CongestionNames(), "newreno") {
		t.Error("an alias is listed")
	}
}

// TestEveryParamHasItsDefault: what a fresh algorithm holds, what the table says,
// and both ends of the range can be set and read back.
func TestEveryParamHasItsDefault(t *testing.T) {
	for _, i := range congestions {
		for k := range i.params {
			p := &i.params[k]
			a := i.make()
			if got := p.get(a); got != p.Default {
				t.Errorf("%s %s: %d, table says %d", i.name, p.Name, got, p.Default)
			}
			for _, v := range []int64{p.Min, p.Max} {
				p.set(a, v)
				if got := p.get(a); got != v {
					t.Errorf("%s %s: set %d, got %d", i.name, p.Name, v, got)
				}
			}
			if p.Unit == "" || p.Doc == "" || p.Min > p.Default || p.Default > p.Max {
				t.Errorf("%s %s: %+v", i.name, p.Name, p.CongestionParam)
			}
		}
		if got := len(CongestionParams(i.name)); got != len(i.params) {
			t.Errorf("%s: %d parameters listed of %d", i.name, got, len(i.params))
		}
	}
	if CongestionParams("luck") != nil {
		t.Error("an unknown algorithm has parameters")
	}
}

func TestCongestionParam(t *testing.T) {
	s := story(t, `
		with tcp_congestion_control=reno
		from established`).s
	if err := s.SetCongestionParam("beta", 70); err != nil {
		t.Fatal(err)
	}
	if v, err := s.CongestionParam("beta"); v != 70 || err != nil {
		t.Error(v, err)
	}
	s.conn.cc.loss(&s.conn.ccWindow, &ccSignal{mss: 1460, flight: 14600})
	if s.conn.ssthresh != 10220 {
		t.Error(s.conn.ssthresh)
	}
	for _, v := range []int64{1, 100} {
		if err := s.SetCongestionParam("beta", v); err != nil {
			t.Errorf("an end of the range, %d: %v", v, err)
		}
	}
	for _, c := range []struct {
		name  string
		value int64
		want  errno.Errno
		words []string
	}{
		{"beta", 101, errno.EINVAL, []string{"reno", "beta", "101", "1 to 100 percent"}},
		{"beta", 0, errno.EINVAL, []string{"0"}},
		{"beta", -1, errno.EINVAL, []string{"-1"}},
		{"luck", 1, errno.ENOENT, []string{"reno", "luck"}},
	} {
		err := s.SetCongestionParam(c.name, c.value)
		if !errors.Is(err, c.want) {
			t.Errorf("%s=%d: %v", c.name, c.value, err)
		}
		for _, w := range c.words {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s=%d: %q lacks %q", c.name, c.value, err, w)
			}
		}
	}
	if _, err := s.CongestionParam("luck"); !errors.Is(err, errno.ENOENT) {
		t.Error(err)
	}
}

// TestCongestionParamBeforeConnect: what is set on a socket holds for its
// connection, unless another algorithm was chosen meanwhile.
func TestCongestionParamBeforeConnect(t *testing.T) {
	for _, c := range []struct {
		chosen string
		want   uint8
	}{{"vegas", 9}, {"reno", 0}} {
		l := testLayer(t, &fakeNet{mtu: 1500}, nil)
		s := l.NewSocket(afInet, &sink{})
		s.opts.Congestion = "vegas"
		for _, v := range []int64{7, 9} {
			if err := s.SetCongestionParam("beta", v); err != nil {
				t.Fatal(err)
			}
		}
		if v, err := s.CongestionParam("beta"); v != 9 || err != nil {
			t.Error(v, err)
		}
		if v, err := s.CongestionParam("alpha"); v != 2 || err != nil {
			t.Error(v, err)
		}
		a := s.congestionFor(c.chosen)
		if v, ok := a.(*vegas); ok && v.beta != c.want {
			t.Errorf("%s: %d", c.chosen, v.beta)
		}
		if r, ok := a.(*newReno); ok && r.beta != 50 {
			t.Errorf("a parameter of vegas arrived at reno: %d", r.beta)
		}
		if s.ccSettings != nil {
			t.Error("settings are kept")
		}
	}
}

// TestSwitchCarriesTheWindow: another algorithm goes on with the window and the
// threshold of the last one, and does not inherit its pacing.
func TestSwitchCarriesTheWindow(t *testing.T) {
	c := story(t, "from established").s.conn
	for _, name := range append(CongestionNames(), CongestionNames()...) {
		for _, next := range CongestionNames() {
			c.s.opts.Congestion = name
			c.switchCongestion()
			c.cwnd, c.ssthresh, c.pacing = 50_000, 20_000, 1
			c.s.opts.Congestion = next
			c.switchCongestion()
			if c.cc.info().name != next || c.cwnd != 50_000 || c.ssthresh != 20_000 {
				t.Errorf("%s to %s: cwnd %d, ssthresh %d", name, next, c.cwnd, c.ssthresh)
			}
			if paced := c.pacing != 0; name != next && paced != c.cc.info().pacing {
				t.Errorf("%s to %s: paced %v", name, next, paced)
			}
		}
	}
}

// TestSwitchInRecovery: whoever comes and goes meanwhile, recovery ends with a
// window that a loss has reduced, or with that of an algorithm that owns it.
func TestSwitchInRecovery(t *testing.T) {
	for _, from := range CongestionNames() {
		for _, to := range CongestionNames() {
			s := story(t, `
				from sack
				option TCP_CONGESTION `+from+`
				write 29200
				skip
				+10ms
				< . seq 1 ack 1 sack 1461-14601
				skip`)
			c := s.s.conn
			if c.caState != caRecovery {
				t.Fatalf("%s: state %d", from, c.caState)
			}
			c.s.opts.Congestion = to
			c.switchCongestion()
			s.steps("+10ms", "skip", "< . seq 1 ack 14601", "skip")
			for range 100 {
				if c.caState == caOpen {
					break
				}
				s.steps("+10ms", fmt.Sprintf("< . seq 1 ack %d", c.sndNxt-c.iss), "skip")
			}
			if c.caState != caOpen || c.cwnd > 60_000 || !c.cc.info().ownWindow && (c.cwnd > 20_000 || c.ssthresh == maxCwnd) {
				t.Errorf("%s to %s: state %d, cwnd %d, ssthresh %d", from, to, c.caState, c.cwnd, c.ssthresh)
			}
		}
	}
}

// TestAcknowledgementsAllocateNothing, whatever the algorithm.
func TestAcknowledgementsAllocateNothing(t *testing.T) {
	for _, name := range CongestionNames() {
		n, l, s, rx := benchConn(t)
		s.opts.Congestion = name
		s.conn.switchCongestion()
		p := make([]byte, 1448)
		for range 100 {
			transferred(n, l, s, rx, p)
		}
		if a := testing.AllocsPerRun(1000, func() { transferred(n, l, s, rx, p) }); a != 0 {
			t.Errorf("%s: %v allocations", name, a)
		}
	}
}

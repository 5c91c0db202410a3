package sockopt

import (
	"testing"

	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// TestNewReno: the algorithm has two names. Linux shows its own for both, the
// others know theirs only.
func TestNewReno(t *testing.T) {
	for profile, want := range map[string]struct{ reno, newreno string }{
		"linux": {"reno", "reno"}, "freebsd": {"EINVAL", "newreno"}, "omnios": {"ENOENT", "newreno"},
	} {
		p, err := ProfileByName(profile)
		if err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]string{"reno": want.reno, "newreno": want.newreno} {
			s := newFake(p, AFInet, SockStream)
			got := ""
			if _, err := p.Set(s, protoTCP, 13, []byte(name), everything); err != nil {
				got = errno.Of(err).Name()
			} else if b, err := p.Get(s, protoTCP, 13, 16); err == nil {
				got = text(b)
			}
			if got != want {
				t.Errorf("%s: %s is %s, want %s", profile, name, got, want)
			}
		}
	}
}

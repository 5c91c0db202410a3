package e2e

import (
	"regexp"
	"testing"
)

// tracepath(8) sends datagrams with growing TTL and reads what routers and the
// destination say from the error queue, with the TTL that their messages came
// with: IP_RECVERR, IP_RECVTTL, IP_MTU_DISCOVER, MSG_ERRQUEUE.
func TestTracepath(t *testing.T) {
	h := newHost(t)
	pod := h.pod()
	for _, to := range []string{hostV4, hostV6} {
		text := pod.start("tracepath", "-n", to).ok()
		for _, want := range []string{`pmtu 1500`, `(?m)^ 1: +` + regexp.QuoteMeta(to) + ` .* reached`, `Resume: pmtu 1500 hops 1 back 1`} {
			if !regexp.MustCompile(want).MatchString(text) {
				t.Errorf("tracepath %s does not print %q:\n%s", to, want, text)
			}
		}
	}
	pod.stop()
}

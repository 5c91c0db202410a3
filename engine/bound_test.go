package engine

import (
	"testing"

	"github.com/tcpcni/tcpcni/sockopt"
)

// TestSocketsAreBounded: beyond the bound, socket(2) is ENOBUFS, as every manual
// page has it for want of memory, and what is closed makes room again.
func TestSocketsAreBounded(t *testing.T) {
	for _, profile := range sockopt.ProfileNames() {
		t.Run(profile, func(t *testing.T) { socketsAreBounded(t, profile) })
	}
}

func socketsAreBounded(t *testing.T, profile string) {
	s := newSandbox(t, func(c *Config) { c.Profile, c.MaxSockets = profile, 8 })
	got := s.run("/usr/bin/python3", "-c", `
import errno, socket
held = []
for kind in 5 * [socket.SOCK_STREAM, socket.SOCK_DGRAM]:
    try:
        held.append(socket.socket(socket.AF_INET, kind))
    except OSError as e:
        print(len(held), errno.errorcode[e.errno])
held.pop().close()
for _ in range(100):
    try:
        held.append(socket.socket())
        break
    except OSError:
        pass
print(len(held))
`)
	if want := "8 ENOBUFS\n8 ENOBUFS\n8\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

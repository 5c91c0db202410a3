package e2e

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
)

// TestReusePortLB: under freebsd listeners with SO_REUSEPORT_LB share a port,
// each connection goes to one of them, and each of them gets some; what a
// listener would have got that is closed the others get.
func TestReusePortLB(t *testing.T) {
	onlyTCPCNI(t)
	h := newHost(t)
	pod := h.pod("--profile", "freebsd")
	const connections = 80 // with four listeners one gets none once in 10^9 times
	connect := "import socket,sys\nfor i in range(" + strconv.Itoa(connections) + "): socket.create_connection((sys.argv[1], int(sys.argv[2]))).close()"
	for name, c := range map[string]struct {
		client place
		addr   string
	}{"from the host": {h, pod.v4}, "from the host over IPv6": {h, pod.v6}, "in the sandbox": {pod, "127.0.0.1"}} {
		t.Run(name, func(t *testing.T) {
			in, out, err := os.Pipe()
			must(t, err)
			defer func() { _, _ = in.Close(), out.Close() }()
			s := pod.startWith(plumbing{stdin: in}, "/usr/bin/python3", testdata(t, "reuseport_lb.py"), c.addr)
			port := s.line(`(?m)^port (\d+)$`)[1]
			for round, command := range []string{"count", "close"} {
				if round == 1 {
					_, err = fmt.Fprintln(out, command)
					must(t, err)
					s.line(`(?m)^got \d+ \d+ \d+$`)
				}
				c.client.start("/usr/bin/python3", "-c", connect, c.addr, port).ok()
				// A connection that the client has may still be on its way into the queue.
				got := make([]int, 4-round)
				eventually(t, "all connections", func() bool {
					before := strings.Count(s.stdout.String(), "\n")
					_, err = fmt.Fprintln(out, "count")
					must(t, err)
					s.line(`(?s)^(.*\n){` + strconv.Itoa(before+1) + `}`)
					lines := strings.Split(strings.TrimSpace(s.stdout.String()), "\n")
					sum := 0
					for i, n := range strings.Fields(lines[len(lines)-1])[1:] {
						more, err := strconv.Atoi(n)
						must(t, err)
						got[i] += more
					}
					for _, n := range got {
						sum += n
					}
					return sum >= connections
				})
				sum := 0
				for _, n := range got {
					sum += n
					if n == 0 {
						t.Errorf("%d connections reached the listeners %v", connections, got)
						break
					}
				}
				if sum != connections {
					t.Errorf("%d connections were taken %d times: %v", connections, sum, got)
				}
			}
			out.Close()
			s.ok()
		})
	}
	pod.stop()
}

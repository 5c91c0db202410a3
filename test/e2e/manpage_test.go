package e2e

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// The two example programs of the manual page tcp(7P), unchanged, in every
// combination of inside and outside.

// A place is where a program can be started.
type place interface{ start(args ...string) *proc }

// fetch runs the client until the server that it needs is up: the server
// counts only clients that it serves.
func fetch(t *testing.T, where place, addr, port string) string {
	t.Helper()
	client := compileC(t, "client")
	var text string
	eventually(t, "a server at "+addr, func() bool {
		p := where.start(client, addr, port)
		if p.wait() != 0 {
			return false
		}
		text = p.stdout.String()
		return true
	})
	return text
}

// serveFive runs the server at one place and lets each address be asked by
// clients elsewhere until five were served, and compares what it prints.
// clients maps the address to ask to the address that the server has to see.
func serveFive(t *testing.T, server string, at, from place, clients [][2]string) {
	t.Helper()
	s := at.start(server, "8080", "hello\n")
	var want strings.Builder
	want.WriteString(`^waiting for clients\.\.\.\n`)
	for i := range 5 {
		c := clients[i%len(clients)]
		if got := fetch(t, from, c[0], "8080"); got != "hello\n" {
			t.Fatalf("client %d at %s got %q", i, c[0], got)
		}
		fmt.Fprintf(&want, "sent 6 bytes to %s:[0-9]+\n", regexp.QuoteMeta(c[1]))
	}
	want.WriteString(`finished\.\n$`)
	if got := s.ok(); !regexp.MustCompile(want.String()).MatchString(got) {
		t.Fatalf("server printed\n%s\nwant a match of\n%s", got, want.String())
	}
}

func TestManPageServerInside(t *testing.T) {
	h := newHost(t)
	pod := h.pod()
	serveFive(t, compileC(t, "server"), pod, h, [][2]string{{pod.v4, hostV4}})
	pod.stop()
}

func TestManPageClientInside(t *testing.T) {
	h := newHost(t)
	pod := h.pod()
	serveFive(t, compileC(t, "server"), h, pod, [][2]string{{hostV4, pod.v4}})
	pod.stop()
}

func TestManPageBothInside(t *testing.T) {
	h := newHost(t)
	pod := h.pod()
	serveFive(t, compileC(t, "server"), pod, pod, [][2]string{{"127.0.0.1", "127.0.0.1"}})
	pod.stop()
}

// serverFor6 is the server with its hint changed to PF_INET6, which binds the
// dual-stack wildcard as the page shows it.
func serverFor6(t *testing.T) string {
	t.Helper()
	return compileEdited(t, "server6", "server", "hints.ai_family = PF_UNSPEC", "hints.ai_family = PF_INET6")
}

func TestManPageDualStackServerInside(t *testing.T) {
	h := newHost(t)
	pod := h.pod()
	serveFive(t, serverFor6(t), pod, h, [][2]string{{pod.v4, "[::ffff:" + hostV4 + "]"}, {pod.v6, "[" + hostV6 + "]"}})
	pod.stop()
}

func TestManPageDualStackClientInside(t *testing.T) {
	h := newHost(t)
	pod := h.pod()
	serveFive(t, serverFor6(t), h, pod, [][2]string{{hostV4, "[::ffff:" + pod.v4 + "]"}, {hostV6, "[" + pod.v6 + "]"}})
	pod.stop()
}

func TestManPageDualStackBothInside(t *testing.T) {
	h := newHost(t)
	pod := h.pod()
	serveFive(t, serverFor6(t), pod, pod, [][2]string{
		{"127.0.0.1", "[::ffff:127.0.0.1]"}, {"::1", "[::1]"},
		{pod.v4, "[::ffff:" + pod.v4 + "]"}, {pod.v6, "[" + pod.v6 + "]"},
	})
	pod.stop()
}

// The server is given a sandbox of its own by `tcpcni run` and ends it.
func TestManPageServerByRun(t *testing.T) {
	h := newHost(t)
	pod, server := h.run(nil, compileC(t, "server"), "8080", "hello\n")
	for range 5 {
		if got := fetch(t, h, pod.v4, "8080"); got != "hello\n" {
			t.Fatalf("client got %q", got)
		}
	}
	if got := server.ok(); strings.Count(got, "sent 6 bytes to "+hostV4+":") != 5 {
		t.Fatalf("server printed\n%s", got)
	}
}

// The programs of the page in sandboxes whose sockets are its own system's, by
// IPv4 and with the server that takes both families.
func TestManPageProfiles(t *testing.T) {
	onlyTCPCNI(t)
	for _, profile := range []string{"illumos", "omnios"} {
		t.Run(profile, func(t *testing.T) {
			h := newHost(t)
			pod := h.pod("--profile", profile)
			serveFive(t, compileC(t, "server"), pod, pod, [][2]string{{"127.0.0.1", "127.0.0.1"}, {pod.v4, pod.v4}})
			serveFive(t, compileC(t, "server"), h, pod, [][2]string{{hostV4, pod.v4}})
			pod.stop()

			// A server's port is in use until its connections have left TIME-WAIT.
			h = newHost(t)
			pod = h.pod("--profile", profile)
			serveFive(t, serverFor6(t), pod, pod, [][2]string{
				{"127.0.0.1", "[::ffff:127.0.0.1]"}, {"::1", "[::1]"},
				{pod.v4, "[::ffff:" + pod.v4 + "]"}, {pod.v6, "[" + pod.v6 + "]"},
			})
			serveFive(t, serverFor6(t), h, pod, [][2]string{{hostV4, "[::ffff:" + pod.v4 + "]"}, {hostV6, "[" + pod.v6 + "]"}})
			pod.stop()
			pod = h.pod("--profile", profile)
			serveFive(t, serverFor6(t), pod, h, [][2]string{{pod.v4, "[::ffff:" + hostV4 + "]"}, {pod.v6, "[" + hostV6 + "]"}})
			pod.stop()
		})
	}
}

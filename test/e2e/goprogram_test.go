package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tcpcni/tcpcni/test/needroot"
)

// bothBuilds runs a test with the Go program as a static binary, whose system
// calls are its own, and as a dynamic one that goes through glibc for names.
func bothBuilds(t *testing.T, f func(t *testing.T, peer string)) {
	for _, cgo := range []bool{false, true} {
		t.Run(map[bool]string{false: "static", true: "cgo"}[cgo], func(t *testing.T) {
			needroot.Check(t, "make network namespaces")
			f(t, compileGo(t, cgo))
		})
	}
}

// 200 connections that are all open at the same time, then all in use.
func TestParallelConnections(t *testing.T) {
	bothBuilds(t, func(t *testing.T, peer string) {
		h := newHost(t)
		pod := h.pod()
		pod.start(peer, "echo", ":7000").line("listening on")
		h.start(peer, "echo", ":7001").line("listening on")
		h.start(peer, "flock", pod.v4+":7000", "200", "100000").ok()
		pod.start(peer, "flock", hostV4+":7001", "200", "100000").ok()
		h.start(peer, "flock", "["+pod.v6+"]:7000", "200", "1000").ok()
		pod.start(peer, "flock", "["+hostV6+"]:7001", "200", "1000").ok()
		// Both ends inside, by each of the sandbox's own addresses.
		for _, addr := range []string{"127.0.0.1", "[::1]", pod.v4, "[" + pod.v6 + "]"} {
			pod.start(peer, "flock", addr+":7000", "50", "100000").ok()
		}
		pod.stop()
	})
}

func TestGoHTTP(t *testing.T) {
	bothBuilds(t, func(t *testing.T, peer string) {
		h := newHost(t)
		pod := h.pod()
		ask := func(client, server place, to, from, port string) {
			t.Helper()
			server.start(peer, "serve", ":"+port).line("listening on")
			got := client.start(peer, "get", fmt.Sprintf("http://%s:%s/", to, port), "16").ok()
			if !strings.HasPrefix(got, "hello "+from+":") || !strings.HasSuffix(got, " from "+to+":"+port+"\n") {
				t.Errorf("the server at %s says %q to the client at %s", to, got, from)
			}
		}
		ask(h, pod, pod.v4, hostV4, "8001")
		ask(pod, h, hostV4, pod.v4, "8002")
		ask(h, pod, "["+pod.v6+"]", "["+hostV6+"]", "8003")
		ask(pod, h, "["+hostV6+"]", "["+pod.v6+"]", "8004")
		ask(pod, pod, "127.0.0.1", "127.0.0.1", "8005")
		ask(pod, pod, "[::1]", "[::1]", "8006")
		pod.stop()
	})
}

// Two sandboxes of one host reach each other.
func TestSandboxToSandbox(t *testing.T) {
	bothBuilds(t, func(t *testing.T, peer string) {
		h := newHost(t)
		a, b := h.pod(), h.pod()
		for _, pod := range []*sandbox{a, b} {
			pod.start(peer, "serve", ":8000").line("listening on")
			pod.start(peer, "echo", ":7000").line("listening on")
		}
		for _, c := range []struct{ from, to *sandbox }{{a, b}, {b, a}} {
			got := c.from.start(peer, "get", "http://"+c.to.v4+":8000/", "4").ok()
			if !strings.HasPrefix(got, "hello "+c.from.v4+":") {
				t.Errorf("%s is greeted with %q", c.from.v4, got)
			}
			got = c.from.start(peer, "get", "http://["+c.to.v6+"]:8000/", "4").ok()
			if !strings.HasPrefix(got, "hello ["+c.from.v6+"]:") {
				t.Errorf("%s is greeted with %q", c.from.v6, got)
			}
			c.from.start(peer, "flock", c.to.v4+":7000", "20", "100000").ok()
		}
		a.stop()
		b.stop()
	})
}

package e2e

import (
	"regexp"
	"strings"
	"testing"
)

func redis(t *testing.T, where place, port string) {
	t.Helper()
	where.start("redis-server", "--port", port, "--bind", "*", "-::*", "--protected-mode", "no",
		"--save", "", "--appendonly", "no", "--daemonize", "no", "--dir", t.TempDir()).line("Ready to accept connections")
}

// benchmark runs redis-benchmark and wants a rate for each of its commands.
func benchmark(t *testing.T, where place, addr, port string) {
	t.Helper()
	for _, more := range [][]string{{"-c", "50"}, {"-c", "200", "-P", "16"}, {"-c", "10", "-d", "100000"}} {
		n := "5000"
		if more[len(more)-1] == "100000" {
			n = "500"
		}
		args := append([]string{"redis-benchmark", "-h", addr, "-p", port, "-n", n, "-q", "-t", "ping,set,get,lpush,lrange_100"}, more...)
		out := where.start(args...).ok()
		for _, name := range []string{"PING_INLINE", "SET", "GET", "LPUSH", "LRANGE_100"} {
			if !regexp.MustCompile(name + `[^\n\r]*: [0-9.]+ requests per second`).MatchString(out) {
				t.Errorf("%v: no result for %s in\n%s", more, name, tail(out))
			}
		}
	}
}

// Pipelines and values of 100,000 bytes over the windows, buffers and Nagle's
// algorithm of two systems.
func TestRedis(t *testing.T) {
	for name, flags := range map[string][]string{"linux": nil, "omnios": {"--profile", "omnios"}} {
		t.Run(name, func(t *testing.T) { redisBothWays(t, flags...) })
	}
}

func redisBothWays(t *testing.T, flags ...string) {
	if onKernel && flags != nil {
		t.Skip("the kernel is Linux")
	}
	h := newHost(t)
	pod := h.pod(flags...)
	redis(t, pod, "6379")
	redis(t, h, "6380")
	cli := func(where place, addr, port string, args ...string) string {
		t.Helper()
		return where.start(append([]string{"redis-cli", "-h", addr, "-p", port}, args...)...).ok()
	}
	cli(h, pod.v4, "6379", "set", "key", "value")
	if got := cli(h, pod.v6, "6379", "get", "key"); got != "value\n" {
		t.Errorf("get key: %q", got)
	}
	if got := cli(h, pod.v4, "6379", "client", "list"); !strings.Contains(got, " addr="+hostV4+":") || !strings.Contains(got, " laddr="+pod.v4+":6379 ") {
		t.Errorf("client list: %q", got)
	}
	benchmark(t, h, pod.v4, "6379")
	benchmark(t, pod, hostV4, "6380")
	benchmark(t, pod, "127.0.0.1", "6379")
	pod.stop()
}

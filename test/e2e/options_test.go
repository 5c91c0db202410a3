package e2e

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

// nginx with what its listen directive makes of socket options: a listener of
// its own for each worker (SO_REUSEPORT), TCP_DEFER_ACCEPT, TCP_FASTOPEN, and
// TCP_KEEPIDLE and its like; tcp_nopush is TCP_CORK.
func TestNginxListenOptions(t *testing.T) {
	h := newHost(t)
	pod := h.pod("--set", "tcp_fastopen=3")
	dir := t.TempDir()
	must(t, os.Chmod(dir, 0o755))
	file := makePayload(t, 8<<20)
	conf := fmt.Sprintf(`
user root;
worker_processes 2;
pid %[1]s/pid;
error_log stderr notice;
events { worker_connections 256; }
http {
	access_log off;
	sendfile on;
	tcp_nopush on;
	server {
		listen 80 reuseport deferred fastopen=16 so_keepalive=30s:5s:3 backlog=64;
		location / { root %[2]s; }
		location = /who { return 200 "$pid $connection_requests $tcpinfo_rtt\n"; }
		location = /status { stub_status; }
	}
}
`, dir, file.folder(t))
	must(t, os.WriteFile(dir+"/nginx.conf", []byte(conf), 0o644))
	p := pod.start("nginx", "-p", dir, "-c", dir+"/nginx.conf", "-g", "daemon off;")
	p.line(`start worker process [0-9]+\n(.|\n)*start worker process [0-9]+\n`)
	if n := strings.Count(h.tcpcni("ss", pod.name).ok(), "LISTEN"); !onKernel && n != 2 {
		t.Errorf("%d listeners, want one for each worker", n)
	}

	// Each worker gets connections, by their addresses and ports.
	workers := map[string]int{}
	for range 60 {
		text := h.start("curl", "-sS", "--noproxy", "*", "http://"+pod.v4+"/who").ok()
		fields := strings.Fields(text)
		if len(fields) != 3 || fields[2] == "0" {
			t.Fatalf("the server says %q, want a process, a count and a round trip", text)
		}
		workers[fields[0]]++
	}
	if len(workers) != 2 {
		t.Errorf("60 connections reached the workers %v, want two", workers)
	}

	// A connection without a request does not reach nginx, which counts those
	// that it has accepted.
	idle := h.start("/usr/bin/python3", "-c", "import socket,time; s=socket.create_connection(('"+pod.v4+"',80)); print('up',flush=True); time.sleep(600)")
	idle.line(`(?m)^up$`)
	active := regexp.MustCompile(`Active connections: (\d+)`)
	for range 4 { // some for each worker: the count is of both
		text := h.start("curl", "-sS", "--noproxy", "*", "http://"+pod.v4+"/status").ok()
		if m := active.FindStringSubmatch(text); m == nil || m[1] != "1" {
			t.Errorf("with an idle connection nginx counts %q, want one, the question itself", text)
		}
	}
	idle.stop()

	// The first fetch brings a cookie, the second sends its request with the SYN.
	for range 2 {
		h.start("curl", "-sS", "--tcp-fastopen", "--noproxy", "*", "http://"+pod.v4+"/who").ok()
	}
	stats := h.sh("cat", "/proc/net/netstat")
	if n := netstat(stats, "TCPFastOpenActive"); n < 1 {
		t.Errorf("the kernel counts %d connections with data in the SYN\n%s", n, stats)
	}

	q, got := curl(t, h, "http://"+pod.v4+"/file")
	q.ok()
	got.expect(t, file)
	pod.stop()
}

// netstat is a counter of /proc/net/netstat, -1 if there is none.
func netstat(text, name string) int {
	for proto, row := range snmp(text) {
		if v, ok := row[name]; ok && proto == "TcpExt" {
			return v
		}
	}
	return -1
}

// iperf3 -C chooses the algorithm of both ends by TCP_CONGESTION: also those
// that the machine does not have, whose own list stays as it was.
func TestIperf3Congestion(t *testing.T) {
	onlyTCPCNI(t)
	const list = "/proc/sys/net/ipv4/tcp_available_congestion_control"
	before, err := os.ReadFile(list)
	must(t, err)
	// iperf3's connection of control has the sandbox's algorithm, dctcp, which
	// none of these is.
	for profile, algorithms := range map[string][][2]string{ // asked for, shown
		"linux":   {{"cubic", "cubic"}, {"reno", "reno"}, {"newreno", "reno"}, {"bbr", "bbr"}, {"htcp", "htcp"}, {"vegas", "vegas"}, {"cdg", "cdg"}},
		"freebsd": {{"cubic", "cubic"}, {"newreno", "newreno"}},
	} {
		t.Run(profile, func(t *testing.T) {
			h := newHost(t)
			server, client := h.pod("--profile", profile, "--set", "tcp_congestion_control=dctcp"), h.pod("--profile", profile, "--set", "tcp_congestion_control=dctcp")
			s := server.start("iperf3", "-s", "--forceflush")
			s.line(`Server listening`)
			for _, a := range algorithms {
				c := client.start("iperf3", "-c", server.v4, "-C", a[0], "-t", "20")
				for _, pod := range []*sandbox{client, server} {
					eventually(t, "connections of "+pod.name+" with "+a[0], func() bool {
						return regexp.MustCompile(`ESTAB .*\n\t ` + a[1] + ` `).MatchString(h.tcpcni("ss", "-i", pod.name).ok())
					})
				}
				c.stop()
			}
			if c := client.start("iperf3", "-c", server.v4, "-C", "westwood", "-t", "1"); !strings.Contains(c.fails(), "congestion") {
				t.Error("an unknown algorithm does not fail")
			}
			server.stop()
			client.stop()
		})
	}
	after, err := os.ReadFile(list)
	must(t, err)
	if string(after) != string(before) {
		t.Errorf("the machine's algorithms were %q and are %q", before, after)
	}
}

// TestUrgentData: MSG_OOB between a program inside and one on the kernel's
// sockets, both ways: SIGURG, the byte out of band, and its place in the stream.
func TestUrgentData(t *testing.T) {
	h := newHost(t)
	pod := h.pod()
	script := testdata(t, "urgent_peer.py")
	for _, c := range []struct {
		name   string
		server place
		addr   string
		client place
	}{{"to the kernel", h, hostV4, pod}, {"from the kernel", pod, pod.v4, h}, {"to the kernel over IPv6", h, hostV6, pod}, {"from the kernel over IPv6", pod, pod.v6, h}} {
		for _, inline := range []string{"apart", "inline"} {
			s := c.server.start("/usr/bin/python3", script, "receive", c.addr, inline)
			port := s.line(`(?m)^port (\d+)$`)[1]
			c.client.start("/usr/bin/python3", script, "send", c.addr, port).ok()
			text := s.ok()
			want := "SIGURG\nbefore: b'before'\nat mark: 1\nurgent: b'!'\nafter: b'after'\nend\n"
			if inline == "inline" {
				want = "SIGURG\nbefore: b'before'\nat mark: 1\nafter: b'!after'\nend\n"
			}
			if !strings.HasSuffix(text, want) {
				t.Errorf("%s, %s: %q, want %q", c.name, inline, text, want)
			}
		}
	}
	pod.stop()
}

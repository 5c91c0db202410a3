package e2e

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// nginxOn starts nginx with servers of one's own.
func nginxOn(t *testing.T, where *sandbox, env []string, servers string) {
	t.Helper()
	dir := t.TempDir()
	must(t, os.Chmod(dir, 0o755))
	conf := fmt.Sprintf("user root;\nworker_processes 1;\npid %s/pid;\nerror_log stderr notice;\nevents { worker_connections 64; }\nhttp {\naccess_log off;\nsendfile on;\n%s\n}\n", dir, servers)
	must(t, os.WriteFile(dir+"/nginx.conf", []byte(conf), 0o644))
	where.startWith(plumbing{env: env}, "nginx", "-p", dir, "-c", dir+"/nginx.conf", "-g", "daemon off;").line(`start worker process [0-9]+\n`)
}

// TestNginxSocketOptions: what nginx's listen directive says is what the sockets
// have, listeners and the connections accepted from them, as another process of
// the sandbox that gets hold of them reads it.
func TestNginxSocketOptions(t *testing.T) {
	h := newHost(t)
	pod := h.pod()
	if onKernel {
		h.sh("ip", "netns", "exec", pod.kernelName(), "sysctl", "-q", "-w", "net.ipv4.tcp_fastopen=3")
	}
	nginxOn(t, pod, nil, `
	server { listen 80 so_keepalive=on; }
	server { listen 81 so_keepalive=30m::10 deferred fastopen=16 reuseport; }
	server { listen 82 so_keepalive=off; }
	server { listen 83 so_keepalive=1s:2s:3; }`)
	for port, want := range map[string]string{
		"80": "SO_KEEPALIVE=1 TCP_KEEPIDLE=7200 TCP_KEEPINTVL=75 TCP_KEEPCNT=9 TCP_DEFER_ACCEPT=0 TCP_FASTOPEN=0 SO_REUSEPORT=0",
		"81": "SO_KEEPALIVE=1 TCP_KEEPIDLE=1800 TCP_KEEPINTVL=75 TCP_KEEPCNT=10 TCP_DEFER_ACCEPT=1 TCP_FASTOPEN=16 SO_REUSEPORT=1",
		"82": "SO_KEEPALIVE=0 TCP_KEEPIDLE=7200 TCP_KEEPINTVL=75 TCP_KEEPCNT=9 TCP_DEFER_ACCEPT=0 TCP_FASTOPEN=0 SO_REUSEPORT=0",
		"83": "SO_KEEPALIVE=1 TCP_KEEPIDLE=1 TCP_KEEPINTVL=2 TCP_KEEPCNT=3 TCP_DEFER_ACCEPT=0 TCP_FASTOPEN=0 SO_REUSEPORT=0",
	} {
		// A request makes a deferred connection reach nginx, and it is kept.
		c := h.start("/usr/bin/python3", "-c", "import socket,time; s=socket.create_connection(('"+pod.v4+"',"+port+
			")); s.send(b'GET / HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n'); print(s.recv(12).decode(),flush=True); time.sleep(600)")
		c.line(`(?m)^HTTP/1.1 `)
		got := pod.start("/usr/bin/python3", testdata(t, "steal.py"), port, "nginx").ok()
		lines := strings.Split(strings.TrimSpace(got), "\n")
		kinds := map[string]bool{}
		for _, line := range lines {
			kind, options, _ := strings.Cut(line, " ")
			kinds[kind] = true
			if options != want && !(kind == "connection" && options == strings.NewReplacer("TCP_FASTOPEN=16", "TCP_FASTOPEN=0", "DEFER_ACCEPT=1", "DEFER_ACCEPT=0").Replace(want)) {
				t.Errorf("port %s: %s\nwant %s", port, line, want)
			}
		}
		if !kinds["listener"] || !kinds["connection"] {
			t.Errorf("port %s: nginx has the sockets\n%s", port, got)
		}
		c.stop()
	}
	pod.stop()
}

// TestNginxKeepalive: with so_keepalive=1s:1s:3 a peer that is silent is asked
// each second and answers; when it has vanished, it is asked three times more.
func TestNginxKeepalive(t *testing.T) {
	onlyTCPCNI(t)
	h := newHost(t)
	path := t.TempDir() + "/frames.pcap"
	pod := h.pod("--pcap", path)
	nginxOn(t, pod, nil, "server { listen 80 so_keepalive=1s:1s:3; }\nclient_header_timeout 600s;")
	h.start("/usr/bin/python3", "-c", "import socket,time; s=socket.create_connection(('"+pod.v4+"',80)); print('up',flush=True); time.sleep(600)").line(`(?m)^up$`)
	server := func(s segment) bool { return s.from.Port() == 80 }
	eventually(t, "probes that are answered", func() bool { return len(probes(segments(t, path), server)) >= 3 })
	h.sh("ip", "route", "replace", "blackhole", pod.v4)
	eventually(t, "the end of the connection", func() bool { return !strings.Contains(h.tcpcni("ss", pod.name).ok(), "ESTAB") })
	pod.stop() // the capture is whole then
	checkProbes(t, segments(t, path), server, 1*time.Second, 1*time.Second, 3)
}

// TestNginxNopush: with tcp_nopush the header of an answer waits for the file
// that follows by sendfile, and goes in one segment with as much of it as the
// segment takes. Without it the header goes by itself.
func TestNginxNopush(t *testing.T) {
	onlyTCPCNI(t)
	preload := once(t, "slowsendfile.so", func(path string) error {
		return output1(exec.Command("gcc", "-O1", "-Wall", "-shared", "-fPIC", "-o", path, "testdata/slowsendfile.c", "-ldl"))
	})
	h := newHost(t)
	path := t.TempDir() + "/frames.pcap"
	pod := h.pod("--pcap", path)
	root := makePayload(t, 100_000).folder(t)
	nginxOn(t, pod, []string{"LD_PRELOAD=" + preload}, `
	server { listen 80; tcp_nopush on; location / { root `+root+`; } }
	server { listen 81; tcp_nopush off; location / { root `+root+`; } }`)
	// first is the first segment with text from the port, of the newest connection.
	first := func(port uint16) (text []byte) {
		p, got := curl(t, h, fmt.Sprintf("http://%s:%d/file", pod.v4, port))
		p.ok()
		got.expect(t, makePayload(t, 100_000))
		fresh := true
		for _, s := range segments(t, path) {
			if s.from.Port() != port {
				continue
			}
			switch {
			case s.syn:
				fresh = true
			case len(s.text) > 0 && fresh:
				text, fresh = s.text, false
			}
		}
		if !bytes.HasPrefix(text, []byte("HTTP/1.1 200 OK\r\n")) {
			t.Fatalf("the first text from port %d is %q", port, text[:min(len(text), 80)])
		}
		return text
	}
	const mss = 1448
	alone := func(text []byte) bool { return bytes.HasSuffix(text, []byte("\r\n\r\n")) && len(text) < mss }
	// Load may keep a worker from sendfile for longer than the 200 ms that
	// anything is held back, and the engine from looking in between.
	eventually(t, "a header alone without tcp_nopush", func() bool { return alone(first(81)) })
	eventually(t, "a full segment with tcp_nopush", func() bool {
		text := first(80)
		if !alone(text) && len(text) < mss {
			t.Errorf("with tcp_nopush the first segment has %d bytes", len(text))
		}
		return len(text) >= mss
	})
	pod.stop()
}

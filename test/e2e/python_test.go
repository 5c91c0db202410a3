package e2e

import (
	"os"
	"strings"
	"testing"
)

func TestPythonHTTPServer(t *testing.T) {
	file := makePayload(t, 64<<20)
	h := newHost(t)
	pod := h.pod()
	dir := file.folder(t)
	must(t, os.WriteFile(dir+"/hello", []byte("hello from a file\n"), 0o644))
	pod.start("/usr/bin/python3", "-u", "-m", "http.server", "-d", dir, "8000").line("Serving HTTP")
	h.start("/usr/bin/python3", "-u", "-m", "http.server", "-d", dir, "8001").line("Serving HTTP")

	p, got := curl(t, h, "http://"+pod.v4+":8000/file")
	p.ok()
	got.expect(t, file)
	p, got = curl(t, pod, "http://"+hostV4+":8001/file")
	p.ok()
	got.expect(t, file)
	if text := pod.start("curl", "-sS", "http://127.0.0.1:8000/hello").ok(); text != "hello from a file\n" {
		t.Errorf("over loopback: %q", text)
	}

	client := "import urllib.request as r; print(r.urlopen('http://%s/hello').read().decode(), end='')"
	for where, addr := range map[place]string{pod: hostV4 + ":8001", h: pod.v4 + ":8000"} {
		if text := where.start("/usr/bin/python3", "-c", strings.Replace(client, "%s", addr, 1)).ok(); text != "hello from a file\n" {
			t.Errorf("urllib at %s: %q", addr, text)
		}
	}
	pod.stop()
}

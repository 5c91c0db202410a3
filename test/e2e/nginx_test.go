package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// nginx starts Debian's nginx, with its two workers, its epoll edges and its
// sendfile, on a folder that holds the payload as /file; slow limits each
// response to so many bytes per second, 0 does not.
func nginx(t *testing.T, where place, root string, slow int) *proc {
	t.Helper()
	dir, err := os.MkdirTemp(workDir, "nginx")
	must(t, err)
	limit := ""
	if slow > 0 {
		limit = fmt.Sprintf("limit_rate %d;", slow)
	}
	conf := fmt.Sprintf(`
user root;
worker_processes 2;
pid %[1]s/pid;
error_log stderr notice;
events { worker_connections 1024; }
http {
	access_log off;
	sendfile on;
	tcp_nopush on;
	client_body_temp_path %[1]s/body;
	proxy_temp_path %[1]s/proxy;
	fastcgi_temp_path %[1]s/fastcgi;
	uwsgi_temp_path %[1]s/uwsgi;
	scgi_temp_path %[1]s/scgi;
	server {
		listen 80;
		listen [::]:80;
		location / { root %[2]s; %[3]s }
		location = /hello { return 200 "hello\n"; }
	}
}
`, dir, root, limit)
	must(t, os.WriteFile(dir+"/nginx.conf", []byte(conf), 0o644))
	p := where.start("nginx", "-p", dir, "-c", dir+"/nginx.conf", "-g", "daemon off;")
	p.line(`start worker process [0-9]+\n(.|\n)*start worker process [0-9]+\n`)
	return p
}

// folder returns a folder that holds the payload under the name file.
func (p payload) folder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	must(t, os.Symlink(p.path, filepath.Join(dir, "file")))
	return dir
}

// curl fetches a URL into a digest.
func curl(t *testing.T, where interface {
	startWith(plumbing, ...string) *proc
}, url string) (*proc, *digest) {
	t.Helper()
	d := newDigest()
	return where.startWith(plumbing{stdout: d}, "curl", "-sS", "--noproxy", "*", url), d
}

// transfer moves a payload out of the host into the sandbox and the other way.
func transfer(t *testing.T, size int64, flags ...string) {
	file := makePayload(t, size)
	t.Run("in", func(t *testing.T) {
		h := newHost(t)
		pod := h.pod(flags...)
		nginx(t, h, file.folder(t), 0)
		p, got := curl(t, pod, "http://"+hostV4+"/file")
		p.ok()
		got.expect(t, file)
		pod.stop()
	})
	t.Run("out", func(t *testing.T) {
		h := newHost(t)
		pod := h.pod(flags...)
		nginx(t, pod, file.folder(t), 0)
		p, got := curl(t, h, "http://"+pod.v4+"/file")
		p.ok()
		got.expect(t, file)
		pod.stop()
	})
	if size > 64<<20 {
		return // the smaller file covers the rest
	}
	t.Run("out over IPv6", func(t *testing.T) {
		h := newHost(t)
		pod := h.pod(flags...)
		nginx(t, pod, file.folder(t), 0)
		p, got := curl(t, h, "http://["+pod.v6+"]/file")
		p.ok()
		got.expect(t, file)
		pod.stop()
	})
}

func TestTransferGigabyte(t *testing.T) { transfer(t, 1<<30) }

func TestTransferPlain(t *testing.T) { transfer(t, 64<<20) }

func TestTransferImpaired(t *testing.T) {
	if onKernel {
		t.Skip("the kernel's link here has no impairment")
	}
	transfer(t, 64<<20, "--impair", "seed=1,loss=0.02,reorder=0.02,duplicate=0.01")
}

// 200 downloads at once, by one curl, each with a connection of its own.
func TestParallelCurl(t *testing.T) {
	const count = 200
	file := makePayload(t, 1<<20)
	var conf strings.Builder
	for i := range count {
		fmt.Fprintf(&conf, "url = \"http://ADDR/file?%d\"\noutput = \"DIR/%d\"\n", i, i)
	}
	check := func(t *testing.T, where place, addr string) {
		t.Helper()
		dir := t.TempDir()
		text := strings.NewReplacer("ADDR", addr, "DIR", dir).Replace(conf.String())
		must(t, os.WriteFile(dir+"/curlrc", []byte(text), 0o644))
		where.start("curl", "-sS", "--noproxy", "*", "--fail-early", "-f", "-Z", "--parallel-immediate",
			"--parallel-max", fmt.Sprint(count), "-K", dir+"/curlrc").ok()
		for i := range count {
			f, err := os.ReadFile(fmt.Sprintf("%s/%d", dir, i))
			must(t, err)
			d := newDigest()
			_, _ = d.Write(f)
			d.expect(t, file)
		}
	}
	t.Run("in", func(t *testing.T) {
		h := newHost(t)
		pod := h.pod()
		nginx(t, h, file.folder(t), 0)
		check(t, pod, hostV4)
		pod.stop()
	})
	t.Run("out", func(t *testing.T) {
		h := newHost(t)
		pod := h.pod()
		nginx(t, pod, file.folder(t), 0)
		check(t, h, pod.v4)
		pod.stop()
	})
}

package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/containernetworking/cni/libcni"
	"github.com/containernetworking/cni/pkg/types"
)

// Two releases on one node: what one has made, the other one uses and takes away.
// Both directions count, as an upgrade may be taken back.

// A release is a version of the command with its plugins.
type release struct {
	name string
	dir  string
}

func (r release) command() string { return filepath.Join(r.dir, "tcpcni") }

// skews are the pairs of who makes a sandbox and who works with it afterwards.
func skews(t *testing.T) map[string][2]release {
	t.Helper()
	old, tree := release{"the earlier release", releaseDir(t)}, release{"this tree", binDir}
	return map[string][2]release{"upgraded": {old, tree}, "taken back": {tree, old}}
}

// as is the runtime with the plugins of one release: what libcni keeps of ADD,
// both see.
func (r *cniRuntime) as(v release, cache string) *cniRuntime {
	path := []string{v.dir}
	if v.dir != binDir {
		path = append(path, binDir) // for plugins that are not ours
	}
	return &cniRuntime{h: r.h, list: r.list, cni: libcni.NewCNIConfigWithCacheDir(append(path, referenceDir(r.h.t)), cache, nil)}
}

func (r *cniRuntime) status() error {
	return r.call(func(ctx context.Context) error { return r.cni.GetStatusNetworkList(ctx, r.list) })
}

// collect runs GC with the attachments that are to stay.
func (r *cniRuntime) collect(valid ...container) error {
	args := libcni.GCArgs{ValidAttachments: []types.GCAttachment{}}
	for _, c := range valid {
		args.ValidAttachments = append(args.ValidAttachments, types.GCAttachment{ContainerID: c.id, IfName: "eth0"})
	}
	return r.call(func(ctx context.Context) error { return r.cni.GCNetworkList(ctx, r.list, &args) })
}

// sameFile fails unless the process is executed from the release's file, be it by
// another path.
func (h *host) sameFile(pid int, v release) {
	h.t.Helper()
	want, err := os.Stat(v.command())
	must(h.t, err)
	got, err := os.Stat(fmt.Sprintf("/proc/%d/exe", pid))
	must(h.t, err)
	if !os.SameFile(want, got) {
		exe, _ := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
		h.t.Errorf("process %d is executed from %s, not from the file of %s", pid, exe, v.name)
	}
}

func TestSkewAttachments(t *testing.T) {
	for direction, pair := range skews(t) {
		for uplink, plugins := range map[string]string{
			"ptp":     `{"type":"tcpcni","ipMasq":true,IPAM}`,
			"bridge":  `{"type":"tcpcni","uplink":"bridge","bridge":"br-skew","hairpin":true,IPAM}`,
			"chained": `{"type":"ptp","ipMasq":true,"ipMasqBackend":"nftables",IPAM},{"type":"tcpcni","uplink":"chained"}`,
		} {
			t.Run(direction+" "+uplink, func(t *testing.T) { skewed(t, pair[0], pair[1], plugins) })
		}
	}
}

// skewed lets one release work with what the other one has made.
func skewed(t *testing.T, maker, user release, plugins string) {
	h := newHost(t)
	r, leases := listRuntime(h, plugins)
	cache := t.TempDir()
	made, used := r.as(maker, cache), r.as(user, cache)
	chained := strings.Contains(plugins, "chained")
	// CHECK of the reference plugins finds no veth of theirs, see docs/cni.md.
	check := func(c container) {
		t.Helper()
		if err := used.check(c); err != nil && !(chained && strings.Contains(err.Error(), "not of type veth")) {
			t.Errorf("CHECK: %v", err)
		}
	}
	c := made.container("skewed")
	result, err := made.add(c)
	must(t, err)
	v4 := result.IPs[0].Address.IP.String()
	pod := &plainPod{h: h, r: used, c: c, v4: v4}
	first := pod.status().PID
	h.sameFile(first, maker)

	use := func(port string) {
		t.Helper()
		check(c)
		must(t, used.status())
		must(t, used.collect(c)) // it is valid: GC leaves it
		pod.serveBy(user, port)
	}
	use("8080")

	// The holder's release is its engines': an engine that dies is followed by
	// one from the file that the holder runs from.
	must(t, syscall.Kill(first, syscall.SIGKILL))
	next := 0
	eventually(t, "another engine", func() bool {
		next, _ = strconv.Atoi(enginePIDOf(h, c))
		return next != 0 && next != first
	})
	h.sameFile(next, maker)
	use("8081")

	// An ADD of the other release is another attachment's neighbour.
	d := used.container("beside")
	_, err = used.add(d)
	must(t, err)
	if !chained {
		must(t, made.check(d))
	}
	must(t, made.collect(c, d))
	must(t, used.del(c))
	must(t, used.del(c))
	must(t, made.del(d))
	// GC of the one takes away what the other has left.
	e := made.container("forgotten")
	_, err = made.add(e)
	must(t, err)
	must(t, used.collect())
	if chained {
		must(t, used.del(e)) // the plugin before has no GC
	}
	if strings.Contains(plugins, "br-skew") {
		h.sh("ip", "link", "del", "br-skew")
	}
	h.bare()
	h.noLeases(leases)
}

// serveBy has a program of the sandbox, started by a release's exec, serve a file
// to the host and to itself, and looks at it with that release's commands.
func (p *plainPod) serveBy(v release, port string) {
	p.h.t.Helper()
	h := p.h
	server := h.start(v.command(), "exec", p.c.id, "--", "python3", "-u", "-m", "http.server", port, "--bind", "0.0.0.0", "--directory", h.t.TempDir())
	defer server.stop()
	server.line(`Serving HTTP`)
	for _, args := range [][]string{
		{"curl", "-sS", "--max-time", "60", "http://" + p.v4 + ":" + port + "/"},
		{v.command(), "exec", p.c.id, "--", "curl", "-sS", "--max-time", "60", "http://127.0.0.1:" + port + "/"},
		{"ip", "netns", "exec", p.c.ns, "curl", "-sS", "--max-time", "60", "http://127.0.0.1:" + port + "/"},
	} {
		if got := h.start(args...).ok(); !strings.Contains(got, "Directory listing") {
			h.t.Errorf("%v: %q", args, got)
		}
	}
	for _, args := range [][]string{{"ss", p.c.id}, {"ss", "-i", p.c.id}} {
		if got := h.start(append([]string{v.command()}, args...)...).ok(); !strings.Contains(got, ":"+port) {
			h.t.Errorf("%v of %s does not show port %s:\n%s", args, v.name, port, got)
		}
	}
	if got := h.start(v.command(), "list").ok(); !slices.Contains(strings.Fields(got), p.c.id) {
		h.t.Errorf("list of %s does not show %s:\n%s", v.name, p.c.id, got)
	}
}

// `tcpcni install` of one release in the place of the other's, under sandboxes
// that run, and back.
func TestSkewInstall(t *testing.T) {
	h := newHost(t)
	r := newRuntime(h, `"uplink":"ptp",`)
	bins, confs := t.TempDir(), t.TempDir()
	r.cni = libcni.NewCNIConfigWithCacheDir([]string{bins}, t.TempDir(), nil)
	old, tree := release{"the earlier release", releaseDir(t)}, release{"this tree", binDir}
	install := func(v release) {
		t.Helper()
		source := t.TempDir()
		for _, name := range []string{"tcpcni", "host-local"} {
			text, err := os.ReadFile(filepath.Join(v.dir, name))
			must(t, err)
			must(t, os.WriteFile(filepath.Join(source, name), text, 0o755))
		}
		must(t, output1(exec.Command(source+"/tcpcni", "install", "--bin-dir", bins, "--conf-dir", confs, "--source", source)))
	}
	add := func(id string) container {
		t.Helper()
		c := r.container(id)
		_, err := r.add(c)
		must(t, err)
		return c
	}
	install(old)
	a := add("a")
	install(tree)
	b := add("b")
	must(t, r.check(a))
	install(old)
	must(t, r.check(b))
	c := add("c")
	for _, x := range []container{a, b, c} {
		must(t, r.check(x))
		must(t, r.del(x))
	}
	h.bare()
}

// `tcpcni run` of one release, joined by the other's programs.
func TestSkewRun(t *testing.T) {
	for direction, pair := range skews(t) {
		t.Run(direction, func(t *testing.T) {
			h := newHost(t)
			maker, user := pair[0], pair[1]
			p := h.start(maker.command(), "run", "--name", "web", "--", "python3", "-u", "-m", "http.server", "80", "--directory", t.TempDir())
			p.line(`Serving HTTP`)
			if got := h.start(user.command(), "exec", "web", "--", "curl", "-sS", "http://127.0.0.1/").ok(); !strings.Contains(got, "Directory listing") {
				t.Errorf("exec: %q", got)
			}
			if got := h.start(user.command(), "ss", "web").ok(); !strings.Contains(got, ":80") {
				t.Errorf("ss: %s", got)
			}
			if got := h.start(user.command(), "list").ok(); !strings.Contains(got, "\nweb ") || !strings.Contains(got, "http.server") {
				t.Errorf("list: %s", got)
			}
			p.stop()
			h.bare()
		})
	}
}

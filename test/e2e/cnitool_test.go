package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/containernetworking/cni/libcni"
)

// The plugin as people try it: by cnitool and in lists with the CNI project's own
// plugins, all built from the modules that go.mod names.

// reference lists what is built for these tests.
var reference = []string{
	"cni/cnitool",
	"plugins/plugins/main/bridge", "plugins/plugins/main/ptp", "plugins/plugins/main/loopback", "plugins/plugins/main/macvlan",
	"plugins/plugins/meta/portmap", "plugins/plugins/meta/tuning", "plugins/plugins/ipam/dhcp",
}

// referenceDir builds the CNI project's programs once and returns their folder.
func referenceDir(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(workDir, "reference")
	if _, err := os.Stat(dir); err == nil {
		return dir
	}
	args := []string{"build", "-o", dir + "/"}
	for _, p := range reference {
		args = append(args, "github.com/containernetworking/"+p)
	}
	must(t, os.MkdirAll(dir, 0o755))
	build := exec.Command("go", args...)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		_ = os.RemoveAll(dir)
		t.Fatalf("go %v: %v\n%s", args, err, out)
	}
	return dir
}

// A tool is cnitool on one network. Its cache of results is /var/lib/cni, which
// is libcni's; the network's name is this test's alone.
type tool struct {
	h        *host
	dir      string // of configurations
	network  string
	leases   string
	binaries string
}

func newTool(h *host, version string) *tool {
	h.t.Helper()
	onlyTCPCNI(h.t)
	w := &tool{h: h, dir: h.t.TempDir(), network: h.name, leases: h.t.TempDir()}
	h.t.Cleanup(func() { // goes only if nobody else uses it
		_ = os.Remove("/var/lib/cni/results")
		_ = os.Remove("/var/lib/cni")
	})
	w.binaries = binDir + ":" + referenceDir(h.t)
	text := fmt.Sprintf(conflist, w.network, "", w.leases)
	text = strings.Replace(text, `"1.1.0"`, `"`+version+`"`, 1)
	must(h.t, os.WriteFile(filepath.Join(w.dir, "10-net.conflist"), []byte(text), 0o644))
	return w
}

// run starts cnitool in the host's network namespace, and in the machine's mount
// namespace: what a plugin mounts has to last.
func (w *tool) run(verb string, c container) (stdout, stderr string, ok bool) {
	w.h.t.Helper()
	p := start(w.h.t, plumbing{env: append(w.h.env(), "CNI_PATH="+w.binaries, "NETCONFPATH="+w.dir)},
		"nsenter", "--net="+w.h.path(), filepath.Join(referenceDir(w.h.t), "cnitool"), verb, w.network, "/run/netns/"+c.ns)
	code := p.wait()
	return p.stdout.String(), p.stderr.String(), code == 0
}

func (w *tool) must(verb string, c container) string {
	w.h.t.Helper()
	out, errs, ok := w.run(verb, c)
	if !ok {
		w.h.t.Fatalf("cnitool %s: %s%s", verb, out, errs)
	}
	return out
}

func (w *tool) fails(verb string, c container, says string) {
	w.h.t.Helper()
	if out, errs, ok := w.run(verb, c); ok || !strings.Contains(out+errs, says) {
		w.h.t.Errorf("cnitool %s: %s%s, expected an error that says %q", verb, out, errs, says)
	}
}

// volatile is what differs from one run to the next.
var volatile = []struct {
	pattern *regexp.Regexp
	name    string
}{
	{regexp.MustCompile(`([0-9a-f]{2}:){5}[0-9a-f]{2}`), "MAC"},
	{regexp.MustCompile(`tcp[0-9a-f]{12}`), "UPLINK"},
	{regexp.MustCompile(`/run/netns/[^"]+`), "NETNS"},
}

func normalise(text string) string {
	for _, v := range volatile {
		text = v.pattern.ReplaceAllString(text, v.name)
	}
	return text
}

// golden compares with a file of testdata; E2E_GOLDEN=write writes it instead.
func golden(t *testing.T, file, got string) {
	t.Helper()
	path := filepath.Join("testdata", "cnitool", file)
	got = normalise(got)
	if os.Getenv("E2E_GOLDEN") == "write" {
		must(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	must(t, err)
	if got != string(want) {
		t.Errorf("%s: got\n%s\nwant\n%s", path, got, want)
	}
}

// Every verb by every version of the specification, and the result of ADD as
// that version has it.
func TestCnitool(t *testing.T) {
	for _, version := range []string{"0.3.1", "0.4.0", "1.0.0", "1.1.0"} {
		t.Run(version, func(t *testing.T) {
			h := newHost(t)
			w := newTool(h, version)
			c := (&cniRuntime{h: h}).container("box")
			w.must("del", c) // before there was anything
			if version == "1.1.0" {
				w.must("status", c)
			}
			golden(t, version+".json", w.must("add", c))
			h.expectAnswers("10.87.0.2:9", "[fd87::2]:9")
			w.fails("add", c, "attached already")
			if version == "0.3.1" {
				w.fails("check", c, "CHECK") // not in that version
			} else {
				w.must("check", c)
				sh(t, "ip", "-n", c.ns, "route", "del", "default")
				w.fails("check", c, "0.0.0.0/0 is missing")
			}
			w.must("del", c)
			w.must("del", c)
			h.bare()
			if version != "1.1.0" {
				return
			}
			// cnitool lists no attachment as valid: GC takes all of the network.
			w.must("add", c)
			must(t, os.WriteFile(filepath.Join(w.leases, w.network, "10.87.0.77"), []byte("nobody\r\neth0"), 0o600))
			w.must("gc", c)
			h.bare()
			h.noLeases(filepath.Join(w.leases, w.network))
		})
	}
}

// noLeases fails if host-local holds an address.
func (h *host) noLeases(dir string) {
	h.t.Helper()
	files, err := filepath.Glob(dir + "/*[.:]*")
	must(h.t, err)
	for _, f := range files {
		if !strings.HasPrefix(filepath.Base(f), "last_reserved_ip") {
			h.t.Errorf("a lease is left: %s", f)
		}
	}
}

// listRuntime is a runtime with a list of its own.
func listRuntime(h *host, plugins string) (*cniRuntime, string) {
	h.t.Helper()
	r := newRuntime(h, "")
	leases := h.t.TempDir()
	ipam := `"ipam":{"type":"host-local","dataDir":"` + leases + `","ranges":[[{"subnet":"10.87.0.0/24"}],[{"subnet":"fd87::/64"}]],"routes":[{"dst":"0.0.0.0/0"},{"dst":"::/0"}]}`
	text := `{"cniVersion":"1.1.0","name":"demo","plugins":[` + strings.ReplaceAll(plugins, "IPAM", ipam) + `]}`
	list, err := libcni.ConfListFromBytes([]byte(text))
	must(h.t, err)
	r.list = list
	r.cni = libcni.NewCNIConfigWithCacheDir([]string{binDir, referenceDir(h.t)}, h.t.TempDir(), nil)
	return r, filepath.Join(leases, "demo")
}

// serve starts a web server in the sandbox, by the kernel's sockets (which the
// engine's inline path carries) or by the engine's, and fetches a file from it.
func (h *host) serve(c container, url string, intercepted bool, port string) {
	h.t.Helper()
	dir := h.t.TempDir()
	must(h.t, os.Chmod(dir, 0o755))
	content := strings.Repeat("every byte as it was sent\n", 100_000)
	must(h.t, os.WriteFile(filepath.Join(dir, "file"), []byte(content), 0o644))
	args := []string{"ip", "netns", "exec", c.ns}
	if intercepted {
		args = []string{"nsenter", "--net=" + h.path(), command(), "exec", c.id, "--"}
	}
	bind := "0.0.0.0"
	if strings.Contains(url, "[") {
		bind = "::"
	}
	server := start(h.t, plumbing{env: h.env()}, append(args, "python3", "-m", "http.server", port, "--bind", bind, "--directory", dir)...)
	defer server.stop()
	eventually(h.t, "the file at "+url, func() bool {
		to := filepath.Join(h.t.TempDir(), "got")
		h.start("curl", "-sS", "-o", to, "--max-time", "20", url+"/file").wait()
		got, _ := os.ReadFile(to)
		return string(got) == content
	})
}

// Behind the reference plugins: what they made goes on as the engine's uplink,
// traffic flows both ways in super-segments, and DEL of the whole list leaves
// nothing, whatever happened to the engine.
func TestChainedBehindReference(t *testing.T) {
	for name, x := range map[string]struct {
		first, check string   // what CHECK of the plugin says of a TAP in the sandbox
		links        []string // that go after the test
	}{
		"ptp":     {`{"type":"ptp","mtu":1400,"ipMasq":true,"ipMasqBackend":"nftables",IPAM}`, "not of type veth", nil},
		"bridge":  {`{"type":"bridge","bridge":"br-ref","isGateway":true,"ipMasq":true,"ipMasqBackend":"nftables","mtu":1400,IPAM}`, "not of type veth", []string{"br-ref"}},
		"macvlan": {`{"type":"macvlan","master":"wan","mtu":1400,IPAM}`, "not of type macvlan", []string{"wan"}},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			r, leases := listRuntime(h, x.first+`,{"type":"tcpcni","uplink":"chained"}`)
			bare := func() {
				t.Helper()
				for _, l := range x.links {
					h.sh("ip", "link", "del", l)
				}
				h.bare()
				h.noLeases(leases)
			}
			wan := func() {
				if name == "macvlan" {
					h.wan("wan")
				}
			}
			wan()
			c := r.container("box")
			_, err := r.add(c)
			must(t, err)
			if link := sh(t, "ip", "-n", c.ns, "-d", "link", "show", "eth0"); !strings.Contains(link, "mtu 1400") || !strings.Contains(link, "tun type tap") {
				t.Errorf("eth0: %s", link)
			}
			h.serve(c, "http://10.87.0.2:8081", true, "8081")
			h.serve(c, "http://[fd87::2]:8082", false, "8082")
			if err := r.check(c); err == nil || !strings.Contains(err.Error(), x.check) {
				t.Errorf("CHECK of the list: %v", err)
			}
			must(t, r.del(c))
			if got := sh(t, "ip", "-n", c.ns, "-o", "link"); strings.Contains(got, "eth0") {
				t.Errorf("DEL left eth0:\n%s", got)
			}
			must(t, r.del(c))
			bare()

			// The namespace goes before DEL.
			wan()
			gone := container{id: "gone", ns: h.name + "-gone"}
			sh(t, "ip", "netns", "add", gone.ns)
			_, err = r.add(gone)
			must(t, err)
			sh(t, "ip", "netns", "del", gone.ns)
			must(t, r.del(gone))
			// Without the namespace the reference plugins know no address and leave
			// their rules, as they do without tcpcni.
			h.sh("nft", "flush", "ruleset")
			bare()
		})
	}
}

// wan makes a cable whose near end is name and whose far end is the network's
// gateway.
func (h *host) wan(name string) {
	h.t.Helper()
	for _, args := range []string{
		"link add " + name + " mtu 1400 type veth peer name far", "link set far mtu 1400 up", "link set " + name + " up",
		"addr add 10.87.0.1/24 dev far", "addr add fd87::1/64 dev far nodad",
	} {
		h.sh(append([]string{"ip"}, strings.Fields(args)...)...)
	}
}

// The list that container runtimes ship: capabilities of other plugins work with
// this one in front.
func TestChainWithPortmapAndTuning(t *testing.T) {
	h := newHost(t)
	r, leases := listRuntime(h, `{"type":"tcpcni","uplink":"ptp",IPAM},
{"type":"portmap","backend":"nftables","capabilities":{"portMappings":true}},
{"type":"tuning","sysctl":{"net.ipv4.conf.IFNAME.arp_filter":"1"}}`)
	lo, _ := listRuntime(h, `{"type":"loopback"}`)
	c := r.container("box")
	rt := c.config()
	rt.CapabilityArgs = map[string]any{"portMappings": []map[string]any{{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}}}
	loopback := c.config()
	loopback.IfName = "lo"
	must(t, lo.on(loopback, addList))
	must(t, r.on(rt, addList))
	must(t, r.on(rt, (*libcni.CNIConfig).CheckNetworkList))
	must(t, lo.on(loopback, (*libcni.CNIConfig).CheckNetworkList))
	h.serve(c, "http://10.87.0.1:8080", false, "80")
	must(t, r.on(rt, (*libcni.CNIConfig).DelNetworkList))
	must(t, lo.on(loopback, (*libcni.CNIConfig).DelNetworkList))
	h.sh("nft", "flush", "ruleset") // portmap keeps its table
	h.bare()
	h.noLeases(leases)
}

// A listVerb is a method of libcni on a list.
type listVerb func(*libcni.CNIConfig, context.Context, *libcni.NetworkConfigList, *libcni.RuntimeConf) error

func addList(c *libcni.CNIConfig, ctx context.Context, l *libcni.NetworkConfigList, rt *libcni.RuntimeConf) error {
	_, err := c.AddNetworkList(ctx, l, rt)
	return err
}

// on runs a verb for an attachment with capabilities.
func (r *cniRuntime) on(rt *libcni.RuntimeConf, verb listVerb) error {
	return r.call(func(ctx context.Context) error { return verb(r.cni, ctx, r.list, rt) })
}

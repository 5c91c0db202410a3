package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/containernetworking/cni/libcni"
	"github.com/containernetworking/cni/pkg/types"
	current "github.com/containernetworking/cni/pkg/types/100"
)

// The plugin as a container runtime drives it: by the CNI project's own
// library, with a network configuration list, on a namespace of its choice.

// A cniRuntime is a container runtime's view of one network.
type cniRuntime struct {
	h    *host
	cni  *libcni.CNIConfig
	list *libcni.NetworkConfigList
}

// conflist is the network of the default, as an administrator writes it.
const conflist = `{"cniVersion":"1.1.0","name":"%s","plugins":[{"type":"tcpcni",%s"mtu":1500,"profile":"linux",
"ipam":{"type":"host-local","dataDir":"%s","ranges":[[{"subnet":"10.87.0.0/24"}],[{"subnet":"fd87::/64"}]],
"routes":[{"dst":"0.0.0.0/0"},{"dst":"::/0"}]}}]}`

func newRuntime(h *host, uplink string) *cniRuntime {
	h.t.Helper()
	onlyTCPCNI(h.t)
	h.t.Setenv("TCPCNI_STATE", h.state)
	text := fmt.Sprintf(conflist, "demo", uplink, h.t.TempDir())
	list, err := libcni.ConfListFromBytes([]byte(text))
	must(h.t, err)
	return &cniRuntime{h: h, list: list, cni: libcni.NewCNIConfigWithCacheDir([]string{binDir}, h.t.TempDir(), nil)}
}

// A container is a namespace that the runtime made and what it calls it.
type container struct {
	id, ns string
}

func (r *cniRuntime) container(id string) container {
	r.h.t.Helper()
	c := container{id: id, ns: r.h.name + "-" + id}
	sh(r.h.t, "ip", "netns", "add", c.ns)
	r.h.t.Cleanup(func() { sh(r.h.t, "ip", "netns", "del", c.ns) })
	return c
}

func (c container) config() *libcni.RuntimeConf {
	return &libcni.RuntimeConf{ContainerID: c.id, NetNS: "/run/netns/" + c.ns, IfName: "eth0"}
}

// call runs one verb with the host as the current namespace.
func (r *cniRuntime) call(f func(ctx context.Context) error) error {
	return r.h.in(func() error {
		ctx, cancel := context.WithTimeout(context.Background(), hang)
		defer cancel()
		return f(ctx)
	})
}

func (r *cniRuntime) add(c container) (result *current.Result, err error) {
	err = r.call(func(ctx context.Context) error {
		got, err := r.cni.AddNetworkList(ctx, r.list, c.config())
		if err == nil {
			result, err = current.GetResult(got)
		}
		return err
	})
	return result, err
}

func (r *cniRuntime) check(c container) error {
	return r.call(func(ctx context.Context) error { return r.cni.CheckNetworkList(ctx, r.list, c.config()) })
}

func (r *cniRuntime) del(c container) error {
	return r.call(func(ctx context.Context) error { return r.cni.DelNetworkList(ctx, r.list, c.config()) })
}

// answers reports whether the engine is there: it resets a connection to a
// port that nobody listens on.
func (h *host) answers(addr string) bool {
	err := h.in(func() error {
		c, err := net.DialTimeout("tcp", addr, 5*time.Second)
		if err == nil {
			_ = c.Close()
		}
		return err
	})
	return errors.Is(err, syscall.ECONNREFUSED)
}

func (h *host) expectAnswers(addrs ...string) {
	h.t.Helper()
	for _, addr := range addrs {
		eventually(h.t, "a reset from "+addr, func() bool { return h.answers(addr) })
	}
}

func TestCNI(t *testing.T) {
	for name, uplink := range map[string]string{
		"ptp":    `"uplink":"ptp",`,
		"bridge": `"uplink":"bridge","bridge":"br-demo",`,
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			r := newRuntime(h, uplink)
			a, b := r.container("a"), r.container("b")
			result, err := r.add(a)
			must(t, err)
			expectResult(t, result, a, "10.87.0.2/24", "fd87::2/64")
			must(t, r.check(a))
			h.expectAnswers("10.87.0.2:9", "[fd87::2]:9")

			result, err = r.add(b)
			must(t, err)
			expectResult(t, result, b, "10.87.0.3/24", "fd87::3/64")
			must(t, r.check(a))
			must(t, r.check(b))
			h.expectAnswers("10.87.0.3:9", "[fd87::3]:9")

			must(t, r.del(a))
			must(t, r.del(a)) // a second time is no error
			must(t, r.check(b))
			h.expectAnswers("10.87.0.3:9")
			if got := sh(t, "ip", "-n", a.ns, "-o", "link"); strings.Contains(got, "eth0") {
				t.Errorf("DEL left eth0:\n%s", got)
			}
			must(t, r.del(b))
			if uplink != `"uplink":"ptp",` {
				// The bridge is the network's, not the container's.
				h.sh("ip", "link", "del", "br-demo")
			}
			h.bare()
		})
	}
}

func expectResult(t *testing.T, r *current.Result, c container, addrs ...string) {
	t.Helper()
	var inside *current.Interface
	index := -1
	for i, link := range r.Interfaces {
		if link.Name == "eth0" && link.Sandbox == "/run/netns/"+c.ns {
			inside, index = link, i
		}
	}
	if inside == nil || inside.Mac == "" {
		t.Fatalf("no eth0 with an address in the result's interfaces: %v", r.Interfaces)
	}
	if len(r.IPs) != len(addrs) {
		t.Fatalf("result's addresses: %v, want %v", r.IPs, addrs)
	}
	for i, ip := range r.IPs {
		if ip.Address.String() != addrs[i] || ip.Interface == nil || *ip.Interface != index || ip.Gateway == nil {
			t.Errorf("address %d: %v, want %s on interface %d with a gateway", i, ip, addrs[i], index)
		}
	}
	if len(r.Routes) != 2 {
		t.Errorf("result's routes: %v", r.Routes)
	}
	// What the container sees is what the result says.
	got := sh(t, "ip", "-n", c.ns, "-o", "addr", "show", "dev", "eth0")
	for _, a := range addrs {
		if !strings.Contains(got, " "+a+" ") {
			t.Errorf("eth0 has no %s:\n%s", a, got)
		}
	}
	if link := sh(t, "ip", "-n", c.ns, "-o", "link", "show", "dev", "eth0"); !strings.Contains(link, inside.Mac) || !strings.Contains(link, "LOWER_UP") || !strings.Contains(link, "mtu 1500") {
		t.Errorf("eth0 is not up with %s and MTU 1500:\n%s", inside.Mac, link)
	}
}

// The engine dies under a running container: CHECK notices, DEL cleans up, a
// new ADD of the same name works.
func TestCNIEngineKilled(t *testing.T) {
	h := newHost(t)
	r := newRuntime(h, `"uplink":"ptp",`)
	c := r.container("c")
	_, err := r.add(c)
	must(t, err)
	h.expectAnswers("10.87.0.2:9")
	s := &sandbox{h: h, name: "c-eth0"}
	pid := s.engine()
	must(t, syscall.Kill(pid, syscall.SIGKILL))
	eventually(t, "the end of the engine", func() bool {
		_, err := os.Stat(fmt.Sprintf("/proc/%d/exe", pid))
		return err != nil
	})
	if err := r.check(c); err == nil {
		t.Error("CHECK says that all is well without an engine")
	}
	must(t, r.del(c))
	h.bare()
	result, err := r.add(c)
	must(t, err)
	h.expectAnswers(result.IPs[0].Address.IP.String() + ":9")
	must(t, r.check(c))
	must(t, r.del(c))
	h.bare()
}

// CHECK compares what there is with what ADD said.
func TestCNICheck(t *testing.T) {
	h := newHost(t)
	r := newRuntime(h, `"uplink":"ptp",`)
	for _, damage := range [][]string{
		{"link", "set", "eth0", "down"},
		{"link", "del", "eth0"},
		{"addr", "del", "10.87.0.", "dev", "eth0"},
		{"route", "del", "default"},
	} {
		c := r.container(strings.Join(damage[:2], "-"))
		result, err := r.add(c)
		must(t, err)
		must(t, r.check(c))
		args := append([]string{"ip", "-n", c.ns}, damage...)
		for i, a := range args {
			if a == "10.87.0." {
				args[i] = result.IPs[0].Address.String()
			}
		}
		sh(t, args...)
		if err := r.check(c); err == nil {
			t.Errorf("CHECK says that all is well after ip %v", damage)
		}
		must(t, r.del(c))
	}
	h.bare()
}

// The namespace is gone before DEL, as after a crash of the machine's runtime.
func TestCNIDelWithoutNamespace(t *testing.T) {
	h := newHost(t)
	r := newRuntime(h, `"uplink":"ptp",`)
	c := container{id: "gone", ns: h.name + "-gone"}
	sh(t, "ip", "netns", "add", c.ns)
	_, err := r.add(c)
	must(t, err)
	sh(t, "ip", "netns", "del", c.ns)
	must(t, r.del(c))
	h.bare()
}

// raw runs the plugin as the specification describes it, by environment and
// standard input, and returns its error's code, 0 for success.
func (h *host) raw(env []string, stdin string) (code uint, text string) {
	h.t.Helper()
	p := h.startWith(plumbing{stdin: strings.NewReader(stdin), env: env}, command())
	if p.wait() == 0 {
		return 0, p.stdout.String()
	}
	var e types.Error
	if err := json.Unmarshal([]byte(p.stdout.String()), &e); err != nil {
		h.t.Fatalf("an error that is not JSON on standard output: %q %q", p.stdout, p.stderr)
	}
	return e.Code, e.Msg + "; " + e.Details
}

func TestCNIErrors(t *testing.T) {
	h := newHost(t)
	r := newRuntime(h, `"uplink":"ptp",`)
	c := r.container("errors")
	env := func(verb string, change ...string) []string {
		return append([]string{"CNI_COMMAND=" + verb, "CNI_CONTAINERID=errors", "CNI_NETNS=/run/netns/" + c.ns,
			"CNI_IFNAME=eth0", "CNI_PATH=" + binDir}, change...)
	}
	good := func(field string) string {
		return `{"cniVersion":"1.1.0","name":"demo","type":"tcpcni",` + field +
			`"ipam":{"type":"host-local","dataDir":"` + filepath.Join(h.state, "ipam") + `","ranges":[[{"subnet":"10.87.0.0/24"}]]}}`
	}
	for _, c := range []struct {
		what  string
		env   []string
		stdin string
		code  uint
		says  []string
	}{
		{"not JSON", env("ADD"), "nonsense", types.ErrDecodingFailure, nil},
		{"version", env("ADD"), strings.Replace(good(""), "1.1.0", "9.9.9", 1), types.ErrIncompatibleCNIVersion, []string{"9.9.9"}},
		{"no container", env("ADD", "CNI_CONTAINERID="), good(""), types.ErrInvalidEnvironmentVariables, []string{"CNI_CONTAINERID"}},
		{"no namespace", env("ADD", "CNI_NETNS="), good(""), types.ErrInvalidEnvironmentVariables, []string{"CNI_NETNS"}},
		{"interface name", env("ADD", "CNI_IFNAME=a/b"), good(""), types.ErrInvalidEnvironmentVariables, nil},
		{"uplink", env("ADD"), good(`"uplink":"string",`), types.ErrInvalidNetworkConfig, []string{"uplink", "string", "ptp", "bridge"}},
		{"bridge", env("ADD"), good(`"uplink":"bridge",`), types.ErrInvalidNetworkConfig, []string{"bridge"}},
		{"mtu", env("ADD"), good(`"mtu":"large",`), types.ErrInvalidNetworkConfig, []string{"mtu", "large"}},
		{"profile", env("ADD"), good(`"profile":"plan9",`), types.ErrInvalidNetworkConfig, []string{"profile", "plan9", "linux"}},
		{"unknown field", env("ADD"), good(`"colour":"red",`), types.ErrInvalidNetworkConfig, []string{"colour"}},
	} {
		code, text := h.raw(c.env, c.stdin)
		if code != c.code {
			t.Errorf("%s: code %d, want %d: %s", c.what, code, c.code, text)
		}
		for _, w := range c.says {
			if !strings.Contains(text, w) {
				t.Errorf("%s: the error does not say %q: %s", c.what, w, text)
			}
		}
	}
	if code, text := h.raw([]string{"CNI_COMMAND=VERSION"}, `{"cniVersion":"1.1.0"}`); code != 0 || !strings.Contains(text, `"1.1.0"`) {
		t.Errorf("VERSION: code %d: %s", code, text)
	}
	if code, text := h.raw(env("DANCE"), good("")); code == 0 || !strings.Contains(text, "DANCE") {
		t.Errorf("an unknown verb: code %d: %s", code, text)
	}
	// Nothing of a failed ADD stays.
	h.bare()
}

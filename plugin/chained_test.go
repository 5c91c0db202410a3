package plugin

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tcpcni/tcpcni/hostlink/process"
)

// before plays the plugin before: a veth pair as the reference ptp plugin leaves
// it, with a route over the gateway to the subnet, and its result.
func (h *host) before(c container) string {
	h.t.Helper()
	h.run(h.netNS, "ip", "link", "add", "veth-host", "type", "veth", "peer", "name", "veth-box")
	if err := moveDevice("veth-box", h.netNS, "eth0", c.netNS); err != nil {
		h.t.Fatal(err)
	}
	h.run(h.netNS, "ip", "link", "set", "veth-host", "up")
	for _, cmd := range []string{
		"link set eth0 mtu 1400 address 02:00:00:00:00:42",
		"link set eth0 up",
		"addr add 10.87.0.2/24 dev eth0 noprefixroute",
		"addr add fd87::2/64 dev eth0 nodad",
		"route add 10.87.0.1 dev eth0 scope link src 10.87.0.2",
		"route add 10.87.0.0/24 via 10.87.0.1 src 10.87.0.2",
		"route add default via 10.87.0.1 metric 7 mtu 1300",
		"route add default via fd87::1",
	} {
		h.run(c.netNS, "ip", strings.Fields(cmd)...)
	}
	return `{"cniVersion":"1.1.0","interfaces":[{"name":"veth-host"},{"name":"eth0","mac":"02:00:00:00:00:42","mtu":1400,"sandbox":"` + c.netNS + `"}],
"ips":[{"interface":1,"address":"10.87.0.2/24","gateway":"10.87.0.1"},{"interface":1,"address":"fd87::2/64","gateway":"fd87::1"}],
"routes":[{"dst":"0.0.0.0/0","gw":"10.87.0.1"}]}`
}

// view is what a program sees of the sandbox's network, without the kind of the
// device and without what the kernel adds by itself.
func (h *host) view(c container) string {
	h.t.Helper()
	var keep []string
	link := strings.Fields(h.run(c.netNS, "ip", "-o", "link", "show", "eth0"))
	for i, f := range link {
		if f == "mtu" || f == "link/ether" {
			keep = append(keep, f, link[i+1])
		}
	}
	for _, args := range [][]string{{"-o", "addr", "show", "dev", "eth0"}, {"route"}, {"-6", "route"}} {
		for line := range strings.Lines(h.run(c.netNS, "ip", args...)) {
			if strings.Contains(line, "fe80::") {
				continue
			}
			f := strings.Fields(line)
			if args[0] == "-o" {
				f = f[2:4]
			}
			text := strings.Join(f, " ")
			for _, drop := range []string{" proto kernel", " pref medium"} {
				text = strings.ReplaceAll(text, drop, "")
			}
			keep = append(keep, text)
		}
	}
	return strings.Join(keep, "\n")
}

func chainedConf(members ...string) string {
	return conf(append([]string{"uplink", `"chained"`, "ipam", "", "mtu", ""}, members...)...)
}

// The sandbox looks the same with the plugin behind another as without, and DEL
// puts back what was there.
func TestChained(t *testing.T) {
	h := newHost(t)
	c := h.container("box")
	prev := withResult(chainedConf(), h.before(c))
	want := h.view(c)
	text := h.must("ADD", c, prev)
	if got := h.view(c); got != want {
		t.Errorf("the sandbox changed from\n%s\nto\n%s", want, got)
	}
	if kind := h.run(c.netNS, "ip", "-d", "link", "show", "eth0"); !strings.Contains(kind, "tun type tap") {
		t.Errorf("eth0 is no TAP: %s", kind)
	}
	s := SandboxAt(h.state, "box", "eth0")
	device := uplinkName("box", "eth0")
	if got := h.run(s.netNSPath(), "ip", "-o", "addr"); strings.Contains(got, "inet") {
		t.Errorf("the kernel has addresses in the engine's namespace: %s", got)
	}
	r := result(t, text)
	last := r.Interfaces[len(r.Interfaces)-1]
	if len(r.Interfaces) != 3 || last.Name != device || last.Sandbox != s.netNSPath() || last.Mac != "02:00:00:00:00:42" || len(r.IPs) != 2 || len(r.Routes) != 1 {
		t.Errorf("result: %s", text)
	}
	h.must("CHECK", c, withResult(chainedConf(), text))
	h.run(c.netNS, "ip", "route", "add", "192.0.2.0/24", "via", "10.87.0.1")
	h.fails("CHECK", c, withResult(chainedConf(), text), "192.0.2.0/24", "did not make")
	h.must("DEL", c, withResult(chainedConf(), text))
	if got := h.view(c); got != want {
		t.Errorf("DEL left\n%s\nwhere there was\n%s", got, want)
	}
	h.must("DEL", c, withResult(chainedConf(), text))
	if got := h.view(c); got != want {
		t.Errorf("the second DEL left\n%s\nwhere there was\n%s", got, want)
	}
	h.run(c.netNS, "ip", "link", "del", "eth0")
	h.bare(c)
}

// Whatever is gone when DEL comes, nothing of the pair stays that the plugin
// before does not find.
func TestChainedDel(t *testing.T) {
	for name, damage := range map[string]func(h *host, c *container, s Sandbox){
		"no namespace": func(_ *host, c *container, _ Sandbox) { c.netNS = "" },
		"no record": func(h *host, _ *container, s Sandbox) {
			if err := os.Remove(filepath.Join(s.Dir, recordFile)); err != nil {
				h.t.Fatal(err)
			}
		},
		"engine dead": func(h *host, _ *container, s Sandbox) {
			id, err := s.Engine()
			if err != nil {
				h.t.Fatal(err)
			}
			if err := process.Stop(id, 0); err != nil {
				h.t.Fatal(err)
			}
		},
		"device gone": func(h *host, _ *container, _ Sandbox) { h.run(h.netNS, "ip", "link", "del", "veth-host") },
		"device renamed, not moved": func(h *host, c *container, s Sandbox) {
			h.run(s.netNSPath(), "ip", "link", "set", uplinkName("box", "eth0"), "down")
			h.run(s.netNSPath(), "ip", "link", "set", uplinkName("box", "eth0"), "name", "eth0")
		},
		"device back": func(h *host, c *container, s Sandbox) {
			h.run(c.netNS, "ip", "link", "del", "eth0")
			if err := moveDevice(uplinkName("box", "eth0"), s.netNSPath(), "eth0", c.netNS); err != nil {
				h.t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			c := h.container("box")
			text := h.must("ADD", c, withResult(chainedConf(), h.before(c)))
			gone := c
			damage(h, &gone, SandboxAt(h.state, "box", "eth0"))
			h.must("DEL", gone, withResult(chainedConf(), text))
			if got := h.run(c.netNS, "ip", "-o", "addr"); gone.netNS != "" && name != "device gone" && !strings.Contains(got, "10.87.0.2/24") {
				t.Errorf("the address is not back: %s", got)
			}
			if links := h.links(c.netNS); len(links) > 0 {
				h.run(c.netNS, "ip", "link", "del", "eth0")
			}
			h.bare(c)
		})
	}
}

// ADD refuses what it could not carry on with, and leaves it as it is.
func TestChainedRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		change func(h *host, c container)
		conf   string
		says   []string
	}{
		"no result": {func(*host, container) {}, chainedConf(), []string{"prevResult", "chained"}},
		"another's": {func(h *host, c container) {}, withResult(chainedConf(), `{"cniVersion":"1.1.0","interfaces":[{"name":"eth0","sandbox":"/x"}]}`), []string{"prevResult.interfaces", "eth0"}},
		"another table": {func(h *host, c container) {
			h.run(c.netNS, "ip", "route", "add", "192.0.2.0/24", "via", "10.87.0.1", "table", "7")
		}, "", []string{"192.0.2.0/24", "table 7"}},
		"a neighbour": {func(h *host, c container) {
			h.run(c.netNS, "ip", "neigh", "add", "10.87.0.9", "lladdr", "02:00:00:00:00:09", "dev", "eth0", "nud", "permanent")
		}, "", []string{"permanent neighbour 10.87.0.9"}},
		"no address":      {func(h *host, c container) { h.run(c.netNS, "ip", "addr", "flush", "dev", "eth0") }, "", []string{"no address"}},
		"an engine fails": {func(h *host, _ container) { h.failEngines() }, "", []string{"told to fail"}},
		"a peer address": {func(h *host, c container) {
			h.run(c.netNS, "ip", "addr", "add", "10.9.0.1", "peer", "10.9.0.2/32", "dev", "eth0")
		}, "", []string{"10.9.0", "peer"}},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			box := h.container("box")
			prev := h.before(box)
			c.change(h, box)
			if c.conf == "" {
				c.conf = withResult(chainedConf(), prev)
			}
			want := h.view(box)
			h.fails("ADD", box, c.conf, c.says...)
			if got := h.view(box); got != want {
				t.Errorf("the failed ADD left\n%s\nwhere there was\n%s", got, want)
			}
			h.run(box.netNS, "ip", "link", "del", "eth0")
			h.bare(box)
		})
	}
}

// A device of a kind that cannot be moved is refused.
func TestChainedKind(t *testing.T) {
	h := newHost(t)
	c := h.container("box")
	h.run(c.netNS, "ip", "link", "add", "eth0", "type", "bridge")
	h.fails("ADD", c, withResult(chainedConf(), `{"cniVersion":"1.1.0","interfaces":[{"name":"eth0","sandbox":"`+c.netNS+`"}]}`), "bridge", "veth")
}

// failEngines keeps the engines of the host from starting.
func (h *host) failEngines() {
	h.t.Helper()
	if err := os.MkdirAll(h.state, 0o755); err != nil {
		h.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(h.state, failEngine), nil, 0o644); err != nil {
		h.t.Fatal(err)
	}
}

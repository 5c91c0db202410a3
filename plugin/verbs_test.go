package plugin

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tcpcni/tcpcni/hostlink"
	"github.com/tcpcni/tcpcni/hostlink/process"
)

func TestAddCheckDel(t *testing.T) {
	for name, conf := range map[string]string{
		UplinkPTP:    testConf("ipMasq", "true"),
		UplinkBridge: testConf("uplink", `"bridge"`, "bridge", `"br-t"`, "ipMasq", "true"),
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			c := h.container("box")
			text := h.must("ADD", c, conf)
			r := result(t, text)
			if len(r.Interfaces) < 2 || r.Interfaces[1].Name != "eth0" || r.Interfaces[1].Sandbox != c.netNS {
				t.Fatalf("interfaces: %+v", r.Interfaces)
			}
			for _, ip := range r.IPs {
				if ip.Interface == nil || *ip.Interface != 1 {
					t.Errorf("address %s is on interface %v", ip.Address.String(), ip.Interface)
				}
			}
			inside := h.run(c.netNS, "ip", "-o", "addr")
			for _, want := range []string{" 10.87.0.2/24 ", " fd87::2/64 ", " 127.0.0.1/8 "} {
				if !strings.Contains(inside, want) {
					t.Errorf("no%sin the sandbox:\n%s", want, inside)
				}
			}
			// What the engine does not answer for is not on eth0.
			if strings.Contains(inside, "fe80::") {
				t.Errorf("an address of the kernel's own:\n%s", inside)
			}
			if strings.Contains(inside, "tentative") {
				t.Errorf("an address is being detected:\n%s", inside)
			}
			if rules := h.run(h.netNS, "nft", "list", "ruleset"); !strings.Contains(rules, "10.87.0.2") || !strings.Contains(rules, "fd87::2") {
				t.Errorf("no masquerading:\n%s", rules)
			}
			h.must("CHECK", c, withResult(conf, text))
			h.fails("ADD", c, conf, "box", "attached already")
			h.must("CHECK", c, withResult(conf, text))

			h.must("DEL", c, withResult(conf, text))
			var keep []string
			if name == UplinkBridge {
				keep = []string{"br-t"} // the network's, not the container's
			}
			h.bare(c, keep...)
			if rules := h.run(h.netNS, "nft", "list", "ruleset"); strings.Contains(rules, "10.87.0.2") {
				t.Errorf("masquerading is left:\n%s", rules)
			}
			h.must("DEL", c, conf)
			h.bare(c, keep...)
		})
	}
}

// Whatever step of ADD fails, nothing stays.
func TestFailedAddLeavesNothing(t *testing.T) {
	bridge := testConf("uplink", `"bridge"`, "bridge", `"br-t"`)
	for _, c := range []struct {
		what, conf string
		sabotage   func(h *host, c container)
		says, keep []string
	}{
		{"configuration", testConf("mtu", "1"), func(*host, container) {}, []string{"mtu", "576"}, nil},
		{"IPAM", testConf(), func(h *host, _ container) { h.write("fail-ADD", "", 0o644) }, []string{"testipam", "no luck"}, nil},
		{"no such IPAM", testConf("ipam", `{"type":"nosuch"}`), func(*host, container) {}, []string{"nosuch"}, nil},
		{"IPAM's result", testConf(), func(h *host, _ container) {
			h.write("result", `{"cniVersion":"1.1.0","ips":[{"address":"10.0.0.2/24"}]}`, 0o644)
		}, []string{"10.0.0.2/24", "gateway"}, nil},
		{"an address that was asked for", testConf("runtimeConfig", `{"ips":["10.87.0.99/24"]}`), func(*host, container) {}, []string{"10.87.0.99", "10.87.0.2/24"}, nil},
		{"a route that cannot be", testConf(), func(h *host, _ container) {
			h.write("result", strings.Replace(dual, `"0.0.0.0/0"`, `"192.0.2.0/24","gw":"203.0.113.1"`, 1), 0o644)
		}, []string{"192.0.2.0/24"}, nil},
		{"eth0 is there", testConf(), func(h *host, c container) {
			h.run(c.netNS, "ip", "link", "add", "eth0", "type", "bridge")
		}, []string{"eth0", "exists"}, nil},
		{"uplink is there", testConf(), func(h *host, c container) {
			h.run(h.netNS, "ip", "link", "add", uplinkName(c.id, "eth0"), "type", "bridge")
		}, []string{uplinkName("box", "eth0"), "exists"}, []string{uplinkName("box", "eth0")}},
		{"bridge is none", bridge, func(h *host, _ container) {
			h.run(h.netNS, "ip", "tuntap", "add", "br-t", "mode", "tap")
		}, []string{"bridge", "br-t", "tuntap"}, []string{"br-t"}},
		{"engine", testConf("ipMasq", "true"), func(h *host, _ container) {
			if err := os.MkdirAll(h.state, 0o755); err != nil {
				h.t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(h.state, failEngine), nil, 0o644); err != nil {
				h.t.Fatal(err)
			}
		}, []string{"engine", "told to fail"}, nil},
		{"engine on a bridge", bridge, func(h *host, _ container) {
			if err := os.MkdirAll(h.state, 0o755); err != nil {
				h.t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(h.state, failEngine), nil, 0o644); err != nil {
				h.t.Fatal(err)
			}
		}, []string{"engine", "told to fail"}, nil},
	} {
		t.Run(c.what, func(t *testing.T) {
			h := newHost(t)
			box := h.container("box")
			c.sabotage(h, box)
			h.fails("ADD", box, c.conf, c.says...)
			if c.what == "eth0 is there" {
				h.run(box.netNS, "ip", "link", "del", "eth0") // still there: it is not the plugin's
			}
			h.bare(box, c.keep...)
		})
	}
}

func TestAddRefusesTheHostsNamespace(t *testing.T) {
	h := newHost(t)
	h.fails("ADD", container{"box", h.netNS}, testConf(), "network namespace", "host")
	h.fails("ADD", container{"box", "/nonexistent"}, testConf(), "network namespace", "/nonexistent")
	h.fails("ADD", container{"box", filepath.Join(h.ipam, "result")}, testConf(), "network namespace", "result")
	if got := h.links(h.netNS); len(got) > 0 {
		t.Errorf("links: %v", got)
	}
	if h.verbs() != "" {
		t.Errorf("IPAM was asked: %q", h.verbs())
	}
}

// DEL works for what never was and when parts of what was are gone.
func TestDelIsIdempotent(t *testing.T) {
	kill := func(h *host, s Sandbox) {
		id, err := s.Engine()
		if err != nil {
			h.t.Fatal(err)
		}
		if err := process.Stop(id, 0); err != nil {
			h.t.Fatal(err)
		}
	}
	for name, damage := range map[string]func(h *host, c *container, s Sandbox){
		"nothing":          func(*host, *container, Sandbox) {},
		"engine dead":      func(h *host, _ *container, s Sandbox) { kill(h, s) },
		"no namespace":     func(_ *host, c *container, _ Sandbox) { c.netNS = "" },
		"a dangling path":  func(_ *host, c *container, _ Sandbox) { c.netNS = "/nonexistent" },
		"no namespace now": func(h *host, c *container, _ Sandbox) { c.netNS = filepath.Join(h.ipam, "result") },
		"no record": func(h *host, _ *container, s Sandbox) {
			kill(h, s)
			if err := os.RemoveAll(s.Dir); err != nil {
				h.t.Fatal(err)
			}
		},
		"no pid file": func(h *host, _ *container, s Sandbox) {
			if err := os.Remove(filepath.Join(s.Dir, idFile)); err != nil {
				h.t.Fatal(err)
			}
		},
		"no devices": func(h *host, c *container, _ Sandbox) {
			h.run(c.netNS, "ip", "link", "del", "eth0")
			h.run(h.netNS, "ip", "link", "del", uplinkName(c.id, "eth0"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			c := h.container("box")
			conf := testConf("ipMasq", "true")
			text := h.must("ADD", c, conf)
			gone := c
			damage(h, &gone, SandboxAt(h.state, c.id, "eth0"))
			h.must("DEL", gone, withResult(conf, text))
			if gone.netNS != c.netNS {
				// The namespace took eth0 along, as far as the plugin knows.
				h.run(c.netNS, "ip", "link", "del", "eth0")
			}
			h.bare(c)
			h.must("DEL", gone, conf)
			// The name is free for a new container.
			h.must("ADD", c, conf)
			h.must("DEL", c, conf)
			h.bare(c)
		})
	}
}

func TestNetworkWithoutIPv6(t *testing.T) {
	h := newHost(t)
	h.write("result", `{"cniVersion":"1.1.0","ips":[{"address":"10.9.0.2/16","gateway":"10.9.0.1"}],"routes":[{"dst":"0.0.0.0/0"}]}`, 0o644)
	c := h.container("box")
	conf := testConf("mtu", "576")
	text := h.must("ADD", c, conf)
	h.must("CHECK", c, withResult(conf, text))
	for _, netNS := range []string{h.netNS, c.netNS} {
		if got := h.run(netNS, "ip", "-6", "-o", "addr", "show", "scope", "link"); got != "" {
			t.Errorf("link-local addresses: %s", got)
		}
	}
	h.must("DEL", c, conf)
	h.bare(c)
}

// The plugin is killed at any moment of ADD: DEL finds what it made.
func TestKilledAdd(t *testing.T) {
	h := newHost(t)
	conf := testConf("ipMasq", "true")
	c := h.container("box")
	for delay := time.Duration(0); delay < 120*time.Millisecond; delay += 6 * time.Millisecond {
		cmd := h.command("ADD", c, conf)
		if err := hostlink.InNetNS(h.netNS, cmd.Start); err != nil {
			t.Fatal(err)
		}
		time.Sleep(delay)
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		h.must("DEL", c, conf)
		// An engine that was just starting notices by itself. A process that ends
		// loses its command line before its devices.
		for range 100 {
			if len(h.processes()) == 0 && len(h.links(c.netNS)) == 0 {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		if h.bare(c); t.Failed() {
			t.Fatalf("killed after %s", delay)
		}
	}
	h.must("ADD", c, conf)
	h.must("DEL", c, conf)
	h.bare(c)
}

// Verbs on one attachment at the same time wait for each other.
func TestConcurrentVerbs(t *testing.T) {
	h := newHost(t)
	c := h.container("box")
	var running sync.WaitGroup
	for i := range 6 {
		running.Go(func() {
			// Whether it finds an attachment is chance; that it leaves things in order
			// is not.
			_, _ = h.verb([]string{"ADD", "DEL"}[i%2], c, testConf())
		})
	}
	running.Wait()
	h.must("DEL", c, testConf())
	h.bare(c)
	for _, id := range []string{"a", "b", "c"} {
		running.Go(func() {
			if _, err := h.verb("DEL", container{id: id}, testConf("uplink", `"bridge"`, "bridge", `"br-t"`)); err != nil {
				t.Errorf("%s: %v", id, err)
			}
		})
	}
	running.Wait()
}

// The state directory was lost, the device was not: ADD finds its way.
func TestAddAfterLossOfState(t *testing.T) {
	h := newHost(t)
	c := h.container("box")
	h.run(h.netNS, "ip", "tuntap", "add", uplinkName(c.id, "eth0"), "mode", "tap", "vnet_hdr")
	h.must("ADD", c, testConf())
	h.must("DEL", c, testConf())
	h.bare(c)
}

func TestDelOfWhatNeverWas(t *testing.T) {
	h := newHost(t)
	c := h.container("never")
	h.must("DEL", c, testConf())
	h.bare(c)
	if !strings.Contains(h.verbs(), "DEL never eth0") {
		t.Errorf("IPAM was not told: %q", h.verbs())
	}
}

// A misspelt IPAM plugin fails ADD; DEL, which runtimes call after it, must not
// fail for the same reason. With a lease to give back it does.
// A path that named the namespace of an attachment may name that of another when
// a late DEL or GC comes.
func TestDelLeavesAnothersInterface(t *testing.T) {
	h := newHost(t)
	c := h.container("box")
	text := h.must("ADD", c, testConf())
	for _, id := range []string{"bo", "boxer", "another"} {
		h.must("DEL", container{id, c.netNS}, testConf())
	}
	h.must("CHECK", c, withResult(testConf(), text))
	h.must("DEL", c, testConf())
	h.bare(c)
}

func TestDelWithoutItsIPAM(t *testing.T) {
	h := newHost(t)
	c := h.container("box")
	none := testConf("ipam", `{"type":"nosuch"}`)
	h.fails("ADD", c, none, "ipam.type", "nosuch", "CNI_PATH")
	h.must("DEL", c, none)
	h.bare(c)
	h.must("ADD", c, testConf())
	h.fails("DEL", c, none, "nosuch")
	h.must("DEL", c, testConf())
	h.bare(c)
}

// IPAM fails in DEL: everything else goes, and the next DEL finds the rest.
func TestDelGoesOnWhenIPAMFails(t *testing.T) {
	h := newHost(t)
	c := h.container("box")
	h.must("ADD", c, testConf())
	h.write("fail-DEL", "", 0o644)
	h.fails("DEL", c, testConf(), "testipam", "no luck")
	if got := append(h.links(h.netNS), h.links(c.netNS)...); len(got) > 0 {
		t.Errorf("links: %v", got)
	}
	if err := os.Remove(filepath.Join(h.ipam, "fail-DEL")); err != nil {
		t.Fatal(err)
	}
	h.must("DEL", c, testConf())
	h.bare(c)
}

func TestCheckFindsDamage(t *testing.T) {
	for name, d := range map[string]struct {
		damage func(h *host, c container)
		says   string
	}{
		"eth0 gone":  {func(h *host, c container) { h.run(c.netNS, "ip", "link", "del", "eth0") }, "eth0"},
		"eth0's mtu": {func(h *host, c container) { h.run(c.netNS, "ip", "link", "set", "eth0", "mtu", "1400") }, "mtu is 1400"},
		"eth0's mac": {func(h *host, c container) {
			h.run(c.netNS, "ip", "link", "set", "eth0", "address", "02:00:00:00:00:01")
		}, "address is 02:00:00:00:00:01"},
		"one more route": {func(h *host, c container) { h.run(c.netNS, "ip", "route", "add", "192.0.2.0/24", "via", "10.87.0.1") }, "192.0.2.0/24 that ADD did not make"},
		"another route": {func(h *host, c container) {
			h.run(c.netNS, "ip", "route", "change", "default", "via", "10.87.0.1", "mtu", "1400")
		}, "0.0.0.0/0"},
		"one more address": {func(h *host, c container) { h.run(c.netNS, "ip", "addr", "add", "192.0.2.1/32", "dev", "eth0") }, "192.0.2.1/32, which ADD did not give"},
		"no gateway": {func(h *host, _ container) {
			h.run(h.netNS, "ip", "addr", "del", "10.87.0.1/32", "dev", uplinkName("box", "eth0"))
		}, "10.87.0.1/32 is missing"},
		"no masquerading": {func(h *host, _ container) {
			h.run(h.netNS, "nft", "flush", "chain", "inet", "cni_plugins_masquerade", "masq_checks")
		}, "masquerading"},
		"engine hangs": {func(h *host, c container) {
			id, err := SandboxAt(h.state, c.id, "eth0").Engine()
			if err != nil {
				h.t.Fatal(err)
			}
			h.run(h.netNS, "kill", "-STOP", fmt.Sprint(id.PID))
		}, "does not answer"},
		"eth0 down":     {func(h *host, c container) { h.run(c.netNS, "ip", "link", "set", "eth0", "down") }, "down"},
		"no address":    {func(h *host, c container) { h.run(c.netNS, "ip", "addr", "del", "fd87::2/64", "dev", "eth0") }, "fd87::2/64 is missing"},
		"no route":      {func(h *host, c container) { h.run(c.netNS, "ip", "route", "del", "default") }, "0.0.0.0/0 is missing"},
		"no host route": {func(h *host, _ container) { h.run(h.netNS, "ip", "route", "del", "10.87.0.2") }, "10.87.0.2/32 is missing"},
		"uplink gone":   {func(h *host, c container) { h.run(h.netNS, "ip", "link", "del", uplinkName(c.id, "eth0")) }, "tcp"},
		"lease gone":    {func(h *host, _ container) { h.write("fail-CHECK", "", 0o644) }, "no luck"},
		"engine dead": {func(h *host, c container) {
			id, err := SandboxAt(h.state, c.id, "eth0").Engine()
			if err != nil {
				h.t.Fatal(err)
			}
			if err := process.Stop(id, time.Second); err != nil {
				h.t.Fatal(err)
			}
		}, "engine"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			c := h.container("box")
			conf := testConf("ipMasq", "true")
			text := h.must("ADD", c, conf)
			h.must("CHECK", c, withResult(conf, text))
			d.damage(h, c)
			h.fails("CHECK", c, withResult(conf, text), d.says)
			h.must("DEL", c, conf)
			h.bare(c)
		})
	}
}

func TestCheckNeedsPrevResult(t *testing.T) {
	h := newHost(t)
	c := h.container("box")
	h.must("ADD", c, testConf())
	h.fails("CHECK", c, testConf(), "prevResult", "ADD")
	h.must("DEL", c, testConf())
}

// GC removes what the runtime does not list, and nothing of other networks.
func TestGC(t *testing.T) {
	h := newHost(t)
	keep, stale, other := h.container("keep"), h.container("stale"), h.container("other")
	h.must("ADD", keep, testConf())
	h.write("result", strings.NewReplacer("87.0.2", "87.0.3", "::2/", "::3/").Replace(dual), 0o644)
	h.must("ADD", stale, testConf())
	h.write("result", strings.NewReplacer("87.0.2", "87.0.4", "::2/", "::4/").Replace(dual), 0o644)
	h.must("ADD", other, testConf("name", `"another"`))
	h.must("GC", container{}, testConf("cni.dev/valid-attachments", `[{"containerID":"keep","ifname":"eth0"}]`))
	if got := h.links(stale.netNS); len(got) > 0 {
		t.Errorf("links of the stale sandbox: %v", got)
	}
	for _, c := range []container{keep, other} {
		if got := h.links(c.netNS); len(got) != 1 {
			t.Errorf("links of %s: %v", c.id, got)
		}
		h.must("DEL", c, testConf())
	}
	if !strings.Contains(h.verbs(), "DEL stale eth0") {
		t.Errorf("IPAM was not told: %q", h.verbs())
	}
	h.bare(stale)
}

func TestStatus(t *testing.T) {
	h := newHost(t)
	h.must("STATUS", container{}, testConf("ipMasq", "true"))
	h.write("fail-STATUS", "", 0o644)
	h.fails("STATUS", container{}, testConf(), "no luck")
}

// Results follow the version that the configuration asks for.
func TestOlderVersions(t *testing.T) {
	for _, v := range []string{"0.3.1", "0.4.0", "1.0.0", "1.1.0"} {
		h := newHost(t)
		c := h.container("box")
		conf := testConf("cniVersion", `"`+v+`"`)
		if text := h.must("ADD", c, conf); !strings.Contains(text, `"cniVersion": "`+v+`"`) {
			t.Errorf("%s: %s", v, text)
		}
		h.must("DEL", c, conf)
		h.bare(c)
	}
}

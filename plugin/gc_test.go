package plugin

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/containernetworking/cni/pkg/types"

	"github.com/tcpcni/tcpcni/hostlink"
	"github.com/tcpcni/tcpcni/hostlink/process"
)

const noneValid = `[]`

func gcConf(valid string, members ...string) string {
	return testConf(append([]string{"cni.dev/valid-attachments", valid}, members...)...)
}

// What no record owns goes, and what another network, another state directory
// or another verb owns stays.
func TestGCOrphans(t *testing.T) {
	h := newHost(t)
	live := h.container("live")
	h.must("ADD", live, testConf())
	kept := h.links(h.netNS)

	orphan := func(id, state, network string) string {
		name := uplinkName(id, "eth0")
		h.run(h.netNS, "ip", "tuntap", "add", name, "mode", "tap", "vnet_hdr")
		if network != "" {
			h.run(h.netNS, "ip", "link", "set", name, "alias", aliasOf(state, &Record{Network: network, ContainerID: id}))
		}
		return name
	}
	orphan("mine", h.state, "demo")
	orphan("unmarked", "", "")
	kept = append(kept, orphan("theirs", h.state, "another"), orphan("elsewhere", "/elsewhere", "demo"))
	h.run(h.netNS, "ip", "tuntap", "add", "tcpdump0", "mode", "tap")
	kept = append(kept, "tcpdump0")

	// A directory that an ADD made and did not come to fill, with a namespace.
	bare := SandboxAt(h.state, "bare", "eth0")
	if err := hostlink.NewNetNS(bare.netNSPath()); err != nil {
		t.Fatal(err)
	}
	// A lock that a killed verb left, and one that is held.
	for _, id := range []string{"left", "held"} {
		if err := os.WriteFile(SandboxAt(h.state, id, "eth0").lockPath(), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	held, err := process.TryLock(SandboxAt(h.state, "held", "eth0").lockPath())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = held.Remove() }()
	// An engine whose directory is gone.
	gone := SandboxAt(h.state, "gone", "eth0")
	lost := exec.Command("sh", "-c", "while :; do sleep 1; done", "engine", "--config", gone.configPath())
	if err := lost.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- lost.Wait() }()

	h.must("GC", container{}, gcConf(`[{"containerID":"live","ifname":"eth0"}]`))

	got := h.links(h.netNS)
	slices.Sort(got)
	slices.Sort(kept)
	if !slices.Equal(got, kept) {
		t.Errorf("links: %v, want %v", got, kept)
	}
	if _, err := os.Stat(bare.Dir); !os.IsNotExist(err) {
		t.Errorf("the directory of a killed ADD: %v", err)
	}
	if _, err := os.Stat(SandboxAt(h.state, "left", "eth0").lockPath()); !os.IsNotExist(err) {
		t.Errorf("the lock of a killed verb: %v", err)
	}
	if _, err := os.Stat(SandboxAt(h.state, "held", "eth0").lockPath()); err != nil {
		t.Errorf("a lock that is held: %v", err)
	}
	select {
	case <-ended:
	case <-time.After(30 * time.Second):
		t.Error("the engine without a directory runs on")
		_ = lost.Process.Kill()
	}
	for _, k := range kept {
		if k != uplinkName("live", "eth0") {
			h.run(h.netNS, "ip", "link", "del", k)
		}
	}
	h.must("DEL", live, testConf())
}

// A chained attachment that nobody knows any more gives its interface back.
func TestGCChained(t *testing.T) {
	h := newHost(t)
	c := h.container("box")
	prev := h.before(c)
	want := h.view(c)
	h.must("ADD", c, withResult(chainedConf(), prev))
	h.must("GC", container{}, chainedConf("cni.dev/valid-attachments", noneValid))
	if got := h.view(c); got != want {
		t.Errorf("GC left\n%s\nwhere there was\n%s", got, want)
	}
	h.run(c.netNS, "ip", "link", "del", "eth0")
	h.bare(c)
}

func TestRemoveLeases(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"10.0.0.2":           "live\r\neth0",
		"10.0.0.3":           "live\r\neth1",
		"10.0.0.4":           "dead\r\neth0",
		"fd00::2":            "live\r\neth0",
		"fd00::4":            "dead\r\neth0",
		"10.0.0.5":           "live", // as early versions wrote it
		"10.0.0.6":           "dead",
		"last_reserved_ip.0": "10.0.0.6",
		"lock":               "",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	err := removeLeases(dir, map[types.GCAttachment]bool{{ContainerID: "live", IfName: "eth0"}: true})
	if err != nil {
		t.Fatal(err)
	}
	var left []string
	files, err := os.ReadDir(dir)
	for _, f := range files {
		left = append(left, f.Name())
	}
	if want := []string{"10.0.0.2", "10.0.0.5", "fd00::2", "last_reserved_ip.0", "lock"}; err != nil || !slices.Equal(left, want) {
		t.Errorf("left: %v, %v, want %v", left, err, want)
	}
}

// STATUS tells what keeps an ADD from working (50) from what cuts attached
// containers off as well (51).
func TestStatusCodes(t *testing.T) {
	bridge := testConf("uplink", `"bridge"`, "bridge", `"br-t"`)
	for name, c := range map[string]struct {
		conf     string
		attached bool
		damage   func(h *host)
		code     uint
		says     string
	}{
		"all is well":                  {bridge, true, func(*host) {}, 0, ""},
		"bridge of another kind":       {bridge, false, func(h *host) { h.run(h.netNS, "ip", "tuntap", "add", "br-t", "mode", "tap") }, types.ErrPluginNotAvailable, "br-t"},
		"no IPAM":                      {testConf("ipam", `{"type":"nosuch"}`), false, func(*host) {}, types.ErrPluginNotAvailable, "nosuch"},
		"no state directory":           {testConf(), false, func(h *host) { h.writeState() }, types.ErrPluginNotAvailable, "state directory"},
		"bridge down, none attached":   {bridge, false, func(h *host) { h.run(h.netNS, "ip", "link", "add", "br-t", "type", "bridge") }, 0, ""},
		"bridge down, one attached":    {bridge, true, func(h *host) { h.run(h.netNS, "ip", "link", "set", "br-t", "down") }, types.ErrLimitedConnectivity, "br-t"},
		"bridge gone, one attached":    {bridge, true, func(h *host) { h.run(h.netNS, "ip", "link", "del", "br-t") }, types.ErrLimitedConnectivity, "br-t"},
		"forwarding off, one attached": {testConf(), true, func(h *host) { h.sysctl("net/ipv4/ip_forward", "0") }, types.ErrLimitedConnectivity, "ip_forward"},
		"forwarding off":               {testConf(), false, func(h *host) { h.sysctl("net/ipv4/ip_forward", "0") }, 0, ""},
		"IPAM says no":                 {testConf(), false, func(h *host) { h.write("fail-STATUS", "", 0o644) }, types.ErrTryAgainLater, "no luck"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			box := h.container("box")
			if c.attached {
				h.must("ADD", box, c.conf)
			}
			c.damage(h)
			_, err := h.verb("STATUS", container{}, c.conf)
			if got := codeOf(err); got != c.code || c.code != 0 && !strings.Contains(err.Error(), c.says) {
				t.Errorf("code %d: %v, want code %d and %q", got, err, c.code, c.says)
			}
			if c.attached {
				h.must("DEL", box, c.conf)
			}
		})
	}
}

func codeOf(err error) uint {
	if e, ok := err.(*types.Error); ok {
		return e.Code
	}
	return 0
}

func (h *host) sysctl(path, value string) {
	h.t.Helper()
	err := hostlink.InNetNS(h.netNS, func() error { return os.WriteFile(filepath.Join("/proc/sys", path), []byte(value), 0o644) })
	if err != nil {
		h.t.Fatal(err)
	}
}

// writeState puts a file where the state directory should be.
func (h *host) writeState() {
	h.t.Helper()
	if err := os.WriteFile(h.state, nil, 0o644); err != nil {
		h.t.Fatal(err)
	}
}

// Errors have the specification's codes, however they came about.
func TestErrorCodes(t *testing.T) {
	h := newHost(t)
	c := h.container("box")
	expect := func(what, verb string, at container, conf string, code uint) {
		t.Helper()
		_, err := h.verb(verb, at, conf)
		e, _ := err.(*types.Error)
		if e == nil || e.Code != code || e.Msg == "" {
			b, _ := json.Marshal(err)
			t.Errorf("%s: %s, want code %d", what, b, code)
		}
	}
	expect("configuration", "ADD", c, testConf("mtu", "1"), types.ErrInvalidNetworkConfig)
	expect("namespace", "ADD", container{"box", "/nonexistent"}, testConf(), types.ErrInvalidNetNS)
	h.write("fail-ADD", "", 0o644)
	expect("IPAM's own", "ADD", c, testConf(), types.ErrTryAgainLater)
	if err := os.Remove(filepath.Join(h.ipam, "fail-ADD")); err != nil {
		t.Fatal(err)
	}
	h.write("fail-DEL", "", 0o644)
	expect("IPAM's own in DEL", "DEL", c, testConf(), types.ErrTryAgainLater)
	if err := os.Remove(filepath.Join(h.ipam, "fail-DEL")); err != nil {
		t.Fatal(err)
	}
	h.run(c.netNS, "ip", "link", "add", "eth0", "type", "bridge")
	expect("a device", "ADD", c, testConf(), ErrDevice)
	h.run(c.netNS, "ip", "link", "del", "eth0")
	h.failEngines()
	expect("the engine", "ADD", c, testConf(), ErrEngine)
	if err := os.Remove(filepath.Join(h.state, failEngine)); err != nil {
		t.Fatal(err)
	}
	text := h.must("ADD", c, testConf())
	expect("attached", "ADD", c, testConf(), ErrAttached)
	expect("no record", "CHECK", container{"other", c.netNS}, withResult(testConf(), text), types.ErrUnknownContainer)
	h.run(c.netNS, "ip", "route", "del", "default")
	expect("differs", "CHECK", c, withResult(testConf(), text), ErrDiffers)
	h.must("DEL", c, testConf())
	h.bare(c)
}

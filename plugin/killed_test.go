package plugin

import (
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/tcpcni/tcpcni/hostlink"
	"github.com/tcpcni/tcpcni/test/killat"
)

// stride is how many steps lie between two kills: one at every step takes
// minutes. TCPCNI_KILL_STRIDE=1 does that.
func stride() int {
	if n, err := strconv.Atoi(os.Getenv("TCPCNI_KILL_STRIDE")); err == nil && n > 0 {
		return n
	}
	return 11
}

// killedAt runs a verb and kills the plugin in front of step n. It reports
// whether the verb had that many.
func (h *host) killedAt(verb string, c container, conf string, n int) (killed bool) {
	h.t.Helper()
	err := hostlink.InNetNS(h.netNS, func() (err error) {
		killed, err = killat.Run(h.command(verb, c, conf), n)
		return err
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return killed
}

// settle waits for what ends by itself: an engine that was just starting notices
// that its plugin is gone, and a process loses its command line before its
// devices.
func (h *host) settle(c container) {
	for range 300 {
		if len(h.processes()) == 0 && len(h.links(c.netNS)) == 0 {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// Wherever a verb is killed, the next DEL leaves nothing. For DEL and GC that is
// a second one.
func TestKilledAtSteps(t *testing.T) {
	chained := func(h *host, c container) string { return withResult(chainedConf(), h.before(c)) }
	plain := func(members ...string) func(*host, container) string {
		return func(*host, container) string { return testConf(members...) }
	}
	for name, k := range map[string]struct {
		verb string
		conf func(h *host, c container) string
		keep []string
	}{
		"ADD ptp":     {"ADD", plain("ipMasq", "true"), nil},
		"ADD bridge":  {"ADD", plain("uplink", `"bridge"`, "bridge", `"br-t"`), []string{"br-t"}},
		"ADD chained": {"ADD", chained, nil},
		"DEL ptp":     {"DEL", plain("ipMasq", "true"), nil},
		"DEL chained": {"DEL", chained, nil},
		"GC":          {"GC", plain("cni.dev/valid-attachments", noneValid), nil},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			done := false
			rounds := 0
			for n := 1; !done && !t.Failed(); n += stride() {
				c := h.container("box")
				conf := k.conf(h, c)
				before := ""
				if name == "ADD chained" || name == "DEL chained" {
					before = h.view(c)
				}
				target := c
				if k.verb != "ADD" {
					h.must("ADD", c, conf)
				}
				if k.verb == "GC" {
					target = container{}
				}
				done = !h.killedAt(k.verb, target, conf, n)
				rounds++
				h.must("DEL", c, conf)
				if before != "" {
					if got := h.view(c); got != before {
						t.Errorf("left\n%s\nwhere there was\n%s", got, before)
					}
					h.run(c.netNS, "ip", "link", "del", "eth0")
				}
				h.settle(c)
				keep := k.keep
				if len(h.links(h.netNS)) == 0 {
					keep = nil // killed before the bridge was made
				}
				if h.bare(c, keep...); t.Failed() {
					t.Fatalf("killed in front of step %d", n)
				}
			}
			if rounds < 3 {
				t.Errorf("%s had only %d rounds", name, rounds)
			}
		})
	}
}

// GC alone is enough after a kill, too: nothing is left of an ADD that was killed
// wherever it was.
func TestKilledAddThenGC(t *testing.T) {
	h := newHost(t)
	for n, done := 1, false; !done && !t.Failed(); n += stride() {
		c := h.container("box")
		conf := testConf("ipMasq", "true")
		done = !h.killedAt("ADD", c, conf, n)
		h.must("GC", container{}, gcConf(noneValid, "ipMasq", "true"))
		h.settle(c)
		if got := h.links(h.netNS); len(got) > 0 {
			t.Errorf("links on the host: %v", got)
		}
		if got := h.links(c.netNS); len(got) > 0 {
			t.Errorf("links in the sandbox: %v", got)
		}
		h.noState()
		if t.Failed() {
			t.Fatalf("killed in front of step %d", n)
		}
	}
}

// noState fails when files or processes of an attachment are left.
func (h *host) noState() {
	h.t.Helper()
	for _, dir := range []string{sandboxesDir, locksDir} {
		entries, err := os.ReadDir(h.state + "/" + dir)
		if err != nil && !os.IsNotExist(err) {
			h.t.Error(err)
		}
		for _, e := range entries {
			h.t.Errorf("state is left: %s/%s", dir, e.Name())
		}
	}
	for _, p := range h.processes() {
		h.t.Errorf("a process is left: %q", p)
	}
}

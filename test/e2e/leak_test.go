package e2e

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/tcpcni/tcpcni/test/killat"
)

// Many attachments at once, with plugins that are killed in the middle: what is
// left when all were deleted is nothing.

// attachments is how many are made at once.
const attachments = 100

// plugin is a verb as a runtime starts it.
func (h *host) plugin(verb string, c container, conf string) *exec.Cmd {
	cmd := exec.Command(command())
	cmd.Env = append(os.Environ(), append(h.env(), "CNI_COMMAND="+verb, "CNI_CONTAINERID="+c.id,
		"CNI_NETNS=/run/netns/"+c.ns, "CNI_IFNAME=eth0", "CNI_PATH="+binDir)...)
	cmd.Stdin = strings.NewReader(conf)
	return cmd
}

// verb runs it to its end, or kills it in front of step n.
func (h *host) verb(verb string, c container, conf string, n int) error {
	return h.in(func() error {
		if n > 0 {
			_, err := killat.Run(h.plugin(verb, c, conf), n)
			return err
		}
		out, err := h.plugin(verb, c, conf).Output()
		if err != nil {
			return fmt.Errorf("%s %s: %w: %s", verb, c.id, err, out)
		}
		return nil
	})
}

func TestNoLeak(t *testing.T) {
	onlyTCPCNI(t)
	h := newHost(t)
	leases := t.TempDir()
	conf := func(more string) string {
		return `{"cniVersion":"1.1.0","name":"demo","type":"tcpcni","uplink":"bridge","bridge":"br-leak","ipMasq":true,"ipMasqBackend":"nftables",` + more + `
"ipam":{"type":"host-local","dataDir":"` + leases + `","ranges":[[{"subnet":"10.87.0.0/16"}],[{"subnet":"fd87::/64"}]],"routes":[{"dst":"0.0.0.0/0"},{"dst":"::/0"}]}}`
	}
	plain := conf("")
	seed, _ := strconv.ParseUint(os.Getenv("E2E_SEED"), 10, 64)
	r := &cniRuntime{h: h}
	var all sync.WaitGroup
	var boxes []container
	for i := range attachments {
		boxes = append(boxes, r.container("box"+strconv.Itoa(i)))
	}
	// Every verb is bounded by the work of all others on two processors, not by
	// this: the processes of a verb are what is limited.
	slots := make(chan struct{}, 100)
	for i, c := range boxes {
		dice := rand.New(rand.NewPCG(seed, uint64(i)))
		step := func(most int) int { return dice.IntN(2) * (1 + dice.IntN(most)) }
		add, del, twice := step(120), step(80), i%10 == 0
		run := func(verb string, n int) error {
			slots <- struct{}{}
			defer func() { <-slots }()
			return h.verb(verb, c, plain, n)
		}
		all.Go(func() {
			var second sync.WaitGroup
			if twice { // the same container twice at once: one of them is refused
				second.Go(func() { _ = run("ADD", 0) })
			}
			if err := run("ADD", add); err != nil && !twice {
				t.Errorf("seed %d: %v", seed, err)
			}
			second.Wait()
			if err := run("DEL", del); err != nil {
				t.Errorf("seed %d: %v", seed, err)
			}
			if err := run("DEL", 0); err != nil {
				t.Errorf("seed %d: %v", seed, err)
			}
		})
	}
	all.Wait()
	// A helper of a plugin that was killed, such as the IPAM plugin, may have
	// finished after DEL.
	must(t, h.verb("GC", container{}, conf(`"cni.dev/valid-attachments":[],`), 0))
	eventually(t, "the end of every process", func() bool { return len(h.left()) == 0 })
	must(t, h.verb("GC", container{}, conf(`"cni.dev/valid-attachments":[],`), 0))
	for _, c := range boxes {
		if got := sh(t, "ip", "-n", c.ns, "-o", "link"); strings.Contains(got, "eth0") {
			t.Errorf("%s: %s", c.id, got)
		}
	}
	h.sh("ip", "link", "del", "br-leak")
	h.bare()
	h.noLeases(filepath.Join(leases, "demo"))
	h.noFiles()
}

// noFiles fails if a lock, a mount or a control group of the host is left.
func (h *host) noFiles() {
	h.t.Helper()
	for _, pattern := range []string{"/sandboxes/.*", "/locks/*"} {
		left, err := filepath.Glob(h.state + pattern)
		must(h.t, err)
		if len(left) > 0 {
			h.t.Errorf("files are left: %v", left)
		}
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	must(h.t, err)
	if strings.Contains(string(mounts), h.state) {
		h.t.Error("a mount is left")
	}
	for _, pattern := range []string{"/sys/fs/cgroup/tcpcni/box*", "/sys/fs/cgroup/*/tcpcni/box*"} {
		groups, err := filepath.Glob(pattern)
		must(h.t, err)
		if len(groups) > 0 {
			h.t.Errorf("control groups are left: %v", groups)
		}
	}
}

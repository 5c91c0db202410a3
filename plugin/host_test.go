package plugin

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/containernetworking/cni/pkg/types"

	"github.com/tcpcni/tcpcni/hostlink"
	"github.com/tcpcni/tcpcni/hostlink/process"
	"github.com/tcpcni/tcpcni/test/needroot"
)

// The test binary is the plugin and the engine, too: the verbs start themselves
// as they do in production.
func TestMain(m *testing.M) {
	switch {
	case len(os.Args) > 1 && os.Args[1] == "holder":
		if err := standIn(os.Args[3]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	case os.Getenv("CNI_COMMAND") != "":
		Main("test")
	default:
		os.Exit(m.Run())
	}
}

// A host is a network namespace that plays the machine, with an IPAM plugin
// that does as the test says.
type host struct {
	t     *testing.T
	netNS string // path
	state string
	ipam  string // directory of the IPAM plugin, its log and its orders
}

// ipamScript gives the addresses in the file "result", fails the verbs that
// have a file "fail-VERB", and keeps a log.
const ipamScript = `#!/bin/sh
cat >/dev/null
dir=${0%/*}
echo "$CNI_COMMAND $CNI_CONTAINERID $CNI_IFNAME" >>"$dir/log"
if [ -e "$dir/fail-$CNI_COMMAND" ]; then
	echo '{"cniVersion":"1.1.0","code":11,"msg":"no luck today"}'
	exit 1
fi
[ "$CNI_COMMAND" != ADD ] || cat "$dir/result"
`

func newHost(t *testing.T) *host {
	t.Helper()
	needroot.Check(t, "make network namespaces and TAP devices")
	// Not t.TempDir: its path may be longer than a socket's may be.
	dir, err := os.MkdirTemp("", "plugin")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	h := &host{t: t, netNS: newNetNS(t), state: filepath.Join(dir, "s"), ipam: filepath.Join(dir, "ipam")}
	h.write("testipam", ipamScript, 0o755)
	h.write("result", dual, 0o644)
	h.run(h.netNS, "ip", "link", "set", "lo", "up")
	// A new namespace takes IPv4's settings from the machine's own
	// (net.core.devconf_inherit_init_net), which may forward or not.
	h.sysctl("net/ipv4/ip_forward", "0")
	return h
}

// newNetNS makes a namespace that lives as long as the test; its path is good
// for other processes, too.
func newNetNS(t *testing.T) string {
	t.Helper()
	f, id, err := process.NewNetNS()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := process.KillNetNS(id); err != nil {
			t.Error(err)
		}
		_ = f.Close()
	})
	return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), f.Fd())
}

func (h *host) write(name, text string, mode os.FileMode) {
	h.t.Helper()
	if err := os.MkdirAll(h.ipam, 0o755); err != nil {
		h.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(h.ipam, name), []byte(text), mode); err != nil {
		h.t.Fatal(err)
	}
}

// run runs a command in a namespace.
func (h *host) run(netNS, name string, args ...string) string {
	h.t.Helper()
	var out []byte
	err := hostlink.InNetNS(netNS, func() (err error) {
		out, err = exec.Command(name, args...).CombinedOutput()
		return err
	})
	if err != nil {
		h.t.Fatalf("%s %v: %v: %s", name, args, err, out)
	}
	return string(out)
}

// A container is an attachment as its runtime names it.
type container struct{ id, netNS string }

func (h *host) container(id string) container { return container{id, newNetNS(h.t)} }

// command is the plugin as a runtime starts it.
func (h *host) command(verb string, c container, conf string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), StateEnv+"="+h.state, "CNI_COMMAND="+verb, "CNI_CONTAINERID="+c.id,
		"CNI_NETNS="+c.netNS, "CNI_IFNAME=eth0", "CNI_PATH="+h.ipam,
		"GORACE=atexit_sleep_ms=0") // else a race detector waits a second at every exit
	cmd.Stdin = strings.NewReader(conf)
	cmd.Stderr = os.Stderr
	return cmd
}

// verb runs the plugin as a runtime does.
func (h *host) verb(verb string, c container, conf string) (stdout string, err error) {
	h.t.Helper()
	cmd := h.command(verb, c, conf)
	var out []byte
	err = hostlink.InNetNS(h.netNS, func() (err error) {
		out, err = cmd.Output()
		return err
	})
	if err != nil {
		e := new(types.Error)
		if jerr := json.Unmarshal(out, e); jerr != nil {
			h.t.Fatalf("%s: an error that is no JSON: %v: %s", verb, err, out)
		}
		err = e
	}
	return string(out), err
}

func (h *host) must(verb string, c container, conf string) string {
	h.t.Helper()
	out, err := h.verb(verb, c, conf)
	if err != nil {
		h.t.Fatalf("%s %s: %v", verb, c.id, err)
	}
	return out
}

// fails expects an error that says all of says.
func (h *host) fails(verb string, c container, conf string, says ...string) {
	h.t.Helper()
	_, err := h.verb(verb, c, conf)
	if err == nil {
		h.t.Errorf("%s %s succeeded, expected an error that says %q", verb, c.id, says)
		return
	}
	for _, w := range says {
		if !strings.Contains(err.Error(), w) {
			h.t.Errorf("%s %s: the error does not say %q: %v", verb, c.id, w, err)
		}
	}
}

// links lists the devices of a namespace but lo.
func (h *host) links(netNS string) []string {
	h.t.Helper()
	var names []string
	for line := range strings.Lines(h.run(netNS, "ip", "-o", "link")) {
		name, _, _ := strings.Cut(strings.TrimSuffix(strings.Fields(line)[1], ":"), "@")
		if name != "lo" {
			names = append(names, name)
		}
	}
	return names
}

// bare fails unless nothing of any attachment is left but the named links.
func (h *host) bare(c container, keep ...string) {
	h.t.Helper()
	if got := h.links(h.netNS); !slices.Equal(got, keep) {
		h.t.Errorf("links on the host: %v, want %v", got, keep)
	}
	if got := h.links(c.netNS); len(got) > 0 {
		h.t.Errorf("links in the sandbox: %v", got)
	}
	entries, err := os.ReadDir(filepath.Join(h.state, "sandboxes"))
	if err != nil && !os.IsNotExist(err) {
		h.t.Error(err)
	}
	for _, e := range entries {
		h.t.Errorf("state is left: %s", e.Name())
	}
	for _, p := range h.processes() {
		h.t.Errorf("a process is left: %q", p)
	}
	if log := strings.TrimSpace(h.verbs()); log != "" && !strings.Contains(log[strings.LastIndex(log, "\n")+1:], "DEL ") {
		h.t.Errorf("addresses are left with IPAM: %q", log)
	}
}

// processes lists the command lines of the host's engines.
func (h *host) processes() []string {
	var list []string
	procs, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, p := range procs {
		if b, err := os.ReadFile(p); err == nil && strings.Contains(string(b), h.state) {
			list = append(list, string(b))
		}
	}
	return list
}

// verbs is what IPAM was asked.
func (h *host) verbs() string {
	b, _ := os.ReadFile(filepath.Join(h.ipam, "log"))
	return string(b)
}

// testConf is a configuration that uses the test's IPAM plugin.
func testConf(members ...string) string {
	return conf(append([]string{"ipam", `{"type":"testipam"}`}, members...)...)
}

// withResult adds the result of ADD, as CHECK and DEL get it.
func withResult(conf, result string) string {
	return strings.TrimSuffix(conf, "}") + `,"prevResult":` + result + "}"
}

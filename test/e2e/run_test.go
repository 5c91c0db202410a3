package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/gopacket/gopacket/pcapgo"

	"github.com/tcpcni/tcpcni/engine"
)

// The command itself: what passes through `tcpcni run` and `tcpcni exec`, what
// goes when the program ends, and how errors read.

// tcpcni runs the command with plain arguments in the host.
func (h *host) tcpcni(args ...string) *proc {
	h.t.Helper()
	return h.start(append([]string{command()}, args...)...)
}

// left lists the processes of sandboxes: the command itself, and what runs in
// another namespace than the host's.
func (h *host) left() []string {
	var found []string
	outside, err := os.Stat(h.path())
	must(h.t, err)
	for _, pid := range h.processes() {
		dir := fmt.Sprintf("/proc/%d", pid)
		exe, err := os.Readlink(dir + "/exe")
		space, err2 := os.Stat(dir + "/ns/net")
		if err != nil || err2 != nil || filepath.Base(exe) != "tcpcni" && os.SameFile(space, outside) {
			continue
		}
		text, _ := os.ReadFile(dir + "/cmdline")
		found = append(found, strings.ReplaceAll(string(text), "\x00", " "))
	}
	return found
}

// bare fails if anything of a sandbox is left in the host: processes, links,
// rules, state.
func (h *host) bare() {
	h.t.Helper()
	// What a sandbox leaves to end by itself ends soon.
	eventually(h.t, "the end of every process of the sandbox", func() bool { return len(h.left()) == 0 })
	// A process that ends loses its memory before its devices.
	eventually(h.t, "the end of every link but loopback", func() bool {
		return strings.Count(h.sh("ip", "-o", "link"), "\n") == 1
	})
	if rules := h.sh("iptables", "-t", "nat", "-S"); strings.Contains(rules, "10.87.0.") {
		h.t.Errorf("iptables rules are left:\n%s", rules)
	}
	if rules := h.sh("nft", "list", "ruleset"); strings.Contains(rules, "10.87.0.") || strings.Contains(rules, "fd87::") {
		h.t.Errorf("nftables rules are left:\n%s", rules)
	}
	for _, dir := range []string{"sandboxes", "run"} {
		left, err := filepath.Glob(h.state + "/" + dir + "/*")
		must(h.t, err)
		if len(left) > 0 {
			h.t.Errorf("state is left: %v", left)
		}
	}
}

func TestRunPassesInputAndOutput(t *testing.T) {
	h := newHost(t)
	pod := h.pod()
	input := bytes.Repeat([]byte("all that comes in goes out\n"), 50000)
	through := func(what string, p *proc) {
		t.Helper()
		if got := p.ok(); got != string(input) {
			t.Errorf("%s: %d bytes of %d came through", what, len(got), len(input))
		}
	}
	_, p := h.runWith(plumbing{stdin: bytes.NewReader(input)}, nil, "cat")
	through("run", p)
	through("exec", pod.startWith(plumbing{stdin: bytes.NewReader(input)}, "cat"))

	_, p = h.run(nil, "sh", "-c", "echo to stdout; echo to stderr >&2; pwd; echo $HOME $SOME_VALUE")
	wd, err := os.Getwd()
	must(t, err)
	if got := p.ok(); !strings.HasPrefix(got, "to stdout\n"+wd+"\n") || p.stderr.String() != "to stderr\n" {
		t.Errorf("stdout %q, stderr %q", got, p.stderr)
	}
	p = pod.startWith(plumbing{env: []string{"SOME_VALUE=some value"}}, "sh", "-c", "echo $SOME_VALUE")
	if got := p.ok(); got != "some value\n" {
		t.Errorf("the environment of exec: %q", got)
	}
	pod.stop()
}

func TestRunPassesExitStatus(t *testing.T) {
	h := newHost(t)
	pod := h.pod()
	for _, c := range []struct {
		script string
		want   []int // -1 is a death by the same signal
	}{
		{"exit 0", []int{0}},
		{"exit 7", []int{7}},
		{"exit 255", []int{255}},
		{"kill -TERM $$", []int{-1, 128 + 15}},
		{"kill -KILL $$", []int{-1, 128 + 9}},
	} {
		_, p := h.run(nil, "sh", "-c", c.script)
		if got := p.wait(); !slices.Contains(c.want, got) {
			t.Errorf("run %q: exit status %d, want one of %v: %s", c.script, got, c.want, p.stderr)
		}
		p = pod.start("sh", "-c", c.script)
		if got := p.wait(); !slices.Contains(c.want, got) {
			t.Errorf("exec %q: exit status %d, want one of %v: %s", c.script, got, c.want, p.stderr)
		}
	}
	pod.stop()
}

func TestRunPassesSignals(t *testing.T) {
	h := newHost(t)
	pod := h.pod()
	// Each signal is caught and named; the last one has no handler.
	const script = `
trap 'echo got HUP' HUP; trap 'echo got INT' INT; trap 'echo got USR1' USR1
trap 'echo got USR2' USR2; trap 'echo got QUIT' QUIT; trap 'echo got TERM' TERM; trap 'echo got CONT' CONT
echo ready; while :; do sleep 0.1; done`
	for name, p := range map[string]*proc{
		"run":  func() *proc { _, p := h.run(nil, "sh", "-c", script); return p }(),
		"exec": pod.start("sh", "-c", script),
	} {
		p.line("(?m)^ready$")
		for _, sig := range []struct {
			name string
			sig  syscall.Signal
		}{
			{"HUP", syscall.SIGHUP}, {"INT", syscall.SIGINT}, {"USR1", syscall.SIGUSR1}, {"USR2", syscall.SIGUSR2},
			{"QUIT", syscall.SIGQUIT}, {"TERM", syscall.SIGTERM}, {"CONT", syscall.SIGCONT},
		} {
			if signal.Ignored(sig.sig) {
				continue // as under nohup: who ignores it, bequeaths that
			}
			p.signal(sig.sig)
			p.line("(?m)^got " + sig.name + "$")
		}
		// What ends a program that ignores everything is what ends its sandbox.
		p.signal(syscall.SIGKILL)
		if got := p.wait(); got != -1 {
			t.Errorf("%s: exit status %d after SIGKILL", name, got)
		}
	}
	pod.stop()
}

func TestRunLeavesNothing(t *testing.T) {
	onlyTCPCNI(t)
	h := newHost(t)
	_, p := h.run(nil, "true")
	p.ok()
	h.bare()
	_, p = h.run(nil, "sh", "-c", "exit 3")
	p.fails()
	h.bare()
	// The program ends, what it left behind in its sandbox does not keep it.
	_, p = h.run(nil, "sh", "-c", "sleep 1000 >/dev/null 2>&1 & echo left")
	p.ok()
	h.bare()
	_, p = h.run(nil, "/does/not/exist")
	if got := p.fails(); !strings.Contains(got, "/does/not/exist") || p.wait() != 127 {
		t.Errorf("exit status %d, want the shell's 127, saying %q", p.wait(), got)
	}
	_, p = h.run(nil, "/etc/passwd")
	if got := p.fails(); !strings.Contains(got, "/etc/passwd") || p.wait() != 126 {
		t.Errorf("exit status %d, want the shell's 126, saying %q", p.wait(), got)
	}
	h.bare()
}

// `run` is killed, which no program can answer. The next sandbox of the same
// name finds its way clear, and its end leaves nothing of either.
func TestKilledRunLeavesNothingInTheWay(t *testing.T) {
	onlyTCPCNI(t)
	h := newHost(t)
	peer := compileGo(t, false)
	h.start(peer, "serve", ":8000").line("listening on")
	for range 3 {
		pod := h.newSandbox()
		pod.name = "same"
		pod.begin(plumbing{}, nil, "sh", "-c", "echo ready; exec sleep 1000")
		pod.root.line("(?m)^ready$")
		got := pod.start(peer, "get", "http://"+hostV4+":8000/", "1").ok()
		if !strings.HasPrefix(got, "hello 10.87.0.") {
			t.Errorf("server says %q", got)
		}
		pod.root.signal(syscall.SIGKILL)
		pod.root.wait()
	}
	_, p := h.run(nil, "true")
	p.ok()
	pod := h.newSandbox()
	pod.name = "same"
	pod.begin(plumbing{}, nil, "true")
	pod.root.ok()
	h.bare()
}

func TestListAndSS(t *testing.T) {
	onlyTCPCNI(t)
	h := newHost(t)
	peer := compileGo(t, false)
	pod, other := h.pod(), h.pod()
	if got := h.tcpcni("list").ok(); !strings.Contains(got, pod.name) || !strings.Contains(got, other.name) || !strings.Contains(got, pod.v4) {
		t.Errorf("list does not name the sandboxes:\n%s", got)
	}
	if pid := listedEngine(h, pod.name); !isEngine(pid) {
		t.Errorf("list names process %s as engine of %s", pid, pod.name)
	}
	pod.start(peer, "echo", ":7000").line("listening on")
	// A client that stays connected: it waits for input that never comes.
	client := h.start("/usr/bin/python3", "-uc", "import socket; s = socket.create_connection(('"+pod.v4+"', 7000)); print(s.getsockname()[1]); s.recv(1)")
	port := client.line("(?m)^([0-9]+)$")[1]
	eventually(t, "the connection in tcpcni ss", func() bool {
		return strings.Contains(h.tcpcni("ss", pod.name).ok(), "ESTAB")
	})
	got := h.tcpcni("ss", pod.name).ok()
	wantLines(t, got, `tcp +LISTEN +.*\*:7000 .*`, `tcp +ESTAB +0 +0 +.*10\.87\.0\.2\]?:7000 +.*10\.87\.0\.1\]?:`+port+`.*`)
	if got := h.tcpcni("ss", other.name).ok(); strings.Contains(got, "7000") {
		t.Errorf("a sandbox shows another one's sockets:\n%s", got)
	}
	if got := h.tcpcni("ss").ok(); !strings.Contains(got, ":7000") {
		t.Errorf("ss without a name does not show all:\n%s", got)
	}
	other.stop()
	if got := h.tcpcni("list").ok(); strings.Contains(got, other.name) || !strings.Contains(got, pod.name) {
		t.Errorf("list after the end of one:\n%s", got)
	}
	pod.stop()
	h.notListed(pod.name)
}

// listedEngine is what list says of a sandbox's engine.
func listedEngine(h *host, name string) string {
	h.t.Helper()
	for _, line := range strings.Split(h.tcpcni("list").ok(), "\n") {
		if f := strings.Fields(line); len(f) > 4 && f[0] == name {
			return f[4]
		}
	}
	return ""
}

// isEngine says whether a process is an engine, and not its holder.
func isEngine(pid string) bool {
	line, err := os.ReadFile(filepath.Join("/proc", pid, "cmdline"))
	args := strings.Split(string(line), "\x00")
	return err == nil && len(args) > 1 && args[1] == "engine"
}

// notListed fails if a name is still listed.
func (h *host) notListed(name string) {
	h.t.Helper()
	if got := h.tcpcni("list").ok(); strings.Contains(got, name) {
		h.t.Errorf("%s is still listed:\n%s", name, got)
	}
}

// An error names the flag or the field, the value, and what is accepted.
func TestErrorsSayWhatIsWrong(t *testing.T) {
	onlyTCPCNI(t)
	h := newHost(t)
	dir := t.TempDir()
	conf := func(name, plugin string) string {
		path := dir + "/" + name + ".conflist"
		text := `{"cniVersion":"1.1.0","name":"test","plugins":[` + plugin + `]}`
		must(t, os.WriteFile(path, []byte(text), 0o644))
		return path
	}
	const ipam = `"ipam":{"type":"host-local","ranges":[[{"subnet":"10.87.0.0/24"}]]}`
	for _, c := range []struct {
		args []string
		want []string
	}{
		{[]string{"run", "--profile", "plan9", "--", "true"}, []string{"profile", "plan9", "linux"}},
		{[]string{"run", "--set", "no_such=1", "--", "true"}, []string{"no_such"}},
		{[]string{"run", "--set", "novalue", "--", "true"}, []string{"set", "novalue"}},
		{[]string{"run", "--impair", "loss=2", "--", "true"}, []string{"loss", "2"}},
		{[]string{"run", "--shards", "0", "--", "true"}, []string{"shards", "0", "1 to 64"}},
		{[]string{"run", "--shards", "two", "--", "true"}, []string{"shards", "two", "1 to 64"}},
		{[]string{"run", "--shards", "2", "--pcap", dir + "/p", "--", "true"}, []string{"shards", "2", "accepted: 1", "pcap"}},
		{[]string{"run", "--impair", "luck=1", "--", "true"}, []string{"luck", "reorder"}},
		{[]string{"run", "--ifname", "a-name-that-is-too-long", "--", "true"}, []string{"ifname", "a-name-that-is-too-long", "15"}},
		{[]string{"run", "--name", "no/slash", "--", "true"}, []string{"name", "no/slash"}},
		{[]string{"run", "--conf", dir + "/missing", "--", "true"}, []string{"missing"}},
		{[]string{"run", "--nonsense", "--", "true"}, []string{"--nonsense"}},
		{[]string{"run"}, []string{"PROGRAM"}},
		{[]string{"nonsense"}, []string{"nonsense"}},
		{[]string{"exec", "nobody", "--", "true"}, []string{"nobody"}},
		{[]string{"ss", "nobody"}, []string{"nobody"}},
		{[]string{"run", "--conf", conf("uplink", `{"type":"tcpcni","uplink":"string",`+ipam+`}`), "--", "true"}, []string{"uplink", "string", "ptp", "bridge"}},
		{[]string{"run", "--conf", conf("mtu", `{"type":"tcpcni","mtu":12,`+ipam+`}`), "--", "true"}, []string{"mtu", "12", "576"}},
		{[]string{"run", "--conf", conf("field", `{"type":"tcpcni","uplinks":"ptp",`+ipam+`}`), "--", "true"}, []string{"uplinks", "uplink"}},
		{[]string{"run", "--conf", conf("ipam", `{"type":"tcpcni","ipam":{"type":"no-such-ipam"}}`), "--", "true"}, []string{"ipam.type", "no-such-ipam"}},
		{[]string{"run", "--conf", conf("chain", `{"type":"tcpcni",`+ipam+`},{"type":"no-such-plugin"}`), "--", "true"}, []string{"plugins[1].type", "no-such-plugin"}},
		{[]string{"run", "--conf", conf("type", `{"type":"no-such-plugin",`+ipam+`}`), "--", "true"}, []string{"no-such-plugin"}},
	} {
		p := h.tcpcni(c.args...)
		got := p.fails()
		for _, w := range c.want {
			if !strings.Contains(got, w) {
				t.Errorf("%v: the error does not say %q:\n%s", c.args, w, got)
			}
		}
		if strings.Contains(got, "goroutine ") {
			t.Errorf("%v: a crash:\n%s", c.args, got)
		}
	}
	h.bare()

	// A name is taken for as long as its sandbox runs.
	pod := h.pod()
	again := h.newSandbox()
	again.name = pod.name
	again.begin(plumbing{}, nil, "true")
	if got := again.root.fails(); !strings.Contains(got, pod.name) {
		t.Errorf("a second sandbox of the same name: %q", got)
	}
	pod.start("true").ok()
	pod.stop()
	h.bare()
}

func TestRunIfname(t *testing.T) {
	onlyTCPCNI(t)
	h := newHost(t)
	pod := h.pod("--ifname", "net7")
	wantLines(t, pod.start(compileC(t, "getifaddrs")).ok(), `net7 10\.87\.0\.2 .*`)
	pod.stop()
}

// The file that --pcap writes holds whole frames of the connection.
func TestRunPcap(t *testing.T) {
	onlyTCPCNI(t)
	h := newHost(t)
	path := t.TempDir() + "/frames.pcap"
	pod := h.pod("--pcap", path)
	nginx(t, pod, t.TempDir(), 0)
	if got := h.start("curl", "-sS", "http://"+pod.v4+"/hello").ok(); got != "hello\n" {
		t.Errorf("got %q", got)
	}
	pod.stop()
	f, err := os.Open(path)
	must(t, err)
	defer f.Close()
	r, err := pcapgo.NewNgReader(f, pcapgo.DefaultNgReaderOptions)
	must(t, err)
	frames, request, answer := 0, false, false
	for ; ; frames++ {
		frame, _, err := r.ReadPacketData()
		if errors.Is(err, io.EOF) {
			break
		}
		must(t, err)
		request = request || bytes.Contains(frame, []byte("GET /hello HTTP/1.1"))
		answer = answer || bytes.Contains(frame, []byte("HTTP/1.1 200 OK"))
	}
	if !request || !answer {
		t.Errorf("of %d frames, one has the request: %v, one the answer: %v", frames, request, answer)
	}
}

// A network of one's own: two sandboxes on a bridge, by a configuration list.
func TestRunConf(t *testing.T) {
	onlyTCPCNI(t)
	h := newHost(t)
	conf := t.TempDir() + "/net.conflist"
	must(t, os.WriteFile(conf, []byte(`{"cniVersion":"1.1.0","name":"lan","plugins":[{"type":"tcpcni","uplink":"bridge",
"bridge":"br-lan","mtu":1400,"inline":false,"ipam":{"type":"host-local","ranges":[[{"subnet":"10.99.0.0/24"}],[{"subnet":"fd99::/64"}]],
"routes":[{"dst":"0.0.0.0/0"},{"dst":"::/0"}]}}]}`), 0o644))
	peer := compileGo(t, false)
	a, b := h.pod("--conf", conf), h.pod("--conf", conf)
	wantLines(t, a.start(peer, "interfaces").ok(), `[0-9]+ eth0 1400 .*10\.99\.0\.2/24.*fd99::2/64.*`)
	for _, pod := range []*sandbox{a, b} {
		pod.start(peer, "echo", ":7000").line("listening on")
	}
	h.start(peer, "echo", ":7000").line("listening on")
	a.start(peer, "flock", "10.99.0.3:7000", "20", "100000").ok()
	b.start(peer, "flock", "[fd99::2]:7000", "20", "100000").ok()
	h.start(peer, "flock", "10.99.0.2:7000", "20", "100000").ok()
	h.start(peer, "flock", "[fd99::3]:7000", "20", "100000").ok()
	a.start(peer, "flock", "10.99.0.1:7000", "20", "100000").ok()
	b.start(peer, "flock", "[fd99::1]:7000", "20", "100000").ok()
	a.stop()
	b.stop()
}

// A sandbox of three loops serves, also after its engine has died, and leaves
// nothing behind.
func TestRunShards(t *testing.T) {
	onlyTCPCNI(t)
	h := newHost(t)
	pod := h.pod("--shards", "3")
	peer := compileGo(t, false)
	pod.start(peer, "echo", ":7000").line("listening on")
	for range 2 {
		for _, to := range []string{pod.v4 + ":7000", "[" + pod.v6 + "]:7000"} {
			h.start(peer, "flock", to, "20", "1000000").ok()
		}
		if n := pod.shards(); n != 2 {
			t.Errorf("%d loops beside the main one", n)
		}
		pod.crash()
	}
	h.start(peer, "flock", pod.v4+":7000", "20", "1000000").ok()
	pod.stop()
	h.bare()
}

// shards asks how many loops the sandbox's engine has beside the main one.
func (s *sandbox) shards() int {
	files, _ := filepath.Glob(s.h.state + "/sandboxes/*" + s.name + "*/control.sock")
	if len(files) != 1 {
		return -1
	}
	c, err := engine.Dial(files[0])
	must(s.h.t, err)
	defer func() { _ = c.Close() }()
	st, err := c.Status()
	must(s.h.t, err)
	return len(st.Shards)
}

// A tunable reaches the sandbox's sockets, and only that sandbox's.
func TestRunTunable(t *testing.T) {
	onlyTCPCNI(t)
	h := newHost(t)
	a, b := h.pod("--profile", "linux", "--set", "ip_default_ttl=33"), h.pod()
	const script = "import socket; print(socket.socket().getsockopt(socket.IPPROTO_IP, socket.IP_TTL))"
	if got := a.start("/usr/bin/python3", "-c", script).ok(); got != "33\n" {
		t.Errorf("ip_default_ttl=33 gives IP_TTL %q", got)
	}
	if got := b.start("/usr/bin/python3", "-c", script).ok(); got != "64\n" {
		t.Errorf("the other sandbox has IP_TTL %q", got)
	}
	a.stop()
	b.stop()
}

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// Containers of an ordinary OCI runtime, runc: by way of `tcpcni runc`, and by
// a profile that names the broker's socket.

// An ociHost is a host with a network of the plugin and a container runtime.
type ociHost struct {
	*host
	cni     *cniRuntime
	wrapper string // a link to the command, as a container manager is given it
	root    string // of the runtime's state
	next    int
}

// realRuntime is the runc that tests run: Debian's, or E2E_RUNC.
func realRuntime(t *testing.T) string {
	t.Helper()
	name := os.Getenv("E2E_RUNC")
	if name == "" {
		name = "runc"
	}
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%v: accepted: Debian's package runc, or E2E_RUNC", err)
	}
	return path
}

func newOCIHost(t *testing.T) *ociHost {
	t.Helper()
	onlyTCPCNI(t)
	h := newHost(t)
	o := &ociHost{host: h, cni: newRuntime(h, `"uplink":"ptp",`), root: t.TempDir()}
	t.Setenv("TCPCNI_RUNTIME", realRuntime(t))
	o.wrapper = filepath.Join(t.TempDir(), "tcpcni-runc")
	must(t, os.Symlink(command(), o.wrapper))
	return o
}

// attach makes a namespace with an attachment of the plugin.
func (o *ociHost) attach(id string) container {
	o.t.Helper()
	c := o.cni.container(id)
	_, err := o.cni.add(c)
	must(o.t, err)
	o.t.Cleanup(func() {
		if err := o.cni.del(c); err != nil {
			o.t.Error(err)
		}
	})
	return c
}

// An ociContainer is a container that a test made.
type ociContainer struct {
	o      *ociHost
	id     string
	bundle string
}

// usualCaps are those that container managers leave to a container's root.
var usualCaps = []string{"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_NET_RAW",
	"CAP_SETGID", "CAP_SETUID", "CAP_SETFCAP", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_KILL", "CAP_AUDIT_WRITE"}

// bundle makes a container's bundle: the machine's own programs, read-only, in
// the network namespace ns.
func (o *ociHost) bundle(ns string, change func(*specs.Spec), args ...string) *ociContainer {
	o.t.Helper()
	o.next++
	c := &ociContainer{o: o, id: fmt.Sprintf("%s-%d", o.name, o.next), bundle: o.t.TempDir()}
	spec := &specs.Spec{
		Version: "1.0.2", Root: &specs.Root{Path: "rootfs"}, Hostname: "container",
		Process: &specs.Process{Args: args, Cwd: "/", Env: []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}, NoNewPrivileges: true,
			Capabilities: &specs.LinuxCapabilities{Bounding: usualCaps, Effective: usualCaps, Permitted: usualCaps}},
		Mounts: []specs.Mount{{Destination: "/proc", Type: "proc", Source: "proc"}, {Destination: "/dev", Type: "tmpfs", Source: "tmpfs"}, {Destination: "/tmp", Type: "tmpfs", Source: "tmpfs"}},
		Linux: &specs.Linux{Namespaces: []specs.LinuxNamespace{{Type: specs.PIDNamespace}, {Type: specs.MountNamespace}, {Type: specs.IPCNamespace},
			{Type: specs.UTSNamespace}, {Type: specs.NetworkNamespace, Path: "/run/netns/" + ns}}},
	}
	for _, dir := range []string{"/usr", "/etc", "/lib", "/lib64", "/bin", "/sbin", workDir} {
		if _, err := os.Stat(dir); err == nil {
			spec.Mounts = append(spec.Mounts, specs.Mount{Destination: dir, Source: dir, Type: "bind", Options: []string{"rbind", "ro"}})
		}
	}
	must(o.t, os.MkdirAll(filepath.Join(c.bundle, "rootfs"), 0o755))
	if change != nil {
		change(spec)
	}
	text, err := json.Marshal(spec)
	must(o.t, err)
	must(o.t, os.WriteFile(c.config(), text, 0o644))
	o.t.Cleanup(func() { _ = o.command(realRuntime(o.t), "delete", "--force", c.id).Run() })
	return c
}

func (c *ociContainer) config() string { return filepath.Join(c.bundle, "config.json") }

// runtime calls a runtime and waits. It does not matter to it in which network
// it runs, but it wants to see the machine's cgroups, which ip-netns(8) hides.
// The container keeps the output, so it is a file and no pipe to wait for.
func (o *ociHost) runtime(args ...string) (output string) {
	o.t.Helper()
	out, err := os.Create(filepath.Join(o.t.TempDir(), "output"))
	must(o.t, err)
	defer out.Close()
	cmd := o.command(o.wrapper, args...)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Run(); err != nil {
		text, _ := os.ReadFile(out.Name())
		o.t.Fatalf("%v: %v\n%s", args, err, text)
	}
	return out.Name()
}

// serving is what the tests' server says when it listens. Asking it earlier
// would reach the container's kernel, and leave traces there.
const serving = "Serving HTTP"

var webServer = []string{"python3", "-u", "-c", `
import http.server, socketserver
socketserver.TCPServer.allow_reuse_address = True
with socketserver.ThreadingTCPServer(("", 80), http.server.SimpleHTTPRequestHandler) as s:
	print("Serving HTTP")
	s.serve_forever()`}

// kernelSockets lists the sockets of the kernel's own TCP/IP that a container's
// processes hold. Those of the sandbox's loopback mirror are the engine's.
func kernelSockets(t *testing.T, pid int) (found []string) {
	t.Helper()
	inodes := map[string]string{}
	for _, table := range tables {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", pid, table))
		if err != nil {
			continue // not in this kernel
		}
		for line := range strings.Lines(string(text)) {
			for _, field := range strings.Fields(line) {
				inodes["socket:["+field+"]"] = table + ": " + line
			}
		}
	}
	for _, p := range append(descendants(pid), pid) {
		fds, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", p))
		must(t, err)
		for _, fd := range fds {
			if link, err := os.Readlink(fd); err == nil && inodes[link] != "" {
				found = append(found, inodes[link])
			}
		}
	}
	return found
}

func (o *ociHost) args(runtime string, args ...string) []string {
	return append([]string{runtime, "--root", o.root}, args...)
}

func (o *ociHost) command(runtime string, args ...string) *exec.Cmd {
	all := o.args(runtime, args...)
	return exec.Command(all[0], all[1:]...)
}

// run starts the container and returns the runtime's process, which stays.
func (c *ociContainer) run(runtime string) *proc {
	c.o.t.Helper()
	return start(c.o.t, plumbing{}, c.o.args(runtime, "run", "--bundle", c.bundle, c.id)...)
}

func (c *ociContainer) exec(args ...string) *proc {
	c.o.t.Helper()
	return start(c.o.t, plumbing{}, c.o.args(c.o.wrapper, append([]string{"exec", c.id}, args...)...)...)
}

func (c *ociContainer) pid() int {
	c.o.t.Helper()
	out, err := c.o.command(c.o.wrapper, "state", c.id).Output()
	must(c.o.t, err)
	var st specs.State
	must(c.o.t, json.Unmarshal(out, &st))
	return st.Pid
}

// broker starts the listener of all sandboxes.
func (o *ociHost) broker() *proc {
	o.t.Helper()
	p := o.start(command(), "broker", "--verbose")
	p.line(`listens=`)
	return p
}

// defaultProfile is the one that runtimes give to containers.
func defaultProfile(t *testing.T) *specs.LinuxSeccomp {
	t.Helper()
	return ociProfile(t, "../../cmd/tcpcni/oci/default.json")
}

func ociProfile(t *testing.T, path string) *specs.LinuxSeccomp {
	t.Helper()
	text, err := os.ReadFile(path)
	must(t, err)
	p := new(specs.LinuxSeccomp)
	must(t, json.Unmarshal(text, p))
	return p
}

// A container is created, started, joined, killed and deleted, and its kernel
// never has a socket of it.
func TestRuncWrapper(t *testing.T) {
	o := newOCIHost(t)

	ns := o.attach("wrapped").ns
	for _, c := range []struct {
		name   string
		change func(*specs.Spec)
	}{
		{"no profile", nil},
		{"default profile", func(s *specs.Spec) { s.Linux.Seccomp = defaultProfile(t) }},
		{"default profile, new privileges", func(s *specs.Spec) {
			s.Linux.Seccomp = defaultProfile(t)
			s.Process.NoNewPrivileges = false
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			pod := o.bundle(ns, c.change, webServer...)
			pidFile := filepath.Join(pod.bundle, "pid")
			output := o.runtime("create", "--bundle", pod.bundle, "--pid-file", pidFile, pod.id)
			o.runtime("start", pod.id)
			eventually(t, "a server", func() bool {
				text, err := os.ReadFile(output)
				return err == nil && strings.Contains(string(text), serving)
			})
			if out := o.sh("curl", "-sS", "http://10.87.0.2/"); !strings.Contains(out, "Directory listing") {
				t.Errorf("from the host: %s", out)
			}
			// What joins the container shares its stack, and its loopback.
			for _, to := range []string{"http://127.0.0.1/", "http://10.87.0.2/"} {
				if out := pod.exec("curl", "-sS", to).ok(); !strings.Contains(out, "Directory listing") {
					t.Errorf("exec: %s: %s", to, out)
				}
			}
			if found := kernelSockets(t, pod.pid()); found != nil {
				t.Errorf("the container has sockets of the kernel: %q", found)
			}
			o.runtime("kill", pod.id, "KILL")
			eventually(t, "the container stopped", func() bool {
				out, _ := o.command(o.wrapper, "state", pod.id).Output()
				return strings.Contains(string(out), `"stopped"`)
			})
			o.runtime("delete", pod.id)
			if err := o.command(o.wrapper, "state", pod.id).Run(); err == nil {
				t.Error("a deleted container has a state")
			}
			// The next container from the same bundle is no different.
			again := pod.run(o.wrapper)
			again.line(serving)
			o.sh("curl", "-sS", "-o", "/dev/null", "http://10.87.0.2/")
			o.runtime("kill", pod.id, "KILL")
			again.wait()
		})
	}
}

// What a container must not reach, it does not reach in a wrapped one, either.
// The entries of other ABIs kill, which is how libseccomp treats them.
func TestRuncRefusedCalls(t *testing.T) {
	program, wide := compileC(t, "refused"), compileC(t, "wide")
	o := newOCIHost(t)

	ns := o.attach("refused").ns
	killed := map[string]bool{"x32 getpid": true, "x32 socket": true, "i386 getpid": true, "i386 socket": true, "i386 socketcall": true}
	for _, c := range []struct {
		name    string
		profile *specs.LinuxSeccomp
	}{{"no profile", nil}, {"default profile", defaultProfile(t)}} {
		t.Run(c.name, func(t *testing.T) {
			change := func(s *specs.Spec) { s.Linux.Seccomp = c.profile }
			seen := 0
			for line := range strings.Lines(o.bundle(ns, change, program).run(o.wrapper).ok()) {
				what, got, _ := strings.Cut(strings.TrimSpace(line), ": ")
				want := slices.Clone(refusals[what])
				if c.profile != nil {
					want = append(want, forbidden...) // the default action, for what it does not allow
				}
				if killed[what] {
					want = []string{"SIGSYS", "SIGSEGV"}
				}
				seen++
				if !slices.Contains(want, got) {
					t.Errorf("%s: %s, want one of %v", what, got, want)
				}
			}
			if seen != len(refusals) {
				t.Errorf("%d attempts, want %d", seen, len(refusals))
			}
			// Registers with garbage in their upper halves name the same families.
			lines := strings.Split(strings.TrimSpace(o.bundle(ns, change, wide).run(o.wrapper).ok()), "\n")
			if len(lines) < 20 {
				t.Errorf("%d lines: %q", len(lines), lines)
			}
			for _, line := range lines {
				if !strings.HasSuffix(line, ": AF_UNIX") {
					t.Errorf("%s", line)
				}
			}
		})
	}
}

// Without an engine no container starts.
func TestRuncFailsClosed(t *testing.T) {
	o := newOCIHost(t)
	withPath := func(path string) func(*specs.Spec) {
		return func(s *specs.Spec) {
			for i := range s.Linux.Namespaces {
				if s.Linux.Namespaces[i].Type == specs.NetworkNamespace {
					s.Linux.Namespaces[i].Path = path
				}
			}
		}
	}
	refused := func(what, says string, c *ociContainer) {
		t.Helper()
		before, err := os.ReadFile(c.config())
		must(t, err)
		log := filepath.Join(c.bundle, "log.json")
		p := start(t, plumbing{}, o.args(o.wrapper, "--log", log, "--log-format", "json", "run", "--bundle", c.bundle, c.id)...)
		if out := p.fails(); !strings.Contains(out, says) {
			t.Errorf("%s: %q is not in: %s", what, says, out)
		}
		if text, _ := os.ReadFile(log); !strings.Contains(string(text), `"level":"error"`) {
			t.Errorf("%s: nothing in the runtime's log: %s", what, text)
		}
		if err := o.command(o.wrapper, "state", c.id).Run(); err == nil {
			t.Errorf("%s: there is a container", what)
		}
		if after, _ := os.ReadFile(c.config()); string(before) != string(after) {
			t.Errorf("%s: the bundle was changed", what)
		}
	}
	bare := o.cni.container("bare")
	refused("no sandbox", "no sandbox", o.bundle(bare.ns, nil, "true"))
	refused("no namespace", "netns", o.bundle("no-such-namespace", nil, "true"))
	refused("host network", "host's network", o.bundle("", func(s *specs.Spec) {
		s.Linux.Namespaces = slices.DeleteFunc(s.Linux.Namespaces, func(n specs.LinuxNamespace) bool { return n.Type == specs.NetworkNamespace })
	}, "true"))
	refused("a namespace of its own", "does not exist yet", o.bundle("", withPath(""), "true"))

	ns := o.attach("closed").ns
	refused("another agent", "listenerPath", o.bundle(ns, func(s *specs.Spec) {
		s.Linux.Seccomp = &specs.LinuxSeccomp{DefaultAction: specs.ActAllow, ListenerPath: "/run/other.sock"}
	}, "true"))
	for _, args := range [][]string{
		{"restore", "x"},
		{"checkpoint", "x"},
		{"run", "--no-such-flag", "x", "y"},
		{"--no-such-flag", "run", "y"},
	} {
		if out, err := o.command(o.wrapper, args...).CombinedOutput(); err == nil || !strings.Contains(string(out), "accepted") {
			t.Errorf("%v: %v: %s", args, err, out)
		}
	}
}

// A profile with a fixed listener path works with the runtime as it is: the
// broker finds the sandbox. For a process that is in none, nobody answers.
func TestBroker(t *testing.T) {
	o := newOCIHost(t)
	broker := o.broker()
	ns := o.attach("brokered").ns
	bare := o.cni.container("bare").ns
	file := filepath.Join(t.TempDir(), "tcpcni.json")
	text := o.sh(command(), "seccomp-profile", "--base", "default")
	must(t, os.WriteFile(file, []byte(text), 0o644))
	change := func(s *specs.Spec) { s.Linux.Seccomp = ociProfile(t, file) }

	pod := o.bundle(ns, change, webServer...)
	p := pod.run(realRuntime(t))
	p.line(serving)
	o.sh("curl", "-sS", "-o", "/dev/null", "http://10.87.0.2/")
	if out := pod.exec("curl", "-sS", "http://127.0.0.1/").ok(); !strings.Contains(out, "Directory listing") {
		t.Errorf("exec: %s", out)
	}
	// Either the runtime's own preparations fail, or the program's call does.
	outside := o.bundle(bare, change, "python3", "-c", "import socket; socket.socket(); print('a socket')")
	if out := outside.run(realRuntime(t)).fails(); strings.Contains(out, "a socket") {
		t.Errorf("without a sandbox: %s", out)
	}
	broker.line("no sandbox in this network namespace")

	// Garbage harms nobody.
	socket := filepath.Join(o.state, "listener.sock")
	for _, garbage := range []string{"", "nonsense", "{}", `{"fds":["seccompFd"],"pid":1}`, `{"fds":["seccompFd"],"pid":` + strconv.Itoa(os.Getpid()) + `}`} {
		script := "import socket,sys\ns=socket.socket(socket.AF_UNIX)\ns.connect(sys.argv[1])\n" +
			"socket.send_fds(s,[sys.argv[2].encode()],[0]) if sys.argv[2] else None\ns.close()"
		o.sh("python3", "-c", script, socket, garbage)
	}
	broker.line("accepted: a seccomp listener")
	if out := pod.exec("curl", "-sS", "http://127.0.0.1/").ok(); !strings.Contains(out, "Directory listing") {
		t.Errorf("exec after garbage: %s", out)
	}
	// A second broker keeps off.
	if out := o.start(command(), "broker").fails(); !strings.Contains(out, "another broker") {
		t.Errorf("a second broker: %s", out)
	}
	o.runtime("kill", pod.id, "KILL")
	p.wait()
}

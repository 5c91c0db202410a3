package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// A sandbox is a running pod: a program that waits keeps it, others join it.
type sandbox struct {
	h     *host
	name  string
	v4    string // its addresses; the default network counts up from 2
	v6    string
	root  *proc // `tcpcni run`, or on the kernel the program itself
	pid   int   // of the program that waits
	watch *watch
}

// pod makes a sandbox with `tcpcni run` and the given flags. When the test
// ends, it also has to show that no kernel socket was ever used in it.
func (h *host) pod(flags ...string) *sandbox {
	h.t.Helper()
	s := h.newSandbox()
	s.begin(plumbing{}, flags, "sh", "-c", "echo ready; exec sleep infinity")
	s.root.line(`(?m)^ready$`)
	s.follow()
	return s
}

func (h *host) newSandbox() *sandbox {
	h.pods++
	return &sandbox{
		h: h, name: fmt.Sprintf("pod%d", h.pods),
		v4: fmt.Sprintf("10.87.0.%d", h.pods+1), v6: fmt.Sprintf("fd87::%x", h.pods+1),
	}
}

// run starts one program in a sandbox of its own, without a program that
// waits.
func (h *host) run(flags []string, args ...string) (*sandbox, *proc) {
	h.t.Helper()
	return h.runWith(plumbing{}, flags, args...)
}

func (h *host) runWith(io plumbing, flags []string, args ...string) (*sandbox, *proc) {
	h.t.Helper()
	s := h.newSandbox()
	s.begin(io, flags, args...)
	return s, s.root
}

func (s *sandbox) begin(io plumbing, flags []string, args ...string) {
	s.h.t.Helper()
	if onKernel {
		s.kernelNetwork()
		io.env = append(io.env, s.h.env()...)
		s.root = start(s.h.t, io, append([]string{"ip", "netns", "exec", s.kernelName()}, args...)...)
		return
	}
	cmd := append([]string{command(), "run", "--name", s.name}, flags...)
	s.root = s.h.startWith(io, append(append(cmd, "--"), args...)...)
}

// start joins the sandbox with another program.
func (s *sandbox) start(args ...string) *proc {
	s.h.t.Helper()
	return s.startWith(plumbing{}, args...)
}

func (s *sandbox) startWith(io plumbing, args ...string) *proc {
	s.h.t.Helper()
	if onKernel {
		io.env = append(io.env, s.h.env()...)
		return start(s.h.t, io, append([]string{"ip", "netns", "exec", s.kernelName()}, args...)...)
	}
	return s.h.startWith(io, append([]string{command(), "exec", s.name, "--"}, args...)...)
}

// follow finds the sandbox's first process and watches its namespace from then
// on. The test's end stops the watch before the sandbox.
func (s *sandbox) follow() {
	s.h.t.Helper()
	eventually(s.h.t, "a program in a namespace of its own", func() bool {
		s.pid = s.program()
		return s.pid != 0
	})
	if !onKernel {
		s.watch = watchSandbox(s.h, s.pid)
	}
}

// program finds the process that runs the sandbox's program: the first
// descendant that is neither in the host's namespace nor the command itself.
func (s *sandbox) program() int {
	outside, err := os.Stat(s.h.path())
	if err != nil {
		return 0
	}
	for _, pid := range append([]int{s.root.pid()}, descendants(s.root.pid())...) {
		inside, err := os.Stat(fmt.Sprintf("/proc/%d/ns/net", pid))
		exe, err2 := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
		if err != nil || err2 != nil || os.SameFile(inside, outside) {
			continue
		}
		base := filepath.Base(exe)
		if base != "tcpcni" && base != "ip" && base != "e2e.test" {
			return pid
		}
	}
	return 0
}

// stop ends the sandbox as its user would, after the last look at its sockets.
func (s *sandbox) stop() {
	s.h.t.Helper()
	if s.watch != nil {
		s.watch.stop()
	}
	s.root.stop()
}

// engine returns the process id of the sandbox's engine.
func (s *sandbox) engine() int {
	s.h.t.Helper()
	files, err := filepath.Glob(s.h.state + "/sandboxes/*" + s.name + "*/engine.pid")
	if err != nil || len(files) != 1 {
		all, _ := filepath.Glob(s.h.state + "/*/*")
		s.h.t.Fatalf("engine.pid of %s: found %v among %v", s.name, files, all)
	}
	text, err := os.ReadFile(files[0])
	must(s.h.t, err)
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	must(s.h.t, err)
	return pid
}

// descendants lists the children of a process and theirs.
func descendants(pid int) []int {
	var found []int
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, task := range tasks {
		text, err := os.ReadFile(task)
		if err != nil {
			continue
		}
		for _, field := range strings.Fields(string(text)) {
			if child, err := strconv.Atoi(field); err == nil {
				found = append(append(found, child), descendants(child)...)
			}
		}
	}
	return found
}

// kernelName is the namespace that stands for the sandbox on the kernel.
func (s *sandbox) kernelName() string { return s.h.name + "-" + s.name }

// kernelNetwork makes an ordinary namespace with the addresses that the
// sandbox would have.
func (s *sandbox) kernelNetwork() {
	t, h, k := s.h.t, s.h.name, s.kernelName()
	if h := s.h; h.pods == 1 {
		h.sh("ip", "link", "add", "br0", "type", "bridge")
		h.sh("ip", "addr", "add", hostV4+"/24", "dev", "br0")
		h.sh("ip", "addr", "add", hostV6+"/64", "dev", "br0", "nodad")
		h.sh("ip", "link", "set", "br0", "up")
		h.sh("sysctl", "-q", "-w", "net.ipv4.ip_forward=1")
		h.sh("sysctl", "-q", "-w", "net.ipv6.conf.all.forwarding=1")
		h.sh("iptables", "-t", "nat", "-A", "POSTROUTING", "-s", "10.87.0.0/24", "!", "-d", "10.87.0.0/24", "-j", "MASQUERADE")
		h.sh("ip6tables", "-t", "nat", "-A", "POSTROUTING", "-s", "fd87::/64", "!", "-d", "fd87::/64", "-j", "MASQUERADE")
	}
	sh(t, "ip", "netns", "add", k)
	t.Cleanup(func() { sh(t, "ip", "netns", "del", k) })
	if text, err := os.ReadFile("/etc/netns/" + h + "/resolv.conf"); err == nil {
		must(t, os.MkdirAll("/etc/netns/"+k, 0o755))
		must(t, os.WriteFile("/etc/netns/"+k+"/resolv.conf", text, 0o644))
		t.Cleanup(func() { _ = os.RemoveAll("/etc/netns/" + k) })
	}
	sh(t, "ip", "-n", h, "link", "add", "veth-"+s.name, "type", "veth", "peer", "name", "eth0", "netns", k)
	sh(t, "ip", "-n", h, "link", "set", "veth-"+s.name, "master", "br0", "up")
	for _, args := range [][]string{
		{"link", "set", "lo", "up"},
		{"addr", "add", s.v4 + "/24", "dev", "eth0"},
		{"addr", "add", s.v6 + "/64", "dev", "eth0", "nodad"},
		{"link", "set", "eth0", "up"},
		{"route", "add", "default", "via", hostV4},
		{"-6", "route", "add", "default", "via", hostV6},
	} {
		sh(t, append([]string{"ip", "-n", k}, args...)...)
	}
}

package main

// The kernel's side and ours.

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/vishvananda/netlink"

	"github.com/tcpcni/tcpcni/engine"
	"github.com/tcpcni/tcpcni/hostlink"
	"github.com/tcpcni/tcpcni/hostlink/cgroup"
	"github.com/tcpcni/tcpcni/plugin"
)

func (l *lab) serverArgs() []string {
	return []string{l.program("server"), fmt.Sprint(port), congestion}
}

func (l *lab) serve(s *side, ns string) error {
	args := l.serverArgs()
	return l.start(s, ns, nil, args[0], args[1:]...)
}

// startKernel runs the server in a namespace of its own, a veth pair away from
// the client's.
func (l *lab) startKernel(s *side) error {
	server, err := l.pair(s, "kernel", "10.88.0", "fd88")
	if err != nil {
		return err
	}
	if err := configure(server, "eth0", "10.88.0.2/24", "fd88::2/64"); err != nil {
		return err
	}
	s.inside = []string{"nsenter", "--net=" + server}
	return l.serve(s, server)
}

// pair makes the client's namespace with its address, and the server's, whose
// end of the cable is eth0 and has none.
func (l *lab) pair(s *side, name, net4, net6 string) (server string, err error) {
	if s.client, err = l.namespace(name + "-client"); err != nil {
		return "", err
	}
	if server, err = l.namespace(name + "-server"); err != nil {
		return "", err
	}
	if err := l.cable(s.client, "veth0", server, "eth0"); err != nil {
		return "", err
	}
	s.addr = [2]string{net4 + ".2", net6 + "::2"}
	return server, configure(s.client, "veth0", net4+".1/24", net6+"::1/64")
}

// bridge makes a namespace with a bridge, and two whose eth0 are its ports.
func (l *lab) bridge(name string) (ends [2]string, err error) {
	host, err := l.namespace(name + "-bridge")
	if err != nil {
		return ends, err
	}
	err = hostlink.InNetNS(host, func() error {
		attrs := netlink.NewLinkAttrs()
		attrs.Name, attrs.MTU = "br0", l.mtu
		if err := netlink.LinkAdd(&netlink.Bridge{LinkAttrs: attrs}); err != nil {
			return err
		}
		return nil
	})
	if err != nil {
		return ends, err
	}
	if err := configure(host, "br0"); err != nil {
		return ends, err
	}
	for i := range ends {
		if ends[i], err = l.namespace(fmt.Sprintf("%s-port%d", name, i)); err != nil {
			return ends, err
		}
		port := fmt.Sprintf("port%d", i)
		if err := l.cable(host, port, ends[i], "eth0"); err != nil {
			return ends, err
		}
		err := hostlink.InNetNS(host, func() error {
			br, err := netlink.LinkByName("br0")
			if err != nil {
				return err
			}
			p, err := netlink.LinkByName(port)
			if err != nil {
				return err
			}
			return netlink.LinkSetMaster(p, br)
		})
		if err != nil {
			return ends, err
		}
		if err := configure(host, port); err != nil {
			return ends, err
		}
	}
	return ends, nil
}

func (l *lab) startKernelBridge(s *side) error {
	ends, err := l.bridge("kernel")
	if err != nil {
		return err
	}
	for i, ns := range ends {
		if err := configure(ns, "eth0", fmt.Sprintf("10.90.0.%d/24", i+2)); err != nil {
			return err
		}
	}
	s.client, s.addr[0] = ends[1], "10.90.0.2"
	return l.serve(s, ends[0])
}

// startSandbox runs the same server in a sandbox whose host is the client's
// namespace.
func (l *lab) startSandbox(s *side) error {
	host, err := l.namespace("sandbox")
	if err != nil {
		return err
	}
	conf, err := l.network("sandbox", "ptp", "10.87.0.0/24", "fd87::/64")
	if err != nil {
		return err
	}
	if err := l.sandbox(s, host, "sandbox", conf, l.program("server"), fmt.Sprint(port)); err != nil {
		return err
	}
	s.client, s.addr = host, [2]string{"10.87.0.2", "fd87::2"}
	s.env = l.env()
	s.inside = []string{l.o.command, "exec", "sandbox", "--"}
	s.memory = func() ([]int, error) { return s.group.named("tcpcni\x00engine\x00") }
	s.sockets = func() (int, error) { return l.engineSockets("sandbox") }
	return nil
}

// startShards runs two servers in a sandbox of n loops.
func (l *lab) startShards(n int) func(*side) error {
	return func(s *side) error {
		name := s.name
		host, err := l.namespace(name)
		if err != nil {
			return err
		}
		conf, err := l.networkOf(name, "ptp", "10.92.0.0/24", "fd92::/64", fmt.Sprintf(`"shards":%d,`, n))
		if err != nil {
			return err
		}
		server := l.serverArgs()[0]
		both := fmt.Sprintf("%s %d %s & exec %s %d %s", server, port+twin, congestion, server, port, congestion)
		if err := l.sandbox(s, host, name, conf, "sh", "-c", both); err != nil {
			return err
		}
		s.client, s.addr = host, [2]string{"10.92.0.2", "fd92::2"}
		return nil
	}
}

// startSandboxBridge runs the server in one sandbox and a program that only
// waits in another, for the client to join.
func (l *lab) startSandboxBridge(s *side) error {
	host, err := l.namespace("sandbox-bridge")
	if err != nil {
		return err
	}
	conf, err := l.network("bridged", "bridge", "10.91.0.0/24", "fd91::/64")
	if err != nil {
		return err
	}
	if err := l.sandbox(s, host, "bridged-server", conf, l.program("server"), fmt.Sprint(port)); err != nil {
		return err
	}
	if err := l.waitFor("bridged-server"); err != nil {
		return err
	}
	if err := l.sandbox(s, host, "bridged-client", conf, "sleep", "infinity"); err != nil {
		return err
	}
	s.client, s.addr[0], s.env = host, "10.91.0.2", l.env()
	s.within = []string{l.o.command, "exec", "bridged-client", "--"}
	return l.waitFor("bridged-client")
}

// waitFor waits until a program can join the sandbox.
func (l *lab) waitFor(name string) error {
	return l.eventually(func() error {
		cmd := l.quiet(l.o.command, "exec", name, "--", "true")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	})
}

// startInline runs the server on the kernel's sockets in the namespace of a
// sandbox whose own program only waits.
func (l *lab) startInline(s *side) error {
	host, err := l.namespace("inline")
	if err != nil {
		return err
	}
	conf, err := l.network("inline", "ptp", "10.89.0.0/24", "fd89::/64")
	if err != nil {
		return err
	}
	pid := filepath.Join(l.dir, "waiting")
	if err := l.sandbox(s, host, "inline", conf, "sh", "-c", "echo $$ >"+pid+".new; mv "+pid+".new "+pid+"; exec sleep infinity"); err != nil {
		return err
	}
	var text []byte
	if err := l.eventually(func() (err error) { text, err = os.ReadFile(pid); return err }); err != nil {
		return err
	}
	s.client, s.addr = host, [2]string{"10.89.0.2", "fd89::2"}
	return l.serve(s, "/proc/"+strings.TrimSpace(string(text))+"/ns/net")
}

// network writes a configuration list.
func (l *lab) network(name, uplink, net4, net6 string) (path string, err error) {
	extra := ""
	if uplink == "bridge" {
		extra = `"bridge":"br0",`
	}
	return l.networkOf(name, uplink, net4, net6, extra)
}

// networkOf is network with further members, each with a comma behind it.
func (l *lab) networkOf(name, uplink, net4, net6, extra string) (path string, err error) {
	text := fmt.Sprintf(`{"cniVersion":"1.1.0","name":%q,"plugins":[{"type":"tcpcni","uplink":%q,%s"mtu":%d,"ipam":{"type":"host-local","dataDir":%q,"ranges":[[{"subnet":%q}],[{"subnet":%q}]],"routes":[{"dst":"0.0.0.0/0"},{"dst":"::/0"}]}}]}`,
		name, uplink, extra, l.mtu, filepath.Join(l.dir, "ipam"), net4, net6)
	path = filepath.Join(l.dir, name+".conflist")
	return path, os.WriteFile(path, []byte(text), 0o644)
}

// sandbox runs a program in a sandbox.
func (l *lab) sandbox(s *side, host, name, conf string, program ...string) error {
	if _, err := os.Stat(l.o.command); err != nil {
		return fmt.Errorf("-tcpcni: %w", err)
	}
	s.group.count(cgroup.Group(l.place(name).Dir))
	return l.start(s, host, l.env(), l.o.command, append([]string{"run", "--name", name, "--conf", conf, "--"}, program...)...)
}

// place is that of a sandbox of run.
func (l *lab) place(name string) plugin.Sandbox { return plugin.SandboxAt(l.state(), name, "eth0") }

// engineSockets asks the engine of a sandbox for the number of its sockets.
func (l *lab) engineSockets(name string) (int, error) {
	c, err := engine.Dial(l.place(name).ControlPath())
	if err != nil {
		return 0, err
	}
	defer func() { _ = c.Close() }()
	st, err := c.Status()
	return st.Sockets, err
}

func (l *lab) state() string { return filepath.Join(l.dir, "state") }

func (l *lab) env() []string { return append(os.Environ(), "TCPCNI_STATE="+l.state()) }

package main

// What people would use instead. None of it is part of the product, nor of its
// module: runsc and the library's server are built in a module of their own,
// slirp4netns and pasta come from Debian.

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/tcpcni/tcpcni/hostlink"
)

// startRunsc runs the server in a sandbox of gVisor's runtime, which takes
// interface, addresses and routes from the namespace.
func (l *lab) startRunsc(s *side) error {
	server, err := l.pair(s, "runsc", "10.86.0", "fd86")
	if err != nil {
		return err
	}
	if err := configure(server, "eth0", "10.86.0.2/24", "fd86::2/64"); err != nil {
		return err
	}
	if err := l.container(s, server, "server", append([]string{"/server"}, l.serverArgs()[1:]...)); err != nil {
		return err
	}
	s.inside = l.runsc("exec", "server")
	// The sandbox and its file server; the programs' own memory is theirs.
	s.memory = func() ([]int, error) { return s.group.named("runsc-sandbox\x00", "runsc-gofer\x00") }
	return nil
}

func (l *lab) startRunscBridge(s *side) error {
	ends, err := l.bridge("runsc")
	if err != nil {
		return err
	}
	for i, ns := range ends {
		if err := configure(ns, "eth0", fmt.Sprintf("10.92.0.%d/24", i+2)); err != nil {
			return err
		}
	}
	if err := l.container(s, ends[0], "bridged-server", append([]string{"/server"}, l.serverArgs()[1:]...)); err != nil {
		return err
	}
	// A program that waits, beside which the client runs.
	if err := l.container(s, ends[1], "bridged-client", []string{"/server", fmt.Sprint(port)}); err != nil {
		return err
	}
	s.client, s.addr[0] = ends[1], "10.92.0.2"
	s.within = l.runsc("exec", "bridged-client")
	return nil
}

// runsc is the runtime's command line. Its own control groups would be outside
// of the side's.
func (l *lab) runsc(args ...string) []string {
	return append([]string{l.o.runsc, "--root", filepath.Join(l.dir, "runsc"), "--ignore-cgroups", "--platform=systrap", "--network=sandbox"}, args...)
}

// forgetRunsc takes away the namespace that the runtime keeps mounted in its own
// directory.
func forgetRunsc(dir string) error {
	err := unix.Unmount(filepath.Join(dir, "runsc", "null-netns"), unix.MNT_DETACH)
	if err == unix.EINVAL || err == unix.ENOENT {
		return nil // nothing is mounted there
	}
	return err
}

// container runs a program that is in the lab's directory, which the container
// has as its root.
func (l *lab) container(s *side, ns, id string, args []string) error {
	if _, err := os.Stat(l.o.runsc); err != nil {
		return fmt.Errorf("-runsc: %w", err)
	}
	bundle, err := l.bundle(ns, id, args)
	if err != nil {
		return err
	}
	cmd := l.runsc("run", "--bundle", bundle, id)
	l.undo = append(l.undo, func() error { return forgetRunsc(l.dir) })
	if err := l.start(s, ns, nil, cmd[0], cmd[1:]...); err != nil {
		return err
	}
	l.undo = append(l.undo, func() error {
		kill := l.runsc("kill", id, "KILL")
		_ = exec.Command(kill[0], kill[1:]...).Run()
		return nil
	})
	return l.eventually(func() error {
		state := l.runsc("state", id)
		out, err := exec.Command(state[0], state[1:]...).CombinedOutput()
		if err == nil && !strings.Contains(string(out), `"running"`) {
			err = fmt.Errorf("container %s: %s", id, out)
		}
		return err
	})
}

// bundle writes the configuration of an OCI runtime.
func (l *lab) bundle(ns, id string, args []string) (dir string, err error) {
	root := filepath.Join(l.dir, "root")
	if err := os.MkdirAll(root, 0o755); err != nil {
		return "", err
	}
	for _, name := range []string{"server", "client"} {
		if err := os.Link(l.program(name), filepath.Join(root, name)); err != nil && !errors.Is(err, os.ErrExist) {
			return "", err
		}
	}
	type object = map[string]any
	files := object{"type": "RLIMIT_NOFILE", "hard": 1 << 20, "soft": 1 << 20}
	var spaces []object
	for _, t := range []string{"pid", "mount", "ipc", "uts"} {
		spaces = append(spaces, object{"type": t})
	}
	text, err := json.Marshal(object{
		"ociVersion": "1.0.0",
		"process":    object{"user": object{"uid": 0, "gid": 0}, "args": args, "cwd": "/", "env": []string{"PATH=/"}, "rlimits": []object{files}},
		"root":       object{"path": root, "readonly": true},
		"linux":      object{"namespaces": append(spaces, object{"type": "network", "path": ns})},
	})
	if err != nil {
		return "", err
	}
	dir = filepath.Join(l.dir, "bundle-"+id)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	return dir, os.WriteFile(filepath.Join(dir, "config.json"), text, 0o644)
}

// startLibrary runs the Go server, whose stack has the address: the kernel's end
// of the cable has none.
func (l *lab) startLibrary(s *side) error {
	if _, err := os.Stat(l.o.library); err != nil {
		return fmt.Errorf("-library: %w", err)
	}
	server, err := l.pair(s, "library", "10.85.0", "fd85")
	if err != nil {
		return err
	}
	if err := configure(server, "eth0"); err != nil {
		return err
	}
	s.addr[1] = ""
	s.memory = s.group.processes
	return l.start(s, server, nil, l.o.library, "eth0", "10.85.0.2/24", fmt.Sprint(port))
}

// forwarded makes the namespaces of a side whose connections come by a port
// that a process outside has opened: the client's has an interface with a
// default route, which leads nowhere.
func (l *lab) forwarded(s *side, name, net4 string) (server string, err error) {
	if s.client, err = l.namespace(name + "-client"); err != nil {
		return "", err
	}
	if server, err = l.namespace(name + "-server"); err != nil {
		return "", err
	}
	nowhere, err := l.namespace(name + "-nowhere")
	if err != nil {
		return "", err
	}
	if err := l.cable(s.client, "veth0", nowhere, "eth0"); err != nil {
		return "", err
	}
	if err := errors.Join(configure(nowhere, "eth0"), configure(s.client, "veth0", net4+".2/24")); err != nil {
		return "", err
	}
	s.addr[0] = net4 + ".2"
	return server, hostlink.InNetNS(s.client, func() error {
		return netlink.RouteAdd(&netlink.Route{Gw: net.ParseIP(net4 + ".1")})
	})
}

func (l *lab) startSlirp(s *side) error {
	server, err := l.forwarded(s, "slirp4netns", "10.84.0")
	if err != nil {
		return err
	}
	api := filepath.Join(l.dir, "slirp4netns.sock")
	err = l.start(s, s.client, nil, "slirp4netns", "--configure", fmt.Sprintf("--mtu=%d", l.mtu), "--api-socket="+api, "--netns-type=path", server, "tap0")
	if err != nil {
		return err
	}
	for _, p := range []int{port, port + 1, port + 2, port + 8} {
		order := fmt.Sprintf(`{"execute":"add_hostfwd","arguments":{"proto":"tcp","host_addr":"0.0.0.0","host_port":%d,"guest_port":%d}}`, p, p)
		err := l.eventually(func() error {
			c, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: api, Net: "unix"})
			if err != nil {
				return err
			}
			defer func() { _ = c.Close() }()
			if _, err := c.Write([]byte(order)); err != nil {
				return err
			}
			if err := c.CloseWrite(); err != nil {
				return err
			}
			answer := make([]byte, 512)
			n, err := c.Read(answer)
			if err == nil && !strings.Contains(string(answer[:n]), `"return"`) {
				err = fmt.Errorf("slirp4netns: %s", answer[:n])
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return l.serve(s, server)
}

func (l *lab) startPasta(s *side) error {
	server, err := l.forwarded(s, "pasta", "10.83.0")
	if err != nil {
		return err
	}
	// It takes the ports that somebody listens at.
	if err := l.serve(s, server); err != nil {
		return err
	}
	err = l.eventually(func() error {
		return hostlink.InNetNS(server, func() error {
			fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
			if err != nil {
				return err
			}
			defer func() { _ = syscall.Close(fd) }()
			return syscall.Connect(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: port + 2})
		})
	})
	if err != nil {
		return err
	}
	ports := fmt.Sprintf("%d-%d", port, port+8)
	return l.start(s, s.client, nil, "pasta", "--foreground", "--quiet", "-4", "--config-net", "--mtu", fmt.Sprint(l.mtu), "-T", "none", "-U", "none",
		"-t", ports, "-u", ports, "--runas", "0", "--netns-only", "--netns", server)
}

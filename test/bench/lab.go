package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/tcpcni/tcpcni/hostlink"
)

//go:embed c/server.c c/client.c
var sources embed.FS

// The namespaces of a lab, files in its directory.
const (
	kernelClient = "kernel-client"
	kernelServer = "kernel-server"
	sandboxHost  = "sandbox-host"
	inlineHost   = "inline-host"
)

// The sides of the comparison.
const (
	kernelSide  = "kernel"
	sandboxSide = "sandbox" // the server's socket calls are intercepted
	inlineSide  = "inline"  // the server has the sockets of the sandbox's kernel
)

var sides = []string{kernelSide, sandboxSide, inlineSide}

const (
	port = 5201
	// The kernel's default may be another, and its sysctl in a namespace refuses
	// what the machine does not allow to everyone: the programs ask for it.
	congestion = "cubic"
	patience   = 30 * time.Second // after which the start of a server counts as failed
)

// A lab is the machine that the measurements run on: the programs, the
// namespaces, and a server on each side.
type lab struct {
	ctx    context.Context
	o      *options
	dir    string // the programs and the state of the sandboxes
	undo   []func() error
	client map[string]string // namespace of the client, by side
	server map[string]string // address of the server, by side
}

func newLab(ctx context.Context, o *options) (*lab, error) {
	l := &lab{ctx: ctx, o: o, client: map[string]string{}, server: map[string]string{}}
	collectDead()
	dir, err := os.MkdirTemp("", fmt.Sprintf("%s%d-", dirPrefix, os.Getpid()))
	if err != nil {
		return l, err
	}
	l.dir = dir
	l.undo = append(l.undo, func() error { return os.RemoveAll(dir) })
	for _, name := range []string{"server", "client"} {
		if err := l.compile(name); err != nil {
			return l, err
		}
	}
	starts := map[string]func() error{kernelSide: l.startKernelSide, sandboxSide: l.startSandboxSide, inlineSide: l.startInlineSide}
	for _, side := range sides {
		if o.only != "" && o.only != side {
			continue
		}
		if err := starts[side](); err != nil {
			return l, fmt.Errorf("%s side: %w", side, err)
		}
	}
	return l, nil
}

// dirPrefix, the process id and a random part name a lab's directory.
const dirPrefix = "tcpcni-bench-"

// collectDead takes away what labs left behind whose process was killed.
func collectDead() {
	dirs, _ := filepath.Glob(filepath.Join(os.TempDir(), dirPrefix+"*"))
	for _, dir := range dirs {
		owner, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(dir), dirPrefix), "-")
		pid, err := strconv.Atoi(owner)
		if err != nil || syscall.Kill(pid, 0) != syscall.ESRCH {
			continue
		}
		for _, ns := range []string{kernelClient, kernelServer, sandboxHost, inlineHost} {
			_ = hostlink.DeleteNetNS(filepath.Join(dir, ns))
		}
		_ = os.RemoveAll(dir)
	}
}

// close takes back what was made, last things first.
func (l *lab) close() error {
	var errs []error
	for i := len(l.undo) - 1; i >= 0; i-- {
		errs = append(errs, l.undo[i]())
	}
	return errors.Join(errs...)
}

func (l *lab) compile(name string) error {
	text, err := sources.ReadFile("c/" + name + ".c")
	if err != nil {
		return err
	}
	file := filepath.Join(l.dir, name+".c")
	if err := os.WriteFile(file, text, 0o644); err != nil {
		return err
	}
	out, err := exec.CommandContext(l.ctx, "gcc", "-O2", "-Wall", "-pthread", "-o", filepath.Join(l.dir, name), file).CombinedOutput()
	if err != nil {
		return fmt.Errorf("gcc %s.c: %w: %s", name, err, out)
	}
	return nil
}

// namespace makes a network namespace with the settings of the comparison.
func (l *lab) namespace(name string) (string, error) {
	path := filepath.Join(l.dir, name)
	if err := hostlink.NewNetNS(path); err != nil {
		return "", err
	}
	l.undo = append(l.undo, func() error { return hostlink.DeleteNetNS(path) })
	return path, hostlink.InNetNS(path, func() error {
		for _, s := range [][2]string{
			// The client closes first, so its ports are in TIME_WAIT: take them
			// again after a second (RFC 6191) instead of running out of them.
			{"tcp_tw_reuse", "1"},
			{"ip_local_port_range", "10000 65535"},
		} {
			if err := os.WriteFile("/proc/sys/net/ipv4/"+s[0], []byte(s[1]), 0o644); err != nil {
				return err
			}
		}
		lo, err := netlink.LinkByName("lo")
		if err != nil {
			return err
		}
		return netlink.LinkSetUp(lo)
	})
}

// startKernelSide runs the server in a namespace of its own, a veth pair away
// from the client's.
func (l *lab) startKernelSide() error {
	client, err := l.namespace(kernelClient)
	if err != nil {
		return err
	}
	server, err := l.namespace(kernelServer)
	if err != nil {
		return err
	}
	err = hostlink.InNetNS(client, func() error {
		attrs := netlink.NewLinkAttrs()
		attrs.Name, attrs.MTU = "veth0", l.o.mtu
		if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: "veth1", PeerMTU: uint32(l.o.mtu)}); err != nil {
			return err
		}
		other, err := netlink.LinkByName("veth1")
		if err != nil {
			return err
		}
		ns, err := os.Open(server)
		if err != nil {
			return err
		}
		defer func() { _ = ns.Close() }()
		if err := netlink.LinkSetNsFd(other, int(ns.Fd())); err != nil {
			return err
		}
		return addressUp("veth0", "10.88.0.1/24")
	})
	if err != nil {
		return err
	}
	if err := hostlink.InNetNS(server, func() error { return addressUp("veth1", "10.88.0.2/24") }); err != nil {
		return err
	}
	if err := l.start(server, nil, filepath.Join(l.dir, "server"), fmt.Sprint(port), congestion); err != nil {
		return err
	}
	l.client[kernelSide], l.server[kernelSide] = client, "10.88.0.2"
	return l.reach(kernelSide)
}

func addressUp(ifname, cidr string) error {
	dev, err := netlink.LinkByName(ifname)
	if err != nil {
		return err
	}
	addr, err := netlink.ParseAddr(cidr)
	if err != nil {
		return err
	}
	if err := netlink.AddrAdd(dev, addr); err != nil {
		return err
	}
	return netlink.LinkSetUp(dev)
}

// startSandboxSide runs the same server in a sandbox whose host is the client's
// namespace.
func (l *lab) startSandboxSide() error {
	host, err := l.sandbox(sandboxHost, sandboxSide, "10.87.0", filepath.Join(l.dir, "server"), fmt.Sprint(port))
	if err != nil {
		return err
	}
	l.client[sandboxSide], l.server[sandboxSide] = host, "10.87.0.2"
	return l.reach(sandboxSide)
}

// startInlineSide runs the server on the kernel's sockets in the namespace of a
// sandbox whose own program only waits.
func (l *lab) startInlineSide() error {
	pid := filepath.Join(l.dir, "waiting")
	host, err := l.sandbox(inlineHost, inlineSide, "10.89.0", "sh", "-c", "echo $$ >"+pid+".new; mv "+pid+".new "+pid+"; exec sleep infinity")
	if err != nil {
		return err
	}
	var text []byte
	for end := time.Now().Add(patience); time.Now().Before(end) && l.ctx.Err() == nil; time.Sleep(50 * time.Millisecond) {
		if text, err = os.ReadFile(pid); err == nil {
			break
		}
	}
	if err != nil {
		return err
	}
	inside := "/proc/" + strings.TrimSpace(string(text)) + "/ns/net"
	if err := l.start(inside, nil, filepath.Join(l.dir, "server"), fmt.Sprint(port), congestion); err != nil {
		return err
	}
	l.client[inlineSide], l.server[inlineSide] = host, "10.89.0.2"
	return l.reach(inlineSide)
}

// sandbox runs a program in a sandbox of a new host, whose path it returns; net
// are the first three numbers of its network.
func (l *lab) sandbox(hostName, name, net string, program ...string) (host string, err error) {
	command, err := filepath.Abs(l.o.command)
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(command); err != nil {
		return "", fmt.Errorf("-tcpcni: %w", err)
	}
	if host, err = l.namespace(hostName); err != nil {
		return "", err
	}
	conf := filepath.Join(l.dir, name+".conflist")
	text := fmt.Sprintf(`{"cniVersion":"1.1.0","name":"%s","plugins":[{"type":"tcpcni","uplink":"ptp","mtu":%d,"ipam":{"type":"host-local","dataDir":%q,"ranges":[[{"subnet":"%s.0/24"}]],"routes":[{"dst":"0.0.0.0/0"}]}}]}`,
		name, l.o.mtu, filepath.Join(l.dir, "ipam"), net)
	if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
		return "", err
	}
	env := append(os.Environ(), "TCPCNI_STATE="+l.state())
	return host, l.start(host, env, command, append([]string{"run", "--name", name, "--conf", conf, "--"}, program...)...)
}

func (l *lab) state() string { return filepath.Join(l.dir, "state") }

// start runs a program in the namespace until the lab closes, or this process
// is killed.
func (l *lab) start(ns string, env []string, name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.Env = env
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Setpgid: true, // signals of the terminal are this program's to pass on
		// It comes when the thread that started the program ends, so that thread
		// waits below.
		Pdeathsig: syscall.SIGTERM,
	}
	started, ended := make(chan error, 2), make(chan struct{})
	go func() {
		defer close(ended)
		started <- hostlink.InNetNS(ns, func() error {
			err := cmd.Start()
			started <- err
			if err == nil {
				_ = cmd.Wait()
			}
			return nil
		})
	}()
	if err := <-started; err != nil {
		return err
	}
	l.undo = append(l.undo, func() error {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
			return nil
		case <-time.After(patience):
			_ = cmd.Process.Kill()
			return fmt.Errorf("%s had to be killed", name)
		}
	})
	return nil
}

// reach waits until the server of the side accepts connections.
func (l *lab) reach(side string) error {
	to := net.JoinHostPort(l.server[side], fmt.Sprint(port+2))
	var err error
	for end := time.Now().Add(patience); time.Now().Before(end) && l.ctx.Err() == nil; time.Sleep(50 * time.Millisecond) {
		err = hostlink.InNetNS(l.client[side], func() error {
			c, err := net.DialTimeout("tcp", to, time.Second)
			if err == nil {
				err = c.Close()
			}
			return err
		})
		if err == nil {
			return nil
		}
	}
	return errors.Join(l.ctx.Err(), fmt.Errorf("no server at %s: %w", to, err))
}

// clientCommand prepares the client in its namespace; run it with InNetNS.
func (l *lab) clientCommand(side, mode string, count int) *exec.Cmd {
	return exec.CommandContext(l.ctx, filepath.Join(l.dir, "client"), mode, l.server[side], fmt.Sprint(port),
		fmt.Sprint(count), fmt.Sprint(l.o.duration.Milliseconds()), congestion)
}

// measure runs the client and returns the number that it prints.
func (l *lab) measure(side, mode string, count int) (float64, error) {
	cmd := l.clientCommand(side, mode, count)
	var out, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &stderr
	if err := hostlink.InNetNS(l.client[side], cmd.Start); err != nil {
		return 0, err
	}
	hang := time.AfterFunc(l.o.duration+patience, func() { _ = cmd.Process.Kill() })
	defer hang.Stop()
	if err := cmd.Wait(); err != nil {
		return 0, fmt.Errorf("client %s %d on the %s side: %w: %s", mode, count, side, err, stderr.String())
	}
	var rate float64
	if _, err := fmt.Sscan(out.String(), &rate); err != nil {
		return 0, fmt.Errorf("client printed %q: %w", out.String(), err)
	}
	return rate, nil
}

// holdIdle opens count connections to the sandbox's server and returns what
// closes them.
func (l *lab) holdIdle(count int) (release func() error, err error) {
	cmd := l.clientCommand(sandboxSide, "idle", count)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := hostlink.InNetNS(l.client[sandboxSide], cmd.Start); err != nil {
		return nil, err
	}
	hang := time.AfterFunc(4*patience, func() { _ = cmd.Process.Kill() })
	defer hang.Stop()
	ready := make([]byte, len("ready\n"))
	if _, err := io.ReadFull(out, ready); err != nil {
		_ = in.Close()
		return nil, fmt.Errorf("client idle %d: %w", count, errors.Join(err, cmd.Wait()))
	}
	return func() error { return errors.Join(in.Close(), cmd.Wait()) }, nil
}

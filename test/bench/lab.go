package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/tcpcni/tcpcni/hostlink"
)

//go:embed c/server.c c/client.c
var sources embed.FS

const (
	port = 5201
	// The kernel's default may be another, and its sysctl in a namespace refuses
	// what the machine does not allow to everyone: the programs ask for it.
	congestion = "cubic"
	twin       = 20               // from the port to that of a second server
	patience   = 30 * time.Second // after which the start of a server counts as failed
)

// A lab is the machine that the measurements run on: the programs, the
// namespaces, and a server on each side.
type lab struct {
	ctx   context.Context
	o     *options
	mtu   int
	dir   string // the programs and the state of the sandboxes
	undo  []func() error
	sides map[sideKey]*side
}

// A sideKey names a side and the way that packets take there, which for
// loopback is that of outside.
type sideKey struct{ name, way string }

// A side is a server and where its client runs.
type side struct {
	name    string
	client  string                // namespace of the client
	addr    [2]string             // of the server, IPv4 and IPv6; "" if it has none
	within  []string              // the command that starts a program beside the client, if the namespace alone does not
	env     []string              // of within; nil is this process's
	inside  []string              // the command that starts a program beside the server
	group   *group                // what its processes are accounted to
	memory  func() ([]int, error) // processes whose memory counts; nil if that is not compared
	sockets func() (int, error)   // that its engine has; nil if there is none to ask
}

func newLab(ctx context.Context, o *options, mtu int) (*lab, error) {
	l := &lab{ctx: ctx, o: o, mtu: mtu, sides: map[sideKey]*side{}}
	collectDead()
	dir, err := os.MkdirTemp("", fmt.Sprintf("%s%d-", dirPrefix, os.Getpid()))
	if err != nil {
		return l, err
	}
	l.dir = dir
	l.undo = append(l.undo, func() error { return os.RemoveAll(dir) })
	// Others than root execute the programs, as pasta's and a sandbox's do.
	if err := os.Chmod(dir, 0o755); err != nil {
		return l, err
	}
	for _, name := range []string{"server", "client"} {
		if err := l.compile(name); err != nil {
			return l, err
		}
	}
	starts := map[string]func(*side) error{
		kernelSide: l.startKernel, sandboxSide: l.startSandbox, inlineSide: l.startInline,
		runscSide: l.startRunsc, librarySide: l.startLibrary, slirpSide: l.startSlirp, pastaSide: l.startPasta,
		oneShardSide: l.startShards(1), twoShardsSide: l.startShards(2),
	}
	bridges := map[string]func(*side) error{
		kernelSide: l.startKernelBridge, sandboxSide: l.startSandboxBridge, runscSide: l.startRunscBridge,
	}
	for _, name := range o.sides {
		for way, start := range map[string]func(*side) error{outside: starts[name], bridged: bridges[name]} {
			if start == nil || !l.needs(name, way) {
				continue
			}
			s := &side{name: name}
			if s.group, err = newGroup(fmt.Sprintf("%s-%s%s", filepath.Base(dir), name, way)); err != nil {
				return l, err
			}
			l.undo = append(l.undo, s.group.remove)
			if err := errors.Join(start(s), l.ctx.Err()); err != nil {
				return l, fmt.Errorf("%s side: %w", name, err)
			}
			if err := l.reach(s); err != nil {
				return l, fmt.Errorf("%s side: %w", name, err)
			}
			l.sides[sideKey{name, way}] = s
		}
	}
	return l, nil
}

// needs reports whether a test of this lab has the side on the way.
func (l *lab) needs(name, way string) bool {
	weighs := func(m load) bool { return l.o.wants(m.name, m.deep) && slices.Contains(m.sides, name) }
	if way == outside && l.mtu == l.o.mtu && slices.ContainsFunc(l.loads(), weighs) {
		return true
	}
	return slices.ContainsFunc(tests, func(t test) bool {
		return l.o.wants(t.name, t.deep) && t.mtuOr(l.o.mtu) == l.mtu && t.on(name) && (t.way == bridged) == (way == bridged)
	})
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
		spaces, _ := filepath.Glob(filepath.Join(dir, spacePrefix+"*"))
		for _, ns := range spaces {
			_ = hostlink.DeleteNetNS(ns)
		}
		_ = forgetRunsc(dir)
		removeGroups(filepath.Base(dir))
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

// compile makes static programs: they also run where there is no libc.
func (l *lab) compile(name string) error {
	text, err := sources.ReadFile("c/" + name + ".c")
	if err != nil {
		return err
	}
	file := filepath.Join(l.dir, name+".c")
	if err := os.WriteFile(file, text, 0o644); err != nil {
		return err
	}
	out, err := exec.CommandContext(l.ctx, "gcc", "-O2", "-Wall", "-static", "-pthread", "-o", l.program(name), file).CombinedOutput()
	if err != nil {
		return fmt.Errorf("gcc %s.c: %w: %s", name, err, out)
	}
	return nil
}

func (l *lab) program(name string) string { return filepath.Join(l.dir, name) }

// spacePrefix begins the names of the namespaces' files in a lab's directory.
const spacePrefix = "ns-"

// namespace makes a network namespace with the settings of the comparison.
func (l *lab) namespace(name string) (string, error) {
	path := filepath.Join(l.dir, spacePrefix+name)
	if err := hostlink.NewNetNS(path); err != nil {
		return "", err
	}
	l.undo = append(l.undo, func() error { return hostlink.DeleteNetNS(path) })
	return path, hostlink.InNetNS(path, func() error {
		for _, s := range [][2]string{
			// The client closes first, so its ports are in TIME_WAIT: take them
			// again after a second (RFC 6191) instead of running out of them.
			{"ipv4/tcp_tw_reuse", "1"},
			{"ipv4/ip_local_port_range", "10000 65535"},
			// No waiting for duplicate addresses: nobody else is there.
			{"ipv6/conf/all/accept_dad", "0"},
			{"ipv6/conf/default/accept_dad", "0"},
		} {
			if err := os.WriteFile("/proc/sys/net/"+s[0], []byte(s[1]), 0o644); err != nil {
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

// cable makes a pair of interfaces, one in each namespace.
func (l *lab) cable(ns, ifname, otherNS, otherName string) error {
	return hostlink.InNetNS(ns, func() error {
		attrs := netlink.NewLinkAttrs()
		attrs.Name, attrs.MTU = ifname, l.mtu
		if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: otherName, PeerMTU: uint32(l.mtu)}); err != nil {
			return err
		}
		other, err := netlink.LinkByName(otherName)
		if err != nil {
			return err
		}
		space, err := os.Open(otherNS)
		if err != nil {
			return err
		}
		defer func() { _ = space.Close() }()
		return netlink.LinkSetNsFd(other, int(space.Fd()))
	})
}

// configure gives an interface its addresses and sets it up.
func configure(ns, ifname string, cidrs ...string) error {
	return hostlink.InNetNS(ns, func() error {
		dev, err := netlink.LinkByName(ifname)
		if err != nil {
			return err
		}
		for _, cidr := range cidrs {
			addr, err := netlink.ParseAddr(cidr)
			if err != nil {
				return err
			}
			if err := netlink.AddrAdd(dev, addr); err != nil {
				return fmt.Errorf("address %s: %w", cidr, err)
			}
		}
		return netlink.LinkSetUp(dev)
	})
}

// start runs a program in the namespace until the lab closes, or this process
// is killed.
func (l *lab) start(s *side, ns string, env []string, name string, args ...string) error {
	cmd := s.group.command(name, args...)
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
func (l *lab) reach(s *side) error {
	var err error
	for i, a := range s.addr {
		if a == "" || len(s.within) > 0 {
			continue
		}
		to := net.JoinHostPort(a, fmt.Sprint(port+2))
		err = l.eventually(func() error {
			return hostlink.InNetNS(s.client, func() error {
				c, err := net.DialTimeout("tcp", to, time.Second)
				if err == nil {
					err = c.Close()
				}
				return err
			})
		})
		if err != nil {
			return fmt.Errorf("no server at %s (address %d): %w", to, i+1, err)
		}
	}
	return nil
}

// eventually tries until it works or patience ends.
func (l *lab) eventually(try func() error) (err error) {
	for end := time.Now().Add(patience); time.Now().Before(end) && l.ctx.Err() == nil; time.Sleep(50 * time.Millisecond) {
		if err = try(); err == nil {
			return nil
		}
	}
	return errors.Join(l.ctx.Err(), err)
}

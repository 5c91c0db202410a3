package engine

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tcpcni/tcpcni/hostlink"
	"github.com/tcpcni/tcpcni/hostlink/process"
	"github.com/tcpcni/tcpcni/test/needroot"
	"github.com/vishvananda/netlink"
)

// patience is how long a program may take before a test calls it a hang.
const patience = 120 * time.Second

// A sandbox is an engine under test: its namespace, and the one of its host, in
// which the kernel answers.
type sandbox struct {
	t      testing.TB
	ns     string
	host   string
	cfg    Config
	engine *exec.Cmd
}

var sandboxes atomic.Uint32

func newNetNS(t testing.TB, name string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), fmt.Sprintf("engine-%s-%d-%d", name, os.Getpid(), sandboxes.Add(1)))
	if err := hostlink.NewNetNS(path); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = hostlink.DeleteNetNS(path) })
	inNS(t, path, func() error {
		lo, err := netlink.LinkByName("lo")
		if err != nil {
			return err
		}
		return netlink.LinkSetUp(lo)
	})
	return path
}

func inNS(t testing.TB, path string, f func() error) {
	t.Helper()
	if err := hostlink.InNetNS(path, f); err != nil {
		t.Fatal(err)
	}
}

// newSandbox starts an engine at 10.98.0.2 and fd98::2 whose host is 10.98.0.1
// and fd98::1.
func newSandbox(t testing.TB, edits ...func(*Config)) *sandbox {
	t.Helper()
	needroot.Check(t, "make network namespaces and seccomp listeners")
	s := &sandbox{t: t, ns: newNetNS(t, "in"), host: newNetNS(t, "host")}
	s.cfg = Config{
		Name:        "test",
		ControlPath: filepath.Join(t.TempDir(), "control.sock"),
		Uplink:      LinkSpec{Kind: LinkTAP, Ifname: "up0", NetNS: s.host},
		Inner:       LinkSpec{Kind: LinkTAP, Ifname: "eth0", NetNS: s.ns},
		Ifname:      "eth0",
		MAC:         "02:00:00:00:98:02",
		MTU:         1500,
		Addrs:       []netip.Prefix{netip.MustParsePrefix("10.98.0.2/24"), netip.MustParsePrefix("fd98::2/64")},
	}
	for _, edit := range edits {
		edit(&s.cfg)
	}
	s.addTAP(s.host, "up0", nil, "10.98.0.1/24", "fd98::1/64")
	s.addTAP(s.ns, "eth0", net.HardwareAddr{2, 0, 0, 0, 0x98, 2}, "10.98.0.2/24", "fd98::2/64")
	s.start()
	return s
}

func (s *sandbox) addTAP(ns, name string, mac net.HardwareAddr, addrs ...string) {
	s.t.Helper()
	tap, err := hostlink.OpenTAP(hostlink.TAPConfig{Name: name, NetNS: ns, MTU: 1500, MAC: mac, Persist: true, Up: true,
		MultiQueue: name == s.cfg.Uplink.Ifname && s.cfg.Shards > 1})
	if err != nil {
		s.t.Fatal(err)
	}
	_ = tap.Close()
	inNS(s.t, ns, func() error {
		l, err := netlink.LinkByName(name)
		if err != nil {
			return err
		}
		for _, a := range addrs {
			addr, err := netlink.ParseAddr(a)
			if err != nil {
				return err
			}
			addr.Flags |= 0x02 // IFA_F_NODAD: usable at once
			if err := netlink.AddrAdd(l, addr); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *sandbox) start() {
	s.t.Helper()
	text, err := json.Marshal(s.cfg)
	if err != nil {
		s.t.Fatal(err)
	}
	file := filepath.Join(s.t.TempDir(), "config.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		s.t.Fatal(err)
	}
	cmd := exec.Command("/proc/self/exe", file)
	cmd.Env = append(os.Environ(), roleVar+"=engine")
	if s.cfg.Shards > 1 {
		cmd.Env = append(cmd.Env, lendVar+"=all")
	}
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.engine = cmd
	s.t.Cleanup(func() {
		if c, err := Dial(s.cfg.ControlPath); err == nil {
			_ = c.Stop()
			_ = c.Close()
		} else {
			_ = cmd.Process.Kill()
		}
		if err := cmd.Wait(); err != nil && !s.t.Failed() {
			s.t.Errorf("engine: %v", err)
		}
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "ready\n" {
		s.t.Fatalf("engine said %q, %v", line, err)
	}
}

// client opens the control socket.
func (s *sandbox) client() *Client {
	s.t.Helper()
	c, err := Dial(s.cfg.ControlPath)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = c.Close() })
	return c
}

// A program is one that runs in a sandbox.
type program struct {
	*exec.Cmd
	t      testing.TB
	out    bytes.Buffer
	cancel context.CancelFunc
}

// launch starts a program under the filter.
func (s *sandbox) launch(argv ...string) *program {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	p := &program{t: s.t, cancel: cancel}
	p.Cmd = exec.CommandContext(ctx, "/proc/self/exe", append([]string{s.ns}, argv...)...)
	p.Env = append(os.Environ(), roleVar+"=shim")
	p.Stdout, p.Stderr = &p.out, &p.out
	saysR, saysW, err := os.Pipe()
	if err != nil {
		s.t.Fatal(err)
	}
	hearsR, hearsW, err := os.Pipe()
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() {
		for _, f := range []*os.File{saysR, saysW, hearsR, hearsW} {
			_ = f.Close()
		}
	}()
	p.ExtraFiles = []*os.File{saysW, hearsR}
	if err := p.Start(); err != nil {
		s.t.Fatal(err)
	}
	_ = saysW.Close()
	line, err := bufio.NewReader(saysR).ReadString('\n')
	if err != nil {
		_ = p.Wait()
		s.t.Fatalf("shim: %v\n%s", err, &p.out)
	}
	fd, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		s.t.Fatal(err)
	}
	s.attach(p.Process.Pid, fd)
	if _, err := hearsW.Write([]byte{1}); err != nil {
		s.t.Fatal(err)
	}
	return p
}

func (s *sandbox) attach(pid, fd int) {
	s.t.Helper()
	id, err := process.Identify(pid)
	if err != nil {
		s.t.Fatal(err)
	}
	h, err := process.Open(id)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = h.Close() }()
	l, err := h.TakeFile(fd, "listener")
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	if err := s.client().Attach(l); err != nil {
		s.t.Fatal(err)
	}
}

// finish waits for the program and returns what it printed.
func (p *program) finish() string {
	p.t.Helper()
	defer p.cancel()
	if err := p.Wait(); err != nil {
		p.t.Fatalf("%s: %v\n%s", p.Args, err, &p.out)
	}
	return p.out.String()
}

// run runs a program in the sandbox to its end.
func (s *sandbox) run(argv ...string) string {
	s.t.Helper()
	return s.launch(argv...).finish()
}

// onKernel runs a program in a namespace without a filter.
func onKernel(t testing.TB, ns string, argv ...string) string {
	t.Helper()
	var out bytes.Buffer
	inNS(t, ns, func() error {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
		cmd.Stdout, cmd.Stderr = &out, &out
		return cmd.Run()
	})
	return out.String()
}

// compile builds a program of testdata.
func compile(t testing.TB, name string) string {
	t.Helper()
	if _, err := exec.LookPath("gcc"); err != nil {
		t.Skip("needs gcc to build the programs")
	}
	bin := filepath.Join(t.TempDir(), name)
	cmd := exec.Command("gcc", "-O1", "-Wall", "-Wno-unused-result", "-pthread", "-o", bin, filepath.Join("testdata", name+".c"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("gcc %s: %v\n%s", name, err, out)
	}
	return bin
}

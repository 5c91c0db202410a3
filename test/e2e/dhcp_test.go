package e2e

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/containernetworking/cni/libcni"
)

// Addresses by DHCP: the CNI project's IPAM plugin dhcp with its daemon, and a
// server in a network of its own behind a bridge or a macvlan.

// A lan is a network with a DHCP server, one end of which is in the host.
type lan struct {
	h      *host
	ns     string // of the server
	silent string // while this file is there the server does not answer
	server *proc
	socket string // of the plugin's daemon
	daemon *proc
}

// newLAN makes the network 192.0.2.0/24. The interface "wire" is the host's end;
// a lease holds for the given seconds.
func (h *host) newLAN(seconds string) *lan {
	h.t.Helper()
	onlyTCPCNI(h.t)
	l := &lan{h: h, ns: h.name + "-lan", silent: filepath.Join(h.t.TempDir(), "silent"), socket: filepath.Join(h.t.TempDir(), "dhcp.sock")}
	sh(h.t, "ip", "netns", "add", l.ns)
	h.t.Cleanup(func() { sh(h.t, "ip", "netns", "del", l.ns) })
	h.sh("ip", "link", "add", "wire", "type", "veth", "peer", "name", "lan", "netns", l.ns)
	h.sh("ip", "link", "set", "wire", "up")
	for _, args := range [][]string{{"addr", "add", "192.0.2.1/24", "dev", "lan"}, {"link", "set", "lan", "up"}, {"link", "set", "lo", "up"}} {
		sh(h.t, append([]string{"ip", "-n", l.ns}, args...)...)
	}
	if seconds != "" {
		l.server = l.start("python3", "-B", testdata(h.t, "dhcp/server.py"), "lan", "192.0.2", seconds, l.silent)
		l.server.line(`^serving`)
	}
	l.restartDaemon()
	return l
}

func (l *lan) start(args ...string) *proc {
	l.h.t.Helper()
	return start(l.h.t, plumbing{}, append([]string{"ip", "netns", "exec", l.ns}, args...)...)
}

// restartDaemon starts the plugin's daemon, which knows of no lease then.
func (l *lan) restartDaemon() {
	l.h.t.Helper()
	if l.daemon != nil {
		l.daemon.stop()
	}
	l.daemon = l.h.start(filepath.Join(referenceDir(l.h.t), "dhcp"), "daemon", "-socketpath", l.socket, "-timeout", "1s", "-resendtimeout", "3s")
	eventually(l.h.t, "the daemon", func() bool {
		_, err := os.Stat(l.socket)
		return err == nil
	})
}

// runtime is a container runtime with a network of the plugins; DHCP stands for
// the ipam key.
func (l *lan) runtime(plugins string) *cniRuntime {
	l.h.t.Helper()
	r := newRuntime(l.h, "")
	plugins = strings.ReplaceAll(plugins, "DHCP", `"ipam":{"type":"dhcp","daemonSocketPath":"`+l.socket+`"}`)
	list, err := libcni.ConfListFromBytes([]byte(`{"cniVersion":"1.1.0","name":"demo","plugins":[` + plugins + `]}`))
	must(l.h.t, err)
	r.list = list
	r.cni = libcni.NewCNIConfigWithCacheDir([]string{binDir, referenceDir(l.h.t)}, l.h.t.TempDir(), nil)
	return r
}

// bridged is a host whose bridge is a port of the network.
func bridged(t *testing.T, seconds string) (*lan, *cniRuntime) {
	h := newHost(t)
	l := h.newLAN(seconds)
	h.sh("ip", "link", "add", "br-lan", "type", "bridge")
	h.sh("ip", "link", "set", "br-lan", "up")
	h.sh("ip", "link", "set", "wire", "master", "br-lan")
	return l, l.runtime(`{"type":"tcpcni","uplink":"bridge","bridge":"br-lan",DHCP}`)
}

// seen counts the server's lines that have all the words.
func (l *lan) seen(words ...string) (n int) {
	for line := range strings.Lines(l.server.stdout.String()) {
		all := true
		for _, w := range words {
			all = all && strings.Contains(line, w)
		}
		if all {
			n++
		}
	}
	return n
}

// reaches fetches from a program of the network, intercepted and not.
func (l *lan) fetches(c container) {
	l.h.t.Helper()
	web := l.start("python3", "-u", "-m", "http.server", "80", "--directory", l.h.t.TempDir())
	defer web.stop()
	web.line(`Serving HTTP`)
	for _, args := range [][]string{
		{command(), "exec", c.id, "--", "curl", "-sS", "--max-time", "60", "http://192.0.2.1/"},
		{"nsenter", "--net=/run/netns/" + c.ns, "curl", "-sS", "--max-time", "60", "http://192.0.2.1/"},
	} {
		if got := l.h.start(args...).ok(); !strings.Contains(got, "Directory listing") {
			l.h.t.Errorf("%v: %q", args, got)
		}
	}
}

func TestDHCPLease(t *testing.T) {
	l, r := bridged(t, "600")
	must(t, r.status())
	c := r.container("c")
	result, err := r.add(c)
	must(t, err)
	if len(result.IPs) != 1 || result.IPs[0].Address.String() != "192.0.2.10/24" || result.IPs[0].Gateway.String() != "192.0.2.1" {
		t.Fatalf("%v", result.IPs)
	}
	must(t, r.check(c))
	l.fetches(c)
	// The client renews after a second, by the engine.
	eventually(t, "a renewal", func() bool { return l.seen("REQUEST", "c/demo/eth0", "192.0.2.10") > 1 })
	must(t, r.check(c))

	// A second container, by the same server.
	d := r.container("d")
	result, err = r.add(d)
	must(t, err)
	if got := result.IPs[0].Address.String(); got != "192.0.2.11/24" {
		t.Errorf("the second address is %s", got)
	}
	must(t, r.del(c))
	eventually(t, "the release", func() bool { return l.seen("RELEASE", "c/demo/eth0", "192.0.2.10") == 1 })
	must(t, r.del(c))
	must(t, r.check(d))

	// The engine's end is none of the lease's.
	pod := &plainPod{h: l.h, r: r, c: d}
	was := l.seen("REQUEST", "d/demo/eth0")
	killEngine(t, pod)
	eventually(t, "a renewal by the next engine", func() bool { return l.seen("REQUEST", "d/demo/eth0") > was+1 })

	// A daemon that was started again has no lease, and CHECK gets it one.
	l.restartDaemon()
	was = l.seen("DISCOVER", "d/demo/eth0")
	must(t, r.check(d))
	if l.seen("DISCOVER", "d/demo/eth0") == was {
		t.Error("CHECK did not make the daemon ask")
	}
	must(t, r.del(d))
	eventually(t, "the release", func() bool { return l.seen("RELEASE", "d/demo/eth0") == 1 })
	l.h.sh("ip", "link", "del", "br-lan")
	l.h.sh("ip", "link", "del", "wire")
	l.h.bare()
}

// killEngine ends the pod's engine and waits for the next.
func killEngine(t *testing.T, p *plainPod) {
	t.Helper()
	first := p.status().PID
	sh(t, "kill", "-KILL", strconv.Itoa(first))
	eventually(t, "another engine", func() bool {
		next := enginePIDOf(p.h, p.c)
		return next != "" && next != strconv.Itoa(first)
	})
}

// Debian's dnsmasq as the server: its answers come from the kernel's sockets.
func TestDHCPByDnsmasq(t *testing.T) {
	l, r := bridged(t, "")
	server := l.start("dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--port=0", "--user=root", "--pid-file=", "--interface=lan", "--bind-interfaces", "--no-ping",
		"--dhcp-range=192.0.2.50,192.0.2.60,10m", "--dhcp-leasefile="+filepath.Join(t.TempDir(), "leases"))
	c := r.container("c")
	result, err := r.add(c)
	must(t, err)
	if got := result.IPs[0].Address.String(); !strings.HasPrefix(got, "192.0.2.5") && got != "192.0.2.60/24" {
		t.Errorf("address %s", got)
	}
	l.fetches(c)
	must(t, r.check(c))
	must(t, r.del(c))
	server.stop()
}

// A lease that is lost takes the sandbox off the network, intercepted programs
// included, before the address can be somebody else's. CHECK says so, and DEL
// works.
func TestDHCPLeaseLost(t *testing.T) {
	l, r := bridged(t, "6")
	c := r.container("c")
	_, err := r.add(c)
	must(t, err)
	pod := &plainPod{h: l.h, r: r, c: c}
	web := pod.intercepted("python3", "-u", "-m", "http.server", "80", "--directory", t.TempDir())
	web.line(`Serving HTTP`)
	fetched := func() bool {
		return l.start("curl", "-sS", "-o", "/dev/null", "--max-time", "2", "http://192.0.2.10/").wait() == 0
	}
	eventually(t, "an answer from the sandbox", fetched)
	must(t, os.WriteFile(l.silent, nil, 0o600))
	eventually(t, "the end of the lease", func() bool {
		log, err := os.ReadFile(filepath.Join(l.h.state, "sandboxes", c.id+"-eth0", "engine.log"))
		return err == nil && strings.Contains(string(log), "expired=true")
	})
	if fetched() {
		t.Error("the sandbox answers without a lease")
	}
	sh(t, "ip", "-n", l.ns, "neigh", "flush", "all")
	if l.start("ping", "-c", "1", "-W", "2", "192.0.2.10").wait() == 0 {
		t.Error("the engine answers for the address without a lease")
	}
	eventually(t, "eth0 down, by the daemon", func() bool {
		return !strings.Contains(sh(t, "ip", "-n", c.ns, "-o", "link", "show", "eth0"), ",UP")
	})
	if err := r.check(c); err == nil || !strings.Contains(err.Error(), `ipam "dhcp": no answer`) {
		t.Errorf("CHECK: %v", err)
	}
	must(t, r.del(c))
}

// No server, or no daemon: ADD fails and leaves nothing.
func TestDHCPNobodyAnswers(t *testing.T) {
	l, r := bridged(t, "600")
	must(t, os.WriteFile(l.silent, nil, 0o600))
	c := r.container("c")
	if _, err := r.add(c); err == nil || !strings.Contains(err.Error(), "no more tries") {
		t.Errorf("ADD without a server: %v", err)
	}
	l.daemon.stop()
	if _, err := r.add(c); err == nil || !strings.Contains(err.Error(), "dialing DHCP daemon") {
		t.Errorf("ADD without the daemon: %v", err)
	}
	if links := sh(t, "ip", "-n", c.ns, "-o", "link"); strings.Contains(links, "eth0") {
		t.Errorf("left behind:\n%s", links)
	}
	l.h.sh("ip", "link", "del", "br-lan")
	l.h.sh("ip", "link", "del", "wire")
	l.h.bare()
}

// Root of a container asks in the name of others. What is its own passes.
func TestDHCPForged(t *testing.T) {
	l, r := bridged(t, "600")
	c := r.container("c")
	result, err := r.add(c)
	must(t, err)
	mac := result.Interfaces[1].Mac
	was := l.seen("DISCOVER")
	sh(t, append([]string{"ip", "netns", "exec", c.ns}, python(`
import socket, struct, sys
own = bytes.fromhex(sys.argv[1].replace(":", ""))
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind(("eth0", 0x0800))
def checksum(b):
    t = sum(struct.unpack("!10H", b))
    t = (t & 0xffff) + (t >> 16)
    return ~((t & 0xffff) + (t >> 16)) & 0xffff
def send(kind, client, source=own, chaddr=own, address="0.0.0.0", ports=(68, 67)):
    body = struct.pack("!BBBBIHH", 1, 1, 6, 0, 7, 0, 0) + bytes(16) + chaddr + bytes(10 + 192)
    body += bytes((0x63, 0x82, 0x53, 0x63, 53, 1, kind, 61, len(client) + 1, 0)) + client.encode() + b"\xff"
    udp = struct.pack("!HHHH", *ports, 8 + len(body), 0) + body
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0, socket.inet_aton(address), b"\xff" * 4)
    ip = ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:]
    s.send(b"\xff" * 6 + source + b"\x08\x00" + ip + udp)
victim = bytes.fromhex("02000000aa01")
send(1, "victim/demo/eth0")
send(7, "victim/demo/eth0")
send(1, "c/demo/eth0", chaddr=victim)
send(1, "c/demo/eth0", source=victim)
send(7, "c/demo/eth0", chaddr=victim)
send(4, "c/demo/eth0")
send(1, "victim/demo/eth0", address="192.0.2.99")
# With its own address it is an ordinary sender, by raw packets or sockets.
send(1, "victim/demo/eth0", address="192.0.2.10")
send(7, "victim/demo/eth0", address="192.0.2.10")
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
u.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
u.bind(("", 68))
message = struct.pack("!BBBBIHH", 1, 1, 6, 0, 7, 0, 0) + bytes(16) + victim + bytes(10 + 192) + bytes((0x63, 0x82, 0x53, 0x63, 53, 1, 7, 255))
u.sendto(message, ("255.255.255.255", 67))
u.sendto(message, ("192.0.2.1", 67))
send(1, "c/demo/eth0")
`, mac)...)...)
	// Intercepted programs are no better off.
	pod := &plainPod{h: l.h, r: r, c: c}
	pod.intercepted(python(`
import socket
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
u.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
u.bind(("", 68))
message = bytes((1, 1, 6, 0)) + bytes(24) + bytes.fromhex("02000000aa01") + bytes(10 + 192) + bytes((0x63, 0x82, 0x53, 0x63, 53, 1, 7, 255))
u.sendto(message, ("192.0.2.1", 67))
u.sendto(message, ("255.255.255.255", 67))
`)...).ok()
	renewed := l.seen("REQUEST")
	eventually(t, "the client's own message", func() bool { return l.seen("DISCOVER") > was && l.seen("REQUEST") > renewed })
	for _, word := range []string{"victim", "02:00:00:00:aa:01", "RELEASE", "DECLINE"} {
		if l.seen(word) != 0 {
			t.Errorf("%s: %s", word, l.server.stdout.String())
		}
	}
	if got := l.seen("DISCOVER") - was; got != 1 {
		t.Errorf("%d messages passed: %s", got, l.server.stdout.String())
	}
	must(t, r.del(c))
}

// Behind a plugin that leases addresses itself, the engine passes its client's
// messages, too.
func TestDHCPChained(t *testing.T) {
	h := newHost(t)
	l := h.newLAN("600")
	r := l.runtime(`{"type":"macvlan","master":"wire",DHCP},{"type":"tcpcni","uplink":"chained","dhcp":true}`)
	c := r.container("c")
	_, err := r.add(c)
	must(t, err)
	was := l.seen("REQUEST")
	eventually(t, "renewals by the engine", func() bool { return l.seen("REQUEST", "192.0.2.10") > was+1 })
	l.fetches(c)
	must(t, r.del(c))
	// The daemon looks for the interface at every renewal, here every second. It
	// lets go of a lease, and releases nothing, if that falls between the plugins.
	eventually(t, "the release", func() bool {
		return l.seen("RELEASE", "192.0.2.10") == 1 || strings.Contains(l.daemon.stderr.String(), "terminating lease maintenance")
	})
}

package e2e

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"golang.org/x/sys/unix"

	"github.com/tcpcni/tcpcni/engine"
	"github.com/tcpcni/tcpcni/plugin"
)

// What comes out of a pod whose container writes frames of its own to eth0:
// testdata/attack/wire.

// A neutral sees every frame on the interfaces of the host.
type neutral struct {
	mu     sync.Mutex
	frames []seen
	ended  bool // the last datagram of the attacker went by
	done   chan struct{}
	stops  chan struct{}
}

// A seen frame, and the interface that it came from or went to.
type seen struct {
	ifindex int
	out     bool // the host sends it
	data    []byte
}

func watchFrames(h *host) *neutral {
	h.t.Helper()
	n := &neutral{done: make(chan struct{}), stops: make(chan struct{})}
	fd := -1
	must(h.t, h.in(func() (err error) {
		const all = unix.ETH_P_ALL<<8&0xff00 | unix.ETH_P_ALL>>8
		if fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, all); err != nil {
			return err
		}
		// All that the test sends fits: nothing goes by unseen.
		return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 256<<20)
	}))
	go n.read(fd)
	h.t.Cleanup(func() {
		close(n.stops)
		<-n.done
		_ = unix.Close(fd)
	})
	return n
}

func (n *neutral) read(fd int) {
	defer close(n.done)
	b := make([]byte, 1<<17)
	for {
		select {
		case <-n.stops:
			return
		default:
		}
		p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		if got, err := unix.Poll(p, 100); err != nil || got == 0 {
			continue
		}
		size, from, err := unix.Recvfrom(fd, b, unix.MSG_DONTWAIT)
		if err != nil {
			continue
		}
		ll, ok := from.(*unix.SockaddrLinklayer)
		if !ok {
			continue
		}
		n.mu.Lock()
		if bytes.Contains(b[:size], []byte("tcpcni-attack-end")) {
			n.ended = true
		} else {
			n.frames = append(n.frames, seen{ll.Ifindex, ll.Pkttype == unix.PACKET_OUTGOING, slices.Clone(b[:size])})
		}
		n.mu.Unlock()
	}
}

func (n *neutral) sawEnd() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.ended
}

// A pod of an attack: its interface on the host, and who it may be.
type attackPod struct {
	*plainPod
	mac    net.HardwareAddr
	uplink int // index on the host
}

// attackPods attaches an attacker and a victim to one network.
func attackPods(h *host, uplink string) (attacker, victim *attackPod) {
	r := newRuntime(h, uplink)
	pods := []*attackPod{}
	for i, id := range []string{"attacker", "victim"} {
		p := &attackPod{plainPod: &plainPod{h: h, r: r, c: r.container(id), v4: fmt.Sprintf("10.87.0.%d", i+2), v6: fmt.Sprintf("fd87::%d", i+2)}}
		sh(h.t, "ip", "-n", p.c.ns, "link", "set", "lo", "up")
		result, err := r.add(p.c)
		must(h.t, err)
		h.t.Cleanup(func() { must(h.t, r.del(p.c)) })
		for _, l := range result.Interfaces {
			if l.Sandbox != "" {
				p.mac, err = net.ParseMAC(l.Mac)
				must(h.t, err)
			}
		}
		cfg, err := engine.LoadConfig(plugin.SandboxAt(h.state, id, "eth0").Dir + "/config.json")
		must(h.t, err)
		must(h.t, h.in(func() error {
			i, err := net.InterfaceByName(cfg.Uplink.Ifname)
			if err == nil {
				p.uplink = i.Index
			}
			return err
		}))
		pods = append(pods, p)
	}
	return pods[0], pods[1]
}

// compileAttack builds testdata/attack/NAME, a program in Go.
func compileAttack(t *testing.T, name string) string {
	t.Helper()
	return once(t, "attack-"+name, func(path string) error {
		cmd := exec.Command("go", "build", "-o", path, "./testdata/attack/"+name)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		return output1(cmd)
	})
}

// rss is the resident memory of a process in bytes.
func rss(t *testing.T, pid int) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	must(t, err)
	pages, err := strconv.Atoi(strings.Fields(string(text))[1])
	must(t, err)
	return pages * os.Getpagesize()
}

// attackMemory is how much an engine, and its holder, may grow under an attack
// on their memory: what their tables and queues hold when they are full.
const attackMemory = 32 << 20

// holderPID is the process that stands behind the engine of a sandbox.
func holderPID(t *testing.T, h *host, id string) int {
	t.Helper()
	files, err := filepath.Glob(h.state + "/sandboxes/*" + id + "*/engine.pid")
	must(t, err)
	if len(files) != 1 {
		t.Fatalf("engine.pid of %s: %v", id, files)
	}
	text, err := os.ReadFile(files[0])
	must(t, err)
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	must(t, err)
	return pid
}

func TestAttackWire(t *testing.T) {
	for name, uplink := range map[string]string{
		"ptp":    `"uplink":"ptp",`,
		"bridge": `"uplink":"bridge","bridge":"br-demo","isGateway":true,`,
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			attacker, victim := attackPods(h, uplink)
			web := victim.start(python(`
import http.server, socket
class S(http.server.ThreadingHTTPServer): address_family = socket.AF_INET6
print('ready')
S(('::', 8000), http.server.SimpleHTTPRequestHandler).serve_forever()
`)...)
			web.line("ready")
			h.reaches(victim.v4 + ":8000")
			before := attacker.status()
			engineBefore, holderBefore := rss(t, before.PID), rss(t, holderPID(t, h, "attacker"))
			victimBefore := rss(t, victim.status().PID)

			n := watchFrames(h)
			r, w, err := os.Pipe()
			must(t, err)
			defer func() { _ = w.Close() }()
			p := attacker.startWith(plumbing{stdin: r}, compileAttack(t, "wire"),
				"-mac", attacker.mac.String(), "-engine", "02:74:63:70:63:6e", "-victimmac", victim.mac.String(),
				"-own", attacker.v4+","+attacker.v6, "-host", hostV4+","+hostV6, "-victim", victim.v4+","+victim.v6, "-random", "20000")
			_ = r.Close()
			p.line("sent: [0-9]+ and 20000")
			eventually(t, "the attacker's last datagram", n.sawEnd)
			_ = w.Close()
			t.Log(p.ok())

			n.judge(t, attacker)
			after := attacker.status()
			if after.PID != before.PID {
				t.Error("the engine has died")
			}
			for _, m := range []struct {
				who           string
				before, after int
			}{
				{"engine", engineBefore, rss(t, after.PID)},
				{"holder", holderBefore, rss(t, holderPID(t, h, "attacker"))},
				{"victim's engine", victimBefore, rss(t, victim.status().PID)},
			} {
				t.Logf("%s: %d KiB before, %d KiB after", m.who, m.before>>10, m.after>>10)
				if m.after > m.before+attackMemory {
					t.Errorf("%s: %d bytes of memory before, %d after", m.who, m.before, m.after)
				}
			}
			// Everybody still reaches everybody.
			for _, from := range []place{h, attacker} {
				for _, a := range []string{victim.v4, "[" + victim.v6 + "]"} {
					from.start("curl", "-sS", "--fail", "-o", "/dev/null", "http://"+a+":8000/").ok()
				}
			}
			neighbours := h.sh("ip", "neigh", "show")
			for line := range strings.Lines(neighbours) {
				mac := attacker.mac.String()
				if strings.Contains(line, mac) && !strings.HasPrefix(line, attacker.v4+" ") && !strings.HasPrefix(line, attacker.v6+" ") && !strings.HasPrefix(line, linkLocalOf(attacker.mac).String()+" ") {
					t.Errorf("the host believes the attacker: %s", line)
				}
			}
			if routes := h.sh("ip", "-6", "route"); strings.Contains(routes, "proto ra") || strings.Contains(routes, "2001:db8:6666") {
				t.Errorf("the host has taken a router advertisement: %s", routes)
			}
		})
	}
}

func linkLocalOf(m net.HardwareAddr) netip.Addr {
	return netip.AddrFrom16([16]byte{0: 0xfe, 1: 0x80, 8: m[0] ^ 2, 9: m[1], 10: m[2], 11: 0xff, 12: 0xfe, 13: m[3], 14: m[4], 15: m[5]})
}

// judge looks at each frame that the attacker's engine has sent.
func (n *neutral) judge(t *testing.T, a *attackPod) {
	t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	own := []netip.Addr{netip.MustParseAddr(a.v4), netip.MustParseAddr(a.v6), linkLocalOf(a.mac)}
	sent, said := 0, map[string]int{}
	for _, f := range n.frames {
		if f.ifindex != a.uplink || f.out {
			continue
		}
		sent++
		if why := fault(f.data, a.mac, own); why != "" {
			if said[why]++; said[why] == 1 {
				t.Errorf("%s: % x", why, f.data[:min(len(f.data), 120)])
			}
		}
	}
	t.Logf("%d frames seen, %d of them from the attacker", len(n.frames), sent)
	if sent == 0 {
		t.Error("nothing was seen of the attacker")
	}
	for why, times := range said {
		t.Logf("%s: %d times", why, times)
	}
}

// fault says what a host with that MAC and those addresses should not have sent;
// "" is nothing.
func fault(b []byte, mac net.HardwareAddr, own []netip.Addr) string {
	p := gopacket.NewPacket(b, layers.LayerTypeEthernet, gopacket.NoCopy)
	eth, ok := p.LinkLayer().(*layers.Ethernet)
	if !ok {
		return "no Ethernet frame"
	}
	if !bytes.Equal(eth.SrcMAC, mac) {
		return "another MAC address: " + eth.SrcMAC.String()
	}
	mine := func(raw []byte) bool {
		a, ok := netip.AddrFromSlice(raw)
		return ok && slices.Contains(own, a)
	}
	switch eth.EthernetType {
	case layers.EthernetTypeARP:
		arp, ok := p.Layer(layers.LayerTypeARP).(*layers.ARP)
		if !ok || !bytes.Equal(arp.SourceHwAddress, mac) || !mine(arp.SourceProtAddress) {
			return "an ARP claim"
		}
	case layers.EthernetTypeIPv4:
		ip, ok := p.NetworkLayer().(*layers.IPv4)
		switch {
		case !ok:
			return "malformed IPv4"
		case !mine(ip.SrcIP):
			return "a foreign source"
		case slices.ContainsFunc(ip.Options, func(o layers.IPv4Option) bool { return o.OptionType == 0x83 || o.OptionType == 0x89 }):
			return "a source route"
		case ip.Protocol == layers.IPProtocolIGMP && len(ip.Payload) > 0 && ip.Payload[0] == 0x11:
			return "an IGMP query"
		}
		if m, ok := p.Layer(layers.LayerTypeICMPv4).(*layers.ICMPv4); ok && ip.FragOffset == 0 {
			switch m.TypeCode.Type() {
			case layers.ICMPv4TypeRedirect, layers.ICMPv4TypeRouterAdvertisement, layers.ICMPv4TypeRouterSolicitation:
				return "an ICMP router message"
			}
		}
	case layers.EthernetTypeIPv6:
		return fault6(p, b, mac, mine)
	default:
		return "EtherType " + eth.EthernetType.String()
	}
	return ""
}

func fault6(p gopacket.Packet, b []byte, mac net.HardwareAddr, mine func([]byte) bool) string {
	ip, ok := p.NetworkLayer().(*layers.IPv6)
	if !ok {
		return "malformed IPv6"
	}
	if p.Layer(layers.LayerTypeIPv6Routing) != nil {
		return "a routing header"
	}
	m, isICMP := p.Layer(layers.LayerTypeICMPv6).(*layers.ICMPv6)
	typ := uint8(0)
	if isICMP {
		typ = m.TypeCode.Type()
	}
	if !mine(ip.SrcIP) {
		// Who looks for an address that it is about to take has none yet.
		if !net.IP.IsUnspecified(ip.SrcIP) || typ != layers.ICMPv6TypeNeighborSolicitation && typ != layers.ICMPv6TypeMLDv2MulticastListenerReportMessageV2 {
			return "a foreign source"
		}
	}
	switch typ {
	case layers.ICMPv6TypeRouterAdvertisement, layers.ICMPv6TypeRouterSolicitation, layers.ICMPv6TypeRedirect, layers.ICMPv6TypeMLDv1MulticastListenerQueryMessage:
		return fmt.Sprintf("an ICMPv6 router message, type %d", typ)
	case layers.ICMPv6TypeNeighborAdvertisement:
		if len(m.Payload) < 20 || !mine(m.Payload[4:20]) {
			return "a neighbour advertisement for somebody else"
		}
	case 138, 141, 142, 148, 149, 151, 152, 153:
		return fmt.Sprintf("an ICMPv6 message that configures hosts, type %d", typ)
	}
	if typ == layers.ICMPv6TypeNeighborSolicitation || typ == layers.ICMPv6TypeNeighborAdvertisement {
		// Options that name a link address: the attacker's own only.
		for o := m.Payload[min(20, len(m.Payload)):]; len(o) >= 8; o = o[8:] {
			if !bytes.Equal(o[2:8], mac) {
				return "another link address in neighbour discovery"
			}
		}
	}
	return ""
}

// sources has a program ask for each way to send under another address.
const sources = `
import socket, struct, sys
own4, own6, foreign4, foreign6, host4, host6 = sys.argv[1:]
sent = 0
def attempt(f):
    global sent
    try:
        f()
        sent += 1
    except OSError:
        pass
def options(s):
    # IP_FREEBIND, IP_TRANSPARENT, IP_BIND_ADDRESS_NO_PORT; IPV6_FREEBIND, IPV6_TRANSPARENT
    for level, name in ((0, 15), (0, 19), (0, 24), (41, 78), (41, 75)):
        attempt(lambda: s.setsockopt(level, name, 1))
for kind in socket.SOCK_DGRAM, socket.SOCK_STREAM:
    for family, sources, host in (socket.AF_INET, (foreign4, host4, '0.0.0.0', '255.255.255.255', '127.0.0.1', '192.0.2.9'), host4), \
                                 (socket.AF_INET6, (foreign6, host6, '::ffff:' + foreign4, 'fe80::1', '::1', '2001:db8::9'), host6):
        for source in sources:
            s = socket.socket(family, kind)
            s.settimeout(0)
            options(s)
            attempt(lambda: s.bind((source, 0)))
            attempt(lambda: s.connect((host, 7777)))
            if kind == socket.SOCK_DGRAM:
                attempt(lambda: s.send(b'tcpcni-attack-bound'))
                u = socket.socket(family, kind)
                if family == socket.AF_INET:
                    info = struct.pack('=I4s4s', 0, socket.inet_aton(source), socket.inet_aton(source))
                    extra = [(0, 8, info)]
                else:
                    extra = [(41, 50, socket.inet_pton(family, source) + struct.pack('=I', 0))]
                attempt(lambda: u.sendmsg([b'tcpcni-attack-pktinfo'], extra, 0, (host, 7777)))
                # More than one, and such as are cut short.
                attempt(lambda: u.sendmsg([b'tcpcni-attack-pktinfo'], extra * 3, 0, (host, 7777)))
                attempt(lambda: u.sendmsg([b'tcpcni-attack-pktinfo'], [(l, t, d[:5]) for l, t, d in extra], 0, (host, 7777)))
            s.close()
print('tried', sent)
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind((own4, 0))
import time
while True: # until somebody has seen it
    s.sendto(b'tcpcni-attack-end', (host4, 7777))
    time.sleep(0.02)
`

// Whatever an intercepted program asks for, it sends as itself.
func TestAttackSources(t *testing.T) {
	h := newHost(t)
	attacker, victim := attackPods(h, `"uplink":"bridge","bridge":"br-demo","isGateway":true,`)
	n := watchFrames(h)
	p := attacker.intercepted(python(sources, attacker.v4, attacker.v6, victim.v4, victim.v6, hostV4, hostV6)...)
	p.line(`tried \d+`)
	eventually(t, "the last datagram", n.sawEnd)
	t.Log(p.stdout.String())
	n.judge(t, attacker)
	p.stop()
}

package e2e

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/containernetworking/cni/libcni"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// VLANs of a bridge: IEEE 802.1Q. Sandboxes of one VLAN are neighbours, those
// of another are not, although their addresses say so, and a trunk port carries
// the frames with their tag.

// needsVLAN skips on kernels without VLANs; make e2e-vm brings one that has
// them. With E2E_VLAN it fails instead: there they must not be missing.
func (h *host) needsVLAN() {
	h.t.Helper()
	err := h.in(func() error {
		on := true
		br := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "probe"}, VlanFiltering: &on}
		if err := netlink.LinkAdd(br); err != nil {
			return err
		}
		defer func() { _ = netlink.LinkDel(br) }()
		return netlink.LinkAdd(&netlink.Vlan{LinkAttrs: netlink.LinkAttrs{Name: "probe.7", ParentIndex: br.Index}, VlanId: 7})
	})
	switch {
	case err == nil:
	case os.Getenv("E2E_VLAN") != "":
		h.t.Fatalf("E2E_VLAN is set, and this kernel has no bridge VLAN filtering or no VLAN devices: %v", err)
	default:
		h.t.Skipf("this kernel has no bridge VLAN filtering or no VLAN devices (make e2e-vm has): %v", err)
	}
}

// tagsOn returns what a packet socket on the interface dev sees until stop is
// called: how many ARP and IPv4 frames came with which VLAN, 0 without a tag, by
// the sender's MAC address. The kernel takes tags out of frames and tells them
// beside: packet(7).
func (h *host) tagsOn(dev string) (stop func() map[string]map[int]int) {
	h.t.Helper()
	var fd int
	must(h.t, h.in(func() (err error) {
		if fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0); err != nil {
			return err
		}
		if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_AUXDATA, 1); err != nil {
			return err
		}
		link, err := net.InterfaceByName(dev)
		if err != nil {
			return err
		}
		const all = unix.ETH_P_ALL>>8 | unix.ETH_P_ALL&0xff<<8 // network byte order
		return unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: link.Index})
	}))
	return func() map[string]map[int]int {
		defer unix.Close(fd)
		seen := map[string]map[int]int{}
		frame, beside := make([]byte, 2048), make([]byte, 256)
		for {
			n, m, _, from, err := unix.Recvmsg(fd, frame, beside, unix.MSG_DONTWAIT)
			if err != nil {
				return seen
			}
			if to, ok := from.(*unix.SockaddrLinklayer); !ok || to.Pkttype == unix.PACKET_OUTGOING || n < 14 {
				continue
			}
			if kind := int(frame[12])<<8 | int(frame[13]); kind != unix.ETH_P_ARP && kind != unix.ETH_P_IP {
				continue
			}
			mac := net.HardwareAddr(frame[6:12]).String()
			if seen[mac] == nil {
				seen[mac] = map[int]int{}
			}
			seen[mac][vlanOf(h.t, beside[:m])]++
		}
	}
}

// vlanOf reads struct tpacket_auxdata: tp_status, then among others tp_vlan_tci.
func vlanOf(t *testing.T, beside []byte) int {
	t.Helper()
	messages, err := unix.ParseSocketControlMessage(beside)
	must(t, err)
	for _, m := range messages {
		if m.Header.Level != unix.SOL_PACKET || m.Header.Type != unix.PACKET_AUXDATA || len(m.Data) < 20 {
			continue
		}
		status := uint32(m.Data[0]) | uint32(m.Data[1])<<8
		if status&unix.TP_STATUS_VLAN_VALID != 0 {
			return (int(m.Data[16]) | int(m.Data[17])<<8) & 0xfff
		}
	}
	return 0
}

// vlanConf is a network of one VLAN: all have the same subnet and their leases
// apart, so that only the VLANs tell them apart. The gateway has another
// address in each.
const vlanConf = `{"cniVersion":"1.1.0","name":"vlan%[1]d","plugins":[{"type":"tcpcni","uplink":"bridge","bridge":"br-v","vlan":%[1]d,%[2]s
"ipam":{"type":"host-local","dataDir":%[3]q,"ranges":[[{"subnet":"10.87.0.0/24","rangeStart":"10.87.0.%[4]d","gateway":"10.87.0.%[5]d"}]],"routes":[{"dst":"0.0.0.0/0"}]}}]}`

func TestVLAN(t *testing.T) {
	onlyTCPCNI(t)
	h := newHost(t)
	h.needsVLAN()
	leases := t.TempDir()
	network := func(vlan, start, gateway int, more string) *cniRuntime {
		r := newRuntime(h, `"uplink":"ptp",`)
		list, err := libcni.ConfListFromBytes(fmt.Appendf(nil, vlanConf, vlan, more, leases, start, gateway))
		must(t, err)
		r.list = list
		return r
	}
	seven, eight := network(7, 20, 7, ""), network(8, 30, 8, `"isGateway":false,`)
	attach := func(r *cniRuntime, id string) (c container, address, mac string) {
		c = r.container(id)
		result, err := r.add(c)
		must(t, err)
		must(t, r.check(c))
		for _, link := range result.Interfaces {
			if link.Sandbox != "" {
				mac = link.Mac
			}
		}
		return c, result.IPs[0].Address.IP.String(), mac
	}
	a, addrA, macA := attach(seven, "a")
	b, addrB, _ := attach(seven, "b")
	c, addrC, macC := attach(eight, "c")

	// A switch that knows both VLANs, on a trunk: the far end has a device of each.
	for _, args := range [][]string{
		{"link", "add", "trunk", "type", "veth", "peer", "name", "far"},
		{"link", "set", "trunk", "master", "br-v", "up"},
		{"link", "set", "far", "up"},
		{"link", "add", "far.7", "link", "far", "type", "vlan", "id", "7"},
		{"link", "add", "far.8", "link", "far", "type", "vlan", "id", "8"},
	} {
		h.sh(append([]string{"ip"}, args...)...)
	}
	for _, vid := range []string{"7", "8"} {
		h.sh("bridge", "vlan", "add", "dev", "trunk", "vid", vid)
	}

	// The containers' own kernels ask, the engines of the others answer.
	reaches := func(from container, address string) error {
		out, err := exec.Command("nsenter", "--net=/run/netns/"+from.ns, "ping", "-n", "-c", "1", "-W", "2", address).CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	}
	tags := h.tagsOn("far")
	for _, near := range []struct {
		from container
		to   string
	}{{a, addrB}, {b, addrA}, {a, "10.87.0.7"}} {
		if err := reaches(near.from, near.to); err != nil {
			t.Errorf("%s does not reach %s of its VLAN: %v", near.from.id, near.to, err)
		}
	}
	for _, apart := range []struct {
		from container
		to   string
	}{{a, addrC}, {c, addrA}, {c, addrB}, {c, "10.87.0.7"}} {
		if reaches(apart.from, apart.to) == nil {
			t.Errorf("%s reaches %s of another VLAN", apart.from.id, apart.to)
		}
	}
	// What is broadcast comes out of the trunk with the sender's VLAN. Both a and c
	// have asked for neighbours; b knew a, who had asked for it.
	seen := tags()
	for mac, vlan := range map[string]int{macA: 7, macC: 8} {
		if by := seen[mac]; by[vlan] == 0 || len(by) != 1 {
			t.Errorf("frames of %s on the trunk by VLAN: %v, want some with %d and no others", mac, by, vlan)
		}
	}

	// The far ends of the trunk, each in a namespace of its own, are neighbours of
	// their own VLAN and of no other.
	for vlan, address := range map[string]string{"7": "10.87.0.70", "8": "10.87.0.80"} {
		ns := h.name + "-far" + vlan
		sh(t, "ip", "netns", "add", ns)
		t.Cleanup(func() { sh(t, "ip", "netns", "del", ns) })
		h.sh("ip", "link", "set", "far."+vlan, "netns", ns)
		sh(t, "ip", "-n", ns, "addr", "add", address+"/24", "dev", "far."+vlan)
		sh(t, "ip", "-n", ns, "link", "set", "far."+vlan, "up")
	}
	for _, far := range []struct {
		from container
		to   string
		ok   bool
	}{{a, "10.87.0.70", true}, {a, "10.87.0.80", false}, {c, "10.87.0.80", true}, {c, "10.87.0.70", false}} {
		if err := reaches(far.from, far.to); (err == nil) != far.ok {
			t.Errorf("%s to %s behind the trunk: %v", far.from.id, far.to, err)
		}
	}

	// A tag that a container makes itself does not bring it into another VLAN.
	h.sh("nsenter", "--net=/run/netns/"+c.ns, "ip", "link", "add", "hop", "link", "eth0", "type", "vlan", "id", "7")
	h.sh("nsenter", "--net=/run/netns/"+c.ns, "ip", "addr", "add", "10.87.0.99/32", "dev", "hop")
	h.sh("nsenter", "--net=/run/netns/"+c.ns, "ip", "link", "set", "hop", "up")
	h.sh("nsenter", "--net=/run/netns/"+c.ns, "ip", "route", "add", addrA+"/32", "dev", "hop")
	tags = h.tagsOn("far")
	if reaches(c, addrA) == nil {
		t.Errorf("c reaches %s by a tag of its own", addrA)
	}
	if by := tags()[macC]; by[7] != 0 {
		t.Errorf("frames of c's on the trunk by VLAN: %v, want none with 7", by)
	}

	must(t, seven.del(a))
	must(t, seven.del(b))
	must(t, eight.del(c))
	if ports := h.sh("ip", "-br", "link", "show", "master", "br-v"); len(strings.Split(strings.TrimSpace(ports), "\n")) != 1 {
		t.Errorf("ports are left: %s", ports)
	}
	h.sh("ip", "link", "del", "trunk")
	h.sh("ip", "link", "del", "br-v")
	h.bare()
}

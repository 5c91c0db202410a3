package hostlink

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/tcpcni/tcpcni/netstack/wire"
	"github.com/tcpcni/tcpcni/test/needroot"
)

// Addresses of the tests' links: the kernel's side and the peer's.
var (
	kernelIP  = netip.MustParseAddr("10.99.0.1")
	peerIP    = netip.MustParseAddr("10.99.0.2")
	kernelMAC = net.HardwareAddr{2, 0, 0, 0, 0, 1}
	peerMAC   = net.HardwareAddr{2, 0, 0, 0, 0, 2}
)

const patience = 20 * time.Second // after which a test calls it a hang

var nsCount atomic.Uint32

// newNetNS makes a network namespace that goes with the test.
func newNetNS(t testing.TB) string {
	t.Helper()
	needroot.Check(t, "make network namespaces")
	path := filepath.Join(t.TempDir(), fmt.Sprintf("links-%d-%d", os.Getpid(), nsCount.Add(1)))
	if err := NewNetNS(path); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := DeleteNetNS(path); err != nil {
			t.Error(err)
		}
	})
	return path
}

// addAddress gives a device of the namespace the kernel's address and sets it up.
func addAddress(t testing.TB, ns, ifname string) {
	t.Helper()
	err := InNetNS(ns, func() error {
		dev, err := netlink.LinkByName(ifname)
		if err != nil {
			return err
		}
		addr := &netlink.Addr{IPNet: &net.IPNet{IP: kernelIP.AsSlice(), Mask: net.CIDRMask(24, 32)}}
		if err := netlink.AddrAdd(dev, addr); err != nil {
			return err
		}
		return netlink.LinkSetUp(dev)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func testTAPConfig(ns string) TAPConfig {
	return TAPConfig{Name: "tap0", NetNS: ns, MTU: 1500, MAC: kernelMAC, Up: true}
}

func openTestTAP(t testing.TB) (*TAP, string) {
	t.Helper()
	ns := newNetNS(t)
	tap, err := OpenTAP(testTAPConfig(ns))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tap.Close() })
	addAddress(t, ns, "tap0")
	return tap, ns
}

// openTestPacket opens one end of a veth pair whose other end has the kernel's
// address in another namespace, which it returns.
func openTestPacket(t testing.TB) (*Packet, string) {
	t.Helper()
	host, pod := newNetNS(t), newNetNS(t)
	err := InNetNS(host, func() error {
		attrs := netlink.NewLinkAttrs()
		attrs.Name, attrs.HardwareAddr = "veth0", kernelMAC
		if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: "veth1", PeerHardwareAddr: peerMAC}); err != nil {
			return err
		}
		dev, err := netlink.LinkByName("veth1")
		if err != nil {
			return err
		}
		f, err := os.Open(pod)
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }()
		return netlink.LinkSetNsFd(dev, int(f.Fd()))
	})
	if err != nil {
		t.Fatal(err)
	}
	err = InNetNS(pod, func() error {
		dev, err := netlink.LinkByName("veth1")
		if err != nil {
			return err
		}
		return netlink.LinkSetUp(dev)
	})
	if err != nil {
		t.Fatal(err)
	}
	addAddress(t, host, "veth0")
	p, err := OpenPacket("veth1", pod)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p, host
}

// A peer is just enough of a host to talk to a kernel at the level of frames.
type peer struct {
	t    testing.TB
	link Link
	poll *Poller
	buf  []byte
	// ask is repeated until what read waits for arrives: a device that was just
	// set up drops what comes too early.
	ask *TxFrame
	tcp struct { // the one connection that it can have
		local, remote uint16
		next, ack     uint32
		early         map[uint32][]byte // segments that others overtook
	}
}

func newPeer(t testing.TB, l Link) *peer {
	t.Helper()
	poll, err := NewPoller(4)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = poll.Close() })
	if err := poll.Add(l.FD(), In, 1); err != nil {
		t.Fatal(err)
	}
	return &peer{t: t, link: l, poll: poll, buf: make([]byte, FrameRoom)}
}

// read returns the next frame that is IPv4 with the protocol proto, or ARP for
// 0, and answers the kernel's questions for the peer's address meanwhile.
func (p *peer) read(proto uint8) RxFrame {
	p.t.Helper()
	for end := Now() + patience; Now() < end; {
		f, err := p.link.ReadFrame(p.buf)
		if errors.Is(err, ErrAgain) {
			ready, err := p.poll.Wait(100 * time.Millisecond)
			if err != nil {
				p.t.Fatal(err)
			}
			if len(ready) == 0 && p.ask != nil {
				p.link.Transmit(p.ask)
			}
			continue
		}
		if err != nil {
			p.t.Fatal(err)
		}
		var arp wire.ARP
		switch binary.BigEndian.Uint16(f.Data[12:]) {
		case wire.EtherARP:
			if wire.ParseARP(f.Data[ethLen:], &arp) != nil {
				p.t.Fatalf("malformed ARP %x", f.Data)
			}
			if arp.Op == wire.ARPRequest && arp.TargetIP == peerIP {
				p.send(wire.EtherARP, (&wire.ARP{Op: wire.ARPReply, SenderMAC: wire.MAC(peerMAC), TargetMAC: arp.SenderMAC, SenderIP: peerIP, TargetIP: arp.SenderIP}).AppendTo(nil))
			} else if proto == 0 {
				return f
			}
		case wire.EtherIPv4:
			if proto != 0 && f.Data[ethLen+9] == proto {
				return f
			}
		}
	}
	p.t.Fatalf("no frame of protocol %d arrived", proto)
	return RxFrame{}
}

func frameOf(etherType uint16, body []byte) *TxFrame {
	h := wire.Ethernet{Dst: wire.MAC(kernelMAC), Src: wire.MAC(peerMAC), Type: etherType}
	return &TxFrame{Buf: append(h.AppendTo(make([]byte, VnetRoom)), body...)}
}

func (p *peer) send(etherType uint16, body []byte) { p.link.Transmit(frameOf(etherType, body)) }

// question sends a frame, and again whenever the answer lets wait.
func (p *peer) question(etherType uint16, body []byte) {
	p.ask = frameOf(etherType, body)
	p.link.Transmit(p.ask)
}

// ipv4 puts a header before a body of the peer to the kernel.
func ipv4(proto uint8, l4 []byte, payload int) []byte {
	h := wire.IPv4{TTL: 64, Protocol: proto, DF: true, Src: peerIP, Dst: kernelIP, TotalLen: wire.IPv4MinHeader + len(l4) + payload}
	return append(h.AppendTo(nil), l4...)
}

// tcpFrame builds a segment whose checksum the link has to finish.
func (p *peer) tcpFrame(flags wire.TCPFlags, payload []byte) *TxFrame {
	h := wire.TCP{SrcPort: p.tcp.local, DstPort: p.tcp.remote, Seq: p.tcp.next, Ack: p.tcp.ack, Flags: flags, Window: 65535, WScale: -1}
	if flags&wire.TCPSyn != 0 {
		h.MSS, h.WScale = 1460, 14
	}
	l4 := h.AppendTo(nil)
	binary.BigEndian.PutUint16(l4[tcpCsumField:], wire.PseudoSum(peerIP, kernelIP, wire.ProtoTCP, len(l4)+len(payload)))
	f := frameOf(wire.EtherIPv4, ipv4(wire.ProtoTCP, l4, len(payload)))
	f.Payload = [][]byte{payload}
	f.NeedsCsum, f.CsumStart, f.CsumOffset = true, ethLen+wire.IPv4MinHeader, tcpCsumField
	if len(payload) > 1460 {
		f.GSOType, f.GSOSize, f.HdrLen = wire.GSOTCP4, 1460, uint16(len(f.Buf)-VnetRoom)
	}
	p.tcp.next += uint32(len(payload))
	if flags&(wire.TCPSyn|wire.TCPFin) != 0 {
		p.tcp.next++
	}
	return f
}

// accept takes the connection that a kernel program opens.
func (p *peer) accept() {
	p.t.Helper()
	for {
		f := p.read(wire.ProtoTCP)
		var h wire.TCP
		if _, err := wire.ParseTCP(f.Data[ethLen+wire.IPv4MinHeader:], &h); err != nil {
			p.t.Fatal(err)
		}
		if h.Flags == wire.TCPSyn || h.Flags == wire.TCPSyn|wire.TCPEce|wire.TCPCwr {
			p.tcp.local, p.tcp.remote = h.DstPort, h.SrcPort
			p.tcp.next, p.tcp.ack, p.tcp.early = 1000, h.Seq+1, make(map[uint32][]byte)
			p.link.Transmit(p.tcpFrame(wire.TCPSyn|wire.TCPAck, nil))
			return
		}
	}
}

// receive takes the next payload in order and acknowledges it. f describes the
// frame that came last. Frames overtake each other on a veth: each processor
// has a queue of its own.
func (p *peer) receive() (f RxFrame, payload []byte) {
	p.t.Helper()
	for {
		if early, ok := p.tcp.early[p.tcp.ack]; ok {
			delete(p.tcp.early, p.tcp.ack)
			payload = early
		} else {
			var h wire.TCP
			f = p.read(wire.ProtoTCP)
			at, ok := findLayout(f.Data)
			if !ok {
				p.t.Fatalf("malformed frame of %d bytes", len(f.Data))
			}
			segment := f.Data[at.l4:at.end]
			if !f.NeedsCsum && !f.CsumValid && !wire.TransportChecksumOK(kernelIP, peerIP, wire.ProtoTCP, segment) {
				continue // damaged on the way
			}
			var err error
			if payload, err = wire.ParseTCP(segment, &h); err != nil {
				p.t.Fatal(err)
			}
			if int32(h.Seq-p.tcp.ack) > 0 {
				p.tcp.early[h.Seq] = bytes.Clone(payload)
				payload = nil
			} else if past := p.tcp.ack - h.Seq; past > 0 {
				payload = payload[min(int(past), len(payload)):]
			}
			if len(payload) == 0 && len(segment) <= int(segment[12]>>4)*4 {
				continue // a bare ACK or FIN
			}
		}
		p.tcp.ack += uint32(len(payload))
		p.link.Transmit(p.tcpFrame(wire.TCPAck, nil))
		if len(payload) > 0 {
			return f, payload
		}
	}
}

package hostlink

import (
	"bytes"
	"errors"
	"net"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/tcpcni/tcpcni/netstack/wire"
)

func TestPacketARPAndEcho(t *testing.T) {
	l, _ := openTestPacket(t)
	testARPAndEcho(t, newPeer(t, l))
	if s := l.Stats(); s.TxFrames < 2 || s.TxErrors+s.RxDropped+s.RxErrors != 0 {
		t.Errorf("counters %+v", s)
	}
}

func TestPacketSuperSegmentFromKernel(t *testing.T) {
	l, ns := openTestPacket(t)
	testSuperSegmentFromKernel(t, newPeer(t, l), ns)
}

func TestPacketSuperSegmentToKernel(t *testing.T) {
	l, ns := openTestPacket(t)
	testSuperSegmentToKernel(t, newPeer(t, l), ns)
}

func TestPacketUDPSuperSegmentArrivesCut(t *testing.T) {
	l, ns := openTestPacket(t)
	p := newPeer(t, l)
	want := pattern(10000)
	err := InNetNS(ns, func() error {
		c, err := net.Dial("udp4", peerIP.String()+":7")
		if err != nil {
			return err
		}
		defer func() { _ = c.Close() }()
		raw, err := c.(*net.UDPConn).SyscallConn()
		if err != nil {
			return err
		}
		var set error
		if err := raw.Control(func(fd uintptr) {
			set = unix.SetsockoptInt(int(fd), unix.IPPROTO_UDP, unix.UDP_SEGMENT, 1200)
		}); err != nil || set != nil {
			return errors.Join(err, set)
		}
		_, err = c.Write(want)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	var got []byte
	for len(got) < len(want) {
		f := p.read(wire.ProtoUDP)
		var h wire.UDP
		segment := f.Data[ethLen+wire.IPv4MinHeader:]
		payload, err := wire.ParseUDP(segment, &h)
		if err != nil || len(payload) > 1200 || f.GSOType != wire.GSONone {
			t.Fatalf("datagram of %d bytes, GSO type %d, %v", len(payload), f.GSOType, err)
		}
		if !f.NeedsCsum && !wire.TransportChecksumOK(kernelIP, peerIP, wire.ProtoUDP, segment) {
			t.Fatal("wrong checksum")
		}
		got = append(got, payload...)
		// Whoever stops in the middle of it has to learn that more waits.
		if _, waits := l.Deadline(); f.CsumValid && waits != (len(got) < len(want)) {
			t.Errorf("after %d of %d bytes: a deadline %v", len(got), len(want), waits)
		}
	}
	if !bytes.Equal(got, want) {
		t.Error("payload differs")
	}
}

func TestPacketDeviceDownAndGone(t *testing.T) {
	l, ns := openTestPacket(t)
	buf := make([]byte, FrameRoom)
	set := func(f func(netlink.Link) error) {
		t.Helper()
		err := InNetNS(ns, func() error {
			dev, err := netlink.LinkByName("veth0")
			if err != nil {
				return err
			}
			return f(dev)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	drain := func() (err error) {
		for err == nil {
			_, err = l.ReadFrame(buf)
		}
		return err
	}
	set(netlink.LinkSetDown)
	if err := drain(); !errors.Is(err, ErrAgain) {
		t.Errorf("peer down: %v, want ErrAgain", err)
	}
	set(netlink.LinkSetUp)
	testARPAndEcho(t, newPeer(t, l))
	set(netlink.LinkDel)
	if err := drain(); !errors.Is(err, ErrGone) {
		t.Errorf("deleted: %v, want ErrGone", err)
	}
}

func TestPacketDropsTaggedFrames(t *testing.T) {
	l, ns := openTestPacket(t)
	p := newPeer(t, l)
	other, err := OpenPacket("veth0", ns)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close() }()
	packet := ipv4(wire.ProtoUDP, (&wire.UDP{SrcPort: 1, DstPort: 1, Length: 8}).AppendTo(nil), 0)
	const vlan = 0x8100
	other.Transmit(frameOf(vlan, append([]byte{0, 7, wire.EtherIPv4 >> 8, wire.EtherIPv4 & 0xff}, packet...)))
	packet[wire.IPv4MinHeader+3] = 2 // destination port
	other.Transmit(frameOf(wire.EtherIPv4, packet))
	if f := p.read(wire.ProtoUDP); f.Data[ethLen+wire.IPv4MinHeader+3] != 2 {
		t.Error("the tagged frame arrived as if it were untagged")
	}
	if s := other.Stats(); s.TxFrames != 2 {
		t.Errorf("counters %+v, want two frames sent", s)
	}
}

package hostlink

// Packet sockets: packet(7), Documentation/networking/packet_mmap.rst and
// net/packet/af_packet.c of Linux.

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tcpcni/tcpcni/netstack/wire"
)

// Socket buffers of a packet socket, in bytes: a few hundred super-segments as
// the kernel accounts for them.
const packetBuf = 32 << 20

// A Packet carries frames through an existing network device, as a rule one end
// of a veth pair. Super-segments and unfinished checksums pass both ways.
type Packet struct {
	vnetIO
	name    string
	mtu     int
	mac     net.HardwareAddr
	promisc bool
	udp     []byte // the UDP super-segment that cut works on
	cut     cutter
}

// A PacketOption changes how OpenPacket opens the device.
type PacketOption func(*Packet)

// Promiscuous takes frames for every MAC address. It is needed when the stack's
// address is not the device's own.
func Promiscuous() PacketOption { return func(p *Packet) { p.promisc = true } }

// OpenPacket opens the device ifname of the namespace netNS ("" is the current
// one). The device stays as it is and is not set up.
func OpenPacket(ifname, netNS string, opts ...PacketOption) (*Packet, error) {
	p := &Packet{name: ifname}
	for _, o := range opts {
		o(p)
	}
	err := InNetNS(netNS, p.open)
	if err != nil {
		return nil, fmt.Errorf("packet socket on %q: %w", ifname, err)
	}
	return p, nil
}

func (p *Packet) open() (err error) {
	dev, err := net.InterfaceByName(p.name)
	if err != nil {
		return err
	}
	p.mtu, p.mac = dev.MTU, dev.HardwareAddr
	// Protocol 0: nothing arrives before everything is set and bind names one.
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer func() {
		if err != nil {
			_ = unix.Close(fd)
		}
	}()
	for _, o := range []struct {
		name   string
		number int
	}{
		{"PACKET_VNET_HDR", unix.PACKET_VNET_HDR},
		{"PACKET_IGNORE_OUTGOING", unix.PACKET_IGNORE_OUTGOING},
	} {
		if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, o.number, 1); err != nil {
			return os.NewSyscallError(o.name, err)
		}
	}
	if err := growBuffers(fd); err != nil {
		return err
	}
	if err := refuseVLAN(fd); err != nil {
		return err
	}
	if p.promisc {
		m := unix.PacketMreq{Ifindex: int32(dev.Index), Type: unix.PACKET_MR_PROMISC}
		if err := unix.SetsockoptPacketMreq(fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, &m); err != nil {
			return os.NewSyscallError("PACKET_ADD_MEMBERSHIP", err)
		}
	}
	var all [2]byte
	binary.BigEndian.PutUint16(all[:], unix.ETH_P_ALL)
	at := &unix.SockaddrLinklayer{Protocol: binary.NativeEndian.Uint16(all[:]), Ifindex: dev.Index}
	if err := unix.Bind(fd, at); err != nil {
		return os.NewSyscallError("bind", err)
	}
	p.init(fd)
	return nil
}

// growBuffers raises the socket's buffers beyond net.core.[rw]mem_max where the
// caller may, and as far as those allow where not.
func growBuffers(fd int) error {
	for _, o := range [2][2]int{{unix.SO_RCVBUFFORCE, unix.SO_RCVBUF}, {unix.SO_SNDBUFFORCE, unix.SO_SNDBUF}} {
		err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, o[0], packetBuf)
		if errors.Is(err, unix.EPERM) {
			err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, o[1], packetBuf)
		}
		if err != nil {
			return os.NewSyscallError("socket buffer", err)
		}
	}
	return nil
}

// skfVLANPresent is SKF_AD_OFF + SKF_AD_VLAN_TAG_PRESENT of linux/filter.h: 1
// when the frame carried a VLAN tag.
const skfVLANPresent = 0xfffff000 + 48

// refuseVLAN has the kernel drop tagged frames: it moves the tag out of the
// frame, which would then look like one of the untagged network.
func refuseVLAN(fd int) error {
	prog := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: skfVLANPresent},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: 0, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: 0xffffffff},
		{Code: unix.BPF_RET | unix.BPF_K, K: 0},
	}
	return os.NewSyscallError("SO_ATTACH_FILTER", unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
		&unix.SockFprog{Len: uint16(len(prog)), Filter: &prog[0]}))
}

// Name returns the device's name at the time of opening.
func (p *Packet) Name() string { return p.name }

// MTU returns the device's MTU in bytes at the time of opening.
func (p *Packet) MTU() int { return p.mtu }

// MAC returns the device's address at the time of opening.
func (p *Packet) MAC() net.HardwareAddr { return p.mac }

// ReadFrame implements Link.
func (p *Packet) ReadFrame(buf []byte) (RxFrame, error) {
	if p.cut.more() {
		return p.datagram(buf), nil
	}
	f, e := p.read(buf)
	for e == 0 && f.GSOType != wire.GSONone && f.GSOType != wire.GSOTCP4 && f.GSOType != wire.GSOTCP6 {
		if f.GSOType == gsoUDPL4 && p.startUDP(&f) {
			return p.datagram(buf), nil
		}
		p.stats.RxDropped++
		f, e = p.read(buf)
	}
	switch e {
	case 0:
		return f, nil
	case unix.EAGAIN, unix.EINTR:
		return RxFrame{}, ErrAgain
	case unix.ENETDOWN: // reported once when the device goes down or away
		if p.gone() {
			return RxFrame{}, ErrGone
		}
		return RxFrame{}, ErrAgain
	}
	p.stats.RxErrors++
	return RxFrame{}, fmt.Errorf("packet socket on %q: read: %w", p.name, e)
}

// startUDP begins to cut f. A kernel sender's UDP_SEGMENT crosses a veth whole
// and, unlike a TAP, a packet socket cannot refuse it.
func (p *Packet) startUDP(f *RxFrame) bool {
	p.udp = append(p.udp[:0], f.Data...)
	return p.cut.start(p.udp, int(f.GSOSize)) && p.cut.more()
}

// datagram returns the next datagram of the UDP super-segment under way.
func (p *Packet) datagram(buf []byte) RxFrame {
	data := buf[:p.cut.length()]
	p.cut.next(data)
	return RxFrame{Data: data, CsumValid: true}
}

// Deadline implements Timed: datagrams of a super-segment that wait to be read
// do not show at the descriptor.
func (p *Packet) Deadline() (time.Duration, bool) { return 0, p.cut.more() }

// Tick implements Timed.
func (p *Packet) Tick() {}

// gone reports whether the device was deleted: the socket is then bound to
// none, while a device that is only down comes back by itself.
func (p *Packet) gone() bool {
	sa, err := unix.Getsockname(p.fd)
	if err != nil {
		return true
	}
	ll, ok := sa.(*unix.SockaddrLinklayer)
	return !ok || ll.Ifindex <= 0
}

// Transmit implements Link.
func (p *Packet) Transmit(f *TxFrame) { p.write(f) }

// Close closes the socket.
func (p *Packet) Close() error { return unix.Close(p.fd) }

// Command library is the benchmark's server on gVisor's network stack: what a Go
// program has that links a stack of user space itself, and so needs no
// interception. Frames come and go over a packet socket with a virtio-net
// header, so that segments stay as large as the other side has made them.
//
//	library INTERFACE ADDRESS/BITS PORT
//
// The ports are those of c/server.c; of UDP it has the first alone.
package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"strconv"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/link/fdbased"
	"gvisor.dev/gvisor/pkg/tcpip/network/arp"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "library:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 3 {
		return fmt.Errorf("usage: library INTERFACE ADDRESS/BITS PORT")
	}
	address, err := netip.ParsePrefix(args[1])
	if err != nil || !address.Addr().Is4() {
		return fmt.Errorf("address %q: accepted: IPv4 with its bits", args[1])
	}
	port, err := strconv.ParseUint(args[2], 10, 15)
	if err != nil {
		return fmt.Errorf("port: %w", err)
	}
	s, err := newStack(args[0], address)
	if err != nil {
		return err
	}
	for offset, serve := range map[uint16]func(net.Conn){0: sink, 1: source, 2: echo, 3: message, 8: echo} {
		l, err := gonet.ListenTCP(s, tcpip.FullAddress{Port: uint16(port) + offset}, ipv4.ProtocolNumber)
		if err != nil {
			return err
		}
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					fmt.Fprintln(os.Stderr, "library:", err)
					os.Exit(1)
				}
				go serve(c)
			}
		}()
	}
	u, err := gonet.DialUDP(s, &tcpip.FullAddress{Port: uint16(port) + 4}, nil, ipv4.ProtocolNumber)
	if err != nil {
		return err
	}
	go datagrams(u)
	end := make(chan os.Signal, 1)
	signal.Notify(end, unix.SIGTERM)
	<-end
	return nil
}

// newStack makes a stack whose only interface is the host's, of which the kernel
// must not have the address.
func newStack(ifname string, address netip.Prefix) (*stack.Stack, error) {
	dev, err := net.InterfaceByName(ifname)
	if err != nil {
		return nil, err
	}
	const every = unix.ETH_P_ALL>>8 | unix.ETH_P_ALL<<8&0xff00 // in network order
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: every, Ifindex: dev.Index}); err != nil {
		return nil, err
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_VNET_HDR, 1); err != nil {
		return nil, err
	}
	for _, o := range []int{unix.SO_RCVBUFFORCE, unix.SO_SNDBUFFORCE} {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, o, 4<<20); err != nil {
			return nil, err
		}
	}
	link, err := fdbased.New(&fdbased.Options{
		FDs: []int{fd}, MTU: uint32(dev.MTU), EthernetHeader: true, Address: tcpip.LinkAddress(dev.HardwareAddr),
		GSOMaxSize: 65536, PacketDispatchMode: fdbased.RecvMMsg, RXChecksumOffload: true,
	})
	if err != nil {
		return nil, err
	}
	s := stack.New(stack.Options{
		NetworkProtocols:   []stack.NetworkProtocolFactory{ipv4.NewProtocol, arp.NewProtocol},
		TransportProtocols: []stack.TransportProtocolFactory{tcp.NewProtocol, udp.NewProtocol},
	})
	const nic = 1
	if err := s.CreateNIC(nic, link); err != nil {
		return nil, fmt.Errorf("%v", err)
	}
	at := tcpip.ProtocolAddress{
		Protocol:          ipv4.ProtocolNumber,
		AddressWithPrefix: tcpip.AddressWithPrefix{Address: tcpip.AddrFrom4(address.Addr().As4()), PrefixLen: address.Bits()},
	}
	if err := s.AddProtocolAddress(nic, at, stack.AddressProperties{}); err != nil {
		return nil, fmt.Errorf("%v", err)
	}
	s.SetRouteTable([]tcpip.Route{{Destination: header.IPv4EmptySubnet, NIC: nic}})
	// As gVisor's runtime sets them.
	sack := tcpip.TCPSACKEnabled(true)
	s.SetTransportProtocolOption(tcp.ProtocolNumber, &sack)
	moderate := tcpip.TCPModerateReceiveBufferOption(true)
	s.SetTransportProtocolOption(tcp.ProtocolNumber, &moderate)
	receive := tcpip.TCPReceiveBufferSizeRangeOption{Min: tcp.MinBufferSize, Default: 1 << 20, Max: 8 << 20}
	s.SetTransportProtocolOption(tcp.ProtocolNumber, &receive)
	send := tcpip.TCPSendBufferSizeRangeOption{Min: tcp.MinBufferSize, Default: tcp.DefaultSendBufferSize, Max: 8 << 20}
	s.SetTransportProtocolOption(tcp.ProtocolNumber, &send)
	return s, nil
}

const bufferSize = 128 << 10

func sink(c net.Conn) {
	defer c.Close()
	buffer := make([]byte, bufferSize)
	var count uint64
	for {
		n, err := c.Read(buffer)
		count += uint64(n)
		if err == io.EOF {
			break
		}
		if err != nil {
			return
		}
	}
	c.Write(binary.NativeEndian.AppendUint64(nil, count))
}

func source(c net.Conn) {
	defer c.Close()
	for buffer := make([]byte, bufferSize); ; {
		if _, err := c.Write(buffer); err != nil {
			return
		}
	}
}

func echo(c net.Conn) {
	defer c.Close()
	for buffer := make([]byte, 1024); ; {
		n, err := c.Read(buffer)
		if err != nil {
			return
		}
		if _, err := c.Write(buffer[:n]); err != nil {
			return
		}
	}
}

func message(c net.Conn) {
	defer c.Close()
	var size [4]byte
	if _, err := io.ReadFull(c, size[:]); err != nil {
		return
	}
	n := binary.NativeEndian.Uint32(size[:])
	if n > 1<<20 {
		return
	}
	for buffer := make([]byte, n); ; {
		if _, err := io.ReadFull(c, buffer); err != nil {
			return
		}
		if _, err := c.Write(buffer); err != nil {
			return
		}
	}
}

func datagrams(c net.PacketConn) {
	for buffer := make([]byte, 65536); ; {
		n, from, err := c.ReadFrom(buffer)
		if err != nil {
			return
		}
		c.WriteTo(buffer[:n], from)
	}
}

// Command wire sends what no host may send, from a container that has root in
// its network namespace: through AF_PACKET on eth0, past the container's kernel.
//
//	wire -mac MAC -engine MAC -own ADDR,ADDR -host ADDR,ADDR -victim ADDR,ADDR -victimmac MAC -random N
//
// After all of it, it repeats a datagram to port 7777 of the host until its
// input ends, so that whoever watches knows when it has seen everything.
package main

import (
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// hosts are those that frames are made of.
type hosts struct {
	mac, engine, victimMAC   net.HardwareAddr
	own4, host4, victim4     netip.Addr
	own6, host6, victim6     netip.Addr
	ownLL, hostLL, someoneLL netip.Addr
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "wire:", err)
		os.Exit(1)
	}
}

func run() error {
	h, random, err := parse()
	if err != nil {
		return err
	}
	plain, err := open("eth0", false)
	if err != nil {
		return err
	}
	offload, err := open("eth0", true)
	if err != nil {
		return err
	}
	seeds := append(append(h.spoofed(), h.claims()...), h.malformed()...)
	all := append(append(slices.Clone(seeds), h.fragments()...), h.scans()...)
	for i, f := range all {
		if i%100 == 99 {
			time.Sleep(time.Millisecond) // so that not all of them find a full queue
		}
		// A frame that this kernel does not send is no attack.
		if err := unix.Send(plain, f.bytes, 0); err != nil {
			fmt.Println("not sent:", f.name, err)
		}
	}
	for _, v := range h.offloaded() {
		_ = unix.Send(offload, v, 0)
	}
	r := rand.New(rand.NewPCG(1, 2))
	for i := range random {
		f := mutate(r, seeds[r.IntN(len(seeds))].bytes)
		_ = unix.Send(plain, f, 0)
		if i%200 == 199 {
			time.Sleep(time.Millisecond)
		}
	}
	fmt.Println("sent:", len(all), "and", random)
	ended := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, os.Stdin)
		ended <- err
	}()
	end := h.udp4(h.own4, h.host4, "tcpcni-attack-end").bytes
	for {
		select {
		case err := <-ended:
			return err
		case <-time.After(20 * time.Millisecond):
			_ = unix.Send(plain, end, 0)
		}
	}
}

func parse() (h hosts, random int, err error) {
	macs := map[string]*net.HardwareAddr{"mac": &h.mac, "engine": &h.engine, "victimmac": &h.victimMAC}
	pairs := map[string][2]*netip.Addr{
		"own": {&h.own4, &h.own6}, "host": {&h.host4, &h.host6}, "victim": {&h.victim4, &h.victim6},
	}
	for name, to := range macs {
		flag.Func(name, "", func(s string) (err error) {
			*to, err = net.ParseMAC(s)
			return err
		})
	}
	for name, to := range pairs {
		flag.Func(name, "", func(s string) (err error) {
			four, six, _ := strings.Cut(s, ",")
			if *to[0], err = netip.ParseAddr(four); err == nil {
				*to[1], err = netip.ParseAddr(six)
			}
			return err
		})
	}
	flag.IntVar(&random, "random", 0, "")
	flag.Parse()
	h.ownLL, h.hostLL = linkLocal(h.mac), netip.MustParseAddr("fe80::1")
	h.someoneLL = linkLocal(h.victimMAC)
	return h, random, nil
}

func linkLocal(m net.HardwareAddr) netip.Addr {
	return netip.AddrFrom16([16]byte{0: 0xfe, 1: 0x80, 8: m[0] ^ 2, 9: m[1], 10: m[2], 11: 0xff, 12: 0xfe, 13: m[3], 14: m[4], 15: m[5]})
}

// open opens the interface for whole frames, with virtio-net headers in front of
// them or not.
func open(name string, offload bool) (int, error) {
	i, err := net.InterfaceByName(name)
	if err != nil {
		return -1, err
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW, 0)
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	if offload {
		if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_VNET_HDR, 1); err != nil {
			return -1, os.NewSyscallError("PACKET_VNET_HDR", err)
		}
	}
	return fd, os.NewSyscallError("bind", unix.Bind(fd, &unix.SockaddrLinklayer{Ifindex: i.Index}))
}

// mutate changes a few bytes, the length, or both. The beginning of the frame is
// changed seldom: else few would get past it.
func mutate(r *rand.Rand, b []byte) []byte {
	b = append([]byte(nil), b...)
	for range 1 + r.IntN(6) {
		at := r.IntN(len(b))
		if at < 14 && r.IntN(8) != 0 {
			continue
		}
		switch r.IntN(3) {
		case 0:
			b[at] = byte(r.Uint32())
		case 1:
			b[at] ^= 1 << r.IntN(8)
		default:
			b[at] = []byte{0, 1, 0x7f, 0x80, 0xff}[r.IntN(5)]
		}
	}
	switch r.IntN(8) {
	case 0:
		b = b[:max(14, r.IntN(len(b)+1))]
	case 1:
		b = append(b, make([]byte, r.IntN(64))...)
	}
	return b
}

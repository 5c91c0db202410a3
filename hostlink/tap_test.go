package hostlink

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/tcpcni/tcpcni/netstack/wire"
)

func TestTAPARPAndEcho(t *testing.T) {
	tap, _ := openTestTAP(t)
	testARPAndEcho(t, newPeer(t, tap))
	if s := tap.Stats(); s.TxFrames < 2 || s.TxErrors+s.RxDropped+s.RxErrors != 0 {
		t.Errorf("counters %+v", s)
	}
}

// testARPAndEcho asks the kernel for its address and pings it.
func testARPAndEcho(t *testing.T, p *peer) {
	t.Helper()
	p.question(wire.EtherARP, (&wire.ARP{Op: wire.ARPRequest, SenderMAC: wire.MAC(peerMAC), SenderIP: peerIP, TargetIP: kernelIP}).AppendTo(nil))
	var arp wire.ARP
	for arp.Op != wire.ARPReply {
		if err := wire.ParseARP(p.read(0).Data[ethLen:], &arp); err != nil {
			t.Fatal(err)
		}
	}
	if got := net.HardwareAddr(arp.SenderMAC[:]); got.String() != kernelMAC.String() || arp.SenderIP != kernelIP {
		t.Errorf("reply from %v %v, want %v %v", got, arp.SenderIP, kernelMAC, kernelIP)
	}

	echo := append([]byte{8, 0, 0, 0, 0x12, 0x34, 0, 1}, bytes.Repeat([]byte("ping"), 250)...)
	sum := wire.Checksum(echo, 0)
	echo[2], echo[3] = byte(sum>>8), byte(sum)
	p.question(wire.EtherIPv4, ipv4(wire.ProtoICMP4, echo, 0))
	body := p.read(wire.ProtoICMP4).Data[ethLen+wire.IPv4MinHeader:]
	if body[0] != 0 || !bytes.Equal(body[4:], echo[4:]) {
		t.Errorf("no echo of what was sent: %x", body[:16])
	}
}

func TestTAPSuperSegmentFromKernel(t *testing.T) {
	tap, ns := openTestTAP(t)
	testSuperSegmentFromKernel(t, newPeer(t, tap), ns)
}

// testSuperSegmentFromKernel has the kernel send in bulk until a segment of at
// least 60 KiB arrives in one frame.
func testSuperSegmentFromKernel(t *testing.T, p *peer, ns string) {
	t.Helper()
	done := make(chan error, 1)
	go func() {
		done <- InNetNS(ns, func() error {
			c, err := net.Dial("tcp4", peerIP.String()+":7")
			if err != nil {
				return err
			}
			defer func() { _ = c.Close() }()
			_, err = c.Write(pattern(8 << 20))
			return err
		})
	}()
	want := pattern(8 << 20)
	p.accept()
	largest := 0
	for got := 0; got < len(want); {
		f, payload := p.receive()
		if !bytes.Equal(payload, want[got:got+len(payload)]) {
			t.Fatalf("payload at %d differs", got)
		}
		got += len(payload)
		if len(f.Data) > 1514 && (f.GSOType != wire.GSOTCP4 || f.GSOSize == 0 || f.GSOSize > 1460 || !f.NeedsCsum && !f.CsumValid) {
			t.Fatalf("frame with %d payload bytes: %+v", len(payload), RxFrame{GSOType: f.GSOType, GSOSize: f.GSOSize, NeedsCsum: f.NeedsCsum, CsumValid: f.CsumValid})
		}
		largest = max(largest, len(payload))
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if largest < 60<<10 {
		t.Errorf("largest frame carried %d bytes, want at least %d", largest, 60<<10)
	}
}

// pattern returns n bytes in which no two windows of a few bytes are alike.
func pattern(n int) []byte {
	b := make([]byte, n)
	r := prng(1)
	for i := 0; i+8 <= n; i += 8 {
		v := r.next()
		for j := range 8 {
			b[i+j] = byte(v >> (8 * j))
		}
	}
	return b
}

func TestTAPSuperSegmentToKernel(t *testing.T) {
	tap, ns := openTestTAP(t)
	testSuperSegmentToKernel(t, newPeer(t, tap), ns)
}

// testSuperSegmentToKernel sends 60 KiB in one frame to a kernel socket.
func testSuperSegmentToKernel(t *testing.T, p *peer, ns string) {
	t.Helper()
	want := pattern(60 << 10)
	done := make(chan error, 1)
	go func() {
		done <- InNetNS(ns, func() error {
			c, err := net.Dial("tcp4", peerIP.String()+":7")
			if err != nil {
				return err
			}
			defer func() { _ = c.Close() }()
			got, err := io.ReadAll(c)
			if err == nil && !bytes.Equal(got, want) {
				return errors.New("the kernel received something else")
			}
			return err
		})
	}()
	p.accept()
	// The receiver's window is just above 60 KiB; the payload lies in pieces, as
	// a stack's chunks do.
	f := p.tcpFrame(wire.TCPAck|wire.TCPPsh, want)
	f.Payload = [][]byte{want[:100], nil, want[100:2048], want[2048:50000], want[50000:]}
	p.link.Transmit(f)
	p.link.Transmit(p.tcpFrame(wire.TCPAck|wire.TCPFin, nil))
	if err := <-done; err != nil {
		t.Error(err)
	}
	if s := p.link.Stats(); s.TxErrors+s.TxDropped != 0 {
		t.Errorf("counters %+v", s)
	}
}

func TestTAPStaysAndIsAttachedAgain(t *testing.T) {
	ns := newNetNS(t)
	cfg := testTAPConfig(ns)
	cfg.Persist = true
	first, err := OpenTAP(cfg)
	if err != nil {
		t.Fatal(err)
	}
	addAddress(t, ns, cfg.Name)
	if _, err := OpenTAP(cfg); !errors.Is(err, ErrBusy) || !strings.Contains(err.Error(), `"tap0"`) {
		t.Errorf("second user: %v, want ErrBusy with the name", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := OpenTAP(cfg)
	if err != nil {
		t.Fatal(err)
	}
	testARPAndEcho(t, newPeer(t, again)) // the address stayed as well
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 { // also when it is not there
		if err := DeleteTAP(cfg.Name, ns); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTAPDeletedUnderTheLink(t *testing.T) {
	tap, ns := openTestTAP(t)
	if err := DeleteTAP("tap0", ns); err != nil {
		t.Fatal(err)
	}
	if _, err := tap.ReadFrame(make([]byte, FrameRoom)); !errors.Is(err, ErrGone) {
		t.Errorf("read: %v, want ErrGone", err)
	}
	tap.Transmit(frameOf(wire.EtherIPv4, make([]byte, 60)))
	if s := tap.Stats(); s.TxDropped != 1 {
		t.Errorf("counters %+v, want one drop", s)
	}
}

func TestTAPNameOfAnotherDevice(t *testing.T) {
	ns := newNetNS(t)
	err := InNetNS(ns, func() error {
		attrs := netlink.NewLinkAttrs()
		attrs.Name = "tap0"
		return netlink.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: "other"})
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OpenTAP(testTAPConfig(ns)); !errors.Is(err, ErrNameTaken) {
		t.Errorf("open: %v, want ErrNameTaken", err)
	}
	if err := DeleteTAP("tap0", ns); !errors.Is(err, ErrNameTaken) {
		t.Errorf("delete: %v, want ErrNameTaken", err)
	}
}

func TestTAPConfigIsChecked(t *testing.T) {
	for _, c := range []struct {
		cfg  TAPConfig
		want string
	}{
		{TAPConfig{}, `""`},
		{TAPConfig{Name: "sixteen-bytes-16"}, "1 to 15 bytes"},
		{TAPConfig{Name: "a/b"}, `"a/b"`},
		{TAPConfig{Name: "a b"}, `"a b"`},
		{TAPConfig{Name: "t", MTU: 67}, "mtu 67: accepted are 68 to 65521"},
		{TAPConfig{Name: "t", MTU: 65522}, "mtu 65522"},
		{TAPConfig{Name: "t", MAC: net.HardwareAddr{1, 2, 3, 4, 5, 6}}, "unicast"},
		{TAPConfig{Name: "t", NetNS: filepath.Join(os.TempDir(), "there-is-none")}, "there-is-none"},
	} {
		if _, err := OpenTAP(c.cfg); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.cfg, err, c.want)
		}
	}
}

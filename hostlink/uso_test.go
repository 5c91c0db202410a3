package hostlink

import (
	"bytes"
	"encoding/binary"
	"net"
	"testing"
	"time"

	"github.com/tcpcni/tcpcni/netstack/wire"
)

func TestReleaseAtLeast(t *testing.T) {
	for release, want := range map[string]bool{
		"6.2.0": true, "6.2": true, "6.18.44-fc": true, "7.0.0-rc1": true, "10.0": true,
		"6.1.999": false, "5.15.0-91-generic": false, "6": false, "": false, "x.9": false, "6.x": false, ".9": false,
		"99999999999999999999.9": false,
	} {
		if got := releaseAtLeast(release, 6, 2); got != want {
			t.Errorf("%q: %v", release, got)
		}
	}
}

// TestDatagramsInOneFrameToKernel: every link hands several datagrams in one frame
// over as what they are, whoever cuts them.
func TestDatagramsInOneFrameToKernel(t *testing.T) {
	if !CutsDatagrams() {
		t.Skip("this kernel does not cut datagrams")
	}
	for name, open := range map[string]func() (Link, string){
		"tap":    func() (Link, string) { l, ns := openTestTAP(t); return l, ns },
		"packet": func() (Link, string) { l, ns := openTestPacket(t); return l, ns },
		"shaped": func() (Link, string) {
			l, ns := openTestTAP(t)
			return Shape(l, Rate{}, Rate{BitsPerSecond: 1e9, Burst: 3000}, Now), ns
		},
		"impaired": func() (Link, string) { l, ns := openTestTAP(t); return Impair(l, Impairment{}, Now), ns },
	} {
		t.Run(name, func(t *testing.T) {
			l, ns := open()
			var c *net.UDPConn
			if err := InNetNS(ns, func() (err error) {
				c, err = net.ListenUDP("udp4", &net.UDPAddr{IP: kernelIP.AsSlice()})
				return err
			}); err != nil {
				t.Fatal(err)
			}
			defer func() { _ = c.Close() }()
			const size, n = 1000, 40
			want := pattern(size*n + 7)
			h := wire.UDP{SrcPort: 9, DstPort: uint16(c.LocalAddr().(*net.UDPAddr).Port), Length: uint16(udpHeaderLen + len(want))}
			l4 := h.AppendTo(nil)
			binary.BigEndian.PutUint16(l4[udpCsumField:], wire.PseudoSum(peerIP, kernelIP, wire.ProtoUDP, len(l4)+len(want)))
			f := frameOf(wire.EtherIPv4, ipv4(wire.ProtoUDP, l4, len(want)))
			f.Payload = [][]byte{want[:100], want[100:]}
			f.NeedsCsum, f.CsumStart, f.CsumOffset = true, ethLen+wire.IPv4MinHeader, udpCsumField
			f.GSOType, f.GSOSize, f.HdrLen = wire.GSOUDP, size, uint16(len(f.Buf)-VnetRoom)
			l.Transmit(f)
			b := make([]byte, 2*size)
			for at, end := 0, Now()+patience; at < len(want); {
				tick(l)
				_ = c.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
				m, err := c.Read(b)
				switch {
				case err == nil && !(m == size || at+m == len(want)) || !bytes.HasPrefix(want[at:], b[:m]):
					t.Fatalf("after %d bytes, %d others", at, m)
				case err != nil && Now() > end:
					t.Fatalf("after %d bytes: %v, counters %+v", at, err, l.Stats())
				}
				at += m
			}
		})
	}
}

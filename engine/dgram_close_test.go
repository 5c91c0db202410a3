package engine

import (
	"net/netip"
	"testing"

	"github.com/tcpcni/tcpcni/hostlink"
)

// A program that has closed while the engine looks at what it wrote before sends
// nothing more: the end of file is no empty datagram.
func TestCloseIsNoDatagram(t *testing.T) {
	e := bare(t)
	d, p := e.mustDgram(t)
	to, q := e.mustDgram(t)
	if err := to.udp.Bind(netip.MustParseAddrPort("127.0.0.1:0"), 0, agreed); err != nil {
		t.Fatal(err)
	}
	if err := d.udp.Connect(to.udp.LocalAddr()); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"one", "", "two"} {
		if _, err := hostlink.Send(p, []byte(text), 0); err != 0 {
			t.Fatal(err)
		}
	}
	hostlink.CloseFD(p)
	d.ready(hostlink.In) // as it was before the close
	e.settle()
	got := []string{}
	var b [16]byte
	for {
		n, err := hostlink.Recv(q, b[:], 0)
		if err != 0 {
			break
		}
		got = append(got, string(b[:n]))
	}
	if len(got) != 3 || got[0] != "one" || got[1] != "" || got[2] != "two" {
		t.Errorf("%q", got)
	}
}

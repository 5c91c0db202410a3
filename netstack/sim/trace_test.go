package sim

import (
	"flag"
	"fmt"
	"net/netip"
	"os"

	"github.com/tcpcni/tcpcni/netstack/wire"
)

var show = flag.Bool("show", false, "with -seed: print every segment, as its host sees it")

// traceAll prints what goes on in a world, with numbers relative to the SYNs.
func (x *randomWorld) traceAll() {
	for i, h := range x.hosts {
		for _, name := range []string{"tcp_congestion_control", "tcp_sack", "tcp_timestamps", "tcp_syncookies", "tcp_rto_min_us"} {
			v, _ := h.Profile.Value(name)
			fmt.Printf("host %d: %s %s\n", i, name, v)
		}
		h.Tap = func(out bool, src, dst netip.Addr, t *wire.TCP, payload []byte) {
			sign, l, r := "<", netip.AddrPortFrom(dst, t.DstPort), netip.AddrPortFrom(src, t.SrcPort)
			if out {
				sign, l, r = ">", r, l
			}
			v := h.watch(l, r)
			seq, ack := t.Seq-v.irs, t.Ack-v.iss
			if out {
				seq, ack = t.Seq-v.iss, t.Ack-v.irs
			}
			fmt.Fprintf(os.Stdout, "%v host %d %v %s %v: %s seq %d ack %d win %d len %d", x.w.now, i, l, sign, r, t.Flags, seq, ack, t.Window, len(payload))
			for _, b := range t.SACK[:t.NSACK] {
				base := v.iss
				if out {
					base = v.irs
				}
				fmt.Printf(" sack %d-%d", b.Left-base, b.Right-base)
			}
			fmt.Println()
		}
	}
}

// report prints how every program ended.
func (x *randomWorld) report() {
	for i, c := range x.talks {
		for _, p := range c.programs() {
			if p.S != nil {
				fmt.Printf("conversation %d, %s, lenient %v: %s %v to %v %v: sent %d of %d, got %d of %d, unread %d, end %v, closed %v, %v\n",
					i, c.kind, c.lenient, p.Name, p.S.LocalAddr(), p.S.RemoteAddr(), p.S.State(), p.Sent, p.ToSend, p.Got, p.Expect, p.S.Unread(), p.EOF, p.Closed, p.Err)
			}
		}
	}
}

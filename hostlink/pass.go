package hostlink

import (
	"github.com/tcpcni/tcpcni/netstack"
	"github.com/tcpcni/tcpcni/netstack/wire"
)

// Pass sends UDP frame f, which was read from another link, to the link to as it
// is. t is memory for it: a frame that does not fit into t.Buf, or that is several
// in one, is dropped.
func Pass(to Link, f *RxFrame, t *TxFrame) {
	if f.GSOType != wire.GSONone || netstack.VnetRoom+len(f.Data) > cap(t.Buf) {
		return
	}
	t.Buf = append(t.Buf[:netstack.VnetRoom], f.Data...)
	t.NeedsCsum, t.CsumStart, t.CsumOffset = f.NeedsCsum, f.CsumStart, f.CsumOffset
	if f.NeedsCsum && f.CsumStart == 0 {
		const header, sum = wire.EthernetLen + wire.IPv4MinHeader, 6 // of UDP, and its checksum there
		t.CsumStart, t.CsumOffset = header, sum
	}
	to.Transmit(t)
}

package netstack

import "github.com/tcpcni/tcpcni/netstack/wire"

// VnetRoom is the number of spare bytes at the start of TxFrame.Buf, where a
// link writes its own header, such as the virtio-net header, in place.
const VnetRoom = 16

// A TxFrame is a frame on its way out. Its memory belongs to the stack and is
// used again for the next frame.
type TxFrame struct {
	Buf     []byte   // VnetRoom spare bytes, then all headers from Ethernet on
	Payload [][]byte // what follows, in pieces; may be empty

	// NeedsCsum asks the link to finish the transport checksum: the sum of the
	// bytes from CsumStart on, complemented, goes to CsumStart+CsumOffset, where
	// the sum of the pseudo header already is. Set only on links with TxChecksum.
	NeedsCsum  bool
	CsumStart  uint16 // bytes from the Ethernet header
	CsumOffset uint16 // bytes from CsumStart

	// A super-segment is cut by the link every GSOSize payload bytes. Set only
	// on links with TSO, or for UDP with USO.
	GSOType uint8  // wire.GSONone, GSOTCP4, GSOTCP6 or GSOUDP
	GSOSize uint16 // payload bytes per segment
	HdrLen  uint16 // bytes from the Ethernet header to the payload; valid iff GSOType is set
}

// Len is the length of the frame in bytes, without the spare ones.
func (f *TxFrame) Len() int {
	n := len(f.Buf) - VnetRoom
	for _, p := range f.Payload {
		n += len(p)
	}
	return n
}

// An RxFrame is a frame that a link received. The stack reads Data only while
// Input runs.
type RxFrame struct {
	Data      []byte // from the Ethernet header on
	NeedsCsum bool   // the transport checksum is unfinished: the sender is on this machine and the bytes never left it
	CsumValid bool   // the link verified the transport checksum

	// Where the unfinished checksum is, as in TxFrame. CsumStart 0: where the
	// packet's protocol has it. Only packets that are forwarded need them.
	CsumStart, CsumOffset uint16

	// Data is several segments in one. A link that merges UDP as well must cut it
	// before it comes here: any other type is dropped.
	GSOType uint8  // wire.GSONone, GSOTCP4 or GSOTCP6
	GSOSize uint16 // payload bytes of each; valid iff GSOType is set
}

// A Sink takes frames that leave the stack. Transmit uses or copies f before it
// returns and does not call into the stack. A frame that the link cannot take
// is dropped, as a full queue drops it.
type Sink interface {
	Transmit(f *TxFrame)
}

// maxHeaders is the space for every header in front of a payload: Ethernet,
// IPv4 with options or IPv6 with a fragment header, TCP with options.
const maxHeaders = wire.EthernetLen + wire.IPv4MaxHeader + wire.TCPMaxHeader + wire.FragmentLen

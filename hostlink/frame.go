package hostlink

import "github.com/tcpcni/tcpcni/netstack"

// Frames cross between a link and the stack without being copied, so both have
// one type for them.
type (
	// RxFrame is a frame that a link received.
	RxFrame = netstack.RxFrame
	// TxFrame is a frame to send.
	TxFrame = netstack.TxFrame
)

// VnetRoom is the number of spare bytes at the start of TxFrame.Buf.
const VnetRoom = netstack.VnetRoom

package sockopt

import "encoding/binary"

// TCPInfo is struct tcp_info of linux/tcp.h as of Linux 6.18, field by field.
// Times are in microseconds unless said otherwise.
type TCPInfo struct {
	State       uint8 // TCP_ESTABLISHED = 1 … TCP_CLOSING = 11
	CAState     uint8 // 0 open, 1 disorder, 2 CWR, 3 recovery, 4 loss
	Retransmits uint8 // retransmission timeouts in a row
	Probes      uint8 // unanswered window or keep-alive probes
	Backoff     uint8
	Options     uint8 // TCPInfoTimestamps …
	SndWScale   uint8 // 4 bits
	RcvWScale   uint8 // 4 bits
	AppLimited  bool

	RTO    uint32
	ATO    uint32
	SndMSS uint32
	RcvMSS uint32

	Unacked uint32 // segments
	Sacked  uint32
	Lost    uint32
	Retrans uint32
	Fackets uint32

	LastDataSent uint32 // ms ago
	LastAckSent  uint32
	LastDataRecv uint32
	LastAckRecv  uint32

	PMTU        uint32
	RcvSsthresh uint32
	RTT         uint32
	RTTVar      uint32
	SndSsthresh uint32 // segments
	SndCwnd     uint32 // segments
	AdvMSS      uint32
	Reordering  uint32

	RcvRTT   uint32
	RcvSpace uint32

	TotalRetrans uint32

	PacingRate    uint64 // bytes per second
	MaxPacingRate uint64
	BytesAcked    uint64
	BytesReceived uint64
	SegsOut       uint32
	SegsIn        uint32

	NotSentBytes uint32
	MinRTT       uint32
	DataSegsIn   uint32
	DataSegsOut  uint32

	DeliveryRate uint64 // bytes per second

	BusyTime      uint64
	RwndLimited   uint64
	SndBufLimited uint64

	Delivered   uint32
	DeliveredCE uint32

	BytesSent    uint64
	BytesRetrans uint64
	DSACKDups    uint32
	ReordSeen    uint32

	RcvOOOPack uint32

	SndWnd uint32
	RcvWnd uint32
	Rehash uint32

	TotalRTO           uint16
	TotalRTORecoveries uint16
	TotalRTOTime       uint32 // ms

	// Of ECN, since the connection began; the bytes with RFC 9768 only. E1 and E0
	// are the codepoints ECT(1) and ECT(0), CE is congestion experienced.
	ReceivedCE       uint32 // segments
	DeliveredE1Bytes uint32
	DeliveredE0Bytes uint32
	DeliveredCEBytes uint32
	ReceivedE1Bytes  uint32
	ReceivedE0Bytes  uint32
	ReceivedCEBytes  uint32
	AccECNFailMode   uint16 // TCPInfoACEFail …
	AccECNOptSeen    uint16 // TCPInfoOptionSeen …

	// What Linux's structure does not have and FreeBSD's does.
	SndNxt, RcvNxt           uint32
	CwndBytes, SsthreshBytes uint32
	ZeroWindows              uint32 // segments sent that offer none
}

// Bits of TCPInfo.Options.
const (
	TCPInfoTimestamps = 1
	TCPInfoSACK       = 2
	TCPInfoWScale     = 4
	TCPInfoECN        = 8
	TCPInfoECNSeen    = 16
	TCPInfoSynData    = 32 // of the SYN was acknowledged (RFC 7413)
)

// Bits of TCPInfo.AccECNFailMode, and values of TCPInfo.AccECNOptSeen.
const (
	TCPInfoACEFail        = 2 // the peer's feedback is not believed
	TCPInfoOptionFailSend = 4 // options that we send seem to be dropped
	TCPInfoOptionFail     = 8 // the peer's are not believed

	TCPInfoOptionSeen     = 2 // with counters
	TCPInfoOptionFailSeen = 3
)

// TCPInfoSize is the length of struct tcp_info in bytes. A program built
// against older headers asks for less and gets the front part.
const TCPInfoSize = 280

// AppendTo appends the structure as the C compiler lays it out.
func (i *TCPInfo) AppendTo(b []byte) []byte {
	appLimited := byte(0)
	if i.AppLimited {
		appLimited = 1
	}
	b = append(b, i.State, i.CAState, i.Retransmits, i.Probes, i.Backoff, i.Options,
		i.SndWScale&15|i.RcvWScale<<4, appLimited)
	b = append32(b, i.RTO, i.ATO, i.SndMSS, i.RcvMSS,
		i.Unacked, i.Sacked, i.Lost, i.Retrans, i.Fackets,
		i.LastDataSent, i.LastAckSent, i.LastDataRecv, i.LastAckRecv,
		i.PMTU, i.RcvSsthresh, i.RTT, i.RTTVar, i.SndSsthresh, i.SndCwnd, i.AdvMSS, i.Reordering,
		i.RcvRTT, i.RcvSpace, i.TotalRetrans)
	b = append64(b, i.PacingRate, i.MaxPacingRate, i.BytesAcked, i.BytesReceived)
	b = append32(b, i.SegsOut, i.SegsIn, i.NotSentBytes, i.MinRTT, i.DataSegsIn, i.DataSegsOut)
	b = append64(b, i.DeliveryRate, i.BusyTime, i.RwndLimited, i.SndBufLimited)
	b = append32(b, i.Delivered, i.DeliveredCE)
	b = append64(b, i.BytesSent, i.BytesRetrans)
	b = append32(b, i.DSACKDups, i.ReordSeen, i.RcvOOOPack, i.SndWnd, i.RcvWnd, i.Rehash)
	b = binary.NativeEndian.AppendUint16(b, i.TotalRTO)
	b = binary.NativeEndian.AppendUint16(b, i.TotalRTORecoveries)
	b = append32(b, i.TotalRTOTime, i.ReceivedCE, i.DeliveredE1Bytes, i.DeliveredE0Bytes, i.DeliveredCEBytes,
		i.ReceivedE1Bytes, i.ReceivedE0Bytes, i.ReceivedCEBytes)
	b = binary.NativeEndian.AppendUint16(b, i.AccECNFailMode)
	return binary.NativeEndian.AppendUint16(b, i.AccECNOptSeen)
}

func append32(b []byte, vs ...uint32) []byte {
	for _, v := range vs {
		b = binary.NativeEndian.AppendUint32(b, v)
	}
	return b
}

func append64(b []byte, vs ...uint64) []byte {
	for _, v := range vs {
		b = binary.NativeEndian.AppendUint64(b, v)
	}
	return b
}

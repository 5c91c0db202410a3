package hostlink

// The header that TAP devices and packet sockets put before each frame is
// struct virtio_net_hdr of VIRTIO 1.2, section 5.1.6, without num_buffers; both
// use the byte order of the machine.

import (
	"encoding/binary"

	"github.com/tcpcni/tcpcni/netstack/wire"
)

// vnetLen is the size in bytes of struct virtio_net_hdr.
const vnetLen = 10

// Offsets of the fields of struct virtio_net_hdr.
const (
	vnetFlags      = 0 // uint8
	vnetGSOType    = 1 // uint8
	vnetHdrLen     = 2 // uint16, bytes of all headers
	vnetGSOSize    = 4 // uint16, payload bytes of each segment
	vnetCsumStart  = 6 // uint16, from the Ethernet header
	vnetCsumOffset = 8 // uint16, from csum_start
)

// Values of flags and gso_type.
const (
	vnetNeedsCsum = 1 // VIRTIO_NET_HDR_F_NEEDS_CSUM
	vnetDataValid = 2 // VIRTIO_NET_HDR_F_DATA_VALID

	// gsoUDPL4 is VIRTIO_NET_HDR_GSO_UDP_L4, which packet sockets deliver without
	// having been asked.
	gsoUDPL4 = wire.GSOUDP
)

// putVnet writes the header that describes f into h.
func putVnet(h []byte, f *TxFrame) {
	h = h[:vnetLen:vnetLen]
	ne := binary.NativeEndian
	clear(h)
	if f.NeedsCsum {
		h[vnetFlags] = vnetNeedsCsum
		ne.PutUint16(h[vnetCsumStart:], f.CsumStart)
		ne.PutUint16(h[vnetCsumOffset:], f.CsumOffset)
	}
	// tun.c allocates everything in one piece when the length of the headers is
	// zero: for a super-segment, 64 KiB of contiguous memory.
	ne.PutUint16(h[vnetHdrLen:], uint16(len(f.Buf)-VnetRoom))
	if f.GSOType != wire.GSONone {
		h[vnetGSOType] = f.GSOType
		ne.PutUint16(h[vnetGSOSize:], f.GSOSize)
	}
}

// fromVnet describes data, a frame that came with header h.
func fromVnet(h *[vnetLen]byte, data []byte) RxFrame {
	f := RxFrame{
		Data:      data,
		NeedsCsum: h[vnetFlags]&vnetNeedsCsum != 0,
		CsumValid: h[vnetFlags]&vnetDataValid != 0,
		GSOType:   h[vnetGSOType] &^ wire.GSOECN,
	}
	if f.NeedsCsum {
		f.CsumStart = binary.NativeEndian.Uint16(h[vnetCsumStart:])
		f.CsumOffset = binary.NativeEndian.Uint16(h[vnetCsumOffset:])
	}
	if f.GSOType != wire.GSONone {
		f.GSOSize = binary.NativeEndian.Uint16(h[vnetGSOSize:])
	}
	return f
}

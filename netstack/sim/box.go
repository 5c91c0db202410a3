package sim

// Middleboxes: what boxes between the ends of a connection are known to do to
// segments (RFC 3234, and Honda et al., "Is it still possible to extend TCP?").

import (
	"bytes"
	"encoding/binary"

	"github.com/tcpcni/tcpcni/netstack/wire"
)

// A Box sees every packet of a line and may change it, after copying the
// segment; false drops the packet.
type Box func(p *packet) bool

// Option kinds that boxes know.
const (
	OptMSS       = 2
	OptWScale    = 3
	OptSACKPerm  = 4
	OptSACK      = 5
	OptTimestamp = 8
	OptMD5       = 19
	OptAO        = 29
	OptFastOpen  = 34
)

func (p *packet) flags() wire.TCPFlags {
	return wire.TCPFlags(p.segment[12]&1)<<8 | wire.TCPFlags(p.segment[13])
}

// edit changes a copy of the segment and makes its checksum right again. A
// segment that was corrupted before stays so.
func (p *packet) edit(f func(seg []byte)) {
	good := wire.TransportChecksumOK(p.src, p.dst, 6, p.segment)
	p.segment = bytes.Clone(p.segment)
	f(p.segment)
	if good {
		sign(p)
	}
}

// sign fills in the checksum.
func sign(p *packet) {
	p.segment[16], p.segment[17] = 0, 0
	binary.BigEndian.PutUint16(p.segment[16:], wire.TransportChecksum(p.src, p.dst, 6, p.segment))
}

// options calls f for every option of the segment.
func options(seg []byte, f func(kind byte, whole []byte)) {
	off := int(seg[12]>>4) * 4
	if off < wire.TCPMinHeader || off > len(seg) {
		return
	}
	for o := seg[wire.TCPMinHeader:off]; len(o) > 0 && o[0] != 0; {
		n := 1
		if o[0] != 1 {
			if len(o) < 2 || o[1] < 2 || int(o[1]) > len(o) {
				return
			}
			n = int(o[1])
			f(o[0], o[:n])
		}
		o = o[n:]
	}
}

// StripOptions overwrites options of the given kinds with NOPs.
func StripOptions(kinds ...byte) Box {
	return func(p *packet) bool {
		p.edit(func(seg []byte) {
			options(seg, func(kind byte, whole []byte) {
				if bytes.IndexByte(kinds, kind) >= 0 {
					for i := range whole {
						whole[i] = 1
					}
				}
			})
		})
		return true
	}
}

// ClampMSS lowers the MSS option of SYNs.
func ClampMSS(mss uint16) Box {
	return func(p *packet) bool {
		if p.flags()&wire.TCPSyn != 0 {
			p.edit(func(seg []byte) {
				options(seg, func(kind byte, whole []byte) {
					if kind == OptMSS && len(whole) == 4 && binary.BigEndian.Uint16(whole[2:]) > mss {
						binary.BigEndian.PutUint16(whole[2:], mss)
					}
				})
			})
		}
		return true
	}
}

// BleachECN clears the ECN field of the IP header.
func BleachECN(p *packet) bool {
	p.tos &^= 3
	return true
}

// MarkAll sets CE on every ECN-capable packet.
func MarkAll(p *packet) bool {
	if p.tos&3 != 0 {
		p.tos |= 3
	}
	return true
}

// DropECNSyn drops SYNs that ask for ECN (RFC 3168 section 6.1.1.1).
func DropECNSyn(p *packet) bool {
	return p.flags()&wire.TCPSyn == 0 || p.flags()&(wire.TCPEce|wire.TCPCwr) == 0
}

// ClearECNFlags clears ECE and CWR of SYNs, so that ECN is not agreed on.
func ClearECNFlags(p *packet) bool {
	if p.flags()&wire.TCPSyn != 0 {
		p.edit(func(seg []byte) { seg[13] &^= byte(wire.TCPEce | wire.TCPCwr) })
	}
	return true
}

// DropSynData drops SYNs with text; CutSynData removes the text.
func DropSynData(p *packet) bool {
	return p.flags()&wire.TCPSyn == 0 || len(p.segment) == int(p.segment[12]>>4)*4
}

// CutSynData removes the text of SYNs.
func CutSynData(p *packet) bool {
	if off := int(p.segment[12]>>4) * 4; p.flags()&wire.TCPSyn != 0 && off >= wire.TCPMinHeader && off < len(p.segment) {
		good := wire.TransportChecksumOK(p.src, p.dst, 6, p.segment)
		p.segment = bytes.Clone(p.segment[:off])
		if good {
			sign(p)
		}
	}
	return true
}

// Swallow drops packets that are larger than mtu bytes and tells nobody: a black
// hole (RFC 2923 section 2.1). The ends do not know of it as they do of a line's
// MTU.
func Swallow(mtu int) Box {
	return func(p *packet) bool {
		headers := wire.IPv4MinHeader
		if p.src.Is6() {
			headers = wire.IPv6Len
		}
		return len(p.segment)+headers <= mtu
	}
}

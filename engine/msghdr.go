package engine

// struct msghdr, iovec and cmsghdr of the 64-bit ABI: sendmsg(2), cmsg(3).

import (
	"encoding/binary"

	"github.com/tcpcni/tcpcni/hostlink"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// Sizes and offsets in bytes.
const (
	msghdrLen    = 56
	mmsghdrLen   = 64 // a msghdr, an unsigned int, padding
	iovecLen     = 16
	cmsghdrLen   = 16
	offNameLen   = 8
	offControlLn = 40
	offFlags     = 48
	offMmsgLen   = 56
)

// maxControl bounds the ancillary data that a call receives, in bytes; what these
// sockets have fits many times.
const maxControl = 1024

// A message is one msghdr of a program.
type message struct {
	addr    uint64 // of the msghdr, 0 for a call without one
	name    uint64
	nameLen int // as the program set it; of recvfrom, where it lies
	lenAddr uint64
	iov     []hostlink.RemoteVec
	control uint64
	ctrlLen uint64
	room    int // bytes in iov, bounded
}

// maxIO bounds the bytes of one message that are looked at: more than UDP has.
const maxIO = 64 << 10

// readMessage reads a msghdr and its iovecs. The iovecs are valid until the next
// call.
func (c *call) readMessage(addr uint64) (message, error) { return c.readMessageOf(addr, maxIO) }

// readMessageOf is readMessage for up to most bytes.
func (c *call) readMessageOf(addr uint64, most int) (message, error) {
	var h [msghdrLen]byte
	if err := c.read(addr, h[:]); err != nil {
		return message{}, err
	}
	u64 := binary.NativeEndian.Uint64
	m := message{
		addr:    addr,
		name:    u64(h[0:]),
		nameLen: int(int32(binary.NativeEndian.Uint32(h[offNameLen:]))),
		lenAddr: addr + offNameLen,
		control: u64(h[32:]),
		ctrlLen: u64(h[offControlLn:]),
	}
	if m.name == 0 {
		m.nameLen = 0
	}
	count := u64(h[24:])
	switch {
	case m.nameLen < 0:
		return m, errno.EINVAL
	case count > hostlink.RemoteVectors:
		return m, errno.EMSGSIZE
	}
	return m, c.readVectors(&m, u64(h[16:]), int(count), most)
}

func (c *call) readVectors(m *message, addr uint64, count, most int) error {
	if count == 0 {
		return nil
	}
	raw := c.eng.vectorBytes[:count*iovecLen]
	if err := c.read(addr, raw); err != nil {
		return err
	}
	m.iov = c.eng.vectors[:0]
	for i := range count {
		v := hostlink.RemoteVec{
			Addr: binary.NativeEndian.Uint64(raw[i*iovecLen:]),
			Len:  binary.NativeEndian.Uint64(raw[i*iovecLen+8:]),
		}
		if int64(v.Len) < 0 {
			return errno.EINVAL
		}
		if v.Len == 0 {
			continue
		}
		// Beyond that nothing is copied, so nothing is looked at.
		v.Len = min(v.Len, uint64(most-m.room))
		if v.Len > 0 {
			m.iov = append(m.iov, v)
			m.room += int(v.Len)
		}
	}
	return nil
}

// gather copies the message's payload from the program into b.
func (c *call) gather(m *message, b []byte) ([]byte, error) {
	b = b[:min(m.room, len(b))]
	if len(b) == 0 {
		return b, nil
	}
	n, e := c.accessV(hostlink.ReadMemoryV, m.iov, b)
	if e != 0 || n < len(b) || !c.still() {
		return nil, errno.EFAULT
	}
	return b, nil
}

// scatter copies as much of b as there is room for to the program.
func (c *call) scatter(m *message, b []byte) error {
	b = b[:min(m.room, len(b))]
	if len(b) == 0 {
		return nil
	}
	if !c.still() {
		return errno.EFAULT
	}
	n, e := c.accessV(hostlink.WriteMemoryV, m.iov, b)
	if e != 0 || n < len(b) {
		return errno.EFAULT
	}
	return nil
}

// readControl copies the message's ancillary data. It is valid until the next call.
func (c *call) readControl(m *message) ([]byte, error) {
	if m.control == 0 || m.ctrlLen == 0 {
		return nil, nil
	}
	if m.ctrlLen > uint64(c.eng.profile.Tunables.OptmemMax) {
		return nil, errno.ENOBUFS
	}
	b := c.eng.controlRoom(int(m.ctrlLen))
	return b, c.read(m.control, b)
}

// keptControl is how much memory for ancillary data stays for the next call, in
// bytes.
const keptControl = 256 << 10

// controlRoom is memory for n bytes of ancillary data.
func (e *engine) controlRoom(n int) []byte {
	if n > keptControl {
		return make([]byte, n)
	}
	if n > len(e.ancillary) {
		e.ancillary = make([]byte, n)
	}
	return e.ancillary[:n]
}

// eachControl calls f for every piece of ancillary data. EINVAL: malformed.
func eachControl(b []byte, f func(level, typ int, data []byte) error) error {
	for len(b) >= cmsghdrLen {
		n := binary.NativeEndian.Uint64(b)
		if n < cmsghdrLen || n > uint64(len(b)) {
			return errno.EINVAL
		}
		level := int(int32(binary.NativeEndian.Uint32(b[8:])))
		typ := int(int32(binary.NativeEndian.Uint32(b[12:])))
		if err := f(level, typ, b[cmsghdrLen:n]); err != nil {
			return err
		}
		b = b[min(cmsgAlign(int(n)), len(b)):]
	}
	return nil
}

// appendControl adds a piece of ancillary data.
func appendControl(b []byte, level, typ int, data []byte) []byte {
	start := len(b)
	b = binary.NativeEndian.AppendUint64(b, uint64(cmsghdrLen+len(data)))
	b = binary.NativeEndian.AppendUint32(b, uint32(level))
	b = binary.NativeEndian.AppendUint32(b, uint32(typ))
	b = append(b, data...)
	for len(b)-start < cmsgAlign(len(b)-start) {
		b = append(b, 0)
	}
	return b
}

// fitControl cuts ancillary data to the program's room as put_cmsg of Linux does:
// the piece that does not fit is shortened, what follows is dropped.
func fitControl(b []byte, room int) (_ []byte, cut bool) {
	for at := 0; at < len(b); {
		n := int(binary.NativeEndian.Uint64(b[at:]))
		switch {
		case room-at < cmsghdrLen:
			return b[:at], true
		case room-at < n:
			binary.NativeEndian.PutUint64(b[at:], uint64(room-at))
			return b[:room], true
		}
		at = min(at+cmsgAlign(n), len(b))
	}
	return b[:min(len(b), room)], false
}

// cmsgAlign is CMSG_ALIGN.
func cmsgAlign(n int) int { return (n + 7) &^ 7 }

package hostlink

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// vnetIO reads and writes frames with a virtio-net header on a non-blocking
// descriptor, one system call each and without allocation: the vectors live in
// the struct.
type vnetIO struct {
	fd    int
	rxHdr [vnetLen]byte
	rx    [2]unix.Iovec
	tx    []unix.Iovec
	stats LinkStats
}

// txVectors is enough for a super-segment of 2 KiB chunks; more is grown once
// and kept.
const txVectors = 64

// minFrame is the smallest thing worth handing on: an Ethernet header.
const minFrame = 14

func (v *vnetIO) init(fd int) {
	v.fd = fd
	v.rx[0].Base = &v.rxHdr[0]
	v.rx[0].SetLen(vnetLen)
	v.tx = make([]unix.Iovec, txVectors)
}

// FD implements Link.
func (v *vnetIO) FD() int { return v.fd }

// Stats implements Link.
func (v *vnetIO) Stats() LinkStats { return v.stats }

// read takes one frame into buf. It passes over frames that did not fit or are
// too short to be one; errno is 0 on success.
func (v *vnetIO) read(buf []byte) (RxFrame, unix.Errno) {
	v.rx[1].Base = unsafe.SliceData(buf)
	v.rx[1].SetLen(len(buf))
	for {
		n, _, e := unix.RawSyscall(unix.SYS_READV, uintptr(v.fd), uintptr(unsafe.Pointer(&v.rx[0])), 2)
		if e != 0 {
			return RxFrame{}, e
		}
		size := int(n) - vnetLen
		// Both kinds of descriptor cut a frame silently at the buffer's end: one
		// that fills the buffer was longer.
		if size < minFrame || size >= len(buf) {
			v.stats.RxDropped++
			continue
		}
		v.stats.RxFrames++
		v.stats.RxBytes += uint64(size)
		return fromVnet(&v.rxHdr, buf[:size]), 0
	}
}

// write sends f, gathering headers and payload; errno is 0 on success.
func (v *vnetIO) write(f *TxFrame) unix.Errno {
	head := f.Buf[VnetRoom-vnetLen:]
	putVnet(head, f)
	if need := 1 + len(f.Payload); need > len(v.tx) {
		v.tx = make([]unix.Iovec, need)
	}
	v.tx[0].Base = unsafe.SliceData(head)
	v.tx[0].SetLen(len(head))
	size, n := len(head)-vnetLen, 1
	for _, p := range f.Payload {
		if len(p) == 0 {
			continue
		}
		v.tx[n].Base = unsafe.SliceData(p)
		v.tx[n].SetLen(len(p))
		size += len(p)
		n++
	}
	_, _, e := unix.RawSyscall(unix.SYS_WRITEV, uintptr(v.fd), uintptr(unsafe.Pointer(&v.tx[0])), uintptr(n))
	switch e {
	case 0:
		v.stats.TxFrames++
		v.stats.TxBytes += uint64(size)
	case unix.EINVAL, unix.EMSGSIZE, unix.EFAULT:
		v.stats.TxErrors++
	default:
		v.stats.TxDropped++
	}
	return e
}

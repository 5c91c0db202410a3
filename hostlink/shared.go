package hostlink

// Memory that outlives its process: memfd_create(2), mmap(2).

import (
	"encoding/binary"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A SharedMemory is memory behind a descriptor, zeroed, of which only touched
// pages take room. Others that have the descriptor see every store at once, also
// when this process is killed after it.
type SharedMemory struct {
	fd int
	b  []byte
}

// NewSharedMemory makes one of size bytes, which cannot be resized by anybody.
func NewSharedMemory(name string, size int) (*SharedMemory, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	m := &SharedMemory{fd: fd}
	if err = unix.Ftruncate(fd, int64(size)); err == nil {
		_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_SEAL)
	}
	if err == nil {
		m.b, err = unix.Mmap(fd, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	}
	if err != nil {
		_ = unix.Close(fd)
		return nil, os.NewSyscallError("shared memory", err)
	}
	return m, nil
}

// FD is the descriptor; it stays the SharedMemory's.
func (m *SharedMemory) FD() int { return m.fd }

// Bytes is the memory.
func (m *SharedMemory) Bytes() []byte { return m.b }

// Publish stores a word at a multiple of four bytes, after every store that the
// program made before.
func (m *SharedMemory) Publish(off int, v uint32) {
	_ = m.b[off+3]
	atomic.StoreUint32((*uint32)(unsafe.Pointer(&m.b[off])), v)
}

// Notification is the place for a call at a multiple of eight bytes: Recv stores
// it there in one step with taking it off its listener.
func (m *SharedMemory) Notification(off int) *Notification {
	_ = m.b[off+NotificationLen-1]
	return (*Notification)(unsafe.Pointer(&m.b[off]))
}

// NotificationLen is the size of a Notification in bytes.
const NotificationLen = int(unsafe.Sizeof(Notification{}))

// ParseNotification reads a Notification that another process has left.
func ParseNotification(b []byte) Notification {
	n := Notification{
		ID:    binary.NativeEndian.Uint64(b),
		TID:   binary.NativeEndian.Uint32(b[8:]),
		Flags: binary.NativeEndian.Uint32(b[12:]),
		Nr:    int32(binary.NativeEndian.Uint32(b[16:])),
		Arch:  binary.NativeEndian.Uint32(b[20:]),
		IP:    binary.NativeEndian.Uint64(b[24:]),
	}
	for i := range n.Args {
		n.Args[i] = binary.NativeEndian.Uint64(b[32+8*i:])
	}
	return n
}

// Close gives the memory up.
func (m *SharedMemory) Close() error {
	err := unix.Munmap(m.b)
	_ = unix.Close(m.fd)
	return err
}

// ReadFileAt copies what lies at off of the file behind fd and returns how much
// that was: less than len(b) at the end of the file or on an error.
func ReadFileAt(fd int, b []byte, off int64) int {
	n := 0
	for n < len(b) {
		got, err := unix.Pread(fd, b[n:], off+int64(n))
		if err == unix.EINTR {
			continue
		}
		if err != nil || got == 0 {
			break
		}
		n += got
	}
	return n
}

// PairType tells what fd is: PairStream or PairPacket for a connected socket of
// family AF_UNIX, 0 for anything else.
func PairType(fd int) int {
	var v [4]byte
	get := func(name int) int {
		if n, e := GetSockOpt(fd, unix.SOL_SOCKET, name, v[:]); e != 0 || n != len(v) {
			return -1
		}
		return int(binary.NativeEndian.Uint32(v[:]))
	}
	if get(unix.SO_DOMAIN) != unix.AF_UNIX {
		return 0
	}
	switch t := get(unix.SO_TYPE); t {
	case PairStream, PairPacket:
		return t
	}
	return 0
}

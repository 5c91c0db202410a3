package hostlink

// Memory of another process: process_vm_readv(2), process_vm_writev(2).

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// RemoteVectors is the most pieces of remote memory that one call takes
// (UIO_MAXIOV).
const RemoteVectors = 1024

// A RemoteVec is a piece of another process's memory.
type RemoteVec struct {
	Addr uint64
	Len  uint64
}

// ReadRemote copies len(buf) bytes at addr of the process that thread tid
// belongs to. Anything less is EFAULT, as for a kernel that reads arguments.
func ReadRemote(tid int, addr uint64, buf []byte) unix.Errno {
	v := [1]RemoteVec{{addr, uint64(len(buf))}}
	n, e := ReadRemoteV(tid, v[:], buf)
	if e == 0 && n != len(buf) {
		e = unix.EFAULT
	}
	return e
}

// WriteRemote copies buf to addr of the process; anything less is EFAULT.
func WriteRemote(tid int, addr uint64, buf []byte) unix.Errno {
	v := [1]RemoteVec{{addr, uint64(len(buf))}}
	n, e := WriteRemoteV(tid, v[:], buf)
	if e == 0 && n != len(buf) {
		e = unix.EFAULT
	}
	return e
}

// ReadRemoteV gathers from up to RemoteVectors pieces into buf and returns how
// many bytes it got before the pieces or buf ended or memory was missing.
func ReadRemoteV(tid int, from []RemoteVec, buf []byte) (int, unix.Errno) {
	return remote(unix.SYS_PROCESS_VM_READV, tid, from, buf)
}

// WriteRemoteV scatters buf over up to RemoteVectors pieces.
func WriteRemoteV(tid int, to []RemoteVec, buf []byte) (int, unix.Errno) {
	return remote(unix.SYS_PROCESS_VM_WRITEV, tid, to, buf)
}

func remote(call uintptr, tid int, vec []RemoteVec, buf []byte) (int, unix.Errno) {
	if len(buf) == 0 || len(vec) == 0 {
		return 0, 0
	}
	local := unix.Iovec{Base: &buf[0], Len: uint64(len(buf))}
	n, _, e := unix.RawSyscall6(call, uintptr(tid), uintptr(unsafe.Pointer(&local)), 1,
		uintptr(unsafe.Pointer(&vec[0])), uintptr(len(vec)), 0)
	if e != 0 {
		return 0, e
	}
	return int(n), 0
}

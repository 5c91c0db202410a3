package hostlink

// Memory of another process through a descriptor of /proc/TID/mem: proc_pid_mem(5).
// Unlike process_vm_readv(2), which takes a number, the descriptor goes on to
// mean the memory that it was opened for, and whoever holds it needs no right to
// open another. It passes over the protection of pages, so that a buffer which
// the program itself may not read or write works where Linux says EFAULT; the
// program could do the same to itself.

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// ReadMemory copies up to len(buf) bytes at addr and returns how many there were
// before memory was missing. EFAULT: none; ESRCH: the memory is gone, because its
// process has ended or has executed another program.
func ReadMemory(mem int, addr uint64, buf []byte) (int, unix.Errno) {
	return memoryCall(unix.SYS_PREAD64, mem, addr, buf)
}

// WriteMemory copies buf to addr, as far as there is memory.
func WriteMemory(mem int, addr uint64, buf []byte) (int, unix.Errno) {
	return memoryCall(unix.SYS_PWRITE64, mem, addr, buf)
}

// RemoteVectors is the most pieces of remote memory of one message (UIO_MAXIOV).
const RemoteVectors = 1024

// A RemoteVec is a piece of another process's memory.
type RemoteVec struct {
	Addr uint64
	Len  uint64
}

// ReadMemoryV gathers from pieces into buf and returns how many bytes it got
// before the pieces or buf ended or memory was missing.
func ReadMemoryV(mem int, from []RemoteVec, buf []byte) (int, unix.Errno) {
	return eachPiece(mem, from, buf, ReadMemory)
}

// WriteMemoryV scatters buf over pieces.
func WriteMemoryV(mem int, to []RemoteVec, buf []byte) (int, unix.Errno) {
	return eachPiece(mem, to, buf, WriteMemory)
}

func eachPiece(mem int, vec []RemoteVec, buf []byte, do func(int, uint64, []byte) (int, unix.Errno)) (int, unix.Errno) {
	done := 0
	for _, v := range vec {
		part := buf[done:]
		if uint64(len(part)) > v.Len {
			part = part[:v.Len]
		}
		n, e := do(mem, v.Addr, part)
		done += n
		if e != 0 && done == 0 {
			return 0, e
		}
		if e != 0 || n < len(part) {
			break
		}
	}
	return done, 0
}

func memoryCall(call uintptr, mem int, addr uint64, buf []byte) (int, unix.Errno) {
	if len(buf) == 0 {
		return 0, 0
	}
	n, _, e := unix.RawSyscall6(call, uintptr(mem), uintptr(unsafe.Pointer(&buf[0])), uintptr(len(buf)), uintptr(addr), 0, 0)
	switch {
	case e == unix.EIO || e == unix.EINVAL: // not mapped; beyond what an offset may be
		return 0, unix.EFAULT
	case e != 0:
		return 0, e
	case n == 0: // nobody uses that memory any more
		return 0, unix.ESRCH
	}
	return int(n), 0
}

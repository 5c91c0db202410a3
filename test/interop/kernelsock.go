package main

import (
	"errors"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/tcpcni/tcpcni/hostlink"
)

// kernelSock is a socket of the kernel's, not blocking.
type kernelSock struct {
	h         *kernelHost
	fd        int
	tag       uint64
	p         program
	listener  bool
	outOfLine bool
	up        bool // connected
	held      bool
	eof       bool
	over      bool
	passed    bool // the urgent byte at which the stream stands was read
	buf       [16 << 10]byte
}

// watch is edge-triggered: every event reads and writes until EAGAIN.
func (s *kernelSock) watch() (err error) {
	s.tag, err = s.h.lab.add(s.fd, hostlink.In|hostlink.Out|hostlink.Pri|hostlink.RdHup|hostlink.Edge, s.ready)
	return err
}

func (s *kernelSock) ready(mask uint32) {
	if s.over {
		return
	}
	if !s.up && mask&(hostlink.Out|hostlink.Err|hostlink.Hup) != 0 {
		if e, err := unix.GetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_ERROR); err != nil || e != 0 {
			s.fails(unix.Errno(e))
			return
		}
		s.up = true
		s.p.connected()
	}
	if s.up {
		s.read()
	}
	if s.up && !s.over {
		s.p.writable()
	}
}

func (s *kernelSock) fails(err error) {
	s.p.failed(err)
	s.drop()
}

// drop gives the descriptor back.
func (s *kernelSock) drop() {
	if s.over {
		return
	}
	s.over = true
	s.h.lab.remove(s.fd, s.tag)
	_ = unix.Close(s.fd)
	delete(s.h.socks, s)
}

func (s *kernelSock) read() {
	for !s.held && !s.eof && !s.over {
		mark := s.atMark()
		if !mark {
			s.passed = false
		}
		if mark && s.outOfLine && !s.passed {
			n, _, err := unix.Recvfrom(s.fd, s.buf[:1], unix.MSG_OOB)
			if err != nil || n != 1 {
				return // on its way
			}
			s.passed = true
			s.p.took(s.buf[:1], 0)
			continue
		}
		n, _, err := unix.Recvfrom(s.fd, s.buf[:], 0)
		switch {
		case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR):
			return
		case err != nil:
			s.fails(err)
		case n == 0:
			s.eof = true
			s.p.ended()
		case mark && !s.outOfLine:
			s.p.took(s.buf[:n], 0)
		default:
			s.p.took(s.buf[:n], -1)
		}
	}
}

// atMark is SIOCATMARK: the next byte is the urgent one.
func (s *kernelSock) atMark() bool {
	const siocatmark = 0x8905
	var at int32
	_, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(s.fd), siocatmark, uintptr(unsafe.Pointer(&at)))
	return e == 0 && at != 0
}

func (s *kernelSock) send(p []byte, flags int) int {
	if s.over {
		return 0
	}
	n, err := unix.SendmsgN(s.fd, p, nil, nil, flags|unix.MSG_NOSIGNAL)
	if err != nil {
		// An error of the connection shows when reading, too.
		return 0
	}
	return n
}

func (s *kernelSock) write(p []byte) int { return s.send(p, 0) }

// writeUrgent may find room for a part only, whose last byte is urgent then.
func (s *kernelSock) writeUrgent(p []byte) int { return s.send(p, unix.MSG_OOB) }

func (s *kernelSock) closeWrite() { _ = unix.Shutdown(s.fd, unix.SHUT_WR) }

func (s *kernelSock) close() { s.drop() }

func (s *kernelSock) abort() {
	if !s.over && !s.listener {
		_ = unix.SetsockoptLinger(s.fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	}
	s.drop()
}

func (s *kernelSock) hold(on bool) {
	if s.held = on; !on && !s.over {
		s.read()
	}
}

func (s *kernelSock) vitals() vitals {
	if s.over {
		return vitals{state: 7}
	}
	i, err := unix.GetsockoptTCPInfo(s.fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil {
		panic(os.NewSyscallError("TCP_INFO", err)) // a descriptor of our own
	}
	rto := time.Duration(i.Rto) * time.Microsecond
	if i.Probes > 0 {
		rto <<= min(i.Backoff, 8) // of a closed window, which the RTO does not show
	}
	return vitals{
		state: i.State, rto: rto,
		waiting: i.Unacked > 0 || i.Notsent_bytes > 0,
		acked:   i.Bytes_acked, options: i.Options,
	}
}

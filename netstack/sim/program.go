package sim

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/tcpcni/tcpcni/netstack/tcp"
	"github.com/tcpcni/tcpcni/sockopt"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// A Program is the owner of one connected socket: it writes a known stream of
// bytes, checks that what it reads is the peer's, and closes.
type Program struct {
	H    *Host
	S    *tcp.Socket
	Name string

	ToSend, Sent int // bytes
	Expect       int // bytes that the peer sends, -1: any number
	Got          int // bytes read so far, all of them right
	Write        int // bytes per write at most, 0: any
	Read         int // bytes taken per turn before pausing, 0: all
	Pause        time.Duration
	KeepOpen     bool // do not close after the last byte
	UrgentAt     int  // the byte of this number, counted from 1, is sent as urgent; 0: none
	// Gate bounds how many bytes may have been sent by now; nil: all.
	Gate func(*Program) int
	// Quit ends the program by S.Abort or S.Close once it has sent and got so many
	// bytes together; 0: never.
	QuitAt     int
	Quit       func(*tcp.Socket)
	CloseOnEOF bool // close fully once the peer has closed (else half-close after sending)

	Key, PeerKey uint64 // streams differ by their key

	Connected, EOF, Closed, finished bool
	Err                              errno.Errno
	Urgent                           int // urgent marks seen
	Bad                              error
	turn                             int // bytes taken in this turn
	paused                           bool
	scratch                          []byte
	onEvent                          func(tcp.Events)
}

// at is byte i of the stream with the given key.
func at(key uint64, i int) byte {
	x := uint64(i>>3)*0x9e3779b97f4a7c15 + key
	x ^= x >> 29
	x *= 0xbf58476d1ce4e5b9
	return byte(x >> (8 * (i & 7)))
}

// Deliver implements tcp.Owner.
func (p *Program) Deliver(b []byte) int {
	if p.paused {
		return 0
	}
	n := len(b)
	if p.Read > 0 {
		n = min(n, p.Read-p.turn)
	}
	for i := range n {
		if p.Bad == nil && b[i] != at(p.PeerKey, p.Got+i) {
			p.Bad = fmt.Errorf("%s: byte %d is wrong", p.Name, p.Got+i)
		}
	}
	p.Got += n
	p.turn += n
	if p.Gate != nil || p.QuitAt > 0 {
		p.H.W.After(0, p.Pump)
	}
	if p.Read > 0 && p.turn >= p.Read {
		p.turn, p.paused = 0, true
		p.H.W.After(p.Pause, func() {
			p.paused = false
			p.S.Resume()
		})
	}
	return n
}

// Event implements tcp.Owner.
func (p *Program) Event(ev tcp.Events) {
	if ev&tcp.EventConnected != 0 {
		p.Connected = true
	}
	if ev&tcp.EventError != 0 {
		p.Err = p.S.Err()
	}
	if ev&tcp.EventUrgent != 0 {
		p.Urgent++
	}
	if ev&tcp.EventEOF != 0 {
		if p.EOF && p.Bad == nil {
			p.Bad = fmt.Errorf("%s: end of file twice", p.Name)
		}
		p.EOF = true
		if p.Expect >= 0 && p.Got != p.Expect && p.Bad == nil {
			p.Bad = fmt.Errorf("%s: end of file after %d bytes instead of %d", p.Name, p.Got, p.Expect)
		}
	}
	if ev&tcp.EventClosed != 0 {
		if p.Closed && p.Bad == nil {
			p.Bad = fmt.Errorf("%s: closed twice", p.Name)
		}
		p.Closed = true
	}
	if p.onEvent != nil {
		p.onEvent(ev)
	}
	p.Pump()
}

// Pump writes what there is room for, and closes when everything is written.
func (p *Program) Pump() {
	if p.QuitAt > 0 && p.Sent+p.Got >= p.QuitAt && p.Quit != nil {
		quit := p.Quit
		p.Quit, p.finished = nil, true
		quit(p.S)
		return
	}
	for p.Sent < p.ToSend && !p.finished {
		n := p.S.SendSpace()
		if n == 0 {
			return
		}
		n = min(n, p.ToSend-p.Sent)
		if p.Gate != nil {
			if n = min(n, p.Gate(p)-p.Sent); n <= 0 {
				return
			}
		}
		if p.Write > 0 {
			n = min(n, p.Write)
		}
		n = min(n, 64<<10)
		p.scratch = p.scratch[:0]
		for i := range n {
			p.scratch = append(p.scratch, at(p.Key, p.Sent+i))
		}
		if p.Sent < p.UrgentAt && p.UrgentAt <= p.Sent+n {
			p.Sent += p.S.WriteUrgent(p.scratch[:p.UrgentAt-p.Sent])
			continue
		}
		// Either way of writing must do.
		if n > 1 && p.Sent&1 == 0 {
			c := p.H.Pool.Get(n)
			c.B = append(c.B, p.scratch...)
			p.S.WriteChunk(c)
		} else if w := p.S.Write(p.scratch); w != n {
			p.Bad = fmt.Errorf("%s: wrote %d of %d bytes within SendSpace", p.Name, w, n)
			return
		}
		p.Sent += n
	}
	if p.finished || p.KeepOpen || p.S.State() == tcp.StateSynSent {
		return
	}
	if p.CloseOnEOF {
		if p.EOF {
			p.finished = true
			p.S.Close()
		}
		return
	}
	p.finished = true
	p.S.CloseWrite()
}

// A Server accepts connections and makes a program for each.
type Server struct {
	H        *Host
	S        *tcp.Socket
	Accepted []*Program
	Make     func() *Program
	Every    time.Duration // one connection is accepted every so often; 0: all at once
	waiting  bool
}

// Deliver implements tcp.Owner; a listener receives nothing.
func (*Server) Deliver([]byte) int { return 0 }

// Event implements tcp.Owner.
func (v *Server) Event(ev tcp.Events) {
	if ev&tcp.EventAcceptable != 0 && v.Make != nil && !v.waiting {
		v.accept()
	}
}

func (v *Server) accept() {
	for {
		s, err := v.S.Accept()
		if err != nil {
			return
		}
		p := v.Make()
		p.H, p.S, p.Connected = v.H, s, true
		v.Accepted = append(v.Accepted, p)
		s.SetOwner(p)
		s.Resume()
		p.Pump()
		if v.Every > 0 {
			v.waiting = true
			v.H.W.After(v.Every, func() {
				v.waiting = false
				v.accept()
			})
			return
		}
	}
}

// Listen starts a server on addr; make describes the program of a connection.
func (h *Host) Listen(addr string, backlog int, make func() *Program) (*Server, error) {
	v := &Server{H: h, Make: make}
	v.S = h.TCP.NewSocket(domainOf(addr), v)
	err := v.S.Bind(netip.MustParseAddrPort(addr), 0, sockopt.Privilege{NetBindService: true})
	if err != nil {
		return nil, err
	}
	return v, v.S.Listen(backlog)
}

// Connect starts p towards addr. The error is nil when the attempt is under way.
func (h *Host) Connect(addr string, p *Program) error {
	p.H = h
	p.S = h.TCP.NewSocket(domainOf(addr), p)
	if err := p.S.Connect(netip.MustParseAddrPort(addr)); err != errno.EINPROGRESS {
		return err
	}
	return nil
}

func domainOf(addr string) int {
	if netip.MustParseAddrPort(addr).Addr().Is4() {
		return sockopt.AFInet
	}
	return sockopt.AFInet6
}

package tli

// t_optmgmt: the options that the XTI specification has for a TCP, on the rows
// of the stack's profile.

import (
	"bytes"
	"encoding/binary"

	"github.com/tcpcni/tcpcni/netstack/tcp"
	"github.com/tcpcni/tcpcni/sockopt"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// Levels of options, by the numbers of xti.h.
const (
	XTIGeneric = 0xffff // XTI_GENERIC
	InetTCP    = 6      // INET_TCP
	InetIP     = 0      // INET_IP
)

// Names of options at their levels.
const (
	XTIDebug    = 0x0001 // XTI_DEBUG
	XTILinger   = 0x0080 // XTI_LINGER: struct t_linger
	XTISndBuf   = 0x1001 // XTI_SNDBUF, bytes
	XTIRcvBuf   = 0x1002 // XTI_RCVBUF, bytes
	XTISndLowat = 0x1003 // XTI_SNDLOWAT: read only here
	XTIRcvLowat = 0x1004 // XTI_RCVLOWAT, bytes

	TCPNoDelay   = 1 // TCP_NODELAY: T_YES or T_NO
	TCPMaxSeg    = 2 // TCP_MAXSEG, bytes; read only
	TCPKeepAlive = 8 // TCP_KEEPALIVE: struct t_kpalive

	IPTOS       = 3    // IP_TOS
	IPTTL       = 4    // IP_TTL
	IPDontRoute = 0x10 // IP_DONTROUTE
)

// Actions of OptMgmt.
const (
	TNegotiate = 0x004 // T_NEGOTIATE: set
	TCheck     = 0x008 // T_CHECK: would it be set
	TDefault   = 0x010 // T_DEFAULT: what a new endpoint has
	TCurrent   = 0x080 // T_CURRENT: what this one has
)

// Status of an option, and of all of a call the worst: T_NOTSUPPORT before
// T_READONLY, T_FAILURE, T_PARTSUCCESS and T_SUCCESS.
const (
	TSuccess     = 0x020
	TFailure     = 0x040
	TPartSuccess = 0x100
	TReadOnly    = 0x200
	TNotSupport  = 0x400
)

var worst = [...]int{TNotSupport, TReadOnly, TFailure, TPartSuccess, TSuccess}

// What is in the first word of a flag's value.
const (
	TNo  = 0 // T_NO
	TYes = 1 // T_YES
)

// TAllOpt is T_ALLOPT: with it as a name TDefault and TCurrent give every option
// of the level.
const TAllOpt = 0

// An Option is struct t_opthdr with its value. Integers are of four bytes, in the
// order of the machine.
type Option struct {
	Level, Name int
	Status      int // of what OptMgmt returns
	Value       []byte
}

// maxOptions bounds the options of one call, in bytes: every one of them once.
const maxOptions = 512

// An optionRow is one option.
type optionRow struct {
	level, name int
	native      optionNumber // of the profile, on the Linux ABI
	size        int          // of the value, bytes
	readOnly    bool
	flag        bool // its first word is T_YES or T_NO
	get         func(get getter) ([]byte, error)
	set         func(set setter, val []byte) error
}

type optionNumber struct{ level, name int }

type (
	getter func(n optionNumber, room int) ([]byte, error)
	setter func(n optionNumber, val []byte) error
)

var (
	soKeepAlive = optionNumber{sockopt.SolSocket, 9}
	tcpKeepIdle = optionNumber{InetTCP, 4}
)

// optionRows are the options, in the order of T_ALLOPT. IP_REUSEADDR is not
// among them: endpoints share addresses anyhow.
var optionRows = []optionRow{
	{level: XTIGeneric, name: XTIDebug, native: optionNumber{sockopt.SolSocket, 1}, size: 4, flag: true},
	{level: XTIGeneric, name: XTILinger, native: optionNumber{sockopt.SolSocket, 13}, size: 8, flag: true},
	{level: XTIGeneric, name: XTIRcvBuf, native: optionNumber{sockopt.SolSocket, 8}, size: 4},
	{level: XTIGeneric, name: XTIRcvLowat, native: optionNumber{sockopt.SolSocket, 18}, size: 4},
	{level: XTIGeneric, name: XTISndBuf, native: optionNumber{sockopt.SolSocket, 7}, size: 4},
	{level: XTIGeneric, name: XTISndLowat, native: optionNumber{sockopt.SolSocket, 19}, size: 4, readOnly: true},
	{level: InetTCP, name: TCPNoDelay, native: optionNumber{InetTCP, 1}, size: 4, flag: true},
	{level: InetTCP, name: TCPMaxSeg, native: optionNumber{InetTCP, 2}, size: 4, readOnly: true},
	{level: InetTCP, name: TCPKeepAlive, size: 8, flag: true, get: getKeepAlive, set: setKeepAlive},
	{level: InetIP, name: IPTOS, native: optionNumber{InetIP, 1}, size: 1},
	{level: InetIP, name: IPTTL, native: optionNumber{InetIP, 2}, size: 1},
	{level: InetIP, name: IPDontRoute, native: optionNumber{sockopt.SolSocket, 5}, size: 4, flag: true},
}

// kpMax is the longest time of TCP_KEEPALIVE, in minutes: that of the rows.
const kpMax = 32767 / 60

// getKeepAlive reads struct t_kpalive: on or off, and minutes.
func getKeepAlive(get getter) ([]byte, error) {
	on, err := get(soKeepAlive, 4)
	if err != nil {
		return nil, err
	}
	idle, err := get(tcpKeepIdle, 4)
	if err != nil {
		return nil, err
	}
	minutes := (binary.NativeEndian.Uint32(idle) + 59) / 60
	return binary.NativeEndian.AppendUint32(on, minutes), nil
}

func setKeepAlive(set setter, val []byte) error {
	on, minutes := binary.NativeEndian.Uint32(val), int32(binary.NativeEndian.Uint32(val[4:]))
	if on > 1 || minutes < 1 || minutes > kpMax {
		return TBADOPT
	}
	if err := set(tcpKeepIdle, binary.NativeEndian.AppendUint32(nil, uint32(minutes)*60)); err != nil {
		return err
	}
	return set(soKeepAlive, val[:4])
}

// OptMgmt is t_optmgmt: it does action to each option and returns them with
// their values and status, and the worst status of all. An option that is in no
// table is T_NOTSUPPORT and no error. Errors: TOUTSTATE, TBADFLAG, TBADOPT (more
// than maxOptions bytes), TSYSERR.
func (e *Endpoint) OptMgmt(action int, options []Option) ([]Option, int, error) {
	if !e.may(evOptmgmt) {
		return nil, 0, TOUTSTATE
	}
	do := actions[action]
	if do == nil {
		return nil, 0, TBADFLAG
	}
	if err := e.ready(); err != nil {
		return nil, 0, err
	}
	size := 0
	var out []Option
	for _, o := range options {
		size += optionHeader + len(o.Value)
		if size > maxOptions {
			return nil, 0, TBADOPT
		}
		for _, one := range expand(action, o) {
			out = append(out, e.manage(do, one))
		}
	}
	status := 0
	for _, w := range worst {
		for _, o := range out {
			if o.Status == w && status == 0 {
				status = w
			}
		}
	}
	e.moved(evOptmgmt)
	return out, status, nil
}

// optionHeader is the size of struct t_opthdr, in bytes.
const optionHeader = 16

// expand is o, or with T_ALLOPT every option of its level.
func expand(action int, o Option) []Option {
	if o.Name != TAllOpt || action != TDefault && action != TCurrent {
		return []Option{o}
	}
	var list []Option
	for _, r := range optionRows {
		if r.level == o.Level {
			list = append(list, Option{Level: r.level, Name: r.name})
		}
	}
	if len(list) == 0 {
		return []Option{o}
	}
	return list
}

// actions are what OptMgmt does to an option of a row.
var actions = map[int]func(e *Endpoint, r *optionRow, o *Option){
	TNegotiate: func(e *Endpoint, r *optionRow, o *Option) { e.negotiate(e.sock, r, o) },
	TCheck:     func(e *Endpoint, r *optionRow, o *Option) { e.negotiate(e.twin(), r, o) },
	TDefault: func(e *Endpoint, r *optionRow, o *Option) {
		e.show(e.p.Stack.NewTCP(e.domain, nil), r, o)
	},
	TCurrent: func(e *Endpoint, r *optionRow, o *Option) { e.show(e.sock, r, o) },
}

func (e *Endpoint) manage(do func(*Endpoint, *optionRow, *Option), o Option) Option {
	for i := range optionRows {
		if r := &optionRows[i]; r.level == o.Level && r.name == o.Name {
			do(e, r, &o)
			return o
		}
	}
	o.Status = TNotSupport
	return o
}

// twin is a socket in no use with the endpoint's options.
func (e *Endpoint) twin() *tcp.Socket {
	s := e.p.Stack.NewTCP(e.domain, nil)
	*s.Options() = *e.sock.Options()
	return s
}

// negotiate sets an option of s, and shows what it became.
func (e *Endpoint) negotiate(s *tcp.Socket, r *optionRow, o *Option) {
	wanted := o.Value
	e.show(s, r, o)
	switch {
	case o.Status != TSuccess: // whatever is asked of it
		return
	case r.readOnly:
		o.Status = TReadOnly
		return
	case len(wanted) != r.size:
		o.Value, o.Status = wanted, TFailure
		return
	}
	set := func(n optionNumber, val []byte) error {
		_, err := e.p.Profile.Set(s, n.level, n.name, val, e.p.Priv)
		return err
	}
	err := error(nil)
	if r.set != nil {
		err = r.set(set, wanted)
	} else {
		err = set(r.native, wanted)
	}
	if err != nil {
		o.Value, o.Status = wanted, TFailure
		if err == errno.ENOPROTOOPT {
			o.Value, o.Status = nil, TNotSupport
		}
		return
	}
	e.show(s, r, o)
	if o.Status == TSuccess && !bytes.Equal(o.Value, wanted) {
		o.Status = TPartSuccess // rounded
	}
}

// show reads an option of s.
func (e *Endpoint) show(s *tcp.Socket, r *optionRow, o *Option) {
	get := func(n optionNumber, room int) ([]byte, error) {
		return e.p.Profile.Get(s, n.level, n.name, room)
	}
	var err error
	if r.get != nil {
		o.Value, err = r.get(get)
	} else {
		o.Value, err = get(r.native, r.size)
	}
	o.Status = TSuccess
	if err == nil && r.flag {
		// Systems show a flag that is set as 1 or as its bit.
		on := uint32(TNo)
		if binary.NativeEndian.Uint32(o.Value) != 0 {
			on = TYes
		}
		binary.NativeEndian.PutUint32(o.Value, on)
	}
	if err != nil {
		o.Value, o.Status = nil, TNotSupport // the profile's system has no such option
	}
}

package sockopt

import (
	"encoding/binary"

	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// What receiving calls do and give along beyond the bytes themselves: socket(7),
// tcp(7), Documentation/networking/timestamping.rst of Linux.

// Flags of SO_TIMESTAMPING (linux/net_tstamp.h).
const (
	tsTxSoftware   = 1 << 1
	tsRxSoftware   = 1 << 3
	tsSoftware     = 1 << 4
	tsOptID        = 1 << 7
	tsTxSched      = 1 << 8
	tsTxAck        = 1 << 9
	tsOptTSOnly    = 1 << 11
	tsOptStats     = 1 << 12
	tsBindPHC      = 1 << 15
	tsOptIDTCP     = 1 << 16
	tsOptRxFilter  = 1 << 17
	tsTxCompletion = 1 << 18

	tsKnown = 1<<19 - 1
	// tsSending are the times of sending that software would know.
	tsSending = tsTxSoftware | tsTxSched | tsTxAck | tsTxCompletion
)

// receiveRows are options of every socket.
var receiveRows = at(SolSocket, AnySocket, []Row{
	stamping("SO_TIMESTAMPING", 37, "struct so_timestamping or its flags alone. Times of reception by software; there is no clock of a link, as on Linux without one, and a flag that asks for times of sending by software is EINVAL"),
	stamping("SO_TIMESTAMPING_NEW", stampingNew, "the same on a 64-bit ABI; reads 0 after SO_TIMESTAMPING"),
	{ID: PeekOff, Name: "SO_PEEK_OFF", Number: 42, Unit: "bytes", Default: "-1", Mirror: true, InPair: true,
		set: rarely(func(r *Rare, v int) { r.PeekOff = int32(v + 1) }), get: rareValue(func(r *Rare) int { return int(r.PeekOff - 1) }),
		Note: "negative: MSG_PEEK begins at the first byte"},
	{ID: Cookie, Name: "SO_COOKIE", Number: 57, Codec: Struct, Access: ReadOnly, getBytes: getCookie, Note: "8 bytes, of no other socket; a shorter buffer is EINVAL"},
})

// inqRows are TCP's own.
var inqRows = at(protoTCP, TCPOnly, []Row{
	{ID: Inq, Name: "TCP_INQ", Number: 36, Default: "0", Max: 1, Min: 0,
		set: rarely(func(r *Rare, v int) { r.Inq = v != 0 }), get: rareValue(func(r *Rare) int { return truth(r.Inq) }),
		Note: "0 or 1; recvmsg gives TCP_CM_INQ, an int: the bytes that wait behind those it returned, and 1 more for the peer's FIN"},
})

const stampingNew = 65

func stamping(name string, number int, note string) Row {
	return Row{ID: Timestamping, Name: name, Number: number, Codec: Struct, Default: "0", Note: note,
		setBytes: func(c *call, val []byte) error { return setStamping(c, val, number == stampingNew) },
		getBytes: func(c *call, b []byte, _ int) ([]byte, error) {
			v := uint32(0)
			if r := c.o.Rare(); number != stampingNew || r.StampNew {
				v = r.Stamping
			}
			return append32(b, v, 0), nil
		}}
}

// setStamping is sock_set_timestamping of Linux.
func setStamping(c *call, val []byte, isNew bool) error {
	if len(val) < sizeofInt {
		return errno.EINVAL
	}
	v := binary.NativeEndian.Uint32(val)
	_, typ, _ := c.t.Kind()
	switch {
	case v&^tsKnown != 0, v&tsSending != 0,
		v&tsOptIDTCP != 0 && v&tsOptID == 0,
		v&tsOptID != 0 && c.o.Rare().Stamping&tsOptID == 0 && typ == SockStream && !c.t.Connected(),
		v&tsOptStats != 0 && v&tsOptTSOnly == 0:
		return errno.EINVAL
	case v&tsBindPHC != 0:
		return errno.EOPNOTSUPP
	}
	c.o.SetRare(func(r *Rare) {
		r.Stamping, r.StampNew = v, isNew
		if r.Stamp != 0 {
			r.Stamp = stampNumber(r.Stamp == StampNano || r.Stamp == StampNanoNew, isNew)
		}
	})
	return nil
}

// stampNumber is the option that asks for a time in this form.
func stampNumber(nano, isNew bool) uint8 {
	switch {
	case nano && isNew:
		return StampNanoNew
	case nano:
		return StampNano
	case isNew:
		return StampMicroNew
	}
	return StampMicro
}

// WantsStamps reports whether the times of what arrives are to be noted.
func (r *Rare) WantsStamps() bool { return r.Stamp != 0 || r.Stamping&tsRxSoftware != 0 }

// StampingOption is the number of the ancillary data that SO_TIMESTAMPING asks for
// where a time was noted, 0: none.
func (r *Rare) StampingOption() int {
	switch {
	case r.Stamping&tsSoftware == 0, r.Stamping&(tsRxSoftware|tsOptRxFilter) == tsOptRxFilter:
		return 0
	case r.StampNew:
		return stampingNew
	}
	return 37
}

// GivesAlong reports whether recvmsg(2) on a TCP socket has more to give than
// bytes, or errors that are no end.
func (o *Options) GivesAlong() bool {
	if o.RecvErr || o.RecvErr6 {
		return true
	}
	r := o.rare
	return r != nil && (r.Inq || r.Stamp != 0 || r.Stamping != 0)
}

// A Known is a Target with an identity.
type Known interface {
	// Cookie is a number that no other socket has; never 0.
	Cookie() uint64
}

func getCookie(c *call, b []byte, maxLen int) ([]byte, error) {
	k, ok := c.t.(Known)
	switch {
	case maxLen < 8:
		return nil, errno.EINVAL
	case !ok:
		return nil, errno.ENOPROTOOPT
	}
	return binary.NativeEndian.AppendUint64(b, k.Cookie()), nil
}

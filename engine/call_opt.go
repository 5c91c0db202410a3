package engine

import (
	"encoding/binary"

	"github.com/tcpcni/tcpcni/hostlink"
	"github.com/tcpcni/tcpcni/hostlink/abi"
	"github.com/tcpcni/tcpcni/sockopt"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// maxOptVal bounds the value of an option, in bytes; the longest that Linux has
// for these sockets is struct tcp_md5sig with 216.
const maxOptVal = 512

func (c *call) getOptStream(s *stream) {
	if s.fd < 0 && c.arg(1) == abi.SOL_SOCKET && c.arg(2) == abi.SO_ERROR {
		s.failure = s.takeError(c.p)
		if s.failure == 0 {
			c.giveOpt(make([]byte, 4))
			return
		}
	}
	c.getOpt(s.tcp)
}

func (c *call) getOptDgram(d *dgram) {
	d.pump() // what was written before may have failed
	c.getOpt(d.udp)
}

func (c *call) setOptStream(s *stream) { c.setOpt(s.tcp) }

func (c *call) setOptDgram(d *dgram) {
	before := d.udp.Options().RcvBuf
	c.setOpt(d.udp)
	// What waits for the program lies in the pair, charged to E.
	if now := d.udp.Options().RcvBuf; now != before {
		hostlink.SetSendBuffer(d.fd, int(now/2))
	}
}

func (c *call) getOpt(t sockopt.Target) {
	if e := c.s.failure; e != 0 && c.arg(1) == abi.SOL_SOCKET && c.arg(2) == abi.SO_ERROR {
		if !c.eng.profile.PermanentErrors {
			c.s.failure = 0
		}
		c.giveOpt(binary.NativeEndian.AppendUint32(nil, uint32(e)))
		return
	}
	room, err := c.readInt(c.ptr(4))
	if err != nil {
		c.result(err)
		return
	}
	if room < 0 {
		c.fail(errno.EINVAL)
		return
	}
	var asked []byte
	if n := min(c.eng.profile.Asks(t, c.arg(1), c.arg(2)), room, maxOptVal); n > 0 {
		asked = c.eng.scratch[:n]
		if got, e := c.access(hostlink.ReadMemory, c.ptr(3), asked); e != 0 || got < n || !c.on.Valid(c.req.ID) {
			c.fail(errno.EFAULT)
			return
		}
	}
	val, err := c.eng.profile.GetAsked(t, c.arg(1), c.arg(2), min(room, maxOptVal), asked)
	if short, ok := err.(sockopt.NoRoom); ok {
		if err = c.writeInt(c.ptr(4), short.Need); err == nil {
			err = errno.EINVAL
		}
	}
	if err != nil {
		c.result(err)
		return
	}
	switch row := c.eng.profile.RowOf(t, c.arg(1), c.arg(2)); {
	case row == nil:
	case row.InPair && c.p >= 0 && len(val) > 0:
		_, _ = hostlink.GetSockOpt(c.p, row.Level, row.Number, val)
	case row.Element != 0:
		// The length that comes back is that of one.
		if err = c.write(c.ptr(3), val); err == nil {
			err = c.writeInt(c.ptr(4), row.Element)
		}
		c.result(err)
		return
	}
	c.giveOptRoom(val, room)
}

// giveOpt ends getsockopt with a value, cut to the program's room.
func (c *call) giveOpt(val []byte) {
	room, err := c.readInt(c.ptr(4))
	switch {
	case err != nil:
		c.result(err)
	case room < 0:
		c.fail(errno.EINVAL)
	default:
		c.giveOptRoom(val, room)
	}
}

func (c *call) giveOptRoom(val []byte, room int) {
	val = val[:min(len(val), room)]
	err := c.writeInt(c.ptr(4), len(val))
	if err == nil && len(val) > 0 {
		err = c.write(c.ptr(3), val)
	}
	c.result(err)
}

func (c *call) setOpt(t sockopt.Target) {
	n := c.arg(4)
	if n < 0 {
		c.fail(errno.EINVAL)
		return
	}
	val := c.eng.scratch[:min(n, maxOptVal)]
	if len(val) > 0 {
		// A length beyond the option's own may reach into memory that is not
		// there; only what is there counts.
		got, e := c.access(hostlink.ReadMemory, c.ptr(3), val)
		if e != 0 || got == 0 || !c.on.Valid(c.req.ID) {
			c.fail(errno.EFAULT)
			return
		}
		val = val[:got]
	}
	level, name := c.arg(1), c.arg(2)
	var row *sockopt.Row
	try := c.privileged
	if c.eng.profile.Weighs(level, name) {
		try = c.withPrivilege
	}
	err := try(func(p sockopt.Privilege) (err error) {
		if err := c.s.keyRoom(level, name, val); err != nil {
			return err
		}
		row, err = c.eng.profile.Set(t, level, name, val, p)
		return err
	})
	if err == nil {
		c.showOption(row, val)
		if row.Lasting != 0 {
			val = val[:min(len(val), row.Lasting)]
		}
		c.s.keep(level, name, val)
		if row.Keyed() {
			c.s.keepKeys(t)
		}
	}
	c.result(err)
}

// showInherited lets the pair of an accepted socket, or the new pair of an old one,
// follow the options that it has from before.
func (s *sock) showInherited(p int, t sockopt.Target) {
	o := t.Options()
	if !o.OOBInline && o.RcvLowat == 1 && o.RcvTimeo == 0 && o.SndTimeo == 0 && o.Rare().PeekOff == 0 {
		return
	}
	rows := s.eng.profile.Rows()
	for i := range rows {
		if r := &rows[i]; r.Mirror {
			if val, err := s.eng.profile.Get(t, r.Level, r.Number, maxOptVal); err == nil {
				hostlink.SetSockOpt(p, r.Level, r.Number, val)
			}
		}
	}
}

func (c *call) target() sockopt.Target {
	if c.s.stream != nil {
		return c.s.stream.tcp
	}
	return c.s.dgram.udp
}

// showOption lets the pair follow an option that it has a part in.
func (c *call) showOption(row *sockopt.Row, val []byte) {
	if c.p < 0 {
		return
	}
	if row.Mirror {
		hostlink.SetSockOpt(c.p, row.Level, row.Number, val)
	}
	switch row.ID {
	case sockopt.SndBuf, sockopt.SndBufForce, sockopt.NotSentLowat:
		if s := c.s.stream; s != nil && s.phase == phaseConnected {
			s.raise(c.p)
		}
	case sockopt.RcvBuf, sockopt.RcvBufForce:
		c.s.limitUnread(c.target().Options())
	}
}

package engine

// Calls that were executed and whose answer met nobody: a signal had taken their
// thread away, which makes the call again, by SA_RESTART or by its own code after
// EINTR. On Linux what such a call would send has not been sent. So the repetition
// gets the answer that was missed, and nothing goes twice. The same for the calls
// of an engine that died between what it did and its answer: the journal says so,
// in the place for the call's flags, of which the kernel has none.
//
// One answer that is missed cannot be told: the kernel takes it, and drops it, when
// the thread has seen its signal and not yet the lock (seccomp_do_user_notification).
// That is some instructions long, unless the thread loses its processor just there.

import (
	"encoding/binary"
	"hash/maphash"
	"net/netip"
	"slices"

	"github.com/tcpcni/tcpcni/hostlink/abi"
)

// An unheard is a call that must not be executed again.
type unheard struct {
	tid    uint32
	nr     int32
	ip     uint64 // where the program calls from
	answer int
	sum    uint64 // of what was sent and where to
}

// maxUnheard bounds the calls that are kept for one socket; the oldest goes. A
// thread has one at most.
const maxUnheard = 8

// sumSeed is of this process: sums are for its own use.
var sumSeed = maphash.MakeSeed()

// sumOf stands for a message; before is that of the messages of the same call
// that go before it.
func sumOf(before uint64, b []byte, to netip.AddrPort) uint64 {
	var head [34]byte
	binary.NativeEndian.PutUint64(head[:], before)
	binary.NativeEndian.PutUint64(head[8:], maphash.Bytes(sumSeed, b))
	ip := to.Addr().As16()
	copy(head[16:], ip[:])
	binary.NativeEndian.PutUint16(head[32:], to.Port())
	return maphash.Bytes(sumSeed, head[:])
}

// unhear keeps the answer of a call that nobody has heard.
func (c *call) unhear(answer int, sum uint64) {
	s := c.s
	s.unheard = slices.DeleteFunc(s.unheard, func(u unheard) bool { return u.tid == c.req.TID })
	if len(s.unheard) == maxUnheard {
		s.unheard = slices.Delete(s.unheard, 0, 1)
	}
	s.unheard = append(s.unheard, unheard{c.req.TID, c.req.Nr, c.req.IP, answer, sum})
}

// missed returns the answer that the thread has missed when this is the same call
// again. If it is another one, the thread has gone on. A sum that cannot be told,
// as the thread was interrupted once more, leaves everything as it is.
func (c *call) missed(sum func(answer int) (uint64, bool)) (answer int, ok bool) {
	i := slices.IndexFunc(c.s.unheard, func(u unheard) bool { return u.tid == c.req.TID })
	if i < 0 {
		return 0, false
	}
	u := c.s.unheard[i]
	same := u.nr == c.req.Nr && u.ip == c.req.IP
	if same {
		have, ok := sum(u.answer)
		if !ok && !c.on.Valid(c.req.ID) {
			return 0, false
		}
		same = ok && have == u.sum
	}
	if c.s.unheard = slices.Delete(c.s.unheard, i, i+1); len(c.s.unheard) == 0 {
		c.s.unheard = nil
	}
	return u.answer, same
}

// answerOnce ends a call that must not be executed again if nobody hears that.
func (c *call) answerOnce(answer int, sum uint64) bool {
	heard := c.reply(answer)
	if !heard {
		c.unhear(answer, sum)
	}
	return heard
}

// The flags of a call in the journal: how many engines have died of it, and above
// that its answer and one, once that is certain.
const (
	noteDared  = 1<<8 - 1
	noteAnswer = 8 // bits below it
)

// certain notes in the journal what the answer is going to be. For a datagram
// that is before the deed: if the engine dies between, it is lost and not sent
// twice.
func (c *call) certain(answer int) { c.noteFlags(uint32(answer+1) << noteAnswer) }

// uncertain takes that back: the answer is an error, and may be found again.
func (c *call) uncertain() { c.noteFlags(0) }

func (c *call) noteFlags(answer uint32) {
	if c.note != noNote {
		n := c.eng.journal.mem.Notification(noteAt(c.note))
		n.Flags = n.Flags&noteDared | answer
	}
}

// onceCalls are those of which the journal may know the answer.
var onceCalls = append([]int32{abi.SYS_BIND}, sendCalls...)

// settle gives the answer that an engine before was about to give. It reports
// whether there was one.
func (c *call) settle() bool {
	n := int(c.req.Flags >> noteAnswer)
	if n == 0 || !slices.Contains(onceCalls, c.req.Nr) {
		return false
	}
	n--
	if c.req.Nr == abi.SYS_SENDMMSG {
		c.lastLength(n)
	}
	c.reply(n)
	return true
}

package engine

// What an engine leaves for its successor. The open files of an engine that dies
// live on in its keeper (hostlink.StartKeeper); the journal says what they are:
// memory behind a descriptor that the holder keeps, written by plain stores, so
// that it is true at every moment at which the engine may be killed. See adopt.go
// for how it is read.
//
// The descriptor number of E is the number of its slot. A slot holds what was
// agreed with the program (bind, listen, connect, setsockopt) and not what the
// stack makes of it. Bytes under way are in no journal: a connection does not
// outlive its engine.

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"github.com/tcpcni/tcpcni/hostlink"
)

// Layout, in bytes. What was changed of the
// tunables follows the head (tunables.go), then tables: calls that wait for an answer, the
// connections of each stack (ties.go), slots, the options of each slot,
// associations (keys.go), and keys of sockets (journal_keys.go).
const (
	journalMagic = 0x7463706a00000004 // the last digits are the version of the layout
	tunedStart   = 4096
	journalHead  = tunedStart + 2*tunedLen

	slotLen    = 96
	optionLen  = 48
	maxOptions = 32 // that are kept for one socket; later ones are forgotten in a crash
	maxOptKept = 36 // bytes of a value, two keys of Fast Open and more; sockets with longer ones forget those
	optionsLen = maxOptions * optionLen

	// maxNotes bounds the calls under way that a crash does not strand. A call
	// beyond waits, after a crash, for a signal to its thread.
	maxNotes = 16384
)

// Offsets within a slot.
const (
	slotValid   = 0 // uint32, 1: the rest is true
	slotKind    = 4
	slotPhase   = 5
	slotDomain  = 6
	slotFlags   = 7
	slotEnd     = 8  // uint64, cookie of E
	slotCookie  = 16 // uint64, of P
	slotInode   = 24 // uint64, of P
	slotUID     = 32 // uint32
	slotFilled  = 36 // uint32, bytes
	slotBacklog = 40 // int32
	slotOptions = 44 // uint32, their number
	slotLocal   = 48 // address of bind(2)
	slotPeer    = 72 // address of connect(2)
)

// Offsets within an address: 16 bytes, a port, a form.
const (
	addrPort = 16
	addrForm = 18
	addrLen  = 20
)

// Forms of an address.
const (
	formNone = iota
	formIPv4
	formIPv6
)

// Offsets within an option.
const (
	optLevel = 0 // int32
	optName  = 4
	optLen   = 8 // uint32
	optVal   = 12
)

// Kinds of a slot.
const (
	slotStream = 1
	slotDgram  = 2
)

// Flags of a slot.
const (
	flagBound  = 1 << iota // by bind(2)
	flagWrShut             // of a datagram socket
	flagRdShut
	flagShown // of a datagram socket
)

// A journal is the engine's own. All methods work on nil, an engine without.
type journal struct {
	mem   *hostlink.SharedMemory
	b     []byte
	slots int
	calls calls

	assocs assocNotes
	keys   keyNotes
}

// newJournal makes a journal for sockets whose E is below number slots.
func newJournal(slots int) (*journal, error) {
	mem, err := hostlink.NewSharedMemory("tcpcni-journal", journalSize(slots))
	if err != nil {
		return nil, err
	}
	j := &journal{mem: mem, b: mem.Bytes(), slots: slots}
	binary.NativeEndian.PutUint64(j.b, journalMagic)
	binary.NativeEndian.PutUint64(j.b[8:], uint64(slots))
	return j, nil
}

func journalSize(slots int) int { return keyAt(slots, maxKeyNotes) }

func noteAt(n int) int { return journalHead + n*hostlink.NotificationLen }

func slotAt(n int) int { return tieAt(tieTables, 0) + n*slotLen }

func optionsAt(slots, n int) int { return slotAt(slots) + n*optionsLen }

func (j *journal) close() {
	if j != nil {
		_ = j.mem.Close()
	}
}

// has reports whether there is a slot for descriptor fd.
func (j *journal) has(fd int) bool { return j != nil && fd >= 0 && fd < j.slots }

// clear forgets the socket whose E was fd.
func (j *journal) clear(fd int) {
	if j.has(fd) {
		j.mem.Publish(slotAt(fd)+slotValid, 0)
	}
}

// record writes down what the socket is now.
func (s *sock) record() {
	j := s.eng.journal
	if !j.has(s.fd) || s.dealt().unkept {
		return
	}
	at := slotAt(s.fd)
	b := j.b[at : at+slotLen]
	j.mem.Publish(at+slotValid, 0)
	if s.endCookie == 0 {
		s.endCookie, _ = hostlink.SocketCookie(s.fd)
	}
	b[slotKind], b[slotPhase], b[slotDomain], b[slotFlags] = slotDgram, 0, byte(s.domain), 0
	if st := s.stream; st != nil {
		b[slotKind], b[slotPhase] = slotStream, byte(st.durable())
		b[slotFlags] = flagIf(st.bound, flagBound)
		binary.NativeEndian.PutUint32(b[slotFilled:], uint32(st.filled))
		binary.NativeEndian.PutUint32(b[slotBacklog:], uint32(int32(s.dealt().backlog)))
	} else {
		b[slotFlags] = flagIf(s.dgram.wrShut, flagWrShut) | flagIf(s.dgram.rdShut, flagRdShut) | flagIf(s.dgram.shown, flagShown)
	}
	binary.NativeEndian.PutUint64(b[slotEnd:], s.endCookie)
	binary.NativeEndian.PutUint64(b[slotCookie:], s.cookie)
	binary.NativeEndian.PutUint64(b[slotInode:], s.inode)
	binary.NativeEndian.PutUint32(b[slotUID:], s.uid)
	binary.NativeEndian.PutUint32(b[slotOptions:], uint32(j.putOptions(s)))
	putAddr(b[slotLocal:], s.dealt().at)
	putAddr(b[slotPeer:], s.dealt().peer)
	j.mem.Publish(at+slotValid, 1)
}

// durable is the phase as the next engine is to see it: what went to the stack
// with the SYN is lost with the stack, like a connection's bytes.
func (s *stream) durable() phase {
	if s.phase == phaseConnecting && s.early {
		return phaseConnected
	}
	return s.phase
}

func flagIf(on bool, flag byte) byte {
	if on {
		return flag
	}
	return 0
}

func putAddr(b []byte, a netip.AddrPort) {
	b[addrForm] = formNone
	if !a.IsValid() {
		return
	}
	ip := a.Addr().As16()
	copy(b, ip[:])
	binary.NativeEndian.PutUint16(b[addrPort:], a.Port())
	b[addrForm] = formIPv6
	if a.Addr().Is4() {
		b[addrForm] = formIPv4
	}
}

// A setting is a successful setsockopt(2).
type setting struct {
	level, name int32
	len         uint32
	val         [maxOptKept]byte
}

// keep remembers an option that the program has set, for the case that the
// engine dies before the socket is connected. The last value counts, in its own
// place: there are options that set others as well.
func (s *sock) keep(level, name int, val []byte) {
	if len(val) > maxOptKept || s.stream != nil && s.stream.phase == phaseConnected {
		return
	}
	set := setting{level: int32(level), name: int32(name), len: uint32(len(val))}
	copy(set.val[:], val)
	s.agree().settings = slices.DeleteFunc(s.dealt().settings, func(old setting) bool { return old.level == set.level && old.name == set.name })
	if len(s.dealt().settings) < maxOptions {
		s.agree().settings = append(s.dealt().settings, set)
		s.record()
	}
}

// putOptions writes the socket's options and returns how many.
func (j *journal) putOptions(s *sock) int {
	at := optionsAt(j.slots, s.fd)
	for i := range s.dealt().settings {
		set := &s.dealt().settings[i]
		b := j.b[at+i*optionLen:]
		binary.NativeEndian.PutUint32(b[optLevel:], uint32(set.level))
		binary.NativeEndian.PutUint32(b[optName:], uint32(set.name))
		binary.NativeEndian.PutUint32(b[optLen:], set.len)
		copy(b[optVal:optVal+maxOptKept], set.val[:])
	}
	return len(s.dealt().settings)
}

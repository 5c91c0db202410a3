package engine

// Reading the journal of an engine that died. It may have died because somebody
// took it over, and what it shared may still be written to. So every piece is
// copied once and checked in the copy, nothing is taken for an index or a length
// that has not been bounded, and what a slot says counts only for a descriptor
// that the slot names by the cookie of its socket. Addresses and options go
// through the same calls as a program's do.

import (
	"encoding/binary"
	"net/netip"

	"github.com/tcpcni/tcpcni/hostlink"
	"github.com/tcpcni/tcpcni/sockopt"
)

// A relic is what a slot says.
type relic struct {
	fd       int // number of E in the table of the engine that died
	kind     byte
	phase    phase
	domain   int
	flags    byte
	end      uint64 // cookie of E
	cookie   uint64 // of P
	inode    uint64 // of P
	uid      uint32
	filled   int
	backlog  int
	at, peer netip.AddrPort
	settings []setting
}

// maxJournalSlots bounds what a journal can claim.
const maxJournalSlots = 1<<20 + reservedFDs + shardFDs*MaxShards + slackFDs

// slackFDs are descriptors beyond those of sockets and reserved ones: both ends
// of a pair are open while a call makes it.
const slackFDs = 64

// journalReader reads the journal behind a descriptor.
type journalReader struct {
	fd    int
	slots int
}

// openJournal reports whether there is a journal that this engine understands.
func openJournal(fd int) (journalReader, bool) {
	var head [16]byte
	if hostlink.ReadFileAt(fd, head[:], 0) != len(head) || binary.NativeEndian.Uint64(head[:]) != journalMagic {
		return journalReader{}, false
	}
	slots := binary.NativeEndian.Uint64(head[8:])
	return journalReader{fd, int(min(slots, maxJournalSlots))}, true
}

// readBatch is how much is copied at a time, in bytes.
const readBatch = 512 << 10

// table calls f with every entry of a table.
func (r journalReader) table(off, entryLen, entries int, f func(i int, entry []byte)) {
	b := make([]byte, min(readBatch/entryLen, entries)*entryLen)
	for i := 0; i < entries; {
		want := min(len(b), (entries-i)*entryLen)
		got := hostlink.ReadFileAt(r.fd, b[:want], int64(off+i*entryLen)) / entryLen
		for k := range got {
			f(i+k, b[k*entryLen:(k+1)*entryLen])
		}
		if got*entryLen < want {
			return
		}
		i += got
	}
}

// calls lists the calls that were under way. Whether they still are is for their
// listeners to say.
func (r journalReader) calls() (list []hostlink.Notification) {
	r.table(noteAt(0), hostlink.NotificationLen, maxNotes, func(_ int, b []byte) {
		if n := hostlink.ParseNotification(b); n.ID != 0 {
			list = append(list, n)
		}
	})
	return list
}

// relics lists the slots that make sense.
func (r journalReader) relics() (list []relic) {
	r.table(slotAt(0), slotLen, r.slots, func(i int, b []byte) {
		if x, options, ok := parseSlot(i, b); ok {
			x.settings = r.settings(i, options)
			list = append(list, x)
		}
	})
	return list
}

func parseSlot(i int, b []byte) (x relic, options int, ok bool) {
	u32, u64 := binary.NativeEndian.Uint32, binary.NativeEndian.Uint64
	if u32(b[slotValid:]) != 1 {
		return x, 0, false
	}
	x = relic{
		fd: i, kind: b[slotKind], phase: phase(b[slotPhase]), domain: int(b[slotDomain]), flags: b[slotFlags],
		end: u64(b[slotEnd:]), cookie: u64(b[slotCookie:]), inode: u64(b[slotInode:]),
		uid: u32(b[slotUID:]), filled: int(u32(b[slotFilled:])), backlog: int(int32(u32(b[slotBacklog:]))),
	}
	switch {
	case x.domain != sockopt.AFInet && x.domain != sockopt.AFInet6, x.end == 0, x.cookie == 0, x.end == x.cookie:
		return x, 0, false
	case x.kind == slotStream:
		ok = x.phase == phaseIdle || x.phase == phaseConnecting || x.phase == phaseConnected || x.phase == phaseListening
	case x.kind == slotDgram:
		ok = true
	}
	x.at, x.peer = parseAddr(b[slotLocal:], x.domain), parseAddr(b[slotPeer:], x.domain)
	return x, int(min(u32(b[slotOptions:]), maxOptions)), ok
}

// parseAddr reads an address of a socket of the domain; invalid when there is
// none.
func parseAddr(b []byte, domain int) netip.AddrPort {
	a := parseAnyAddr(b)
	if domain == sockopt.AFInet && !a.Addr().Is4() {
		return netip.AddrPort{}
	}
	return a
}

func parseAnyAddr(b []byte) netip.AddrPort {
	port := binary.NativeEndian.Uint16(b[addrPort:])
	a := netip.AddrFrom16([16]byte(b[:16]))
	switch {
	case b[addrForm] == formIPv4 && a.Is4In6():
		return netip.AddrPortFrom(a.Unmap(), port)
	case b[addrForm] == formIPv6:
		return netip.AddrPortFrom(a, port)
	}
	return netip.AddrPort{}
}

// settings reads the options of slot i.
func (r journalReader) settings(i, n int) (list []setting) {
	r.table(optionsAt(r.slots, i), optionLen, n, func(_ int, b []byte) {
		u32 := binary.NativeEndian.Uint32
		set := setting{level: int32(u32(b[optLevel:])), name: int32(u32(b[optName:])), len: min(u32(b[optLen:]), maxOptKept)}
		copy(set.val[:], b[optVal:])
		list = append(list, set)
	})
	return list
}

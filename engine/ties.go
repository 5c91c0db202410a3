package engine

// The connections of the stacks, for the engine's successor: it cannot go on with
// them, but it can tell their peers, who might otherwise wait for ever for what a
// dead engine will not send.

import (
	"encoding/binary"
	"net/netip"

	"github.com/tcpcni/tcpcni/hostlink"
	"github.com/tcpcni/tcpcni/netstack"
)

// A tie is the two ends of a connection.
type tie struct{ local, peer netip.AddrPort }

// Layout of a tie in the journal, in bytes.
const (
	tieLocal = 0
	tiePeer  = tieLocal + addrLen
	tieValid = tiePeer + addrLen // uint32, 1: the rest is true
	tieLen   = 48

	// maxTies bounds the connections of one stack that are noted. The peer of one
	// beyond learns of the end when it sends.
	maxTies = 131072
)

// Stacks that have ties.
const (
	outerTies = iota
	innerTies
	tieTables
)

func tieAt(table, n int) int {
	return noteAt(maxNotes) + (table*maxTies+n)*tieLen
}

// ties is the ledger of one stack. It implements tcp.Ledger.
type ties struct {
	mem   *hostlink.SharedMemory
	table int
	used  int32
	free  []int32
}

// keepTies has the journal know the connections of a stack.
func (e *engine) keepTies(s *netstack.Stack, table int) {
	if e.journal != nil {
		s.TCP().SetLedger(&ties{mem: e.journal.mem, table: table})
	}
}

// Enter implements tcp.Ledger.
func (t *ties) Enter(local, peer netip.AddrPort) int32 {
	var n int32
	switch last := len(t.free) - 1; {
	case last >= 0:
		n, t.free = t.free[last], t.free[:last]
	case t.used < maxTies:
		n = t.used
		t.used++
	default:
		return -1
	}
	at := tieAt(t.table, int(n))
	b := t.mem.Bytes()[at : at+tieLen]
	putAddr(b[tieLocal:], local)
	putAddr(b[tiePeer:], peer)
	t.mem.Publish(at+tieValid, 1)
	return n
}

// Strike implements tcp.Ledger.
func (t *ties) Strike(n int32) {
	t.mem.Publish(tieAt(t.table, int(n))+tieValid, 0)
	t.free = append(t.free, n)
}

// ties lists the connections of a table.
func (r journalReader) ties(table int) (list []tie) {
	r.table(tieAt(table, 0), tieLen, maxTies, func(_ int, b []byte) {
		if binary.NativeEndian.Uint32(b[tieValid:]) != 1 {
			return
		}
		t := tie{parseAnyAddr(b[tieLocal:]), parseAnyAddr(b[tiePeer:])}
		if t.local.IsValid() && t.peer.IsValid() {
			list = append(list, t)
		}
	})
	return list
}

// disown tells the peers of lost connections.
func (a *adoption) disown() {
	for table, s := range [tieTables]*netstack.Stack{outerTies: a.stack, innerTies: a.inline.stack} {
		if s == nil {
			continue
		}
		for _, t := range a.ties[table] {
			s.TCP().Disown(t.local, t.peer)
		}
		a.ties[table] = nil
	}
}

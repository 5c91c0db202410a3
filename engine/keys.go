package engine

// The association database of a sandbox: tcpcni tcpkey. The database is the
// stack's (netstack/tcp, sadb.go); here are the requests of the control socket
// and what an engine's successor needs of it.

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/tcpcni/tcpcni/netstack/tcp"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// An Association is a key for what one host sends to another.
type Association struct {
	Src     netip.Addr `json:"src"`
	SrcPort uint16     `json:"sport,omitempty"` // 0: any
	Dst     netip.Addr `json:"dst"`
	DstPort uint16     `json:"dport,omitempty"` // 0: any
	Key     []byte     `json:"key,omitempty"`   // 1 to 80 bytes
}

func (a *Association) selector() tcp.Selector {
	return tcp.Selector{Src: a.Src, Dst: a.Dst, SrcPort: a.SrcPort, DstPort: a.DstPort}
}

func associationOf(a tcp.Association) Association {
	return Association{Src: a.Src, SrcPort: a.SrcPort, Dst: a.Dst, DstPort: a.DstPort, Key: a.Key}
}

// Verbs of opKeys. The list also brings the counters of what was dropped.
const (
	keyAdd    = "add"
	keyDelete = "delete"
	keyGet    = "get"
	keyFlush  = "flush"
	keyList   = "list"
)

// keyRequest is what opKeys is asked for.
type keyRequest struct {
	Verb string `json:"verb"`
	Association
}

var keyVerbs = map[string]func(*engine, *Association) ([]Association, error){
	keyAdd:    func(e *engine, a *Association) ([]Association, error) { return nil, e.associate(a) },
	keyDelete: func(e *engine, a *Association) ([]Association, error) { return nil, e.dissociate(a) },
	keyGet: func(e *engine, a *Association) ([]Association, error) {
		got, err := e.stack.TCP().Associations().Get(a.selector())
		return []Association{associationOf(got)}, err
	},
	keyFlush: func(e *engine, _ *Association) ([]Association, error) {
		for _, a := range e.stack.TCP().Associations().All() {
			x := associationOf(a)
			_ = e.dissociate(&x)
		}
		return nil, nil
	},
	keyList: func(e *engine, _ *Association) ([]Association, error) {
		var list []Association
		for _, a := range e.stack.TCP().Associations().All() {
			list = append(list, associationOf(a))
		}
		return list, nil
	},
}

// keyErrors say what an errno of the database means.
var keyErrors = map[errno.Errno]string{
	errno.EINVAL: fmt.Sprintf("accepted: src and dst, two unicast addresses of one family, and a key of 1 to %d bytes", tcp.MaxAssociationKey),
	errno.EEXIST: "there is an association with these addresses and ports: delete it first",
	errno.ESRCH:  "there is no association with exactly these addresses and ports",
	errno.ENOSPC: fmt.Sprintf("the database is full: accepted: %d associations", tcp.MaxAssociations),
}

func (e *engine) keys(q *request) response {
	if q.Keys == nil || keyVerbs[q.Keys.Verb] == nil {
		return response{Error: "keys: verb unknown; accepted: add, delete, flush, get, list"}
	}
	list, err := keyVerbs[q.Keys.Verb](e, &q.Keys.Association)
	if err != nil {
		text := err.Error()
		if no := errno.Errno(0); errors.As(err, &no) && keyErrors[no] != "" {
			text = keyErrors[no]
		}
		return response{Error: text}
	}
	r := response{Keys: list}
	if q.Keys.Verb == keyList {
		r.Dropped = e.unsigned()
	}
	return r
}

// unsigned are the counters of segments that were dropped for their signatures.
func (e *engine) unsigned() map[string]uint64 {
	n := make(map[string]uint64)
	for name, value := range e.stack.All {
		if short, ok := strings.CutPrefix(name, "TCP.Auth"); ok {
			n["Auth"+short] = value
		}
	}
	return n
}

// associate adds to the database and to the journal.
func (e *engine) associate(a *Association) error {
	x := tcp.Association{Selector: a.selector(), Key: a.Key}
	if err := e.stack.TCP().Associations().Add(x); err != nil {
		return err
	}
	e.journal.associate(x)
	return nil
}

func (e *engine) dissociate(a *Association) error {
	if err := e.stack.TCP().Associations().Delete(a.selector()); err != nil {
		return err
	}
	e.journal.dissociate(a.selector())
	return nil
}

// Layout of an association in the journal, in bytes.
const (
	assocValid = 0 // uint32, 1: the rest is true
	assocKey   = 4 // uint32, length of the key
	assocSrc   = 8
	assocDst   = assocSrc + addrLen
	assocBytes = assocDst + addrLen
	assocLen   = assocBytes + tcp.MaxAssociationKey
)

// assocNotes are the places of the database in the journal.
type assocNotes struct {
	at   map[tcp.Selector]int
	free []int
}

func assocAt(slots, n int) int { return optionsAt(slots, slots) + n*assocLen }

// unmapped is s as the database and a journal that was read know it.
func unmapped(s tcp.Selector) tcp.Selector {
	s.Src, s.Dst = s.Src.Unmap().WithZone(""), s.Dst.Unmap().WithZone("")
	return s
}

// associate writes an association down. The database has no more than there are
// places.
func (j *journal) associate(a tcp.Association) {
	if j == nil {
		return
	}
	s := unmapped(a.Selector)
	n := len(j.assocs.at)
	if last := len(j.assocs.free) - 1; last >= 0 {
		n, j.assocs.free = j.assocs.free[last], j.assocs.free[:last]
	}
	if j.assocs.at == nil {
		j.assocs.at = make(map[tcp.Selector]int)
	}
	j.assocs.at[s] = n
	b := j.b[assocAt(j.slots, n):][:assocLen]
	binary.NativeEndian.PutUint32(b[assocKey:], uint32(len(a.Key)))
	putAddr(b[assocSrc:], netip.AddrPortFrom(s.Src, s.SrcPort))
	putAddr(b[assocDst:], netip.AddrPortFrom(s.Dst, s.DstPort))
	copy(b[assocBytes:], a.Key)
	j.mem.Publish(assocAt(j.slots, n)+assocValid, 1)
}

// dissociate takes it back, and the key with it.
func (j *journal) dissociate(s tcp.Selector) {
	if j == nil {
		return
	}
	s = unmapped(s)
	n, ok := j.assocs.at[s]
	if !ok {
		return
	}
	delete(j.assocs.at, s)
	j.assocs.free = append(j.assocs.free, n)
	at := assocAt(j.slots, n)
	j.mem.Publish(at+assocValid, 0)
	clear(j.b[at : at+assocLen])
}

// associations lists the database of the engine before.
func (r journalReader) associations() (list []Association) {
	r.table(assocAt(r.slots, 0), assocLen, tcp.MaxAssociations, func(_ int, b []byte) {
		if binary.NativeEndian.Uint32(b[assocValid:]) != 1 {
			return
		}
		src, dst := parseAnyAddr(b[assocSrc:]), parseAnyAddr(b[assocDst:])
		n := min(binary.NativeEndian.Uint32(b[assocKey:]), tcp.MaxAssociationKey)
		list = append(list, Association{
			Src: src.Addr(), SrcPort: src.Port(), Dst: dst.Addr(), DstPort: dst.Port(), Key: b[assocBytes : assocBytes+n],
		})
	})
	return list
}

// reassociate takes the database over.
func (a *adoption) reassociate(list []Association) {
	for i := range list {
		if err := a.associate(&list[i]); err != nil {
			a.log.Warn("an association of the engine before", "error", err)
		}
	}
}

package engine

// Keys that programs gave to their sockets (TCP_MD5SIG and its like), for the
// case that the engine dies: a listener that went on without them would take
// anybody. They are too long for the table of options, and rare, so they have
// one of their own: a place for each key, which names the E of its socket by its
// cookie.

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/tcpcni/tcpcni/netstack/tcp"
	"github.com/tcpcni/tcpcni/sockopt"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// Layout of a key, in bytes.
const (
	keyValid  = 0 // uint32, 1: the rest is true
	keyName   = 4 // uint32, number of the option
	keyOwner  = 8 // uint64, cookie of E
	keyOrder  = 16
	keyLength = 20 // uint32, bytes of the value
	keyValue  = 24
	keyLen    = keyValue + sockopt.MaxKeyOption

	maxAssocNotes = tcp.MaxAssociations

	tcpLevel = 6 // IPPROTO_TCP

	// maxKeyNotes bounds the keys of all sockets that are not connected, and
	// mayTake those of one user; a key beyond is ENOMEM to its program.
	maxKeyNotes = 4096
)

// keyNotes are the places that are taken.
type keyNotes struct {
	used  int
	free  []int32
	order uint32
	users []uint32       // whose each place is or was
	held  map[uint32]int // places by user
	heirs bool           // what the engine before had is entered, which was within its bounds
}

func keyAt(slots, n int) int { return assocAt(slots, maxAssocNotes) + n*keyLen }

func (k *keyNotes) left() int { return maxKeyNotes - k.used + len(k.free) }

// mayTake reports whether there is a place for a user: who has as many as are left
// gets no more of them. So the first may have half, the next a quarter, and no
// user can take the last from another.
func (k *keyNotes) mayTake(user uint32) bool { return k.held[user] < k.left() }

// keyRoom is the error of a call that would give the socket one key more than
// can be kept.
func (s *sock) keyRoom(level, name int, val []byte) error {
	if j := s.eng.journal; j != nil && !j.keys.mayTake(s.uid) && sockopt.AddsKey(level, name, val) {
		return errno.ENOMEM
	}
	return nil
}

// keepKeys writes down the keys that the socket has now. New ones are there
// before old ones go, so that the socket has a key at every moment at which it
// had one.
func (s *sock) keepKeys(t sockopt.Target) {
	j := s.eng.journal
	if !j.has(s.fd) || s.stream == nil || s.stream.phase == phaseConnected {
		return
	}
	if s.endCookie == 0 {
		s.record()
	}
	have := sockopt.KeyOptions(t)
	old := s.dealt().keyNotes
	if len(have)+len(old) == 0 {
		return
	}
	s.agree().keyNotes = nil
	for _, k := range have {
		i := slices.IndexFunc(old, func(n int32) bool { return j.isKey(n, k) })
		if i >= 0 {
			s.agree().keyNotes, old = append(s.dealt().keyNotes, old[i]), slices.Delete(old, i, i+1)
		} else if n, ok := j.keepKey(s.endCookie, s.uid, k); ok {
			s.agree().keyNotes = append(s.dealt().keyNotes, n)
		} else {
			s.agree().unkept = true // it ends with the engine rather than go on without a key
			j.clear(s.fd)
		}
	}
	j.strikeKeys(old)
}

// dropKeys forgets the keys of a socket that does not need them any more.
func (s *sock) dropKeys() {
	if len(s.dealt().keyNotes) > 0 {
		s.eng.journal.strikeKeys(s.dealt().keyNotes)
		s.agree().keyNotes = nil
	}
}

// take finds a place for a user.
func (k *keyNotes) take(user uint32) (n int32, ok bool) {
	if k.left() == 0 || !k.heirs && !k.mayTake(user) {
		return 0, false
	}
	if last := len(k.free) - 1; last >= 0 {
		n, k.free = k.free[last], k.free[:last]
		k.users[n] = user
	} else {
		n = int32(k.used)
		k.used++
		k.users = append(k.users, user)
	}
	if k.held == nil {
		k.held = make(map[uint32]int)
	}
	k.held[user]++
	return n, true
}

func (j *journal) keyNote(n int32) []byte { return j.b[keyAt(j.slots, int(n)):][:keyLen] }

func (j *journal) isKey(n int32, k sockopt.KeyOption) bool {
	b := j.keyNote(n)
	return binary.NativeEndian.Uint32(b[keyName:]) == uint32(k.Name) && bytes.Equal(b[keyValue:][:len(k.Value)], k.Value)
}

func (j *journal) keepKey(owner uint64, user uint32, k sockopt.KeyOption) (int32, bool) {
	n, ok := j.keys.take(user)
	if !ok {
		return 0, false
	}
	b := j.keyNote(n)
	j.keys.order++
	binary.NativeEndian.PutUint32(b[keyName:], uint32(k.Name))
	binary.NativeEndian.PutUint64(b[keyOwner:], owner)
	binary.NativeEndian.PutUint32(b[keyOrder:], j.keys.order)
	binary.NativeEndian.PutUint32(b[keyLength:], uint32(len(k.Value)))
	copy(b[keyValue:], k.Value)
	j.mem.Publish(keyAt(j.slots, int(n))+keyValid, 1)
	return n, true
}

func (j *journal) strikeKeys(list []int32) {
	for _, n := range list {
		if user := j.keys.users[n]; j.keys.held[user] > 1 {
			j.keys.held[user]--
		} else {
			delete(j.keys.held, user)
		}
		j.mem.Publish(keyAt(j.slots, int(n))+keyValid, 0)
		clear(j.keyNote(n))
		j.keys.free = append(j.keys.free, n)
	}
}

// A keptKey is a key of a socket of the engine before.
type keptKey struct {
	order uint32
	sockopt.KeyOption
}

// keys lists the keys of the engine before, by the cookie of their socket's E.
func (r journalReader) keys() map[uint64][]keptKey {
	all := make(map[uint64][]keptKey)
	u32 := binary.NativeEndian.Uint32
	r.table(keyAt(r.slots, 0), keyLen, maxKeyNotes, func(_ int, b []byte) {
		if u32(b[keyValid:]) != 1 {
			return
		}
		owner, n := binary.NativeEndian.Uint64(b[keyOwner:]), min(u32(b[keyLength:]), sockopt.MaxKeyOption)
		k := keptKey{u32(b[keyOrder:]), sockopt.KeyOption{Name: int(u32(b[keyName:])), Value: bytes.Clone(b[keyValue : keyValue+n])}}
		all[owner] = append(all[owner], k)
	})
	for _, list := range all {
		slices.SortFunc(list, func(a, b keptKey) int { return int(int32(a.order - b.order)) })
	}
	return all
}

// rekey gives a socket back the keys that its program gave it. A key that makes
// no sense is an error: without it the socket would take segments that are not
// signed.
func (s *sock) rekey(t sockopt.Target, list []keptKey) error {
	for _, k := range list {
		if !sockopt.AddsKey(tcpLevel, k.Name, k.Value) {
			return errno.EINVAL
		}
		if _, err := s.eng.profile.Set(t, tcpLevel, k.Name, k.Value, agreed); err != nil {
			return err
		}
	}
	return nil
}

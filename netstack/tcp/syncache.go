package tcp

// The SYN cache: the records of all listeners together, bounded in bytes. RFC
// 4987 section 3.5 (a cache), section 3.7 (cookies take over when it is full),
// section 3.4 (recycling the oldest where cookies are not wanted). A listener's
// own bound, by count, is in listen.go.

import "net/netip"

const (
	// halfOpenCost is what one record takes with its entries in the table and
	// among the timers, in bytes.
	halfOpenCost = 640
	// synSources are the counters of records by source.
	synSources = 256
	// sourceShare is the part of the cache that one counter's sources may fill.
	sourceShare = 4
	// synLists are the orders of eviction: by retransmissions of the SYN-ACK, the
	// last one for whoever completed the handshake and waits to be accepted.
	synLists = 6
	synAcked = synLists - 1
)

// A synCache holds the records in the order in which they are given up.
type synCache struct {
	lists   [synLists]halfList
	len     int
	saved   int // bytes of SYNs that are kept for TCP_SAVE_SYN
	sources [synSources]uint16
}

// A halfList is a list of records, the oldest first.
type halfList struct{ oldest, newest *halfOpen }

func (t *halfList) link(h *halfOpen) {
	h.older, h.newer = t.newest, nil
	if t.newest != nil {
		t.newest.newer = h
	} else {
		t.oldest = h
	}
	t.newest = h
}

func (t *halfList) unlink(h *halfOpen) {
	if h.older != nil {
		h.older.newer = h.newer
	} else {
		t.oldest = h.newer
	}
	if h.newer != nil {
		h.newer.older = h.older
	} else {
		t.newest = h.older
	}
	h.older, h.newer = nil, nil
}

// list is the one that h belongs to.
func (h *halfOpen) list() uint8 {
	if h.acked {
		return synAcked
	}
	return min(h.tries, synAcked-1)
}

// synSource is the counter of an address: of a host's own in IPv4, of a network
// of 64 bits in IPv6, where one host has all its addresses.
func (l *Layer) synSource(a netip.Addr) uint8 {
	k := tuple{remote: a.As16()}
	if a.Is6() {
		clear(k.remote[8:])
	}
	return uint8(l.keyed(hashSource, &k))
}

// enterHalf puts h into the table.
func (l *Layer) enterHalf(h *halfOpen) {
	t := &l.syns
	l.half[h.key] = h
	h.lst.half++
	t.saved += len(h.syn)
	h.source = l.synSource(h.path.Dst)
	t.sources[h.source]++
	t.len++
	h.listed = h.list()
	t.lists[h.listed].link(h)
}

// moveHalf is to be called when tries or acked of h have changed.
func (l *Layer) moveHalf(h *halfOpen) {
	n := h.list()
	if n == h.listed {
		return
	}
	l.syns.lists[h.listed].unlink(h)
	h.listed = n
	l.syns.lists[n].link(h)
}

// dropHalf forgets a half-open connection.
func (l *Layer) dropHalf(h *halfOpen) {
	t := &l.syns
	delete(l.half, h.key)
	h.lst.half--
	t.saved -= len(h.syn)
	t.sources[h.source]--
	t.len--
	t.lists[h.listed].unlink(h)
	l.timers.remove(h)
}

// synRoom is how many records the cache may hold.
func (l *Layer) synRoom() int {
	return max((int(l.tun.SynCacheBytes)-l.syns.saved)/halfOpenCost, 1)
}

// synsFull reports whether the cache has no room for a SYN from a: it is full,
// or a's like have taken their share.
func (l *Layer) synsFull(a netip.Addr) bool {
	room := l.synRoom()
	if l.syns.len < room/sourceShare {
		return false
	}
	return l.syns.len >= room || int(l.syns.sources[l.synSource(a)]) >= max(room/sourceShare, 1)
}

// evictHalf makes room for one record: of those whose SYN-ACK went unanswered
// most often the oldest, and who has acknowledged it goes last.
func (l *Layer) evictHalf() {
	i := synAcked - 1
	for i > 0 && l.syns.lists[i].oldest == nil {
		i--
	}
	h := l.syns.lists[i].oldest
	if h == nil {
		h = l.syns.lists[synAcked].oldest
	}
	l.counters.SynCacheEvictions++
	l.counters.AttemptFails++
	l.dropHalf(h)
}

// halfOf calls f for the records of a listener, in an order that a replay
// repeats; f may drop the record.
func (l *Layer) halfOf(lst *listener, f func(*halfOpen)) {
	for i := range l.syns.lists {
		for h := l.syns.lists[i].oldest; h != nil; {
			next := h.newer
			if h.lst == lst {
				f(h)
			}
			h = next
		}
	}
}

// recycles reports whether a SYN from a may take the place of an older record
// where there are no cookies: not a listener's, whose backlog Linux keeps, and
// not for a source that has its share.
func (l *Layer) recycles(lst *listener, a netip.Addr) bool {
	room := l.synRoom()
	return !lst.halfFull() && int(l.syns.sources[l.synSource(a)]) < max(room/sourceShare, 1)
}

// linked is how many records the lists hold.
func (t *synCache) linked() int {
	n := 0
	for i := range t.lists {
		for h := t.lists[i].oldest; h != nil; h = h.newer {
			n++
		}
	}
	return n
}

package tcp

// The memory of everything that arrived ahead of its turn, of all connections.
// A receiver may give that up, as the peer keeps it until it is acknowledged in
// order (RFC 2018 section 8), and does so before it refuses text that is next.

// An oooList is the reassembly queues that hold memory, the oldest first.
type oooList struct {
	bytes          int // of their chunks
	pieces         int
	oldest, newest *reassembly
}

// account enters what r.mem is now, after it was before.
func (o *oooList) account(r *reassembly, before int) {
	o.bytes += r.mem - before
	had, has := before > 0, r.mem > 0
	switch {
	case had == has:
	case has:
		r.older, r.newer = o.newest, nil
		if o.newest != nil {
			o.newest.newer = r
		} else {
			o.oldest = r
		}
		o.newest = r
	default:
		if r.older != nil {
			r.older.newer = r.newer
		} else {
			o.oldest = r.newer
		}
		if r.newer != nil {
			r.newer.older = r.older
		} else {
			o.newest = r.older
		}
		r.older, r.newer = nil, nil
	}
}

// leave takes out a queue that goes to another layer; enter is the reverse.
func (o *oooList) leave(r *reassembly) {
	held := r.mem
	r.mem = 0
	o.account(r, held)
	r.mem = held
	o.pieces -= r.listed
}

func (o *oooList) enter(r *reassembly) {
	o.account(r, 0)
	o.pieces += r.listed
}

// count enters that r has n pieces now.
func (o *oooList) count(r *reassembly, n int) {
	o.pieces += n - r.listed
	r.listed = n
}

// prune gives up queues, the oldest first, while the layer has no memory.
func (l *Layer) prune() {
	for l.tun.ReassDrain && l.exhausted() && l.ooo.oldest != nil {
		l.counters.OOOPruned++
		l.ooo.oldest.of.dropReassembly()
	}
}

package engine

// Datagrams that were taken from P for a call whose thread was interrupted before it
// heard. The call comes again, or another, and they are first in line.

import "slices"

// putBack puts what one call took, oldest first, in front of everything else.
func (d *dgram) putBack(list ...stashed) {
	if len(list) == 0 {
		return
	}
	d.stash = append(slices.Clip(list), d.stash...)
	d.wake()
}

// unstash removes the oldest.
func (d *dgram) unstash() {
	d.stash[0] = stashed{}
	if d.stash = d.stash[1:]; len(d.stash) == 0 {
		d.stash = nil
	}
}

// A batch is what one recvmmsg takes, until it is known that somebody has it. It is
// at most what waits in one pair.
type batch struct {
	origins []origin
	ends    []int // of the payloads, in bytes
	bytes   []byte
}

// keptBatch is how much memory stays for the next call, in bytes.
const keptBatch = 256 << 10

func (b *batch) begin() {
	if cap(b.bytes) > keptBatch {
		b.bytes = nil
	}
	b.origins, b.ends, b.bytes = b.origins[:0], b.ends[:0], b.bytes[:0]
}

func (b *batch) note(o origin, payload []byte) {
	b.bytes = append(b.bytes, payload...)
	b.origins, b.ends = append(b.origins, o), append(b.ends, len(b.bytes))
}

// list is a copy of what was taken, oldest first.
func (b *batch) list() []stashed {
	list := make([]stashed, len(b.origins))
	at := 0
	for i, end := range b.ends {
		list[i] = stashed{b.origins[i], slices.Clone(b.bytes[at:end])}
		at = end
	}
	return list
}

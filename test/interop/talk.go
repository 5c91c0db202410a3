package main

import (
	"fmt"
	"hash/crc64"
	"time"
)

// talker is the program of one end: it writes a stream that both ends know,
// checks what it reads, and ends its stream.
type talker struct {
	name string
	s    socket
	l    *lab

	key, peerKey uint64
	size, tail   int // bytes to write before the peer's end was seen, and after it
	expect       int // bytes that the peer writes, -1: no end is expected
	urgent       int // this byte, counted from 1, is urgent; 0: none
	holdAt       int // after so many bytes the program reads nothing for holdFor
	holdFor      time.Duration
	abortAt      int // after so many bytes the program aborts; 0: never

	sent, got int
	sum       uint64 // of what was read
	urgents   []int  // bytes that were said to be urgent, counted from 1
	heldUntil time.Duration
	up, eof   bool
	shut      bool
	aborted   bool
	err       error // what ended the connection
	bad       error // what must not be
	scratch   [16 << 10]byte
}

var table = crc64.MakeTable(crc64.ECMA)

// at is byte i of the stream of a key.
func at(key uint64, i int) byte {
	x := uint64(i>>3)*0x9e3779b97f4a7c15 + key
	x ^= x >> 29
	x *= 0xbf58476d1ce4e5b9
	return byte(x >> (8 * (i & 7)))
}

// fill puts the bytes of the stream from i on into p.
func fill(p []byte, key uint64, i int) {
	for j := range p {
		p[j] = at(key, i+j)
	}
}

func (t *talker) breaks(format string, args ...any) {
	if t.bad == nil {
		t.bad = fmt.Errorf(t.name+": "+format, args...)
	}
}

func (t *talker) connected() { t.up = true }

func (t *talker) took(p []byte, urgent int) {
	t.up = true
	if t.eof || t.err != nil {
		t.breaks("%d bytes after the end", len(p))
	}
	for i := range p {
		if p[i] != at(t.peerKey, t.got+i) {
			t.breaks("byte %d of %d is wrong", t.got+i, t.expect)
			break
		}
	}
	if urgent >= 0 {
		t.urgents = append(t.urgents, t.got+urgent+1)
	}
	t.sum = crc64.Update(t.sum, table, p)
	t.got += len(p)
	if t.holdAt > 0 && t.got >= t.holdAt {
		t.holdAt, t.heldUntil = 0, t.l.awake+t.holdFor
		t.s.hold(true)
	}
	if t.abortAt > 0 && t.got >= t.abortAt {
		t.aborted = true // at the end of this turn: not from inside a socket
	}
}

// writable writes what there is room for.
func (t *talker) writable() {
	if t.s == nil || !t.up || t.shut || t.err != nil || t.aborted {
		return
	}
	limit := t.size
	if t.eof {
		limit += t.tail
	}
	for t.sent < limit {
		n := min(limit-t.sent, len(t.scratch))
		if t.sent < t.urgent {
			n = min(n, max(t.urgent-1-t.sent, 1))
		}
		b := t.scratch[:n]
		fill(b, t.key, t.sent)
		if t.sent == t.urgent-1 {
			n = t.s.writeUrgent(b)
		} else {
			n = t.s.write(b)
		}
		if n <= 0 {
			return
		}
		t.sent += n
	}
	if t.s.vitals().state == synSent {
		return // shutdown(2) would give the connection up
	}
	if t.sent == t.size+t.tail || t.tail == 0 {
		t.shut = true
		t.s.closeWrite()
	}
}

func (t *talker) ended() {
	if t.eof {
		t.breaks("a second end")
	}
	t.eof = true
	if t.expect >= 0 && t.got != t.expect {
		t.breaks("the end after %d bytes of %d", t.got, t.expect)
	}
	t.writable()
}

func (t *talker) failed(err error) {
	if t.err != nil {
		t.breaks("failed twice: %v, %v", t.err, err)
	}
	t.err = err
}

// turn does what is not done from inside a socket.
func (t *talker) turn() {
	if t.heldUntil != 0 && t.l.awake >= t.heldUntil {
		t.heldUntil = 0
		t.s.hold(false)
	}
	if t.aborted && t.abortAt > 0 {
		t.abortAt = 0
		t.s.abort()
	}
}

func (t *talker) holding() bool { return t.heldUntil != 0 }

// wantSum is the checksum of the first n bytes of a stream.
func wantSum(key uint64, n int) (sum uint64) {
	var b [16 << 10]byte
	for i := 0; i < n; i += len(b) {
		p := b[:min(len(b), n-i)]
		fill(p, key, i)
		sum = crc64.Update(sum, table, p)
	}
	return sum
}

// check is what must be true of a transfer that has ended.
func (t *talker) check() error {
	switch {
	case t.bad != nil:
		return t.bad
	case t.err != nil:
		return fmt.Errorf("%s: %w after %d bytes", t.name, t.err, t.got)
	case t.sum != wantSum(t.peerKey, t.expect):
		return fmt.Errorf("%s: the checksum of %d bytes is wrong", t.name, t.got)
	}
	return nil
}

// stallRTOs is how many retransmission timeouts may pass without progress.
const stallRTOs = 3

// stalls watches one connection, each direction by itself.
type stalls struct {
	ends  [2]*talker
	ways  [2]wayStalls // by the end that sends
	worst float64      // progress took so many RTOs
}

// wayStalls is one direction.
type wayStalls struct {
	acked uint64
	since time.Duration
	rto   time.Duration // the longest since then
}

// States as in struct tcp_info.
const (
	synSent     = 2
	synReceived = 3
)

// look fails when bytes of one end wait and none are acknowledged.
func (w *stalls) look(now time.Duration) error {
	for _, t := range w.ends {
		if t.s == nil || t.holding() || t.err != nil || t.aborted {
			w.ways = [2]wayStalls{{since: now}, {since: now}}
			return nil
		}
	}
	for i, t := range w.ends {
		v, way := t.s.vitals(), &w.ways[i]
		if v.rtoMax > 0 && v.rto > v.rtoMax {
			return fmt.Errorf("%s: an RTO of %v, by its round trips at most %v", t.name, v.rto, v.rtoMax)
		}
		// Handshakes have timers of their own.
		if v.acked != way.acked || !v.waiting || v.state == synSent || v.state == synReceived {
			*way = wayStalls{acked: v.acked, since: now}
			continue
		}
		way.rto = max(way.rto, v.rto)
		took := float64(now-way.since) / float64(way.rto)
		w.worst = max(w.worst, took)
		if took > stallRTOs {
			return fmt.Errorf("%s: no progress for %v, %.1f RTOs of %v", t.name, now-way.since, took, way.rto)
		}
	}
	return nil
}

package engine

import (
	"slices"
	"strings"
	"testing"

	"github.com/tcpcni/tcpcni/hostlink"
	"github.com/tcpcni/tcpcni/netstack/tcp"
)

// TestShardsHalfOpen: a queue that cannot be used is an error, and what was opened
// before it is closed.
func TestShardsHalfOpen(t *testing.T) {
	e := bare(t) // which is closed at the end
	err := e.openShards([]*hostlink.TAP{hostlink.AdoptTAP(-1, "up0"), hostlink.AdoptTAP(-1, "up0")})
	if err == nil || !strings.HasPrefix(err.Error(), "shard 1: ") {
		t.Errorf("%v, want an error of shard 1", err)
	}
}

// TestShardRestsEmpty: frames that wait in a queue are the main loop's before the
// shard gets no more, as many as it may put by.
func TestShardRestsEmpty(t *testing.T) {
	const seqPacket, header = 5, 10 // of socket(2), and before a frame: struct virtio_net_hdr
	for _, frames := range []int{3, 2 * frameBatch, arenaFrames + 10} {
		e := bare(t)
		queue, other, no := hostlink.NewPair(seqPacket, true) // one message is one frame
		if no != 0 {
			t.Fatal(no)
		}
		defer hostlink.CloseFD(other)
		hostlink.SetNonBlocking(other, true)
		l := hostlink.AdoptTAP(queue, "up0")
		g := &engine{stack: e.stack.NewGuest([32]byte{}, 2, func(*tcp.Socket) {})}
		g.ports = []*port{{Link: l, stack: g.stack}}
		var err error
		if g.poll, err = hostlink.NewPoller(pollerBatch); err != nil {
			t.Fatal(err)
		}
		if err := g.poll.Add(queue, hostlink.In, tag(kindPort, 0, 0)); err != nil {
			t.Fatal(err)
		}
		sh := &shard{home: e, eng: g, queue: l, enabled: true}
		sh.seen.init()
		e.shards = &shards{eng: e, list: []*shard{sh}} // which closes both
		hostlink.SetSendBuffer(other, 8<<20)
		sent := 0
		for sent < frames {
			if _, no := hostlink.Send(other, make([]byte, header+60), 0); no != 0 {
				break // as many as go
			}
			sent++
		}
		sh.rest()
		if n := len(sh.away.frames); n != min(sent, arenaFrames) {
			t.Errorf("%d frames have waited, %d are put by", sent, n)
		}
		if sh.full != (sent > arenaFrames) {
			t.Errorf("%d frames have waited, full: %v", sent, sh.full)
		}
		if slices.ContainsFunc(sh.away.frames, func(f hostlink.RxFrame) bool { return len(f.Data) != 60 }) {
			t.Error("a frame is another")
		}
	}
}

// TestStrandedAtOnce: the loop does not sleep while connections send to where
// their neighbour was.
func TestStrandedAtOnce(t *testing.T) {
	e := bare(t)
	e.shards = &shards{eng: e}
	if e.patience() == 0 {
		t.Fatal("the loop does not sleep when there is nothing to do")
	}
	e.shards.stranded = true
	if d := e.patience(); d != 0 {
		t.Errorf("the loop sleeps for %v", d)
	}
	e.shards.gather()
	if e.patience() == 0 {
		t.Error("the loop goes on although everybody is at home")
	}
}

// TestShardsLeaveDescriptors: what shards hold open is not among what sockets may.
func TestShardsLeaveDescriptors(t *testing.T) {
	one, err := socketLimit(1<<30, 1)
	if err != nil {
		t.Fatal(err)
	}
	many, err := socketLimit(1<<30, MaxShards)
	if err != nil {
		t.Fatal(err)
	}
	// A queue, a poller and what wakes it.
	if want := 3 * (MaxShards - 1); one-many != want {
		t.Errorf("%d sockets with one loop, %d with %d: %d fewer, want %d", one, many, MaxShards, one-many, want)
	}
}

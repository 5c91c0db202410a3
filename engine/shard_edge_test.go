package engine

import (
	"strings"
	"testing"

	"github.com/tcpcni/tcpcni/hostlink"
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

package main

import (
	"errors"
	"time"

	"github.com/tcpcni/tcpcni/netstack/wire"
)

// together are two hosts at one end of the cables, as at a switch: what they send
// shares the line.
type together struct {
	host // the first, which also listens
	more host
	macs [2]wire.MAC
}

func (t *together) join(l *lab, wire func([]byte)) error {
	return errors.Join(t.host.join(l, wire), t.more.join(l, wire))
}

func (t *together) leave() error { return errors.Join(t.host.leave(), t.more.leave()) }

func (t *together) receive(frame []byte) {
	to := wire.MAC(frame[:len(wire.MAC{})])
	if to != t.macs[1] {
		t.host.receive(frame)
	}
	if to != t.macs[0] {
		t.more.receive(frame)
	}
}

func (t *together) turn(now time.Duration) {
	t.host.turn(now)
	t.more.turn(now)
}

func (t *together) deadline() (time.Duration, bool) {
	at, ok := t.host.deadline()
	if other, has := t.more.deadline(); has && (!ok || other < at) {
		return other, true
	}
	return at, ok
}

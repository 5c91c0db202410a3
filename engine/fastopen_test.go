package engine

import (
	"net/netip"
	"testing"
	"time"

	"github.com/tcpcni/tcpcni/hostlink"
	"github.com/tcpcni/tcpcni/hostlink/abi"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// deadCall is a call that its thread has left for a signal handler: no answer to
// it is heard, and none of its arguments can be read.
func (e *engine) deadCall(s *stream, p int) *call {
	return &call{
		eng: e, on: hostlink.NewNotifier(-1), p: p, s: &s.sock, note: noNote,
		th:  &thread{Task: hostlink.Task{PidFD: -1, Mem: -1}},
		req: hostlink.Notification{TID: 7, Nr: abi.SYS_SENDTO},
	}
}

// The repetition of a call must not send what has gone with the SYN: as long as
// nobody has heard how much that was, the engine knows it.
func TestFastSendOutlivesUnheardAnswers(t *testing.T) {
	e := bare(t)
	tests := []struct {
		name string
		do   func(s *stream, p int)
	}{
		{"time over", func(s *stream, p int) {
			c := e.deadCall(s, p)
			c.park(time.Second, errno.EINPROGRESS)
			s.wait.list[0].expire()
		}},
		{"not blocking", func(s *stream, p int) {
			e.deadCall(s, p).sendFast(s, &message{room: 8}, abi.MSG_DONTWAIT)
		}},
		{"connected", func(s *stream, p int) {
			s.phase = phaseConnected
			e.deadCall(s, p).sendFast(s, &message{room: 8}, 0)
		}},
	}
	for _, test := range tests {
		s, p := e.mustStream(t)
		s.phase, s.fast = phaseConnecting, &fastSend{tid: 7, sent: 5}
		test.do(s, p)
		if s.fast == nil || s.fast.sent != 5 || s.told {
			t.Errorf("%s: %+v, told %v", test.name, s.fast, s.told)
		}
		if s.wait.first() != nil {
			t.Errorf("%s: waits", test.name)
		}
	}
}

// The first call after a connection stands succeeds, so what nobody hears or what
// waits for room is not that call.
func TestUnheardFirstSendIsNotTheFirst(t *testing.T) {
	e := bare(t)
	s, p := e.mustStream(t)
	s.phase = phaseConnected
	e.deadCall(s, p).sendFast(s, &message{name: 1, nameLen: 16, room: 8}, 0)
	if s.told {
		t.Error("told")
	}
}

// A connection attempt that the engine before had begun belongs to no sending
// call, so that a new one that must not wait does not.
func TestAdoptedAttemptIsNobodysFastSend(t *testing.T) {
	e := bare(t)
	s, p := e.mustStream(t)
	s.agree().peer = netip.MustParseAddrPort("127.0.0.1:9")
	s.restoreAttempt()
	if s.phase != phaseConnecting {
		t.Fatalf("phase %d", s.phase)
	}
	e.deadCall(s, p).sendFast(s, &message{room: 8}, abi.MSG_DONTWAIT)
	if s.fast != nil || s.wait.first() != nil {
		t.Errorf("%+v, waits %v", s.fast, s.wait.first() != nil)
	}
}

// What once went with a SYN says nothing of the next attempt.
func TestNextAttemptIsNotEarly(t *testing.T) {
	e := bare(t)
	s, p := e.mustStream(t)
	s.early = true
	e.deadCall(s, p).startConnect(s, []byte{2, 0, 0, 9, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0})
	if s.phase != phaseConnecting || s.durable() != phaseConnecting {
		t.Errorf("phase %d, in the journal %d", s.phase, s.durable())
	}
}

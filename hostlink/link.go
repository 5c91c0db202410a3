package hostlink

import (
	"errors"
	"time"
)

// FrameRoom is the size in bytes that a buffer handed to ReadFrame must have:
// the largest IP packet (65,535 bytes) behind an Ethernet header with room for
// two VLAN tags, rounded up. A super-segment is read in one piece.
const FrameRoom = 64<<10 + 256

// Errors of links.
var (
	// ErrAgain says that no frame waits now.
	ErrAgain = errors.New("no frame waits")
	// ErrGone says that the device under the link was deleted; the link will
	// never carry a frame again.
	ErrGone = errors.New("the link's device is gone")
	// ErrBusy says that another process is attached to the TAP device.
	ErrBusy = errors.New("the device is attached to another process")
	// ErrQueue says that a queue of a device cannot be enabled or disabled.
	ErrQueue = errors.New("the queue is so already, or the only one")
	// ErrNameTaken says that the name belongs to a device of another kind.
	ErrNameTaken = errors.New("the name belongs to another kind of device")
)

// A Link carries Ethernet frames between a stack and the host.
type Link interface {
	// FD is the descriptor to poll for input.
	FD() int
	// ReadFrame takes one frame out of the link. buf needs FrameRoom bytes; the
	// frame's data lies in it, or in memory of the link that the next ReadFrame
	// overwrites. ErrAgain: nothing waits, poll again. ErrGone is final.
	ReadFrame(buf []byte) (RxFrame, error)
	// Transmit sends one frame or drops it, as a full queue would; the drop is
	// counted. f.Buf's first VnetRoom bytes belong to the link.
	Transmit(f *TxFrame)
	// Stats returns the link's counters.
	Stats() LinkStats
	Close() error
}

// A Timed link holds frames back. Whoever polls it must not sleep beyond
// Deadline; once that has passed, it calls Tick (which transmits what is due
// and arms what is to be received) and then reads with ReadFrame until
// ErrAgain, although FD is not readable.
type Timed interface {
	Link
	// Deadline returns the instant at which a held frame is due, false if none
	// is held. It is on the clock that the link was made with.
	Deadline() (time.Duration, bool)
	Tick()
}

// LinkStats counts what went through a link. Frames are as the link saw them:
// a super-segment is one.
type LinkStats struct {
	RxFrames, RxBytes uint64
	TxFrames, TxBytes uint64
	RxDropped         uint64 // arrived, but could not be handed on: truncated or malformed
	TxDropped         uint64 // the device's queue was full or the device down
	RxErrors          uint64 // read failed
	TxErrors          uint64 // the kernel refused the frame as malformed
}

// deadlineOf returns the deadline of l if it is a Timed link.
func deadlineOf(l Link) (time.Duration, bool) {
	if t, ok := l.(Timed); ok {
		return t.Deadline()
	}
	return 0, false
}

// tick passes a tick on to l if it is a Timed link.
func tick(l Link) {
	if t, ok := l.(Timed); ok {
		t.Tick()
	}
}

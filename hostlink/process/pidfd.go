package process

// Handles of processes: pidfd_open(2), pidfd_send_signal(2), pidfd_getfd(2).

import (
	"context"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// A Handle keeps hold of one process: what is done through it never reaches
// another process that was given the same number later.
type Handle struct {
	fd int
	id ID
}

// Open takes hold of the process that id names. The error is ErrGone when it
// has ended.
func Open(id ID) (*Handle, error) {
	fd, err := unix.PidfdOpen(id.PID, 0)
	if err != nil {
		return nil, fmt.Errorf("process %d: %w", id.PID, ErrGone)
	}
	// The descriptor is fixed to some process now; is it the one meant?
	if !id.Alive() {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("process %d: %w", id.PID, ErrGone)
	}
	return &Handle{fd, id}, nil
}

// Close lets go of the process.
func (h *Handle) Close() error { return unix.Close(h.fd) }

// Signal sends sig. A process that has ended gives ErrGone.
func (h *Handle) Signal(sig unix.Signal) error {
	err := unix.PidfdSendSignal(h.fd, sig, nil, 0)
	if err == unix.ESRCH {
		return fmt.Errorf("process %d: %w", h.id.PID, ErrGone)
	}
	if err != nil {
		return fmt.Errorf("process %d: signal %s: %w", h.id.PID, unix.SignalName(sig), err)
	}
	return nil
}

// Wait returns nil when the process has ended, the context's error when that is
// over first.
func (h *Handle) Wait(ctx context.Context) error {
	const slice = 50 * time.Millisecond
	for {
		fds := []unix.PollFd{{Fd: int32(h.fd), Events: unix.POLLIN}}
		n, err := unix.Poll(fds, int(slice/time.Millisecond))
		if err != nil && err != unix.EINTR {
			return os.NewSyscallError("poll", err)
		}
		if n > 0 {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

// TakeFile duplicates descriptor fd of the process into this one.
func (h *Handle) TakeFile(fd int, name string) (*os.File, error) {
	own, err := unix.PidfdGetfd(h.fd, fd, 0)
	if err != nil {
		return nil, fmt.Errorf("process %d: take descriptor %d (%s): %w", h.id.PID, fd, name, err)
	}
	unix.CloseOnExec(own)
	return os.NewFile(uintptr(own), name), nil
}

// killPatience bounds the wait for a killed process. One with a network device
// open ends only when the kernel gets round to the device: a hundred that end at
// once take seconds.
const killPatience = 10 * time.Second

// Stop ends the process: SIGTERM, and SIGKILL when it is still there after
// grace. It returns when the process has ended, which at the latest is
// killPatience after SIGKILL, or with an error.
func Stop(id ID, grace time.Duration) error {
	h, err := Open(id)
	if err != nil {
		return nil //nolint:nilerr // ended is what was asked for
	}
	defer func() { _ = h.Close() }()
	for _, step := range []struct {
		sig  unix.Signal
		wait time.Duration
	}{{unix.SIGTERM, grace}, {unix.SIGKILL, killPatience}} {
		if err := h.Signal(step.sig); err != nil {
			return nil //nolint:nilerr // it ended meanwhile
		}
		ctx, cancel := context.WithTimeout(context.Background(), step.wait)
		err = h.Wait(ctx)
		cancel()
		if err == nil {
			return nil
		}
	}
	return fmt.Errorf("process %d did not end on SIGKILL: %w", id.PID, err)
}

// CloseOnExecFrom keeps descriptor first and all above it from the programs
// that this process executes: close_range(2).
func CloseOnExecFrom(first uint) error {
	return os.NewSyscallError("close_range", unix.CloseRange(first, ^uint(0)>>32, unix.CLOSE_RANGE_CLOEXEC))
}

package main

// Signals between the terminal or a supervisor, this process, and the program.
// The program is in this process's group, so that the terminal's job control
// treats both as one job.

import (
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

// forwarded are the signals that a supervisor sends to what it thinks is the
// program.
var forwarded = []os.Signal{
	unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM, unix.SIGUSR1, unix.SIGUSR2,
	unix.SIGALRM, unix.SIGCONT, unix.SIGWINCH,
}

// fromTerminal are those that a terminal sends to the whole foreground group:
// the program has got them already.
var fromTerminal = map[os.Signal]bool{
	unix.SIGINT: true, unix.SIGQUIT: true, unix.SIGHUP: true, unix.SIGWINCH: true, unix.SIGCONT: true,
}

// A relay of signals holds on to those that arrive before there is a program.
type signalRelay struct {
	ch chan os.Signal
}

// catchSignals keeps the forwarded signals from ending this process, which has
// things to take back first. Ignored ones stay ignored, for the program too.
func catchSignals() *signalRelay {
	r := &signalRelay{ch: make(chan os.Signal, 16)}
	for _, s := range forwarded {
		if !signal.Ignored(s) {
			signal.Notify(r.ch, s)
		}
	}
	return r
}

// pending returns a signal that asked to end before the program started, 0 when
// none did.
func (r *signalRelay) pending() syscall.Signal {
	for {
		select {
		case s := <-r.ch:
			switch s {
			case unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM:
				return s.(syscall.Signal)
			}
		default:
			return 0
		}
	}
}

// to passes signals on until done is closed.
func (r *signalRelay) to(p *os.Process, done <-chan struct{}) {
	for {
		select {
		case s := <-r.ch:
			if fromTerminal[s] && inForeground() {
				continue
			}
			_ = p.Signal(s) // it may have ended; then Wait says so
		case <-done:
			return
		}
	}
}

// inForeground reports whether this process's group is the one that its
// controlling terminal sends signals to.
func inForeground() bool {
	tty, err := unix.Open("/dev/tty", unix.O_RDONLY|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer func() { _ = unix.Close(tty) }()
	group, err := unix.IoctlGetInt(tty, unix.TIOCGPGRP)
	return err == nil && group == unix.Getpgrp()
}

// exitCodeOf is what a shell shows: the status, or 128 and the signal's number.
func exitCodeOf(st *os.ProcessState) int {
	if ws, ok := st.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return exitSignalled + int(ws.Signal())
	}
	return st.ExitCode()
}

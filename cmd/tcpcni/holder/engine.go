package holder

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tcpcni/tcpcni/engine/rpc"
	"github.com/tcpcni/tcpcni/hostlink"
)

// A process is a child of the holder.
type process struct {
	pid, pidfd int
}

func (p *process) signal(s unix.Signal) { _ = unix.PidfdSendSignal(p.pidfd, s, nil, 0) }

// wait reaps the process; nil is exit status 0.
func (p *process) wait() error {
	var st unix.WaitStatus
	for {
		_, err := unix.Wait4(p.pid, &st, 0, nil)
		if err == unix.EINTR {
			continue
		}
		switch {
		case err != nil:
			return os.NewSyscallError("wait4", err)
		case st.Signaled():
			return fmt.Errorf("killed by %s", unix.SignalName(st.Signal()))
		case st.ExitStatus() != 0:
			return fmt.Errorf("exit status %d", st.ExitStatus())
		}
		return nil
	}
}

// startEngine starts an engine and what serves it. Its end comes through the
// returned channel.
func (h *Holder) startEngine() (_ <-chan error, err error) {
	asks, engineAsks, e := hostlink.NewPacketPair()
	if e != 0 {
		return nil, e
	}
	defer hostlink.CloseFD(engineAsks)
	h.asks = rpc.NewConn(asks)
	defer func() {
		if err != nil {
			h.asks.Close()
			h.asks = nil
		}
	}()

	config, err := hostlink.SealedFile("config.json", h.config)
	if err != nil {
		return nil, err
	}
	defer hostlink.CloseFD(config)
	null, err := os.Open(os.DevNull)
	if err != nil {
		return nil, err
	}
	defer func() { _ = null.Close() }()

	d := newDescriptors(null.Fd())
	args := []string{"engine",
		"--config-fd", d.add(config), "--holder-fd", d.add(engineAsks),
		"--control-fd", d.add(h.control), "--uplink-fd", d.add(h.links[0].FD()),
	}
	if len(h.links) > 1 {
		args = append(args, "--inner-fd", d.add(h.links[1].FD()))
	}
	for _, q := range h.queues {
		args = append(args, "--queue-fd", d.add(q.FD()))
	}
	if len(h.queues) > 0 {
		args = append(args, "--uptime-fd", d.add(h.uptime))
	}
	if h.pcap != nil {
		args = append(args, "--pcap-fd", d.add(int(h.pcap.Fd())))
	}
	pid, pidfd, err := h.starter.start(args, d.fds)
	if err != nil {
		return nil, fmt.Errorf("start the engine: %w", err)
	}
	h.engine, h.guarded = &process{pid, pidfd}, false
	// They, and the keepers, have threads in the sandbox's namespace. Where this
	// process is under a filter of its own, so are all of them.
	h.members.Outsiders = []int{os.Getpid(), pid}
	end := make(chan error, 1)
	go func(p *process) { end <- p.wait() }(h.engine)
	go h.serve(h.asks)
	return end, nil
}

// descriptors are those of a process to be started.
type descriptors struct{ fds []uintptr }

// newDescriptors begins with standard input, and the holder's own output and
// error for messages.
func newDescriptors(in uintptr) *descriptors { return &descriptors{[]uintptr{in, 1, 2}} }

// add appends a descriptor and returns the number that it will have.
func (d *descriptors) add(fd int) string {
	d.fds = append(d.fds, uintptr(fd))
	return strconv.Itoa(len(d.fds) - 1)
}

// A keeper is the process that has the descriptors of an engine, and the journal
// that says what they are.
type keeper struct {
	process
	journal  int
	lifeline *rpc.Conn // it ends with this
	tries    int       // engines that have begun to adopt what is in it
}

// maxTries bounds the engines that die while they adopt: whatever is in the
// keeper may be what kills them.
const maxTries = 3

// end ends the keeper, and with it everything that nobody has taken out of it.
func (k *keeper) end() {
	if k == nil {
		return
	}
	k.signal(unix.SIGKILL)
	_ = k.wait()
	k.lifeline.End() // whoever serves it closes it
	hostlink.CloseFD(k.pidfd)
	hostlink.CloseFD(k.journal)
}

// engineDied clears up after an engine. Its keeper is what the next engine
// inherits, unless it died before it had adopted what its predecessor left: then
// the next one tries that again.
func (h *Holder) engineDied() {
	if h.keeper == nil {
		h.asks.End() // else the keeper's lifeline
	}
	h.asks = nil
	hostlink.CloseFD(h.engine.pidfd)
	h.engine = nil
	if h.legacy != nil && h.legacy.tries < maxTries {
		h.keeper.end()
	} else {
		h.legacy.end()
		h.legacy = h.keeper
	}
	h.keeper = nil
	if h.stopping {
		h.legacy.end()
		h.legacy = nil
	}
}

// stopGrace is how long an engine may take to end by itself.
const stopGrace = 500 * time.Millisecond

// stop ends the sandbox.
func (h *Holder) stop() {
	h.stopping = true
	if h.engine == nil {
		return
	}
	h.engine.signal(unix.SIGTERM)
	p := h.engine
	time.AfterFunc(stopGrace, func() {
		h.events <- func(h *Holder) {
			if h.engine == p {
				p.signal(unix.SIGKILL)
			}
		}
	})
}

// becameReady is OpReady.
func (h *Holder) becameReady() error {
	h.guarded = true
	if h.served {
		return nil
	}
	h.served = true
	if err := h.ready(); err != nil {
		h.stop()
		return errors.Join(ErrPluginGone, err)
	}
	return nil
}

// Package holder is the small process that stands behind the engine of one
// sandbox.
//
// The engine parses what comes from the network and from programs, so it is the
// one that an attacker takes over first, and it is locked down: see
// hostlink.EngineRules. The holder parses nothing but fixed messages of its
// engine (package rpc). It opens what the engine needs, hands over descriptors of
// the sandbox's own processes and of no other, and starts another engine when one
// dies. It keeps a copy of each link and of each seccomp listener, so that the
// devices keep their carrier, frames wait in their queues, and notified calls
// wait for the next engine instead of failing.
//
// Its capabilities: CAP_SYS_PTRACE and CAP_DAC_OVERRIDE, to look into the
// sandbox's processes and to open their memory; CAP_NET_BIND_SERVICE, for
// kernel listeners in the sandbox at ports below 1024; CAP_SYS_RESOURCE, to hand
// descriptors to its engine: how many may be under way is counted for each user
// of the machine, and every container that runs as root could use that up.
// CAP_SYS_PTRACE is also what it passes on. Everything that takes more is done before it serves.
package holder

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tcpcni/tcpcni/engine"
	"github.com/tcpcni/tcpcni/engine/rpc"
	"github.com/tcpcni/tcpcni/hostlink"
	"github.com/tcpcni/tcpcni/hostlink/cgroup"
)

// Memory of the process: it allocates little, and seldom.
const (
	gcPercent = 20
	maxProcs  = 1
)

// ErrPluginGone says that nobody heard that the sandbox is served.
var ErrPluginGone = errors.New("the plugin that started this holder is gone")

// A Holder serves one sandbox.
type Holder struct {
	cfg    engine.Config
	config []byte // cfg as the engine reads it
	log    *slog.Logger
	// ready tells the plugin, once, that the sandbox is served.
	ready func() error

	starter *starter
	members *hostlink.Members
	kept    listeners

	control int
	links   []hostlink.Link // uplink, inner
	queues  []*hostlink.TAP // of the uplink, for shards
	uptime  int             // of hostlink.OpenIdle. Valid iff there are queues
	pcap    *os.File

	asks     *rpc.Conn // of the engine that runs
	engine   *process  // nil: none runs
	guarded  bool      // the engine may not say any more what the listener of its filter is
	keeper   *keeper   // of that engine; nil: it has none
	legacy   *keeper   // of the engine before, until it is adopted
	deaf     bool      // that an engine took no answer has been said
	served   bool      // some engine got ready
	stopping bool
	events   chan event
}

// An event is something that happens to the holder. All of them are handled by
// one goroutine, which owns the fields.
type event func(h *Holder)

// Run serves the sandbox of the configuration file until it is stopped. ready is
// called when the first engine serves; when it fails nobody knows of the sandbox,
// and Run ends with ErrPluginGone.
func Run(configPath string, ready func() error) error {
	debug.SetGCPercent(gcPercent)
	runtime.GOMAXPROCS(maxProcs)
	h, err := open(configPath, ready)
	if err != nil {
		return err
	}
	defer h.close()
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, unix.SIGTERM, unix.SIGINT)
	defer signal.Stop(signals)
	go func() {
		for range signals {
			h.events <- (*Holder).stop
		}
	}()
	oci, err := h.listenOCI(filepath.Dir(configPath))
	if err != nil {
		return err
	}
	defer func() { _ = oci.Close() }()
	return h.supervise()
}

// open does what takes privileges, and drops them.
func open(configPath string, ready func() error) (*Holder, error) {
	text, err := os.ReadFile(configPath)
	if err != nil {
		return nil, err
	}
	cfg, err := engine.LoadConfig(configPath)
	if err != nil {
		return nil, err
	}
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	h := &Holder{
		cfg: cfg, config: text, ready: ready, control: -1,
		log: slog.With("sandbox", cfg.Name), events: make(chan event),
	}
	if err := h.prepare(filepath.Dir(configPath)); err != nil {
		h.close()
		return nil, err
	}
	return h, nil
}

// prepare enters the control group, opens everything, and drops privileges.
func (h *Holder) prepare(dir string) (err error) {
	if _, err := hostlink.RaiseNoFile(); err != nil {
		return err
	}
	if err := cgroup.Enter(dir, h.cfg.Memory); err != nil {
		h.log.Warn("no control group of its own, or one without its limits", "error", err)
	}
	// An engine's keeper becomes this process's child when the engine dies.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return os.NewSyscallError("PR_SET_CHILD_SUBREAPER", err)
	}
	if err := h.openFiles(); err != nil {
		return err
	}
	if h.members, err = hostlink.NewMembers(h.cfg.Inner.NetNS); err != nil {
		return err
	}
	if h.starter, err = newStarter(h.cfg.Inner.NetNS, dir); err != nil {
		return err
	}
	return hostlink.LimitPrivileges(unix.CAP_SYS_PTRACE, unix.CAP_DAC_OVERRIDE, unix.CAP_NET_BIND_SERVICE, unix.CAP_SYS_RESOURCE)
}

// openFiles opens the links, the capture and the control socket.
func (h *Holder) openFiles() (err error) {
	for _, l := range []struct {
		field string
		spec  engine.LinkSpec
	}{{"uplink", h.cfg.Uplink}, {"inner", h.cfg.Inner}} {
		if l.spec.Kind == "" {
			continue
		}
		if l.field == "uplink" && h.cfg.Shards > 1 {
			all, err := engine.OpenQueues(l.spec, h.cfg.Shards)
			if err != nil {
				return fmt.Errorf("%s: %w", l.field, err)
			}
			h.links, h.queues = append(h.links, all[0]), all[1:]
			if h.uptime, err = hostlink.OpenIdle(); err != nil {
				return err
			}
			continue
		}
		link, err := engine.OpenLink(l.spec)
		if err != nil {
			return fmt.Errorf("%s: %w", l.field, err)
		}
		h.links = append(h.links, link)
	}
	if h.cfg.Pcap != "" {
		if h.pcap, err = engine.OpenPcap(h.cfg.Pcap); err != nil {
			return fmt.Errorf("pcap: %w", err)
		}
	}
	h.control, err = hostlink.ListenControl(h.cfg.ControlPath)
	return err
}

func (h *Holder) close() {
	h.kept.close()
	for _, l := range h.links {
		_ = l.Close()
	}
	for _, q := range h.queues {
		_ = q.Close()
	}
	if len(h.queues) > 0 {
		hostlink.CloseFD(h.uptime)
	}
	if h.control >= 0 {
		hostlink.CloseFD(h.control)
		_ = os.Remove(h.cfg.ControlPath)
	}
}

// Pauses before an engine is started again. One that dies is replaced at once;
// after quickDeaths in a row, each within longLife of its start, the pause grows
// up to maxPause: whatever kills them goes on, and the machine has other work.
const (
	longLife    = 10 * time.Second
	quickDeaths = 5
	firstPause  = 100 * time.Millisecond
	maxPause    = 5 * time.Second
)

// pauseAfter is the pause after n quick deaths in a row.
func pauseAfter(n int) time.Duration {
	if n <= quickDeaths {
		return 0
	}
	return min(firstPause<<min(n-quickDeaths-1, 10), maxPause)
}

// supervise starts engines until the sandbox is stopped.
func (h *Holder) supervise() error {
	for deaths := 0; ; {
		if h.stopping {
			return nil
		}
		born := time.Now()
		err := h.serveOnce()
		if h.stopping {
			return nil
		}
		if !h.served {
			return fmt.Errorf("the engine ended before it was ready: %w", err)
		}
		if deaths++; time.Since(born) > longLife {
			deaths = 1
		}
		pause := pauseAfter(deaths)
		trimLog(os.Stderr)
		h.log.Error("the engine died and is started again", "error", err, "deaths", deaths, "pause", pause)
		h.pause(pause)
	}
}

// maxLog bounds the log in bytes, which lies in memory (/run) and gets a list of
// goroutines with every engine that dies.
const maxLog = 1 << 20

// trimLog begins a log file that has become too long anew.
func trimLog(f *os.File) {
	if st, err := f.Stat(); err == nil && st.Mode().IsRegular() && st.Size() > maxLog {
		_ = f.Truncate(0)
	}
}

// serveOnce starts an engine and returns when it has ended, with the reason. One
// that cannot be started, for want of memory, processes or descriptors, is like
// one that dies at once: there may be some again later.
func (h *Holder) serveOnce() error {
	end, err := h.startEngine()
	if err != nil {
		return err
	}
	for {
		select {
		case f := <-h.events:
			f(h)
		case err := <-end:
			h.engineDied()
			return err
		}
	}
}

// pause handles events for a while, or until the sandbox is stopped.
func (h *Holder) pause(d time.Duration) {
	over := time.After(d)
	for !h.stopping {
		select {
		case f := <-h.events:
			f(h)
		case <-over:
			return
		}
	}
}

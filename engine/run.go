package engine

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"time"

	"github.com/tcpcni/tcpcni/engine/rpc"
	"github.com/tcpcni/tcpcni/hostlink"
	"github.com/tcpcni/tcpcni/hostlink/abi"
	"github.com/tcpcni/tcpcni/netstack"
	"github.com/tcpcni/tcpcni/sockopt"
)

// Limits of the loop.
const (
	maxProcs = 2 // the main loop, and the collector beside it; each shard is one more

	pollerBatch = 128

	// finDelay is what a program has to close when its peer has, if one segment is
	// to say both. Nobody notices that the acknowledgement comes so much later.
	finDelay = time.Millisecond

	// pollerSpin is how long the loop stays awake for the next event while events
	// are dense: what it costs to go to sleep and to be woken, here and by whom.
	pollerSpin = 50 * time.Microsecond
)

// maxLog bounds the log in bytes. It lies in memory (/run), and whoever has taken
// an engine over can write to it.
const maxLog = 4 << 20

// Variables for tests that are built with cgo, where neither works.
var (
	dropPrivileges = hostlink.DropPrivileges
	lockDown       = hostlink.LockDown
)

// An Inherited names the descriptors that an engine gets from its holder, which
// has opened everything that takes privileges or a file system.
type Inherited struct {
	Holder  int // questions to the holder, see package rpc
	Control int // the listener of the control socket
	Uplink  int
	Inner   int   // -1: the configuration has none
	Queues  []int // further queues of the uplink, one for each shard but the first
	Uptime  int   // of hostlink.OpenIdle, for shards; -1: not to be had
	Pcap    int   // the file that the configuration names; -1: it names none
}

// Run is the engine of one sandbox, without a holder: it opens the links, drops
// its privileges, calls ready once it serves the control socket, and returns when
// it was told to stop (nil), on SIGTERM or SIGINT (nil), or on an error that ends
// it.
func Run(cfg Config, ready func()) error {
	e, err := open(cfg, nil)
	if err != nil {
		return err
	}
	defer e.close()
	return e.inSandbox(func() error {
		// Capabilities that remain: reaching into the programs' descriptors, and
		// opening their memory, whoever they run as.
		if err := dropPrivileges(abi.CAP_SYS_PTRACE, abi.CAP_DAC_OVERRIDE); err != nil {
			return err
		}
		ready()
		return e.untilStopped()
	})
}

// RunHeld is Run for an engine that its holder has started, in the sandbox's
// network namespace and with an empty root directory. Before it looks at the
// first frame it locks itself down: package hostlink, EngineRules.
func RunHeld(cfg Config, from Inherited) error {
	if err := hostlink.ReservePlaces(); err != nil {
		return err
	}
	e, err := open(cfg, &from)
	if err != nil {
		return err
	}
	defer e.close()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := dropPrivileges(abi.CAP_SYS_PTRACE); err != nil {
		return err
	}
	if err := e.startKeeper(); err != nil {
		return err
	}
	if cfg.Pcap == "" { // a capture is as long as it gets
		if err := hostlink.LimitFiles(maxLog); err != nil {
			return err
		}
	}
	if err := e.lockDown(); err != nil {
		return err
	}
	taken, err := e.inherit()
	if err != nil {
		return fmt.Errorf("inherit: %w", err)
	}
	if err := e.helper.ready(); err != nil {
		return fmt.Errorf("holder: %w", err)
	}
	if taken != nil {
		taken.reissue()
	}
	return e.untilStopped()
}

// untilStopped runs the loop with the signals that end it.
func (e *engine) untilStopped() error {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, abi.SIGTERM, abi.SIGINT)
	defer signal.Stop(stop)
	go func() {
		if _, ok := <-stop; ok {
			e.stop()
		}
	}()
	defer hostlink.HoldSignals()() // see Notifier.ReplyFD
	if err := e.openLanding(); err != nil {
		return err
	}
	defer e.closeLanding()
	if e.shards == nil {
		return e.loop()
	}
	e.shards.start()
	err := e.loop()
	return errors.Join(err, e.shards.stop())
}

// stop makes the loop end. It may be called from any goroutine.
func (e *engine) stop() {
	e.stopped.Store(true)
	e.poll.Wake()
}

// inSandbox runs f on a locked thread in the sandbox's network namespace: pairs
// made there answer interface requests for the sandbox.
func (e *engine) inSandbox(f func() error) error {
	if e.cfg.Inner.NetNS != "" {
		return hostlink.InNetNS(e.cfg.Inner.NetNS, f)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	return f()
}

// open does everything that needs privileges. held: the holder has done it.
func open(cfg Config, held *Inherited) (_ *engine, err error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	runtime.GOMAXPROCS(maxProcs + max(cfg.Shards, 1) - 1)
	if cfg.Profile == "" {
		cfg.Profile = "linux"
	}
	if cfg.MaxSockets == 0 {
		cfg.MaxSockets = DefaultMaxSockets
	}
	e := &engine{cfg: cfg, log: slog.With("sandbox", cfg.Name), started: hostlink.Now(), held: held, ifindex: map[string]int{}}
	e.now = e.started
	defer func() {
		if err != nil {
			e.close()
		}
	}()
	if e.socks.max, err = socketLimit(cfg.MaxSockets, cfg.Shards); err != nil {
		return nil, err
	}
	if e.journal, err = newJournal(e.socks.max + reservedFDs + shardFDs*(max(cfg.Shards, 1)-1) + slackFDs); err != nil {
		return nil, err
	}
	if err = e.makeStack(); err != nil {
		return nil, err
	}
	if e.poll, err = hostlink.NewPoller(pollerBatch); err != nil {
		return nil, err
	}
	e.poll.SetSpin(pollerSpin)
	e.poll.SetEager(e.takeEarly)
	if err = e.openHelper(); err != nil {
		return nil, err
	}
	if err = e.openLinks(); err != nil {
		return nil, err
	}
	if held != nil {
		e.ctl.listener = held.Control
	} else if e.ctl.listener, err = hostlink.ListenControl(cfg.ControlPath); err != nil {
		return nil, err
	}
	e.ctl.open = true
	return e, e.poll.Add(e.ctl.listener, hostlink.In, tag(kindControl, 0, 0))
}

// openHelper takes what needs privileges later from the holder, or keeps it.
func (e *engine) openHelper() error {
	if e.held == nil {
		d, err := newDirect(e.cfg.Inner.NetNS)
		e.helper, e.threads.helper = d, d
		return err
	}
	r := &remote{conn: rpc.NewConn(e.held.Holder)}
	e.helper, e.threads.helper = r, r
	// Answers are read where they are waited for: only the end matters here.
	return e.poll.Add(e.held.Holder, hostlink.RdHup, tag(kindHolder, 0, 0))
}

// reservedFDs are for everything but sockets: links, clients, threads (a place and
// a descriptor each) and calls under way.
const reservedFDs = hostlink.Places + maxThreads + 2*maxPassages + 64

// shardFDs are those of a shard: its queue, its poller, and what wakes that.
const shardFDs = 3

// socketLimit is how many sockets the limit of descriptors allows beside that many
// loops, at most want.
func socketLimit(want, shards int) (int, error) {
	limit, err := hostlink.RaiseNoFile()
	if err != nil {
		return 0, err
	}
	reserved := reservedFDs + shardFDs*uint64(max(shards, 1)-1)
	if limit <= 2*reserved {
		return 0, fmt.Errorf("limit of open files: %d, at least %d are needed", limit, 2*reserved)
	}
	return int(min(uint64(want), limit-reserved)), nil
}

func (e *engine) makeStack() error {
	profile, err := sockopt.ProfileByName(e.cfg.Profile)
	if err != nil {
		return err
	}
	tun, err := sockopt.NewTunables(profile, e.cfg.Tunables)
	if err != nil {
		return err
	}
	cfg := netstack.Config{Profile: profile, Tunables: tun}
	hostlink.Entropy(cfg.Seed[:])
	e.profile = profile
	e.stack = netstack.New(cfg)
	e.stack.TCP().SetVain(e.inVain)
	e.stack.TCP().SetFINDelay(finDelay)
	e.keepTies(e.stack, outerTies)
	profile.Links = links{e.stack, e}
	if e.defaults, err = NewDefaults(profile, e.cfg.SocketOptions); err != nil {
		return fmt.Errorf("socketOptions%w", err)
	}
	if len(e.cfg.SocketOptions) > 0 {
		e.stack.TCP().SetDefaults(e.defaults.Incoming)
	}
	e.stack.Advance(e.now)
	return nil
}

// openLinks opens the uplink, with its wrappers, and the interface that the
// sandbox sees.
func (e *engine) openLinks() error {
	mac, err := e.cfg.hardwareAddr()
	if err != nil {
		return err
	}
	up, queues, err := e.openUplink()
	if err != nil {
		return err
	}
	p, err := e.addPort(up, e.cfg.Uplink)
	if err != nil {
		return err
	}
	p.stack = e.stack
	sink := netstack.Sink(p.Link)
	if e.cfg.Lease != nil {
		e.lease = e.openLease(p, mac)
		sink = e.lease
	}
	if err := e.plug(p, sink); err != nil {
		return err
	}
	if len(queues) > 0 {
		if err := e.openShards(queues); err != nil {
			return err
		}
	}
	if e.cfg.Inner.Kind == "" {
		return nil
	}
	in, err := e.openBare("inner", e.cfg.Inner)
	if err != nil {
		return err
	}
	if p, err = e.addPort(in, e.cfg.Inner); err != nil {
		return err
	}
	if e.lease != nil {
		e.lease.inner = p
	}
	if !e.cfg.inline() {
		return nil
	}
	return e.openInner(p)
}

// plug has the stack use the uplink, port p, and know its routes.
func (e *engine) plug(p *port, sink netstack.Sink) error {
	mac, err := e.cfg.hardwareAddr()
	if err != nil {
		return err
	}
	p.num, err = e.stack.AddLink(netstack.LinkConfig{
		Name: e.cfg.Ifname, MAC: mac, MTU: e.cfg.MTU, Addrs: e.cfg.Addrs,
		TxChecksum: true, TSO: true, USO: hostlink.CutsDatagrams(), Sink: sink,
	})
	if err != nil {
		return err
	}
	for _, r := range e.cfg.Routes {
		if err := e.stack.AddRoute(netstack.Route{Dst: r.Dst, Gateway: r.Gateway, Link: p.num, MTU: r.MTU}); err != nil {
			return fmt.Errorf("routes: %v: %w", r.Dst, err)
		}
	}
	return nil
}

// openLink opens a link with the wrappers that the configuration asks for. The
// capture shows what the wire carries: it stands between impairment and device.
func (e *engine) openLink(field string, spec LinkSpec) (hostlink.Link, error) {
	l, err := e.openBare(field, spec)
	if err != nil {
		return nil, err
	}
	if e.cfg.Pcap != "" {
		f, err := e.openPcap()
		if err != nil {
			_ = l.Close()
			return nil, fmt.Errorf("pcap: %w", err)
		}
		l = hostlink.PcapLink(l, f, hostlink.Now)
	}
	if e.cfg.Impair != "" {
		imp, err := hostlink.ParseImpairment(e.cfg.Impair)
		if err != nil {
			_ = l.Close()
			return nil, fmt.Errorf("impair: %w", err)
		}
		l = hostlink.Impair(l, imp, hostlink.Now)
	}
	if b := e.cfg.Bandwidth; b != nil {
		ingress, egress := b.rates()
		l = hostlink.Shape(l, ingress, egress, hostlink.Now)
	}
	return l, nil
}

// openPcap opens the capture, which goes on in the file of the engine before.
func (e *engine) openPcap() (*os.File, error) {
	if e.held != nil {
		return os.NewFile(uintptr(e.held.Pcap), e.cfg.Pcap), nil
	}
	return OpenPcap(e.cfg.Pcap)
}

// OpenPcap makes the file that gets a copy of every frame.
func OpenPcap(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY|os.O_APPEND, 0o600)
}

func (e *engine) openBare(field string, spec LinkSpec) (hostlink.Link, error) {
	if e.held != nil {
		fd := e.held.Uplink
		if field == "inner" {
			fd = e.held.Inner
		}
		if spec.Kind == LinkPacket {
			return hostlink.AdoptPacket(fd, spec.Ifname), nil
		}
		return hostlink.AdoptTAP(fd, spec.Ifname), nil
	}
	l, err := OpenLink(spec)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", field, err)
	}
	return l, nil
}

// OpenLink opens a link of the configuration.
func OpenLink(spec LinkSpec) (hostlink.Link, error) {
	if spec.Kind == LinkPacket {
		return hostlink.OpenPacket(spec.Ifname, spec.NetNS)
	}
	// The plugin made it. Where a DEL was quicker than this process, what is
	// opened is a new device, and it must not stay.
	return hostlink.OpenTAP(hostlink.TAPConfig{Name: spec.Ifname, NetNS: spec.NetNS, AsIs: true})
}

func (e *engine) addPort(l hostlink.Link, spec LinkSpec) (*port, error) {
	p := &port{Link: l, name: spec.Ifname, kind: spec.Kind}
	p.timed, _ = l.(hostlink.Timed)
	e.ports = append(e.ports, p)
	return p, e.poll.Add(l.FD(), hostlink.In, tag(kindPort, 0, len(e.ports)-1))
}

// ifindexOf is the kernel's number of the interface that shows address a in the
// sandbox, for ancillary data.
func (e *engine) ifindexOf(addr interface{ IsLoopback() bool }) int {
	name := e.cfg.Ifname
	if addr.IsLoopback() {
		name = "lo"
	}
	if e.ifindex[name] == 0 {
		e.ifindex[name], _, _ = e.helper.iface(name)
	}
	return e.ifindex[name]
}

// close releases everything. Programs that still run see their connections
// break.
func (e *engine) close() {
	for _, p := range e.ports {
		_ = p.Close()
	}
	if e.shards != nil {
		e.shards.close()
	}
	e.ctl.close()
	if e.held == nil && e.ctl.open {
		_ = os.Remove(e.cfg.ControlPath)
	}
	if e.helper != nil {
		e.helper.close()
	}
	for _, on := range e.ons {
		if on != nil {
			_ = on.Close()
		}
	}
	e.inline.kernel.close()
	e.closePassages()
	if e.poll != nil {
		_ = e.poll.Close()
	}
	e.journal.close()
}

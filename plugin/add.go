package plugin

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"

	"github.com/containernetworking/cni/pkg/skel"
	"github.com/containernetworking/cni/pkg/types"
	current "github.com/containernetworking/cni/pkg/types/100"
	"github.com/containernetworking/cni/pkg/version"

	"github.com/tcpcni/tcpcni/engine"
	"github.com/tcpcni/tcpcni/hostlink"
	"github.com/tcpcni/tcpcni/hostlink/process"
)

// cmdAdd attaches a sandbox to the network: everything is checked, IPAM gives
// addresses, the devices are made, the engine is started between them. An error
// at any step leaves nothing behind.
func cmdAdd(args *skel.CmdArgs) error {
	c, s, err := prepareVerb(args)
	if err != nil {
		return err
	}
	if err := errors.Join(c.readArgs(args.Args), c.readAttachment()); err != nil {
		return invalid(err)
	}
	if err := checkNetNS(args.Netns); err != nil {
		return err
	}
	if err := s.checkControlPath(); err != nil {
		return err
	}
	if err := checkPlace(c, args); err != nil {
		return err
	}
	if err := c.settleInterception(s.stateDir()); err != nil {
		return err
	}
	lock, err := s.lock()
	if err != nil {
		return err
	}
	r, err := attach(c, s, args)
	if err != nil {
		return errors.Join(err, s.unlock(lock))
	}
	return errors.Join(types.PrintResult(r, c.CNIVersion), s.unlock(lock))
}

// checkPlace checks what the plugin's place in its list asks for: a plugin before
// it or none, and an IPAM plugin of its own or none.
func checkPlace(c *Config, args *skel.CmdArgs) error {
	if c.Uplink == UplinkChained {
		_, err := chainedInterface(c, args.IfName, args.Netns)
		return err
	}
	if c.PrevResult != nil {
		return &FieldError{"prevResult", "a previous plugin's result", `none, this plugin is the first of its list, unless "uplink" is "chained"`}
	}
	if err := findIPAM(c); err != nil {
		return invalid(err)
	}
	return nil
}

// prepareVerb parses what every verb is given.
func prepareVerb(args *skel.CmdArgs) (*Config, Sandbox, error) {
	c, err := parseNetwork(args.StdinData)
	if err != nil {
		return nil, Sandbox{}, invalid(err)
	}
	dir, err := StateDir()
	if err != nil {
		return nil, Sandbox{}, types.NewError(types.ErrInvalidEnvironmentVariables, err.Error(), "")
	}
	return c, SandboxAt(dir, args.ContainerID, args.IfName), nil
}

// checkNetNS refuses a namespace that is not there or is the plugin's own: the
// sandbox's interface would land on the host.
func checkNetNS(path string) error {
	same, err := hostlink.SameNetNS(path, "")
	switch {
	case err != nil:
	case same:
		err = fmt.Errorf("CNI_NETNS: %q: accepted: another namespace than the host's", path)
	case !process.IsNetNS(path):
		err = fmt.Errorf("CNI_NETNS: %q: accepted: a file that is a network namespace", path)
	}
	if err != nil {
		return types.NewError(types.ErrInvalidNetNS, "unusable network namespace", err.Error())
	}
	return nil
}

// attach makes the attachment. The caller holds its lock.
func attach(c *Config, s Sandbox, args *skel.CmdArgs) (r *current.Result, err error) {
	if err := clearLeftovers(c, s, args); err != nil {
		return nil, err
	}
	var u undo
	defer func() { err = u.run(err) }()

	l, err := layOut(&u, c, s, args)
	if err == nil {
		err = c.gotIPs(l.result)
	}
	if err != nil {
		return nil, err
	}
	rec := l.record(c, s, args)
	if err := keepRecord(&u, s, rec); err != nil {
		return nil, err
	}
	if !c.leases() { // which has them already
		err = makeDevices(&u, c, s, rec, l.plan)
	}
	if err == nil {
		err = masquerade(&u, c, s, rec, l.plan)
	}
	if err != nil {
		return nil, failed(ErrDevice, "the devices of the attachment", err)
	}
	cfg := engineConfig(c, s, rec, l.plan)
	cfg.Lease = leaseSpec(c, s, l.lease)
	if err := startEngine(s, cfg); err != nil {
		return nil, failed(ErrEngine, "the engine of the attachment", err)
	}
	u.push(s.stopEngine)
	return makeResult(c, s, rec, l.result)
}

// keepRecord writes the record before the first device: a plugin that is killed
// from here on leaves a record of what it may have made.
func keepRecord(u *undo, s Sandbox, rec *Record) error {
	u.push(func() error { return os.RemoveAll(s.Dir) })
	if err := os.MkdirAll(s.Dir, 0o700); err != nil {
		return err
	}
	return s.writeJSON(recordFile, rec)
}

// A layout is what an attachment will be.
type layout struct {
	result *current.Result // of IPAM, or of the plugin before
	plan   *plan
	mac    net.HardwareAddr  // of the sandbox
	moved  *moved            // valid iff the uplink is chained
	lease  *engine.LeaseSpec // of the address; nil: it is not leased through the sandbox's interface
}

// layOut asks IPAM, or looks at what the plugin before made.
func layOut(u *undo, c *Config, s Sandbox, args *skel.CmdArgs) (*layout, error) {
	if c.Uplink == UplinkChained {
		r, err := chainedInterface(c, args.IfName, args.Netns)
		if err != nil {
			return nil, err
		}
		m, err := inspect(args.IfName, args.Netns)
		if err != nil {
			return nil, failed(ErrDevice, "the interface of the plugin before", err)
		}
		mac, err := net.ParseMAC(m.MAC)
		return &layout{result: r, plan: m.plan(), mac: mac, moved: m}, err
	}
	if c.leases() {
		return lease(u, c, s, args)
	}
	u.push(func() error { return ipamDo(delegateDel, c, args.StdinData) })
	r, err := ipamAdd(c, args.StdinData)
	if err != nil {
		return nil, err
	}
	if err := c.gotIPs(r); err != nil {
		return nil, failed(types.ErrInvalidNetworkConfig, "addresses that were not given", err)
	}
	p, err := makePlan(c, r, mtuFor(c))
	if err != nil {
		return nil, failed(types.ErrInvalidNetworkConfig, "addresses that cannot be used", err)
	}
	mac := c.MAC
	if mac == nil {
		mac = derivedMAC(s.ContainerID, s.IfName)
	}
	return &layout{result: r, plan: p, mac: mac}, nil
}

// record is what is written down of the attachment before it is made.
func (l *layout) record(c *Config, s Sandbox, args *skel.CmdArgs) *Record {
	rec := &Record{
		Network: c.Name, ContainerID: s.ContainerID, IfName: s.IfName, NetNS: args.Netns,
		Uplink: c.Uplink, Bridge: c.Bridge, VLAN: c.VLAN, Hairpin: c.Hairpin,
		Device: uplinkName(s.ContainerID, s.IfName), MTU: l.plan.mtu, MAC: l.mac.String(),
		IPMasq: c.IPMasq, Profile: c.profileName(), Addrs: l.plan.addrs, Moved: l.moved,
		Intercept: c.Intercept,
	}
	if rec.IPMasq {
		rec.MasqBackend, _ = masqBackend(c) // none is setUpMasq's error
	}
	return rec
}

// clearLeftovers makes room for an ADD after a plugin or machine that stopped
// in the middle. An attachment that works is not touched.
func clearLeftovers(c *Config, s Sandbox, args *skel.CmdArgs) error {
	if _, err := os.Stat(s.Dir); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if id, err := s.Engine(); err == nil && id.Alive() {
		return types.NewError(ErrAttached,
			fmt.Sprintf("CNI_CONTAINERID %q with CNI_IFNAME %q is attached already: accepted: one that is not", s.ContainerID, s.IfName), "")
	}
	return detach(c, s, args)
}

// makeDevices makes the inner and the uplink side.
func makeDevices(u *undo, c *Config, s Sandbox, rec *Record, p *plan) error {
	if c.Uplink == UplinkChained {
		if err := moveAway(u, s, rec); err != nil {
			return err
		}
	}
	alias := aliasOf(s.stateDir(), rec)
	mac, err := net.ParseMAC(rec.MAC)
	if err != nil {
		return err
	}
	if err := setUpInner(u, rec.NetNS, rec.IfName, alias, mac, p); err != nil {
		return err
	}
	if c.Uplink == UplinkChained {
		return nil
	}
	if err := clearUplink(rec.Device); err != nil {
		return err
	}
	hostMAC := derivedMAC("host", s.ContainerID, s.IfName)
	if c.Uplink == UplinkBridge {
		// A bridge without an address of its own has the lowest of its ports'. This
		// one is the highest, so that a bridge of others keeps the one it has.
		hostMAC[0] = 0xfe
		err = c.whileLocked(func() error { return setUpBridge(u, c, rec.Device, alias, hostMAC, p) })
	} else {
		err = setUpPTP(u, c, rec.Device, alias, hostMAC, p)
	}
	return err
}

// masquerade makes the rules between the host and the rest of its world.
func masquerade(u *undo, c *Config, s Sandbox, rec *Record, p *plan) error {
	if !c.IPMasq || rec.Uplink == UplinkChained {
		return nil
	}
	u.push(func() error { return tearDownMasq(rec.MasqBackend, c.Name, s, p.addrs) })
	return setUpMasq(c.Name, s, rec, p.addrs)
}

// engineConfig says what the engine of the attachment does.
func engineConfig(c *Config, s Sandbox, rec *Record, p *plan) engine.Config {
	cfg := engine.Config{
		Name:        s.ContainerID,
		ControlPath: s.ControlPath(),
		Uplink:      engine.LinkSpec{Kind: engine.LinkTAP, Ifname: rec.Device},
		Inner:       engine.LinkSpec{Kind: engine.LinkTAP, Ifname: rec.IfName, NetNS: rec.NetNS},
		Inline:      &c.Inline,
		Ifname:      rec.IfName,
		MAC:         rec.MAC,
		MTU:         rec.MTU,
		Addrs:       p.engineAddrs(),
		Routes:      p.engineRoutes(),
		Profile:     rec.Profile,
		Tunables:    c.Tunables,
		Pcap:        c.Pcap,
		Impair:      c.Impair,

		SocketOptions: c.SocketOptions,
		Bandwidth:     c.Bandwidth,
		Memory:        c.Memory,
		Shards:        c.Shards,
		RefusePlain:   c.Intercept != InterceptNone,
	}
	if rec.Uplink == UplinkChained {
		cfg.Uplink = engine.LinkSpec{Kind: engine.LinkPacket, Ifname: rec.Device, NetNS: s.netNSPath()}
	}
	return cfg
}

// makeResult is the result of ADD: CNI specification 1.1.0, section 5. DNS
// settings of the configuration come before those of IPAM.
func makeResult(c *Config, s Sandbox, rec *Record, given *current.Result) (*current.Result, error) {
	r := &current.Result{
		CNIVersion: current.ImplementedSpecVersion,
		Interfaces: given.Interfaces, IPs: given.IPs, Routes: given.Routes, DNS: given.DNS,
	}
	if !c.DNS.IsEmpty() {
		r.DNS = c.DNS
	}
	if rec.Uplink == UplinkChained {
		// What the plugin before said holds: its interface has another device
		// behind it, and its device has another place.
		r.Interfaces = append(r.Interfaces, &current.Interface{Name: rec.Device, Mac: rec.MAC, Mtu: rec.MTU, Sandbox: s.netNSPath()})
		return r, nil
	}
	host, err := net.InterfaceByName(rec.Device)
	if err != nil {
		return nil, fmt.Errorf("interface %q: %w", rec.Device, err)
	}
	r.Interfaces = []*current.Interface{
		{Name: rec.Device, Mac: host.HardwareAddr.String(), Mtu: rec.MTU},
		{Name: rec.IfName, Mac: rec.MAC, Mtu: rec.MTU, Sandbox: rec.NetNS},
	}
	if rec.Bridge != "" {
		br, err := net.InterfaceByName(rec.Bridge)
		if err != nil {
			return nil, fmt.Errorf("bridge %q: %w", rec.Bridge, err)
		}
		// Its MTU follows its ports, so it is not this attachment's to tell.
		r.Interfaces = append(r.Interfaces, &current.Interface{Name: br.Name, Mac: br.HardwareAddr.String()})
	}
	const innerIndex = 1
	for _, ip := range r.IPs {
		ip.Interface = current.Int(innerIndex)
	}
	return r, nil
}

// previous reads the result of ADD that came with a later verb.
func previous(c *Config) (*current.Result, error) {
	if c.PrevResult == nil {
		return nil, errNoPrevResult
	}
	var conf types.PluginConf
	conf.CNIVersion = c.CNIVersion
	if err := json.Unmarshal(c.PrevResult, &conf.RawPrevResult); err != nil {
		return nil, fmt.Errorf("prevResult: %w", err)
	}
	if err := version.ParsePrevResult(&conf); err != nil {
		return nil, fmt.Errorf("prevResult: %w", err)
	}
	return current.NewResultFromResult(conf.PrevResult)
}

package plugin

// Addresses by DHCP. The IPAM plugin dhcp of the CNI project asks for them on the
// sandbox's interface, from its namespace, so the interface has to be there, and
// the network behind it, before there is an address; the lease is given back
// there, too, after the engine has ended. While no engine runs a relay here
// carries the client's messages, and nothing else, between the two TAPs. Once
// the engine runs it does that itself.

import (
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/containernetworking/cni/pkg/skel"
	"github.com/containernetworking/cni/pkg/types"
	current "github.com/containernetworking/cni/pkg/types/100"
	"github.com/vishvananda/netlink"

	"github.com/tcpcni/tcpcni/engine"
	"github.com/tcpcni/tcpcni/hostlink"
	"github.com/tcpcni/tcpcni/netstack"
	"github.com/tcpcni/tcpcni/netstack/dhcp"
	"github.com/tcpcni/tcpcni/netstack/wire"
)

// dhcpPlugin is the IPAM plugin that leases addresses.
const dhcpPlugin = "dhcp"

// leases reports whether addresses are leased through the sandbox's interface.
func (c *Config) leases() bool { return c.IPAMType == dhcpPlugin }

// checkDHCP applies the rules of addresses by DHCP.
func (c *Config) checkDHCP() error {
	if !c.leases() {
		return nil
	}
	if c.Uplink == UplinkPTP {
		return &FieldError{"ipam.type", quote(dhcpPlugin), `another plugin, since "uplink" is "ptp", and no DHCP server is reached on a link to the host alone; "uplink":"bridge" with a bridge of the server's network`}
	}
	if c.given["isGateway"] && c.IsGateway {
		return &FieldError{"isGateway", "true", `false, since "ipam.type" is "dhcp", and the network has the gateway that its server tells`}
	}
	c.IsGateway = false
	return nil
}

// ipamPatience bounds verbs of the IPAM plugin; 0 is no bound. The daemon of the
// plugin dhcp answers CHECK and DEL when it has done with the server, and never
// when the lease was lost.
func (c *Config) ipamPatience() time.Duration {
	if !c.leases() {
		return 0
	}
	return 10 * time.Second
}

// clientID is the client identifier that the plugin dhcp uses for an attachment
// (generateClientID in plugins/ipam/dhcp/daemon.go, withClientID in lease.go).
func clientID(c *Config, s Sandbox) []byte {
	const longest = 254
	id := s.ContainerID + "/" + c.Name + "/" + s.IfName
	return append([]byte{0}, id[:min(len(id), longest)]...)
}

// leaseSpec is what the engine has to know of the lease.
func leaseSpec(c *Config, s Sandbox, l *engine.LeaseSpec) *engine.LeaseSpec {
	if l == nil && c.DHCP {
		return &engine.LeaseSpec{ClientID: clientID(c, s)}
	}
	return l
}

// lease makes the devices and asks for an address through them.
func lease(u *undo, c *Config, s Sandbox, args *skel.CmdArgs) (*layout, error) {
	l := &layout{plan: &plan{mtu: mtuFor(c), v4: true}, mac: c.MAC}
	if l.mac == nil {
		l.mac = derivedMAC(s.ContainerID, s.IfName)
	}
	rec := l.record(c, s, args)
	if err := keepRecord(u, s, rec); err != nil {
		return nil, err
	}
	if err := makeDevices(u, c, s, rec, l.plan); err != nil {
		return nil, failed(ErrDevice, "the devices of the attachment", err)
	}
	u.push(func() error { return giveBackLease(c, s, rec, args) })
	r, err := openRelay(c, s, rec)
	if err != nil {
		return nil, failed(ErrDevice, "the way to a DHCP server", err)
	}
	l.result, err = ipamAdd(c, args.StdinData)
	gate := r.close()
	if err != nil {
		return nil, err
	}
	if err := c.gotIPs(l.result); err != nil {
		return nil, failed(types.ErrInvalidNetworkConfig, "addresses that were not given", err)
	}
	if l.plan, err = makePlan(c, l.result, l.plan.mtu); err != nil {
		return nil, failed(types.ErrInvalidNetworkConfig, "addresses that cannot be used", err)
	}
	if l.lease, err = leaseLeft(c, s, l.result, gate); err != nil {
		return nil, err
	}
	return l, failed(ErrDevice, "the devices of the attachment", hostlink.InNetNS(rec.NetNS, func() error { return configure(rec.IfName, l.plan) }))
}

// leaseLeft is how long the lease holds now. The relay has seen the server say it,
// unless the plugin had the lease before.
func leaseLeft(c *Config, s Sandbox, r *current.Result, g dhcp.Gate) (*engine.LeaseSpec, error) {
	spec := &engine.LeaseSpec{ClientID: clientID(c, s), Addr: g.Addr}
	for _, ip := range r.IPs {
		a, err := prefix(ip.Address)
		if err != nil {
			return nil, err
		}
		if g.Lease != 0 && a.Addr() != g.Addr {
			return nil, failed(types.ErrInvalidNetworkConfig, "addresses that cannot be used",
				fmt.Errorf("ipam %q: address %s: accepted: %s, which the server has leased", c.IPAMType, a.Addr(), g.Addr))
		}
		spec.Addr = a.Addr()
	}
	switch past := (hostlink.Now() - g.At) / time.Second; {
	case g.Lease == 0 || g.Lease == dhcp.Infinite:
		spec.Seconds = g.Lease
	case uint32(past) >= g.Lease:
		return nil, failed(types.ErrTryAgainLater, "the lease", fmt.Errorf("it has run out after %d seconds", g.Lease))
	default:
		spec.Seconds = g.Lease - uint32(past)
	}
	return spec, nil
}

// giveBackLease has the IPAM plugin release the lease, through the sandbox's
// interface if that is still there. Nothing of the sandbox uses the address by
// now: no frame but the release passes.
func giveBackLease(c *Config, s Sandbox, rec *Record, args *skel.CmdArgs) error {
	var r *relay
	if sandboxThere(rec.NetNS) {
		// Without it the lease runs out at its time.
		r, _ = openRelay(c, s, rec)
	}
	err := ipamDo(delegateDel, c, args.StdinData)
	if r != nil {
		r.close()
	}
	return err
}

// A relay carries a DHCP client's messages between the TAPs of an attachment
// that has no engine.
type relay struct {
	gate      dhcp.Gate
	inner, up *hostlink.TAP
	poll      *hostlink.Poller
	frame     hostlink.TxFrame
	stop      chan struct{}
	ended     chan struct{}
}

func openRelay(c *Config, s Sandbox, rec *Record) (r *relay, err error) {
	mac, err := net.ParseMAC(rec.MAC)
	if err != nil {
		return nil, err
	}
	r = &relay{
		gate:  dhcp.Gate{MAC: wire.MAC(mac), ClientID: clientID(c, s)},
		frame: hostlink.TxFrame{Buf: make([]byte, 0, netstack.VnetRoom+wire.EthernetLen+rec.MTU)},
		stop:  make(chan struct{}), ended: make(chan struct{}),
	}
	if r.poll, err = hostlink.NewPoller(2); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.closeLinks())
		}
	}()
	if r.inner, err = r.attach(rec.IfName, rec.NetNS); err != nil {
		return nil, err
	}
	if r.up, err = r.attach(rec.Device, ""); err != nil {
		return nil, err
	}
	go r.run()
	return r, nil
}

// attach opens a TAP that is there and waits until its kernel sends through it:
// the client's first message would be lost, and the next one is seconds later.
func (r *relay) attach(name, netNS string) (*hostlink.TAP, error) {
	err := hostlink.InNetNS(netNS, func() error {
		_, err := netlink.LinkByName(name)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("interface %q: %w", name, err)
	}
	t, err := hostlink.OpenTAP(hostlink.TAPConfig{Name: name, NetNS: netNS, AsIs: true})
	if err != nil {
		return nil, err
	}
	const patience, step = 2 * time.Second, 5 * time.Millisecond
	for waited := time.Duration(0); waited < patience; waited += step {
		var state netlink.LinkOperState
		err = hostlink.InNetNS(netNS, func() error {
			dev, err := netlink.LinkByName(name)
			if err == nil {
				state = dev.Attrs().OperState
			}
			return err
		})
		if err != nil || state == netlink.OperUp {
			break
		}
		time.Sleep(step)
	}
	return t, errors.Join(err, r.poll.Add(t.FD(), hostlink.In, 0))
}

func (r *relay) run() {
	defer close(r.ended)
	buf := make([]byte, hostlink.FrameRoom)
	for {
		r.carry(buf)
		select {
		case <-r.stop:
			r.carry(buf) // what the client has sent last
			return
		default:
		}
		if _, err := r.poll.Wait(hostlink.Forever); err != nil {
			return
		}
	}
}

// carry empties both TAPs.
func (r *relay) carry(buf []byte) {
	now := hostlink.Now()
	for f, err := r.inner.ReadFrame(buf); err == nil; f, err = r.inner.ReadFrame(buf) {
		if r.gate.Request(f.Data, now) {
			hostlink.Pass(r.up, &f, &r.frame)
		}
	}
	for f, err := r.up.ReadFrame(buf); err == nil; f, err = r.up.ReadFrame(buf) {
		if r.gate.Reply(f.Data) {
			hostlink.Pass(r.inner, &f, &r.frame)
		}
	}
}

// close ends the relay when it has carried what is there, and returns what it
// has seen.
func (r *relay) close() dhcp.Gate {
	close(r.stop)
	r.poll.Wake()
	<-r.ended
	_ = r.closeLinks()
	return r.gate
}

func (r *relay) closeLinks() error {
	err := r.poll.Close()
	for _, t := range []*hostlink.TAP{r.inner, r.up} {
		if t != nil {
			err = errors.Join(err, t.Close())
		}
	}
	return err
}

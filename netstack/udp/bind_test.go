package udp

import (
	"fmt"
	"testing"

	"github.com/tcpcni/tcpcni/sockopt"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

func profileLayer(t *testing.T, name string) *Layer {
	t.Helper()
	p, err := sockopt.ProfileByName(name)
	if err != nil {
		t.Fatal(err)
	}
	return NewLayer(&ground{mtu: 1500, gen: 1, secret: [32]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}}, p, p.Tunables)
}

// TestBindPolicy: what a datagram socket is answered is the profile's.
func TestBindPolicy(t *testing.T) {
	for name, want := range map[string]struct{ mapped, bind, send errno.Errno }{
		"linux":   {errno.EINVAL, errno.EADDRINUSE, errno.EAGAIN},
		"illumos": {errno.EADDRNOTAVAIL, errno.EADDRNOTAVAIL, errno.EADDRNOTAVAIL},
		"omnios":  {errno.EADDRNOTAVAIL, errno.EADDRNOTAVAIL, errno.EADDRNOTAVAIL},
		"freebsd": {errno.EADDRNOTAVAIL, errno.EADDRNOTAVAIL, errno.EADDRNOTAVAIL},
		"sortix":  {errno.EADDRNOTAVAIL, errno.EAGAIN, errno.EAGAIN},
		"cxux":    {errno.EADDRNOTAVAIL, errno.EADDRINUSE, errno.EADDRINUSE},
	} {
		l := profileLayer(t, name)
		s := l.NewSocket(v6, &app{})
		s.opts.V6Only = true
		if err := s.Bind(ap("[::ffff:10.87.0.2]:2000"), 0, sockopt.Privilege{}); err != want.mapped {
			t.Errorf("%s: mapped address: %v, want %v", name, err, want.mapped)
		}
		l.tun.PortMin, l.tun.PortMax = 2000, 2000
		if err := l.NewSocket(v4, &app{}).Bind(ap("0.0.0.0:0"), 0, sockopt.Privilege{}); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := l.NewSocket(v4, &app{}).Bind(ap("0.0.0.0:0"), 0, sockopt.Privilege{}); err != want.bind {
			t.Errorf("%s: no port for bind: %v, want %v", name, err, want.bind)
		}
		if err := l.NewSocket(v4, &app{}).SendTo([]byte("x"), ap("10.87.0.1:9")); err != want.send {
			t.Errorf("%s: no port for sendto: %v, want %v", name, err, want.send)
		}
		if err := l.NewSocket(v4, &app{}).Connect(ap("10.87.0.1:9")); err != want.send {
			t.Errorf("%s: no port for connect: %v, want %v", name, err, want.send)
		}
		// Datagrams may be received at these everywhere.
		for _, addr := range []string{"10.87.0.255:2100", "255.255.255.255:2101", "224.0.0.251:2102"} {
			if err := l.NewSocket(v4, &app{}).Bind(ap(addr), 0, sockopt.Privilege{}); err != nil {
				t.Errorf("%s: %s: %v", name, addr, err)
			}
		}
	}
}

// A socket that has a peer is a connection to FreeBSD's rule, until it has none.
func TestConnectedSocketUnderFreeBSD(t *testing.T) {
	l := profileLayer(t, "freebsd")
	try := func() error {
		s := l.NewSocket(v4, &app{})
		defer s.Close()
		s.opts.ReuseAddr = true
		return s.Bind(ap("10.87.0.2:2000"), 0, sockopt.Privilege{})
	}
	s := l.NewSocket(v4, &app{})
	if err := s.Bind(ap("10.87.0.2:2000"), 0, sockopt.Privilege{}); err != nil {
		t.Fatal(err)
	}
	if err := try(); err != errno.EADDRINUSE {
		t.Errorf("bound: %v", err)
	}
	if err := s.Connect(ap("10.87.0.1:9")); err != nil {
		t.Fatal(err)
	}
	if err := try(); err != nil {
		t.Errorf("connected: %v", err)
	}
	s.Disconnect()
	if err := try(); err != errno.EADDRINUSE {
		t.Errorf("disconnected: %v", err)
	}
}

// SO_EXCLBIND and SO_REUSEPORT_LB count from the moment they are set.
func TestClaimFollowsOptions(t *testing.T) {
	l := profileLayer(t, "illumos")
	first := l.NewSocket(v4, &app{})
	if err := first.Bind(ap("10.87.0.2:2000"), 0, sockopt.Privilege{}); err != nil {
		t.Fatal(err)
	}
	for _, on := range []bool{true, false} {
		first.opts.ExclBind = on
		first.opts.SetRare(func(r *sockopt.Rare) { r.ReusePortLB = on })
		first.Changed(sockopt.ExclBind)
		second := l.NewSocket(v4, &app{})
		if err := second.Bind(ap("10.99.0.2:2000"), 0, sockopt.Privilege{}); (err != nil) != on {
			t.Errorf("SO_EXCLBIND %v: %v", on, err)
		}
		second.Close()
		if first.claim.ReusePortLB != on {
			t.Errorf("SO_REUSEPORT_LB %v: %v", on, first.claim.ReusePortLB)
		}
	}
}

// SO_REUSEPORT_LB spreads flows as SO_REUSEPORT does.
func TestReusePortLBSpreadsFlows(t *testing.T) {
	l := profileLayer(t, "freebsd")
	var apps [2]app
	for i := range apps {
		s := l.NewSocket(v4, &apps[i])
		s.opts.SetRare(func(r *sockopt.Rare) { r.ReusePortLB = true })
		if err := s.Bind(ap("0.0.0.0:7777"), 5, sockopt.Privilege{}); err != nil {
			t.Fatal(err)
		}
	}
	for port := range 1000 {
		l.Input(rx(fmt.Sprintf("10.87.0.1:%d", 1000+port), "10.87.0.2:7777"))
	}
	for i := range apps {
		if n := len(apps[i].got); n < 400 || n > 600 {
			t.Errorf("socket %d got %d of 1000", i, n)
		}
	}
}

// ip_local_reserved_ports and ip_nonlocal_bind are for datagrams as well.
func TestBindTunables(t *testing.T) {
	l := profileLayer(t, "linux")
	change := func(name, value string) {
		t.Helper()
		if err := l.profile.ChangeTunables(map[string]string{name: value}); err != nil {
			t.Fatal(err)
		}
	}
	change("ip_local_port_range", "2000 2003")
	change("ip_local_reserved_ports", "2000-2001,2003")
	s := l.NewSocket(v4, &app{})
	if err := s.SendTo([]byte("x"), ap("10.87.0.1:9")); err != nil || s.LocalAddr().Port() != 2002 {
		t.Errorf("from %v: %v", s.LocalAddr(), err)
	}
	if err := l.NewSocket(v4, &app{}).Bind(ap("0.0.0.0:0"), 0, sockopt.Privilege{}); err != errno.EADDRINUSE {
		t.Errorf("the others are reserved: %v", err)
	}
	if err := l.NewSocket(v4, &app{}).Bind(ap("0.0.0.0:2001"), 0, sockopt.Privilege{}); err != nil {
		t.Errorf("one by its name: %v", err)
	}
	for _, want := range []error{errno.EADDRNOTAVAIL, nil} {
		if err := l.NewSocket(v4, &app{}).Bind(ap("192.0.2.7:2100"), 0, sockopt.Privilege{}); err != want {
			t.Errorf("an address of nobody: %v, want %v", err, want)
		}
		change("ip_nonlocal_bind", "1")
	}
}

// TestExtraPrivilegedPorts: tcp_extra_priv_ports of illumos, and udp_extra_priv_ports,
// are one list.
func TestExtraPrivilegedPorts(t *testing.T) {
	for name, want := range map[string]error{"illumos": errno.EACCES, "omnios": errno.EACCES, "linux": nil, "freebsd": nil} {
		l := profileLayer(t, name)
		for _, port := range []string{"2049", "4045"} {
			if err := l.NewSocket(v4, &app{}).Bind(ap("0.0.0.0:"+port), 1000, sockopt.Privilege{}); err != want {
				t.Errorf("%s: %s: %v, want %v", name, port, err, want)
			}
			if err := l.NewSocket(v4, &app{}).Bind(ap("10.87.0.2:"+port), 1000, sockopt.Privilege{NetBindService: true}); err == errno.EACCES {
				t.Errorf("%s: %s with the capability: %v", name, port, err)
			}
		}
	}
}

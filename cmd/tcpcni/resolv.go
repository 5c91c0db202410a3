package main

// Name resolution inside a sandbox: resolv.conf(5).

import (
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"strings"

	current "github.com/containernetworking/cni/pkg/types/100"

	"github.com/tcpcni/tcpcni/cmd/tcpcni/dnsrelay"
	"github.com/tcpcni/tcpcni/hostlink/process"
)

const resolvConf = "/etc/resolv.conf"

// A resolver file: name servers, and the other lines as they are.
type resolvFileContent struct {
	servers []netip.Addr
	other   []string
}

// parseResolv reads a resolv.conf. Without name servers it means the one on
// loopback (resolv.conf(5)).
func parseResolv(text string) resolvFileContent {
	var r resolvFileContent
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		f := strings.Fields(line)
		if len(f) >= 2 && f[0] == "nameserver" {
			if a, err := netip.ParseAddr(f[1]); err == nil {
				r.servers = append(r.servers, a)
			}
			continue
		}
		if len(f) > 0 && f[0][0] != '#' && f[0][0] != ';' {
			r.other = append(r.other, line)
		}
	}
	if len(r.servers) == 0 {
		r.servers = []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1})}
	}
	return r
}

func (r *resolvFileContent) String() string {
	var b strings.Builder
	b.WriteString("# Written by tcpcni run.\n")
	for _, s := range r.servers {
		fmt.Fprintf(&b, "nameserver %s\n", s)
	}
	for _, l := range r.other {
		b.WriteString(l + "\n")
	}
	return b.String()
}

// A resolvPlan is how names get resolved inside.
type resolvPlan struct {
	text  string           // of the program's own resolv.conf; "" leaves the host's
	relay []netip.AddrPort // resolvers on loopback that a relay has to reach
	serve []netip.Addr     // addresses for the relay to serve on
}

// planResolv decides from the host's resolv.conf and the network's result. DNS
// settings of the network come first, as in any runtime. A host's name server
// on loopback is out of the sandbox's reach: the gateway's addresses take its
// place, where a relay serves.
func planResolv(host string, r *current.Result, gateways []netip.Addr) resolvPlan {
	if len(r.DNS.Nameservers) > 0 {
		return resolvPlan{text: networkResolv(r)}
	}
	file := parseResolv(host)
	loopback := func(a netip.Addr) bool { return a.Unmap().IsLoopback() || a.IsUnspecified() }
	if !slices.ContainsFunc(file.servers, loopback) || len(gateways) == 0 {
		return resolvPlan{}
	}
	p := resolvPlan{serve: gateways}
	servers := slices.Clone(gateways)
	for _, s := range file.servers {
		if loopback(s) {
			p.relay = append(p.relay, netip.AddrPortFrom(s, dnsrelay.Port))
		} else {
			servers = append(servers, s)
		}
	}
	file.servers = servers
	p.text = file.String()
	return p
}

func networkResolv(r *current.Result) string {
	var b strings.Builder
	b.WriteString("# Written by tcpcni run.\n")
	for _, s := range r.DNS.Nameservers {
		fmt.Fprintf(&b, "nameserver %s\n", s)
	}
	if r.DNS.Domain != "" {
		fmt.Fprintf(&b, "domain %s\n", r.DNS.Domain)
	}
	if len(r.DNS.Search) > 0 {
		fmt.Fprintf(&b, "search %s\n", strings.Join(r.DNS.Search, " "))
	}
	if len(r.DNS.Options) > 0 {
		fmt.Fprintf(&b, "options %s\n", strings.Join(r.DNS.Options, " "))
	}
	return b.String()
}

// gatewaysOf are the addresses of the host's side, in the order of the result.
func gatewaysOf(r *current.Result) []netip.Addr {
	var list []netip.Addr
	for _, ip := range r.IPs {
		if a, ok := netip.AddrFromSlice(ip.Gateway); ok && !slices.Contains(list, a.Unmap()) {
			list = append(list, a.Unmap())
		}
	}
	return list
}

// setUpResolv writes the program's resolv.conf and starts the relay when they
// are needed. stop may be called in any case.
func (d *runDir) setUpResolv(r *current.Result, device string) (file string, stop func(), err error) {
	stop = func() {}
	host, err := os.ReadFile(resolvConf)
	if os.IsNotExist(err) {
		// There is nothing to mount over, and making the host's file is not ours.
		slog.Debug("no resolv.conf: names resolve as without a sandbox")
		return "", stop, nil
	}
	if err != nil {
		return "", stop, err
	}
	p := planResolv(string(host), r, gatewaysOf(r))
	if len(p.relay) > 0 {
		relay, err := dnsrelay.Start(dnsrelay.Config{Device: device, Listen: p.serve, Resolvers: p.relay, Log: slog.Default()})
		if err != nil {
			return "", stop, err
		}
		stop = relay.Close
	}
	if p.text == "" {
		return "", stop, nil
	}
	file = d.path(resolvFile)
	return file, stop, process.WriteFile(file, []byte(p.text), 0o644)
}

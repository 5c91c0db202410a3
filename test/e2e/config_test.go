package e2e

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/containernetworking/cni/pkg/types"
	current "github.com/containernetworking/cni/pkg/types/100"

	"github.com/tcpcni/tcpcni/engine"
	"github.com/tcpcni/tcpcni/plugin"
)

// What a runtime says about one attachment: capabilities and annotations.

const allCapabilities = `"capabilities":{"mac":true,"ips":true,"bandwidth":true,"dns":true,"portMappings":true,"io.kubernetes.cri.pod-annotations":true},`

// addWith is ADD with what the runtime knows.
func (r *cniRuntime) addWith(c container, capabilities map[string]any) (result *current.Result, err error) {
	rc := c.config()
	rc.CapabilityArgs = capabilities
	err = r.call(func(ctx context.Context) error {
		got, err := r.cni.AddNetworkList(ctx, r.list, rc)
		if err == nil {
			result, err = current.GetResult(got)
		}
		return err
	})
	return result, err
}

func (r *cniRuntime) delWith(c container, capabilities map[string]any) error {
	rc := c.config()
	rc.CapabilityArgs = capabilities
	return r.call(func(ctx context.Context) error { return r.cni.DelNetworkList(ctx, r.list, rc) })
}

func annotations(pairs ...string) map[string]any {
	m := map[string]string{}
	for i := 0; i+1 < len(pairs); i += 2 {
		m[pairs[i]] = pairs[i+1]
	}
	return map[string]any{"io.kubernetes.cri.pod-annotations": m}
}

func TestCapabilities(t *testing.T) {
	h := newHost(t)
	r := newRuntime(h, allCapabilities)
	a := r.container("a")
	caps := map[string]any{
		"mac": "02:00:00:00:00:77", "ips": []string{"10.87.0.77/24", "fd87::77"},
		"dns":          map[string]any{"servers": []string{"10.0.0.1"}, "searches": []string{"a.test"}},
		"portMappings": []map[string]any{{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}},
	}
	result, err := r.addWith(a, caps)
	must(t, err)
	expectResult(t, result, a, "10.87.0.77/24", "fd87::77/64")
	if result.Interfaces[1].Mac != "02:00:00:00:00:77" || len(result.DNS.Nameservers) != 1 || len(result.DNS.Search) != 1 {
		t.Errorf("%+v", result)
	}
	h.expectAnswers("10.87.0.77:9", "[fd87::77]:9")
	// The address is taken now: host-local says so, and nothing stays.
	b := r.container("b")
	if _, err := r.addWith(b, caps); err == nil || !strings.Contains(err.Error(), "10.87.0.77") {
		t.Errorf("an address twice: %v", err)
	}
	must(t, r.delWith(b, caps))
	must(t, r.delWith(a, caps))
}

// An annotation that is not allowed or malformed fails ADD, and the pod can be
// deleted with it.
func TestAnnotationsOfPods(t *testing.T) {
	h := newHost(t)
	r := newRuntime(h, allCapabilities+`"podAnnotations":["congestion","tunables.tcp_keepalive_*"],`)
	a := r.container("a")
	for _, c := range []struct{ name, value, says string }{
		{"tcpcni.dev/luck", "7", "tcpcni.dev/luck"},
		{"tcpcni.dev/mtu", "1400", "tcpcni.dev/mtu"},
		{"tcpcni.dev/tunables", `{"tcp_sack":0}`, "tcp_sack"},
		{"tcpcni.dev/congestion", "luck", "tcpcni.dev/congestion"},
	} {
		caps := annotations(c.name, c.value)
		_, err := r.addWith(a, caps)
		var e *types.Error
		if !errors.As(err, &e) || e.Code != types.ErrInvalidNetworkConfig || !strings.Contains(e.Details, c.says) {
			t.Errorf("%s=%s: %v", c.name, c.value, err)
		}
		must(t, r.delWith(a, caps))
	}
	caps := annotations("tcpcni.dev/congestion", "reno", "tcpcni.dev/tunables", `{"tcp_keepalive_time":77}`, "example.org/a", "b")
	_, err := r.addWith(a, caps)
	must(t, err)
	out := h.start(command(), "exec", "a", "--", "/usr/bin/python3", "-c", `
import socket
l = socket.create_server(('', 8080))
s = socket.create_connection(('127.0.0.1', 8080))
c, _ = l.accept()
for x in s, c:
    print(x.getsockopt(6, 13, 16).rstrip(b'\0').decode(), x.getsockopt(6, 4))
`).ok()
	if out != "reno 77\nreno 77\n" {
		t.Errorf("printed %q", out)
	}
	must(t, r.delWith(a, caps))
}

// The bandwidth of the runtime holds in both directions: 4 MiB at 64 Mbit/s take
// half a second, however fast the machine is.
func TestBandwidth(t *testing.T) {
	h := newHost(t)
	r := newRuntime(h, allCapabilities+`"bandwidth":{"ingressRate":1000},`)
	a := r.container("a")
	const size, rate = 4 << 20, 64_000_000
	// As containerd has it: a struct whose fields have no other names.
	caps := map[string]any{"bandwidth": struct{ IngressRate, IngressBurst, EgressRate, EgressBurst uint64 }{rate, 800_000, rate, 800_000}}
	_, err := r.addWith(a, caps)
	must(t, err)
	cfg, err := engine.LoadConfig(plugin.SandboxAt(h.state, "a", "eth0").Dir + "/config.json")
	must(t, err)
	if b := cfg.Bandwidth; b == nil || *b != (engine.Bandwidth{IngressRate: rate, IngressBurst: 800_000, EgressRate: rate, EgressBurst: 800_000}) {
		t.Fatalf("the engine's bandwidth is %+v", b)
	}
	const least = (size - 200_000) * 8 * time.Second / rate // less what may go at once
	echo := h.start(command(), "exec", "a", "--", "/usr/bin/python3", "-u", "-c", fmt.Sprintf(`
import socket
l = socket.create_server(('', 8080))
print('listens')
s, _ = l.accept()
n = 0
while n < %d: n += len(s.recv(1 << 20))
s.sendall(b'x' * %d)
s.close()
`, size, size))
	echo.line("listens")
	must(t, h.in(func() error {
		c, err := net.DialTimeout("tcp", "10.87.0.2:8080", hang)
		if err != nil {
			return err
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(hang))
		start := time.Now()
		if _, err := c.Write(make([]byte, size)); err != nil {
			return err
		}
		buf := make([]byte, 1<<20)
		if _, err := c.Read(buf[:1]); err != nil {
			return err
		}
		n := 1
		for n < size {
			got, err := c.Read(buf)
			if err != nil {
				return fmt.Errorf("after %d bytes: %w", n, err)
			}
			n += got
		}
		// The answer begins when everything has arrived.
		if took := time.Since(start); took < 2*least {
			t.Errorf("%d bytes there and back in %v", size, took)
		}
		return nil
	}))
	echo.ok()
	must(t, r.delWith(a, caps))
}

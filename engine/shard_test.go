package engine

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tcpcni/tcpcni/test/needroot"
)

// withShards is a sandbox of n loops, which lends whatever can be lent.
func withShards(n int) func(*Config) {
	return func(c *Config) { c.Shards = n }
}

// TestShardsSameAsKernel has programs see the same with shards as on the kernel,
// while every connection that moves bytes goes back and forth between loops.
func TestShardsSameAsKernel(t *testing.T) {
	needroot.Check(t, "make network namespaces and seccomp listeners")
	for _, name := range []string{"tcp", "options", "signals", "hostile"} {
		t.Run(name, func(t *testing.T) {
			bin := compile(t, name)
			want := byScenario(onKernel(t, newNetNS(t, "kernel"), bin))
			got := byScenario(newSandbox(t, withShards(3)).run(bin))
			if len(want) == 0 || len(got) != len(want) {
				t.Fatalf("%d scenarios on the kernel, %d in the sandbox", len(want), len(got))
			}
			for scenario, lines := range want {
				if got[scenario] != lines {
					t.Errorf("%s: on the kernel:\n%s\nin the sandbox:\n%s", scenario, lines, got[scenario])
				}
			}
		})
	}
}

// echo is a server that sends back what it gets, whoever of its threads is called,
// and asks for options between.
const echoServer = `
import socket, threading
def serve(c):
    n = 0
    while True:
        b = c.recv(65536)
        if not b:
            break
        n += 1
        if n % 16 == 0:
            c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, n // 16 % 2)
            c.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
        c.sendall(b)
    c.close()
l = socket.socket(socket.AF_INET6)
l.bind(("::", 7100)); l.listen(64)
print("up", flush=True)
while True:
    c, _ = l.accept()
    threading.Thread(target=serve, args=(c,), daemon=True).start()
`

// TestShardsEcho moves bytes in both directions on many connections of both
// families, and in messages of many sizes. Each ends in its own way.
func TestShardsEcho(t *testing.T) {
	s := newSandbox(t, withShards(3))
	p := s.launch("/usr/bin/python3", "-c", echoServer)
	defer func() { _ = p.Process.Kill(); _ = p.Wait() }()
	c := s.client()
	waitForListener(t, c, 7100)

	var all sync.WaitGroup
	for i := range 12 {
		to := []string{"10.98.0.2:7100", "[fd98::2]:7100"}[i%2]
		var conn net.Conn
		inNS(t, s.host, func() (err error) {
			conn, err = net.DialTimeout("tcp", to, patience)
			return err
		})
		_ = conn.SetDeadline(time.Now().Add(patience))
		all.Add(1)
		go func() {
			defer all.Done()
			if err := exchange(conn, uint64(i)); err != nil {
				t.Errorf("connection %d: %v", i, err)
			}
			if i%3 == 0 {
				_ = conn.(*net.TCPConn).SetLinger(0)
			}
			_ = conn.Close()
		}()
	}
	all.Wait()
	lent, now := lentBy(t, c)
	if lent < 12 {
		t.Errorf("%d connections were lent, want at least the 12 that there were", lent)
	}
	for deadline := time.Now().Add(patience); now > 0 && time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		_, now = lentBy(t, c)
	}
	if now > 0 {
		t.Errorf("%d connections are with the shards after their end", now)
	}
}

// exchange sends small messages that wait for their answer, then as much as goes
// while what comes back is read.
func exchange(conn net.Conn, seed uint64) error {
	r := rand.New(rand.NewPCG(seed, 1))
	for range 200 {
		out := make([]byte, 1+r.IntN(2000))
		for i := range out {
			out[i] = byte(r.Uint32())
		}
		if _, err := conn.Write(out); err != nil {
			return err
		}
		in := make([]byte, len(out))
		if _, err := io.ReadFull(conn, in); err != nil {
			return err
		}
		if !bytes.Equal(in, out) {
			return fmt.Errorf("%d bytes came back as others", len(out))
		}
	}
	const bulk = 8 << 20
	sent := make(chan [32]byte, 1)
	go func() {
		h := sha256.New()
		b := make([]byte, 40000)
		for n := 0; n < bulk; n += len(b) {
			for i := range b {
				b[i] = byte(r.Uint32())
			}
			if n+len(b) > bulk {
				b = b[:bulk-n]
			}
			h.Write(b)
			if _, err := conn.Write(b); err != nil {
				break
			}
		}
		sent <- [32]byte(h.Sum(nil))
	}()
	h := sha256.New()
	if _, err := io.CopyN(h, conn, bulk); err != nil {
		return err
	}
	if [32]byte(h.Sum(nil)) != <-sent {
		return fmt.Errorf("other bytes came back")
	}
	return nil
}

func waitForListener(t *testing.T, c *Client, port uint16) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		list, err := c.Sockets()
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range list {
			if i.State == "LISTEN" && i.Local.Port() == port {
				return
			}
		}
		if time.Now().After(deadline) {
			t.Fatal("nobody listens")
		}
	}
}

// lentBy is how many connections the shards were lent, and have.
func lentBy(t *testing.T, c *Client) (lent uint64, now int) {
	t.Helper()
	st, err := c.Status()
	if err != nil {
		t.Fatal(err)
	}
	for _, sh := range st.Shards {
		lent += sh.Lent
		now += sh.Connections
	}
	return lent, now
}

func TestShardsConfig(t *testing.T) {
	good := Config{
		ControlPath: "/x", Uplink: LinkSpec{Kind: LinkTAP, Ifname: "up0"}, MAC: "02:00:00:00:00:01", MTU: 1500, Shards: 4,
	}
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	for want, edit := range map[string]func(*Config){
		"shards: -1, accepted is 0 (for 1) to 64":                 func(c *Config) { c.Shards = -1 },
		"shards: 65, accepted is 0 (for 1) to 64":                 func(c *Config) { c.Shards = 65 },
		`shards: 4, accepted is 1, since uplink.kind is "packet"`: func(c *Config) { c.Uplink.Kind = LinkPacket },
		"shards: 4, accepted is 1, since pcap is set":             func(c *Config) { c.Pcap = "/f" },
		"shards: 4, accepted is 1, since impair is set":           func(c *Config) { c.Impair = "seed=1" },
		"shards: 4, accepted is 1, since bandwidth is set":        func(c *Config) { c.Bandwidth = &Bandwidth{} },
	} {
		c := good
		edit(&c)
		if err := c.Validate(); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

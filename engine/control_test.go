package engine

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tcpcni/tcpcni/hostlink"
)

func timeAt(ms int) time.Duration { return time.Duration(ms) * time.Millisecond }

func TestControl(t *testing.T) {
	s := newSandbox(t)
	c := s.client()
	st, err := c.Status()
	if err != nil || st.Name != "test" || st.PID != s.engine.Process.Pid || len(st.Links) != 2 || st.Sockets != 0 {
		t.Errorf("status %+v, %v", st, err)
	}
	f, err := os.Open("/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if err := c.Attach(f); err == nil || !strings.Contains(err.Error(), "no seccomp listener") {
		t.Errorf("attach of a file: %v", err)
	}
	if _, err := c.ask(request{Op: "dance"}, -1); err == nil || !strings.Contains(err.Error(), "accepted") {
		t.Errorf("unknown operation: %v", err)
	}
	if list, err := c.Sockets(); err != nil || len(list) != 0 {
		t.Errorf("sockets %v, %v", list, err)
	}
}

// TestLongRequests: all tunables may be asked for by name at once; what is longer than is read is
// an error with the limit, from the client and from the engine.
func TestLongRequests(t *testing.T) {
	s := newSandbox(t)
	c := s.client()
	all, err := c.AllTunables(true)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	size := 0
	for _, v := range all {
		names = append(names, v.Name)
		size += len(v.Name)
	}
	if size < 4096 {
		t.Fatalf("only %d bytes", size)
	}
	if got, err := c.Tunables(nil, names); err != nil || len(got) != len(all) {
		t.Errorf("%d of %d tunables, names of %d bytes: %v", len(got), len(all), size, err)
	}
	long := map[string]string{"net.ipv4.tcp_sack": strings.Repeat("1", hostlink.MaxControlLine)}
	if _, err := c.Tunables(long, nil); err == nil || !strings.Contains(err.Error(), "accepted: 65536") {
		t.Errorf("a request that is too long: %v", err)
	}
	if _, err := c.Status(); err != nil {
		t.Errorf("after it: %v", err)
	}
	if err := c.conn.SendLine([]byte(strings.Repeat("x", hostlink.MaxControlLine+20000)), -1); err != nil {
		t.Fatal(err)
	}
	line, err := c.conn.ReadLine()
	if err != nil || !strings.Contains(string(line), "65536 bytes") {
		t.Errorf("the engine: %q, %v", line, err)
	}
	if line, err := c.conn.ReadLine(); err == nil {
		t.Errorf("and then: %q", line)
	}
}

// TestSocketsOfAProgram looks from outside at a program that waits.
func TestSocketsOfAProgram(t *testing.T) {
	s := newSandbox(t)
	p := s.launch("/usr/bin/python3", "-c", `
import socket
l = socket.socket(); l.bind(("0.0.0.0", 7001)); l.listen(5)
c = socket.create_connection(("127.0.0.1", 7001)); a, _ = l.accept()
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind(("10.98.0.2", 7002))
print("up", flush=True)
d = socket.create_connection(("127.0.0.1", 7001)); d.recv(1)
`)
	defer func() { _ = p.Process.Kill(); _ = p.Wait() }()
	c := s.client()
	want := map[string]bool{
		"tcp LISTEN 0.0.0.0:7001": false, "tcp ESTAB 127.0.0.1:7001": false, "udp UNCONN 10.98.0.2:7002": false,
	}
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		list, err := c.Sockets()
		if err != nil {
			t.Fatal(err)
		}
		seen, waiting := 0, 0
		for _, i := range list {
			key := i.Netid + " " + i.State + " " + i.Local.String()
			if _, ok := want[key]; ok && (i.Inode != 0 || i.State == "ESTAB") {
				want[key] = true
			}
			if i.State == "LISTEN" {
				waiting = i.RecvQ
			}
			seen++
		}
		if want["tcp LISTEN 0.0.0.0:7001"] && want["tcp ESTAB 127.0.0.1:7001"] && want["udp UNCONN 10.98.0.2:7002"] && waiting == 1 {
			return
		}
	}
	t.Errorf("seen %v", want)
}

// TestPrivilegesAreGone looks at what the engine may still do.
func TestPrivilegesAreGone(t *testing.T) {
	if withCgo {
		t.Skip("needs a binary built with CGO_ENABLED=0, as the command is")
	}
	s := newSandbox(t)
	text, err := os.ReadFile("/proc/" + strconv.Itoa(s.engine.Process.Pid) + "/status")
	if err != nil {
		t.Fatal(err)
	}
	const ptraceOnly = "CapEff:\t0000000000080002"
	if !strings.Contains(string(text), ptraceOnly) {
		t.Errorf("want %q in\n%s", ptraceOnly, text)
	}
}

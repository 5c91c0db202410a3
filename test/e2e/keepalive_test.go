package e2e

import (
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A peer that vanishes: its host drops what is for the sandbox. What the sandbox
// sends then, and when it gives up, is what the options say, by the times of the
// capture. The last sign of the peer is in the capture too, so that no test has
// to know what was on its way when the peer vanished.

// login starts an ssh that stays.
func login(t *testing.T, client place, addr string, options ...string) *proc {
	t.Helper()
	c := client.start(append(append([]string{"ssh", "-p", "2222", "-o", "LogLevel=INFO"}, options...), "root@"+addr, "echo here; sleep 600")...)
	c.line(`(?m)^here$`)
	return c
}

func (p *proc) hasEnded() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// connections counts those that stand.
func (s *sandbox) connections() int {
	s.h.t.Helper()
	return strings.Count(s.h.tcpcni("ss", s.name).ok(), "ESTAB")
}

// TestSSHServerAlive: ssh asks by messages of its own, ServerAliveInterval apart,
// and ends when ServerAliveCountMax of them are without an answer and the next
// would be due. It counts in whole seconds, so that its first wait may be nearly
// a second short.
func TestSSHServerAlive(t *testing.T) {
	onlyTCPCNI(t)
	const interval, count = 2 * time.Second, 2
	h := newHost(t)
	path := t.TempDir() + "/frames.pcap"
	pod := h.pod("--pcap", path)
	options := append(sshd(t, h), "-o", "TCPKeepAlive=no", "-o", "ServerAliveInterval=2", "-o", "ServerAliveCountMax=2")
	c := login(t, pod, hostV4, options...)
	h.sh("ip", "route", "replace", "blackhole", pod.v4)
	eventually(t, "the end of ssh", c.hasEnded)
	ended := time.Now()
	if text := c.fails(); !strings.Contains(text, "not responding") {
		t.Errorf("ssh says %q", text)
	}
	pod.stop()
	var heard time.Time
	for _, s := range segments(t, path) {
		if s.from.Port() == 2222 && len(s.text) > 0 {
			heard = s.at
		}
	}
	const want = (count + 1) * interval
	if d := ended.Sub(heard); d < want-time.Second-slack || d > want+late {
		t.Errorf("ssh ended %v after it had last heard of the server, want %v", d, want)
	}
}

// TestSSHKeepalives: with TCPKeepAlive the server's connection is probed as the
// tunables of its sandbox say, since sshd sets nothing but SO_KEEPALIVE.
func TestSSHKeepalives(t *testing.T) {
	onlyTCPCNI(t)
	const idle, interval, count = 3, 1, 4
	h := newHost(t)
	path := t.TempDir() + "/frames.pcap"
	pod := h.pod("--pcap", path, "--set", "tcp_keepalive_time="+strconv.Itoa(idle), "--set", "tcp_keepalive_intvl="+strconv.Itoa(interval), "--set", "tcp_keepalive_probes="+strconv.Itoa(count))
	login(t, h, pod.v4, sshd(t, pod)...)
	if n := pod.connections(); n != 1 {
		t.Fatalf("%d connections", n)
	}
	// While text is not acknowledged there are retransmissions, and no probes.
	eventually(t, "the acknowledgement of everything", func() bool {
		return regexp.MustCompile(`ESTAB +\d+ +0 `).MatchString(h.tcpcni("ss", pod.name).ok())
	})
	h.sh("ip", "route", "replace", "blackhole", pod.v4)
	eventually(t, "the end of the connection", func() bool { return pod.connections() == 0 })
	pod.stop()
	checkProbes(t, segments(t, path), func(s segment) bool { return s.from.Port() == 2222 }, idle*time.Second, interval*time.Second, count)
}

// TestUserTimeout: with TCP_USER_TIMEOUT text that nobody acknowledges ends the
// connection, so long after it was first sent; TCP_KEEPIDLE, TCP_KEEPINTVL and
// TCP_KEEPCNT of a program are what its probes follow. SO_ERROR is ETIMEDOUT,
// which read(2) on the local socket would not say.
func TestUserTimeout(t *testing.T) {
	onlyTCPCNI(t)
	const program = `
import errno, select, socket, sys, time
s = socket.create_connection((sys.argv[1], 7000))
for option in sys.argv[3:]:
    level, name, value = map(int, option.split(','))
    s.setsockopt(level, name, value)
print('up', flush=True)
sys.stdin.readline()
began = time.monotonic()
if sys.argv[2]:
    s.send(sys.argv[2].encode())
p = select.poll()
p.register(s, select.POLLIN)
p.poll()
print(errno.errorcode[s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)], int((time.monotonic() - began) * 1000), 'ms', flush=True)
`
	for name, c := range map[string]struct {
		text    string
		options []string
		check   func(t *testing.T, list []segment, took time.Duration)
	}{
		"text": {"unheard", []string{"6,18,3000"}, func(t *testing.T, list []segment, took time.Duration) {
			var sent []time.Time
			for _, s := range list {
				if s.to.Port() == 7000 && string(s.text) == "unheard" {
					sent = append(sent, s.at)
				}
			}
			if len(sent) < 2 {
				t.Fatalf("the text was sent %d times", len(sent))
			}
			if took < 3*time.Second-slack || took > 3*time.Second+late {
				t.Errorf("given up %v after it was written, want 3s", took)
			}
		}},
		"probes": {"", []string{"1,9,1", "6,4,2", "6,5,1", "6,6,3"}, func(t *testing.T, list []segment, _ time.Duration) {
			checkProbes(t, list, func(s segment) bool { return s.to.Port() == 7000 }, 2*time.Second, time.Second, 3)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			path := t.TempDir() + "/frames.pcap"
			pod := h.pod("--pcap", path)
			h.start("/usr/bin/python3", "-c", "import socket,time; l=socket.create_server(('',7000)); print('ready',flush=True); c=l.accept(); time.sleep(600)").line(`(?m)^ready$`)
			in, out := pipe(t)
			p := pod.startWith(plumbing{stdin: in}, append([]string{"/usr/bin/python3", "-c", program, hostV4, c.text}, c.options...)...)
			p.line(`(?m)^up$`)
			h.sh("ip", "route", "replace", "blackhole", pod.v4)
			_, err := out.WriteString("\n")
			must(t, err)
			eventually(t, "the end of the program", p.hasEnded)
			said := regexp.MustCompile(`^up\nETIMEDOUT (\d+) ms\n$`).FindStringSubmatch(p.ok())
			if said == nil {
				t.Fatalf("the program says %q", p.stdout)
			}
			ms, err := strconv.Atoi(said[1])
			must(t, err)
			pod.stop()
			c.check(t, segments(t, path), time.Duration(ms)*time.Millisecond)
		})
	}
}

// pipe is one whose reading end a program gets as its input.
func pipe(t *testing.T) (in, out *os.File) {
	t.Helper()
	in, out, err := os.Pipe()
	must(t, err)
	t.Cleanup(func() { _, _ = in.Close(), out.Close() })
	return in, out
}

package e2e

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// tcpcni tcpkey, with programs of a system whose TCP_MD5SIG is a switch.

const keyServer = `
import socket, threading
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.setsockopt(socket.IPPROTO_TCP, 14, 1)
s.bind(("", 1790))
s.listen()
print("ready", flush=True)
def echo(c):
    for line in c.makefile("rb"):
        c.sendall(line)
while True:
    threading.Thread(target=echo, args=(s.accept()[0],), daemon=True).start()
`

const keyClient = `
import socket, sys
s = socket.socket()
s.setsockopt(socket.IPPROTO_TCP, 14, int(sys.argv[2]))
print("calling", flush=True)
s.connect((sys.argv[1], 1790))
f = s.makefile("rb")
print("connected", flush=True)
for line in sys.stdin:
    s.sendall(line.encode())
    print(f.readline().decode().strip(), flush=True)
`

func TestTCPKey(t *testing.T) {
	onlyTCPCNI(t)
	for _, profile := range []string{"omnios", "freebsd"} {
		t.Run(profile, func(t *testing.T) { keysOf(t, profile) })
	}
}

func keysOf(t *testing.T, profile string) {
	h := newHost(t)
	pcap := filepath.Join(t.TempDir(), "frames.pcap")
	a, b := h.pod("--profile", profile, "--pcap", pcap), h.pod("--profile", profile)
	file := filepath.Join(t.TempDir(), "keys")
	lines := fmt.Sprintf("add src %s dst %s dport 1790 authalg md5 authkey 6120736563726574\nadd src %s dst %s sport 1790 authalg md5 authkey 6120736563726574\n", b.v4, a.v4, a.v4, b.v4)
	must(t, os.WriteFile(file, []byte("# keys of both\n"+lines), 0o600))

	server := a.start("/usr/bin/python3", "-c", keyServer)
	server.line("ready")
	call := func(sign string) (*proc, io.Writer) {
		r, w, err := os.Pipe()
		must(t, err)
		t.Cleanup(func() { _, _ = r.Close(), w.Close() })
		return b.startWith(plumbing{stdin: r}, "/usr/bin/python3", "-c", keyClient, a.v4, sign), w
	}
	talk := func(p *proc, w io.Writer, word string) {
		t.Helper()
		_, err := io.WriteString(w, word+"\n")
		must(t, err)
		p.line("(?m)^" + word + "$")
	}

	// Nobody has an association: who asks for signatures is silent. Who does not is
	// served by OmniOS, and dropped by FreeBSD, where every segment must be signed.
	early, earlyIn := call("1")
	early.line("calling")
	keys := func(pod *sandbox, words ...string) string {
		t.Helper()
		return h.tcpcni(append([]string{"tcpkey", pod.name}, words...)...).ok()
	}
	counts := func(pod *sandbox, name string) bool {
		return regexp.MustCompile(`(?m)^` + name + ` [1-9]`).MatchString(keys(pod, "counters"))
	}
	eventually(t, "a SYN that is not sent", func() bool { return counts(b, "AuthNoKeyOut") })
	plain, plainIn := call("0")
	if profile == "freebsd" {
		plain.line("calling")
		eventually(t, "a SYN that is dropped", func() bool { return counts(a, "AuthNoKey") })
	} else {
		plain.line("connected")
		talk(plain, plainIn, "unsigned")
	}

	// With keys on both sides the waiting call gets through by itself.
	for _, pod := range []*sandbox{a, b} {
		keys(pod, "load", file)
		if got := keys(pod, "get"); !sameLines(got, lines) {
			t.Errorf("keys of %s:\n%swant\n%s", pod.name, got, lines)
		}
	}
	early.line("connected")
	talk(early, earlyIn, "signed")
	if text := h.sh("tcpdump", "-n", "-v", "-M", "a secret", "-r", pcap, "tcp", "port", "1790"); !strings.Contains(text, "md5 valid") || strings.Contains(text, "md5 invalid") {
		t.Errorf("the capture:\n%s", text)
	}

	// Who comes from a source that has an association has to sign.
	stranger, _ := call("0")
	stranger.line("calling")
	eventually(t, "an unsigned SYN that is dropped", func() bool { return counts(a, "AuthMissing") })

	// A key that is deleted goes on with its connections, and with no new ones.
	keys(b, "delete", "src", b.v4, "dst", a.v4, "dport", "1790")
	talk(early, earlyIn, "still")
	late, _ := call("1")
	late.line("calling")
	before := keys(b, "counters")
	eventually(t, "another SYN that is not sent", func() bool { return keys(b, "counters") != before })
	talk(early, earlyIn, "after")

	// The database outlives the engine; save and load are of one form.
	saved := keys(a, "save")
	a.crash()
	eventually(t, "an engine that answers", func() bool { return h.tcpcni("tcpkey", a.name, "get").wait() == 0 })
	if got := keys(a, "get"); got != saved || !sameLines(got, lines) {
		t.Errorf("after the engine died:\n%swant\n%s", got, saved)
	}
	if got := h.tcpcni("tcpkey", "-p", a.name, "get").ok(); strings.Contains(got, "6120") || !strings.Contains(got, "XXXX") {
		t.Errorf("with -p: %s", got)
	}
	keys(a, "flush")
	if got := keys(a, "get"); got != "" {
		t.Errorf("after flush: %s", got)
	}
	if text := h.tcpcni("tcpkey", a.name, "add", "src", "x").fails(); !strings.Contains(text, "accepted") {
		t.Errorf("a bad address: %s", text)
	}
	a.stop()
	b.stop()
}

func sameLines(a, b string) bool {
	x, y := strings.Split(a, "\n"), strings.Split(b, "\n")
	return len(x) == len(y) && (a == b || strings.Join([]string{x[1], x[0], ""}, "\n") == b)
}

package e2e

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// TCP-AO (RFC 5925) by the options of linux/tcp.h, as a program of profile linux
// sets them.

const aoProgram = `
import socket, struct, sys
def key(peer, prefix, send, recv, secret, alg=b"hmac(sha1)"):
    addr = struct.pack("=H2x4s120x", socket.AF_INET, socket.inet_aton(peer))
    return addr + struct.pack("=64siIHBBBBBB80s", alg, 0, 0, 0, prefix, send, recv, 12, 0, len(secret), secret)
ADD, INFO, GET_KEYS = 38, 40, 41
def keys(s):
    """Calls getsockopt with an array of two struct tcp_ao_getsockopt: its length is that of one."""
    import ctypes
    libc = ctypes.CDLL(None, use_errno=True)
    size = 304
    b = ctypes.create_string_buffer(2 * size)
    struct.pack_into("=IH", b, 272, 2, 4) # room for two, get_all
    n = ctypes.c_int(size)
    if libc.getsockopt(s.fileno(), socket.IPPROTO_TCP, GET_KEYS, b, ctypes.byref(n)):
        sys.exit("TCP_AO_GET_KEYS: errno %d" % ctypes.get_errno())
    matched, = struct.unpack_from("=I", b, 272)
    for at in range(0, matched * size, size):
        word, send, recv, prefix, mac, flags, length = struct.unpack_from("=HBBBBBB", b, at + 276)
        good, bad = struct.unpack_from("=QQ", b, at + 288)
        yield socket.inet_ntoa(b.raw[at + 4:at + 8]), prefix, word, send, recv, b.raw[at + 192:at + 192 + length], good > 0, bad, n.value
role, peer, secret = sys.argv[1], sys.argv[2], sys.argv[3].encode()
s = socket.socket()
s.setsockopt(socket.IPPROTO_TCP, ADD, key(peer, 32, 7, 7, secret))
try:
    s.setsockopt(socket.IPPROTO_TCP, ADD, key(peer, 32, 8, 8, secret, b"hmac(nosuch)"))
    sys.exit("an algorithm that there is not")
except FileNotFoundError:
    pass
if role == "server":
    s.bind(("", 1791))
    s.listen()
    print("ready", flush=True)
    s, _ = s.accept()
    s.sendall(s.recv(100))
    s.recv(1)
else:
    print("calling", flush=True)
    s.connect((peer, 1791))
    s.sendall(b"signed\n")
    print(s.recv(100).decode().strip(), flush=True)
info = s.getsockopt(socket.IPPROTO_TCP, INFO, 48)
current, next, good, bad = struct.unpack("=6xBBQQ24x", info)
if role == "client":
    s.setsockopt(socket.IPPROTO_TCP, ADD, key(peer, 32, 9, 10, b"another"))
    for k in keys(s):
        print(*k, flush=True)
print("keys", current, next, "good" if good > 2 else good, "bad", bad, flush=True)
`

func TestTCPAO(t *testing.T) {
	onlyTCPCNI(t)
	h := newHost(t)
	pcap := filepath.Join(t.TempDir(), "frames.pcap")
	a, b := h.pod("--pcap", pcap), h.pod()
	server := a.start("/usr/bin/python3", "-c", aoProgram, "server", b.v4, "a master key")
	server.line("ready")
	dropped := func(name string) bool {
		return !strings.Contains(h.tcpcni("tcpkey", a.name, "counters").ok(), name+" 0\n")
	}
	wrong := b.start("/usr/bin/python3", "-c", aoProgram, "client", a.v4, "another key")
	wrong.line("calling")
	eventually(t, "a SYN with a wrong signature", func() bool { return dropped("AuthFailures") })
	wrong.stop()
	plain := b.start("curl", "-sS", "--noproxy", "*", fmt.Sprintf("http://%s:1791/", a.v4))
	eventually(t, "a SYN without one", func() bool { return dropped("AuthMissing") })
	plain.stop()
	got := b.start("/usr/bin/python3", "-c", aoProgram, "client", a.v4, "a master key").ok()
	if !strings.HasPrefix(got, "calling\nsigned\n"+a.v4+" 32 3 7 7 b'a master key' True 0 304\n"+a.v4+" 32 0 9 10 b'another' False 0 304\nkeys 7 7 ") || !strings.HasSuffix(got, " bad 0\n") {
		t.Errorf("the client said %q", got)
	}
	if got := server.ok(); !strings.HasPrefix(got, "ready\nkeys 7 7 good bad 0") {
		t.Errorf("the server said %q", got)
	}
	text := h.sh("tcpdump", "-n", "-r", pcap, "tcp", "and", "src", "host", a.v4, "and", "port", "1791")
	if n := strings.Count(text, "tcp-ao keyid 7 rnextkeyid 7"); n < 3 || n != strings.Count(text, "Flags [") {
		t.Errorf("%d segments have the option:\n%s", n, text)
	}
	a.stop()
	b.stop()
}

package engine

import "testing"

// migrateProgram replaces a listener by another while a connection waits whose
// pair is made already, as the program polls before it accepts. Arguments: how the
// old one ends, and how many listeners the connection goes through.
const migrateProgram = `
import ctypes, select, socket, sys
how, steps = sys.argv[1], int(sys.argv[2])
libc = ctypes.CDLL(None, use_errno=True)
end = {
    "close": lambda s: s.close(),
    "shutdown": lambda s: s.shutdown(socket.SHUT_RDWR),
    "unspec": lambda s: libc.connect(s.fileno(), bytes(16), 16),
}[how]
def listener():
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    s.bind(("127.0.0.1", 8080))
    s.listen(5)
    return s
def accept(s):
    select.select([s], [], [])
    return s.accept()[0]
def client():
    return socket.create_connection(("127.0.0.1", 8080))
old = listener()
w = client()
wa = accept(old)
c = client()
c.sendall(b"early ")
select.select([old], [], [])
old.getsockname()
for i in range(steps):
    new = listener()
    end(old)
    select.select([new], [], [])
    old = new
c.sendall(b"between ")
second = client()
second.sendall(b"second")
second.shutdown(socket.SHUT_WR)
a = accept(new)
c.sendall(b"after")
c.shutdown(socket.SHUT_WR)
for x in a, accept(new):
    x.settimeout(20)
    got = b""
    while True:
        b = x.recv(50)
        if not b: break
        got += b
    print(got.decode())
a.sendall(b"answer")
a.close()
c.settimeout(20)
print(c.recv(50).decode(), c.recv(50))

# What is inherited and never accepted is reset.
c = client()
c.sendall(b"early")
select.select([new], [], [])
last = listener()
end(new)
select.select([last], [], [])
end(last)
c.settimeout(20)
try: print(c.recv(50))
except ConnectionResetError: print("reset")
`

// TestInheritedConnections: with tcp_migrate_req a connection that has its pair
// keeps what is in it, whoever accepts it.
func TestInheritedConnections(t *testing.T) {
	s := newSandbox(t, func(c *Config) { c.Tunables = map[string]string{"tcp_migrate_req": "1"} })
	const want = "early between after\nsecond\nanswer b''\nreset\n"
	for _, how := range []string{"close", "shutdown", "unspec"} {
		for _, steps := range []string{"1", "3"} {
			if got := s.run("/usr/bin/python3", "-c", migrateProgram, how, steps); got != want {
				t.Errorf("%s, %s listeners: got\n%swant\n%s", how, steps, got, want)
			}
		}
	}
}

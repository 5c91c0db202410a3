package engine

import "testing"

// TestLeftSandboxIsNobody: a thread that leaves the sandbox after its first call
// may bind the socket that it has, but is no user there, least of all the
// superuser, whose ports it would share.
func TestLeftSandboxIsNobody(t *testing.T) {
	s := newSandbox(t)
	got := s.run("/usr/bin/python3", "-c", `
import ctypes, errno, os, socket
root, one, two = socket.socket(), socket.socket(), socket.socket()
for s in root, one, two:
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
root.bind(('', 4000))
root.listen()
os.setgid(1000)
os.setuid(1000)
two.bind(('', 4001))
CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWUSER | CLONE_NEWNET):
    print('unshare', errno.errorcode[ctypes.get_errno()])
for port in 80, 4000, 4001, 4002:
    try:
        one.bind(('', port))
        print('bound')
    except OSError as e:
        print(errno.errorcode[e.errno])
`)
	if want := "EACCES\nEADDRINUSE\nEADDRINUSE\nbound\n"; got != want {
		t.Errorf("bind: %q, want %q", got, want)
	}
}

// TestDisconnectedSocketKeepsItsUser: a port that listen takes after connect with
// AF_UNSPEC is the program's, who may share it with itself.
func TestDisconnectedSocketKeepsItsUser(t *testing.T) {
	s := newSandbox(t)
	got := s.run("/usr/bin/python3", "-c", `
import ctypes, os, socket
os.setgid(1000)
os.setuid(1000)
a, b = socket.socket(), socket.socket()
for s in a, b:
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
print(ctypes.CDLL(None).connect(a.fileno(), bytes(16), 16))
a.listen()
b.bind(('', a.getsockname()[1]))
b.listen()
`)
	if got != "0\n" {
		t.Errorf("%q", got)
	}
}

// TestRevivedSocketHasNoMoreRights: on FreeBSD a port of another user cannot be
// taken a second time; that a socket had it before does not change that.
func TestRevivedSocketHasNoMoreRights(t *testing.T) {
	s := newSandbox(t, func(c *Config) { c.Profile = "freebsd" })
	got := s.run("/usr/bin/python3", "-c", `
import errno, os, select, socket
mine, theirs = socket.socket(), socket.socket()
os.setegid(1000)
os.seteuid(1000)
def connect():
    try:
        mine.connect(('10.98.0.1', 9))
    except OSError as e:
        print(errno.errorcode[e.errno])
mine.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
mine.bind(('10.98.0.2', 7777))
mine.setblocking(False) # the failure is shown by the pair, which is spent on it
connect()
p = select.poll()
p.register(mine)
while not p.poll()[0][1] & select.POLLHUP:
    pass
connect()
os.seteuid(0)
os.seteuid(1001)
theirs.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
theirs.bind(('10.98.0.2', 7777))
theirs.listen()
os.seteuid(0)
os.seteuid(1000)
connect()
print(mine.getsockname()[1] == 7777)
`)
	if got != "EINPROGRESS\nECONNREFUSED\nEINPROGRESS\nFalse\n" {
		t.Errorf("%q", got)
	}
}

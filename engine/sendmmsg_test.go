package engine

import "testing"

// mmsghdrPython are the structures of sendmmsg(2) and recvmmsg(2) for programs that
// import ctypes.
const mmsghdrPython = `class iovec(ctypes.Structure):
    _fields_ = [('base', ctypes.c_void_p), ('len', ctypes.c_size_t)]
class mmsghdr(ctypes.Structure):
    _fields_ = [('name', ctypes.c_void_p), ('namelen', ctypes.c_uint), ('iov', ctypes.c_void_p), ('iovlen', ctypes.c_size_t),
                ('control', ctypes.c_void_p), ('controllen', ctypes.c_size_t), ('flags', ctypes.c_int), ('len', ctypes.c_uint), ('pad', ctypes.c_uint)]
`

// TestSendmmsgIsBounded: one call does not keep everybody else waiting with
// ancillary data. The program goes on where it ended.
func TestSendmmsgIsBounded(t *testing.T) {
	s := newSandbox(t)
	got := s.run("/usr/bin/python3", "-c", `
import ctypes, socket, struct
libc = ctypes.CDLL(None, use_errno=True)
`+mmsghdrPython+`b = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
b.bind(("127.0.0.1", 7000))
a = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
a.connect(("127.0.0.1", 7000))
one = struct.pack("=QiiI4x", 20, 0, 2, 9) # IP_TTL
N = 5000
control = ctypes.create_string_buffer(one * N, 24 * N)
text = ctypes.create_string_buffer(b"x", 1)
v = iovec(ctypes.addressof(text), 1)
def send(pieces, start):
    m = (mmsghdr * 1024)(*[mmsghdr(0, 0, ctypes.addressof(v), 1, ctypes.addressof(control), 24 * pieces, 0, 0, 0) for i in range(1024)])
    return libc.sendmmsg(a.fileno(), ctypes.byref(m, 64 * start), 1024 - start, 0)
print(send(1, 0))
done = calls = 0
while done < 1024 and calls < 1024:
    n = send(N, done)
    if not 0 < n < 10: break
    done += n
    calls += 1
print(done)
`)
	if got != "1024\n1024\n" {
		t.Errorf("printed %q", got)
	}
}

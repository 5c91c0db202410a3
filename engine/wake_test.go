package engine

import "testing"

// TestQueuedErrorLosesNoDatagram: an error that another thread's send puts into
// the error queue does not keep a call that waits from its datagram.
func TestQueuedErrorLosesNoDatagram(t *testing.T) {
	s := newSandbox(t)
	got := s.run("/usr/bin/python3", "-c", `
import errno, os, socket, threading, time
IP_MTU_DISCOVER, IP_RECVERR, PMTUDISC_DO = 10, 11, 2
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(('10.98.0.2', 0))
s.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, PMTUDISC_DO)
s.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
seen = []
def wait():
    for _ in range(2):
        seen.append(s.recvmsg(100)[0])
t = threading.Thread(target=wait, daemon=True)
t.start()
def parked():
    with open('/proc/self/task/%d/stat' % t.native_id) as f:
        return f.read().rsplit(')', 1)[1].split()[0] == 'S'
other = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
calm = 0
while calm < 50: # it sleeps in recvmsg and nowhere else for so long
    calm = calm + 1 if parked() else 0
    time.sleep(0.002)
try:
    s.sendto(bytes(3000), ('10.98.0.1', 9))
except OSError as e:
    print(errno.errorcode[e.errno], flush=True)
for text in b'one', b'two':
    other.sendto(text, s.getsockname())
t.join(20)
print(seen, flush=True)
print(len(s.recvmsg(100, 200, socket.MSG_ERRQUEUE)[1]), flush=True)
os._exit(0)
`)
	want := "EMSGSIZE\n[b'one', b'two']\n1\n"
	if got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

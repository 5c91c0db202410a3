# Urgent data: MSG_OOB, SO_OOBINLINE, SIOCATMARK, SIGURG, POLLPRI.
from lib import *
import fcntl, signal

SIOCATMARK = 0x8905
def at_mark(s):
    b = bytearray(4)
    fcntl.ioctl(s, SIOCATMARK, b)
    return struct.unpack('i', b)[0]

title('out of band')
c, a = pair()
attempt('none yet', a.recv, 1, MSG_OOB)
c.send(b'abc')
c.send(b'!', MSG_OOB)
c.send(b'def')
show('poll', 'PRI' in until(a, 'PRI'))
show('urgent', a.recv(1, MSG_OOB))
attempt('once', a.recv, 1, MSG_OOB)
until(a, 'IN')
show('up to the mark', a.recv(100))
show('at mark', at_mark(a))
show('after', a.recv(3, MSG_WAITALL))
show('at mark', at_mark(a))

title('in line')
c, a = pair()
a.setsockopt(SOL_SOCKET, SO_OOBINLINE, 1)
c.send(b'abc')
c.send(b'!', MSG_OOB)
until(a, 'PRI')
show('up to the mark', a.recv(100))
show('at mark', at_mark(a))
attempt('not apart', a.recv, 1, MSG_OOB)
show('in line', a.recv(1))

title('SIGURG')
r, w = os.pipe()
os.set_blocking(w, False)
signal.set_wakeup_fd(w)
signal.signal(signal.SIGURG, lambda *_: None)
c, a = pair()
fcntl.fcntl(a, fcntl.F_SETOWN, os.getpid())
c.send(b'!', MSG_OOB)
show('signal', os.read(r, 1)[0] == signal.SIGURG)
show('urgent', a.recv(1, MSG_OOB))

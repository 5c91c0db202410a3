# Receiving calls that give along more than bytes, or less.
from lib import *
import signal

TCP_INQ, SO_TIMESTAMP, SO_TIMESTAMPNS, SO_TIMESTAMPING, SO_PEEK_OFF, SO_COOKIE = 36, 29, 35, 37, 42, 57
NAMES = {(IPPROTO_TCP, TCP_INQ): 'TCP_CM_INQ', (SOL_SOCKET, SO_TIMESTAMP): 'SO_TIMESTAMP', (SOL_SOCKET, SO_TIMESTAMPNS): 'SO_TIMESTAMPNS',
         (SOL_SOCKET, SO_TIMESTAMPING): 'SO_TIMESTAMPING'}

def piece(level, kind, data):
    name = NAMES.get((level, kind), (level, kind))
    if name == 'TCP_CM_INQ':
        return name, struct.unpack('i', data)[0]
    if isinstance(name, str):
        t = struct.unpack('%dq' % (len(data) // 8), data)
        part = t[1] / (1e6 if name == 'SO_TIMESTAMP' else 1e9)
        return name, abs(t[0] + part - time.time()) < 60, t[2:]
    return name, data

def receive(what, s, n, flags=0, room=400):
    def f():
        data, pieces, got, addr = s.recvmsg(n, room, flags)
        return data[:8] if len(data) < 100 else len(data), [piece(*p) for p in pieces], got, addr and addr[0]
    attempt(what, f)

def settled(s, n):
    """Waits until n bytes are there to read."""
    import fcntl, termios
    while struct.unpack('i', fcntl.ioctl(s, termios.FIONREAD, bytes(4)))[0] < n:
        time.sleep(0.005)

for family in (AF_INET, AF_INET6):
    title('TCP_INQ', )
    c, a = pair(family)
    for value in (2, -1, b'\1', 1):
        attempt('set %r' % value, a.setsockopt, IPPROTO_TCP, TCP_INQ, value)
    show('get', a.getsockopt(IPPROTO_TCP, TCP_INQ))
    receive('nothing', a, 5, MSG_DONTWAIT)
    c.send(b'0123456789')
    settled(a, 10)
    receive('peek', a, 4, MSG_PEEK)
    receive('four', a, 4)
    receive('none', a, 0)
    receive('no room', a, 1, 0, 0)
    b = bytearray(3)
    attempt('into', lambda: a.recvmsg_into([b], 100)[:2])
    show('recv', a.recv(1))
    receive('the rest', a, 50)
    c.send(b'last')
    settled(a, 4)
    c.shutdown(SHUT_WR)
    until(a, 'RDHUP')
    receive('before the end', a, 2)
    receive('the end is next', a, 50)
    receive('the end', a, 50)
    receive('again', a, 50)

title('waiting')
c, a = pair()
a.setsockopt(IPPROTO_TCP, TCP_INQ, 1)
def later(*parts, wait=0.1):
    def f():
        for part in parts:
            time.sleep(wait)
            if part is None:
                c.shutdown(SHUT_WR)
            else:
                c.send(part)
    t = threading.Thread(target=f)
    t.start()
    return t
t = later(b'one'); receive('blocks', a, 10); t.join()
t = later(b'one', b'two', b'three'); receive('all of eight', a, 8, MSG_WAITALL); t.join()
receive('what is left', a, 10)
a.setsockopt(SOL_SOCKET, SO_RCVLOWAT, 6)
t = later(b'one', b'two'); receive('low-water mark', a, 10); t.join()
a.setsockopt(SOL_SOCKET, SO_RCVLOWAT, 1)
a.setsockopt(SOL_SOCKET, SO_RCVTIMEO, struct.pack('qq', 0, 300000))
receive('timeout', a, 10)
t = later(b'in time', wait=0.05); receive('all of twenty, timeout', a, 20, MSG_WAITALL); t.join()
t = later(b'u', wait=0.02); t.join(); settled(a, 1)
receive('all without waiting', a, 20, MSG_WAITALL | MSG_DONTWAIT)
a.setsockopt(SOL_SOCKET, SO_RCVTIMEO, bytes(16))
big = os.urandom(300000)
t = threading.Thread(target=lambda: c.sendall(big)); t.start()
got = b''
while len(got) < len(big):
    data, pieces, _, _ = a.recvmsg(100000, 100, MSG_WAITALL)
    got += data
    show('a part', (len(data), [p[:2] for p in pieces]))
t.join()
show('whole', got == big)
def stop(): time.sleep(0.1); a.shutdown(SHUT_RD)
t = threading.Thread(target=stop); t.start(); receive('shut down meanwhile', a, 10); t.join()
c, a = pair()
a.setsockopt(IPPROTO_TCP, TCP_INQ, 1)
t = later(b'end', None); receive('all of ten before the end', a, 10, MSG_WAITALL); t.join()
c, a = pair()
a.setsockopt(IPPROTO_TCP, TCP_INQ, 1)
def reset():
    time.sleep(0.1)
    c.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack('ii', 1, 0)); c.close()
t = threading.Thread(target=reset); t.start(); receive('reset meanwhile', a, 10); t.join()
receive('after it', a, 10)
attempt('SO_ERROR', a.getsockopt, SOL_SOCKET, SO_ERROR)

title('a signal')
c, a = pair()
a.setsockopt(IPPROTO_TCP, TCP_INQ, 1)
seen = []
signal.signal(signal.SIGALRM, lambda *_: (seen.append(1), c.send(b'by the handler')))
signal.setitimer(signal.ITIMER_REAL, 0.1)
receive('interrupted', a, 50)
show('handled', seen)

title('many signals')
c, a = pair()
a.setsockopt(IPPROTO_TCP, TCP_INQ, 1)
big = os.urandom(1 << 20)
signal.signal(signal.SIGALRM, lambda *_: None)
t = threading.Thread(target=lambda: (signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM]), c.sendall(big)))
t.start()
signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
got = b''
# No end of file meanwhile: behind one, what an interrupted call had taken is there
# for recvmsg alone.
while len(got) < len(big):
    got += a.recvmsg(3000, 100)[0]
    if len(got) % 7 == 0 and len(got) < len(big):
        got += a.recv(100)
signal.setitimer(signal.ITIMER_REAL, 0)
t.join()
show('whole', got == big)

title('urgent')
c, a = pair()
a.setsockopt(IPPROTO_TCP, TCP_INQ, 1)
receive('none', a, 1, MSG_OOB)
c.send(b'abc'); c.send(b'u', MSG_OOB); c.send(b'def')
until(a, 'PRI')
time.sleep(0.05)
receive('up to the mark', a, 10)
receive('the byte', a, 10, MSG_OOB)
receive('behind it', a, 10)

title('MSG_TRUNC')
c, a = pair()
libc.recv.restype = ctypes.c_ssize_t
def discard(n, flags):
    room = ctypes.create_string_buffer(b'kept', 8)
    return libc.recv(a.fileno(), room, ctypes.c_size_t(n), MSG_TRUNC | flags), room.value
c.send(b'0123456789')
settled(a, 10)
show('peek', discard(4, MSG_PEEK))
show('three', discard(3, 0))
show('then', a.recv(2))
show('no buffer', libc.recv(a.fileno(), None, ctypes.c_size_t(1 << 30), MSG_TRUNC))
show('nothing', (libc.recv(a.fileno(), None, ctypes.c_size_t(10), MSG_TRUNC | MSG_DONTWAIT), errno.errorcode[ctypes.get_errno()]))
c.send(b'0123456789')
settled(a, 10)
attempt('recvmsg', lambda: (len(a.recvmsg(4, 0, MSG_TRUNC)[0]), a.recv(10)))
c.close()
show('the end', discard(4, 0))
u, v = socket(AF_INET, SOCK_DGRAM), socket(AF_INET, SOCK_DGRAM)
u.bind(('127.0.0.1', 0))
v.sendto(b'0123456789', u.getsockname())
until(u, 'IN')
room = ctypes.create_string_buffer(4)
show('datagram', (libc.recv(u.fileno(), room, ctypes.c_size_t(4), MSG_TRUNC | MSG_PEEK), room.raw))
show('again', (libc.recv(u.fileno(), room, ctypes.c_size_t(4), MSG_TRUNC), room.raw))

title('times')
for kind in ('SOCK_STREAM', 'SOCK_DGRAM'):
    if kind == 'SOCK_STREAM':
        c, a = pair()
        send = c.send
    else:
        a, c = socket(AF_INET, SOCK_DGRAM), socket(AF_INET, SOCK_DGRAM)
        a.bind(('127.0.0.1', 0))
        c.connect(a.getsockname())
        send = c.send
    a.setsockopt(SOL_SOCKET, SO_TIMESTAMPING, 0x18)
    time.sleep(0.1) # the kernel begins to note times a little later
    for number, value in ((SO_TIMESTAMPING, 0x18), (SO_TIMESTAMPNS, 1), (SO_TIMESTAMP, 1), (SO_TIMESTAMPING, 0)):
        a.setsockopt(SOL_SOCKET, number, value)
        send(b'hello')
        until(a, 'IN')
        receive(kind, a, 5, MSG_PEEK)
        receive(kind, a, 5)

title('a time is that of arrival')
c, a = pair()
a.setsockopt(SOL_SOCKET, SO_TIMESTAMPNS, 1)
time.sleep(0.1)
sent = time.time()
c.send(b'early')
settled(a, 5)
came = time.time()
time.sleep(0.2)
when = lambda n: (lambda t: t[0] + t[1] / 1e9)(struct.unpack('qq', a.recvmsg(n, 100)[1][0][2]))
show('early', sent <= when(5) <= came)

title('SO_PEEK_OFF')
c, a = pair()
for value in (-1, -2, 0):
    a.setsockopt(SOL_SOCKET, SO_PEEK_OFF, value)
    show('set', a.getsockopt(SOL_SOCKET, SO_PEEK_OFF))
c.send(b'0123456789')
settled(a, 10)
for inq in (0, 1):
    a.setsockopt(IPPROTO_TCP, TCP_INQ, inq)
    show('peek', (a.recv(3, MSG_PEEK), a.getsockopt(SOL_SOCKET, SO_PEEK_OFF)))
    receive('peek', a, 2, MSG_PEEK)
    show('offset', a.getsockopt(SOL_SOCKET, SO_PEEK_OFF))
    show('read', (a.recv(4), a.getsockopt(SOL_SOCKET, SO_PEEK_OFF)))
    receive('peek', a, 1, MSG_PEEK | MSG_DONTWAIT)
    a.setsockopt(SOL_SOCKET, SO_PEEK_OFF, 1)
show('beyond', a.getsockopt(SOL_SOCKET, SO_PEEK_OFF))
a.setsockopt(SOL_SOCKET, SO_PEEK_OFF, 50)
attempt('beyond', a.recv, 3, MSG_PEEK | MSG_DONTWAIT)
receive('beyond', a, 3, MSG_PEEK | MSG_DONTWAIT)
u, v = socket(AF_INET, SOCK_DGRAM), socket(AF_INET, SOCK_DGRAM)
u.bind(('127.0.0.1', 0))
v.bind(('127.0.0.1', 0))
u.setsockopt(SOL_SOCKET, SO_PEEK_OFF, 0)
for text in (b'first one', b'second'):
    v.sendto(text, u.getsockname())
until(u, 'IN')
time.sleep(0.05)
from_v = lambda n, flags=0: (lambda r: (r[0], r[1] == v.getsockname()))(u.recvfrom(n, flags))
show('peek', from_v(4, MSG_PEEK))
show('natively', u.recv(3, MSG_PEEK))
show('offset', u.getsockopt(SOL_SOCKET, SO_PEEK_OFF))
show('peek', from_v(9, MSG_PEEK))
show('the next', from_v(3, MSG_PEEK))
show('read', from_v(100))
show('offset', u.getsockopt(SOL_SOCKET, SO_PEEK_OFF))
show('peek', from_v(100, MSG_PEEK))
show('read', from_v(100))

title('SO_COOKIE')
l = listener()
c = socket()
c.connect(l.getsockname())
a, _ = l.accept()
all = [l, c, a, socket(AF_INET6), socket(AF_INET, SOCK_DGRAM)]
cookie = lambda s: s.getsockopt(SOL_SOCKET, SO_COOKIE, 8)
first = [cookie(s) for s in all]
show('not 0, different, stable', (bytes(8) not in first, len(set(first)), first == [cookie(s) for s in all]))
attempt('short', c.getsockopt, SOL_SOCKET, SO_COOKIE, 4)
attempt('long', lambda: len(c.getsockopt(SOL_SOCKET, SO_COOKIE, 12)))
attempt('set', c.setsockopt, SOL_SOCKET, SO_COOKIE, bytes(8))

title('inherited by accept')
l = listener()
l.setsockopt(SOL_SOCKET, SO_RCVTIMEO, struct.pack('qq', 0, 200000))
l.setsockopt(SOL_SOCKET, SO_PEEK_OFF, 1)
l.setsockopt(IPPROTO_TCP, TCP_INQ, 1)
c = socket()
c.connect(l.getsockname())
a, _ = l.accept()
a.setblocking(True)
attempt('read', os.read, a.fileno(), 10)
c.send(b'hello')
settled(a, 5)
receive('peek', a, 2, MSG_PEEK)

title('after a connection that failed')
c = socket()
c.setblocking(False)
attempt('connect', c.connect, ('127.0.0.1', closed_port()))
until(c, 'ERR', 'HUP')
receive('recvmsg', c, 10)
receive('again', c, 10)
attempt('SO_ERROR', c.getsockopt, SOL_SOCKET, SO_ERROR)
c, a = pair()
a.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack('ii', 1, 0))
c.setsockopt(IPPROTO_TCP, TCP_INQ, 1)
a.send(b'before')
settled(c, 6)
a.close()
until(c, 'ERR', 'HUP')
receive('recvmsg', c, 10, MSG_PEEK)
receive('recvmsg', c, 10)
receive('recvmsg', c, 10)
receive('recvmsg', c, 10)

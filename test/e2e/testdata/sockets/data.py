# Bytes: flags of recv and send, buffers that fill, timeouts.
from lib import *
import fcntl, hashlib, termios

c, a = pair()
c.sendall(b'0123456789')
until(a, 'IN')
show('peek', a.recv(4, MSG_PEEK))
show('peek more', a.recv(100, MSG_PEEK))
n = bytearray(4)
fcntl.ioctl(a, termios.FIONREAD, n)
show('FIONREAD', struct.unpack('i', n)[0])
show('recv', a.recv(3))
show('recvfrom', a.recvfrom(3))
data, ancillary, flags, addr = a.recvmsg(2)
show('recvmsg', (data, ancillary, flags, addr))
parts = [bytearray(1), bytearray(5)]
show('recvmsg_into', (a.recvmsg_into(parts)[0], parts))
attempt('nothing left', a.recv, 1, MSG_DONTWAIT)

t = threading.Thread(target=lambda: [c.send(bytes([65 + i])) for i in range(8)])
t.start()
show('waitall', a.recv(8, MSG_WAITALL))
t.join()
show('sendmsg', c.sendmsg([b'abc', b'', b'defg']))
show('recv', a.recv(7, MSG_WAITALL))
show('sendto connected', libc.sendto(c.fileno(), b'xy', 2, 0, sockaddr(AF_INET, '192.0.2.1', 9), 16))
show('recv', a.recv(2, MSG_WAITALL))
attempt('send nothing', c.send, b'')
attempt('recv nothing', a.recv, 0)
show('write and read', (os.write(c.fileno(), b'pipe-like'), os.read(a.fileno(), 100)))

# Both buffers fill, until nothing moves any more; the rest goes when the reader
# reads.
c.setblocking(False)
sent, block, digest = 0, bytes(range(256)) * 256, hashlib.sha256()
while poll(c, select.POLLOUT, 300) == 'OUT':
    try:
        n = c.send(block)
        digest.update(block[:n])
        sent += n
    except BlockingIOError:
        pass
show('full', sent > 65536)
got = hashlib.sha256()
left = sent
while left:
    b = a.recv(min(left, 1 << 20))
    got.update(b)
    left -= len(b)
show('same', got.digest() == digest.digest())
show('writable', 'OUT' in until(c, 'OUT').split('+'))
c.setblocking(True)

# Timeouts of the socket, as the kernel keeps them.
if 'SO_RCVTIMEO' not in LACKS:
    timeval = struct.pack('ll', 0, 50000)
    a.setsockopt(SOL_SOCKET, SO_RCVTIMEO, timeval)
    attempt('recv times out', a.recv, 1)
    seconds, microseconds = struct.unpack('ll', a.getsockopt(SOL_SOCKET, SO_RCVTIMEO, 16))
    show('rounded up to a tick', (seconds, 50000 <= microseconds < 61000))
    c.setsockopt(SOL_SOCKET, SO_SNDTIMEO, timeval)
    def fill():
        while True:
            c.send(block)
    attempt('send times out', fill)
    l = listener()
    l.setsockopt(SOL_SOCKET, SO_RCVTIMEO, timeval)
    show('accept times out', call('accept', l.fileno(), None, None))

# Two megabytes each way at once, in odd sizes.
c, a = pair()
def pump(s, seed, out):
    blob = bytes((i * seed) & 255 for i in range(4093))
    def send():
        at, size = 0, 1
        while at < 2000000:
            part = (blob * (size // len(blob) + 1))[:size]
            s.sendall(part)
            at += size
            size = size * 3 % 65521 + 1
        s.shutdown(SHUT_WR)
    t = threading.Thread(target=send)
    t.start()
    out.append(hashlib.sha256(drain(s)).hexdigest())
    t.join()
out1, out2 = [], []
t1 = threading.Thread(target=pump, args=(c, 3, out1))
t2 = threading.Thread(target=pump, args=(a, 7, out2))
t1.start(); t2.start(); t1.join(); t2.join()
show('both ways', (out1, out2))

# sendfile and splice take the socket as any descriptor.
import tempfile
with tempfile.TemporaryFile() as f:
    f.write(b'from a file ' * 10000)
    f.flush()
    c, a = pair()
    t = threading.Thread(target=lambda: (os.sendfile(c.fileno(), f.fileno(), 0, 120000), c.shutdown(SHUT_WR)))
    t.start()
    show('sendfile', len(drain(a)))
    t.join()
c, a = pair()
r, w = os.pipe()
c.sendall(b'spliced')
until(a, 'IN')
show('splice', libc.splice(a.fileno(), None, w, None, ctypes.c_size_t(100), 0))
show('read', os.read(r, 100))

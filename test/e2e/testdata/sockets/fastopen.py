# TCP Fast Open: what the calls return with a cookie and without.
from lib import *

MSG_FASTOPEN, TCP_FASTOPEN_CONNECT, TCP_FASTOPEN_KEY = 0x20000000, 30, 33
SYN_DATA = 32  # in tcpi_options

def early(s):
    """Whether data went with the SYN, by TCP_INFO."""
    return s.getsockopt(IPPROTO_TCP, TCP_INFO, 104)[5] & SYN_DATA != 0

l = listener()
l.setsockopt(IPPROTO_TCP, TCP_FASTOPEN, 5)
addr = l.getsockname()

title('without a cookie')
s = socket()
s.setblocking(False)
attempt('sendto', s.sendto, b'hello', MSG_FASTOPEN, addr)
attempt('sendto again', s.sendto, b'hello', MSG_FASTOPEN, addr)
show('poll', until(s, 'OUT'))
attempt('sendto connected', s.sendto, b'hello', MSG_FASTOPEN, addr)
attempt('send', s.send, b'hello')
a, _ = l.accept()
attempt('recv', a.recv, 10, MSG_WAITALL)  # two segments, of which Nagle's algorithm may hold one back
show('early', (early(s), early(a)))

title('with a cookie')
s = socket()
attempt('sendto', s.sendto, b'with the SYN', MSG_FASTOPEN, addr)
a, _ = l.accept()
attempt('recv', a.recv, 20)
show('early', (early(s), early(a)))
a.send(b'answer')
attempt('answer', s.recv, 10)
attempt('peer', lambda: s.getpeername() == addr)
attempt('more', s.send, b'more')
attempt('recv', a.recv, 10)
a.close()
attempt('end', s.recv, 10)

title('not blocking')
s = socket()
s.setblocking(False)
attempt('sendto', s.sendto, b'at once', MSG_FASTOPEN, addr)
a, _ = l.accept()
attempt('recv', a.recv, 20)
show('early', (early(s), early(a)))
show('poll', until(s, 'OUT'))

title('sendmsg')
s = socket()
attempt('sendmsg', s.sendmsg, [b'two ', b'parts'], [], MSG_FASTOPEN, addr)
a, _ = l.accept()
attempt('recv', a.recv, 20)

title('connect that waits for the first bytes')
s = socket()
attempt('option', s.setsockopt, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1)
attempt('connect', s.connect, addr)
show('poll', poll(s, select.POLLOUT))
l.setblocking(False)
attempt('accept', l.accept)
l.setblocking(True)
attempt('send', s.send, b'first')
a, _ = l.accept()
attempt('recv', a.recv, 10)
show('early', (early(s), early(a)))
a.send(b'answer')
attempt('answer', s.recv, 10)
attempt('option', s.setsockopt, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 0)

title('refusals')
attempt('closed port', socket().sendto, b'x', MSG_FASTOPEN, ('127.0.0.1', closed_port()))
attempt('no address', socket().send, b'x', MSG_FASTOPEN)
attempt('listening', l.sendto, b'x', MSG_FASTOPEN, addr)
attempt('of another family', lambda: call('sendto', socket().fileno(), b'x', 1, MSG_FASTOPEN, sockaddr(AF_INET6, '0.0.0.0', 1), 16))
s = socket()
attempt('closed port', s.sendto, b'x', MSG_FASTOPEN, ('127.0.0.1', closed_port()))
attempt('then', s.sendto, b'later', MSG_FASTOPEN, addr)
a, _ = l.accept()
attempt('recv', a.recv, 10)

title('a key')
attempt('short', l.setsockopt, IPPROTO_TCP, TCP_FASTOPEN_KEY, bytes(15))
attempt('one', l.setsockopt, IPPROTO_TCP, TCP_FASTOPEN_KEY, bytes(range(16)))
attempt('reads', lambda: l.getsockopt(IPPROTO_TCP, TCP_FASTOPEN_KEY, 32) == bytes(range(16)))
s = socket()
attempt('the old cookie', s.sendto, b'old', MSG_FASTOPEN, addr)
a, _ = l.accept()
attempt('recv', a.recv, 10)
show('early', (early(s), early(a)))
s = socket()
attempt('the new cookie', s.sendto, b'new', MSG_FASTOPEN, addr)
a, _ = l.accept()
attempt('recv', a.recv, 10)
show('early', (early(s), early(a)))

title('a send buffer that is full when the connection stands')
s = socket()
s.setblocking(False)
attempt('connect', s.connect, addr)
show('poll', until(s, 'OUT'))
a, _ = l.accept()
try:
    while True:
        s.send(bytes(1 << 16))
except BlockingIOError:
    pass
s.setblocking(True)
got = threading.Event()
def empty():
    time.sleep(0.05)
    while a.recv(1 << 16):
        pass
    got.set()
threading.Thread(target=empty, daemon=True).start()
attempt('sendto', s.sendto, b'x', MSG_FASTOPEN, addr)
attempt('sendto again', s.sendto, b'x', MSG_FASTOPEN, addr)
s.close()
show('all read', got.wait(20))

title('an accept queue that is full')
full = listener(backlog=0)
held = [socket()]
held[0].connect(full.getsockname())
full.setsockopt(IPPROTO_TCP, TCP_FASTOPEN, 5)
def waits(ms):
    s = socket()
    s.setsockopt(SOL_SOCKET, SO_SNDTIMEO, struct.pack('ll', 0, ms * 1000))
    return s
s = waits(100)
attempt('sendto', s.sendto, b'with the SYN', MSG_FASTOPEN, full.getsockname())
attempt('sendto again', s.sendto, b'with the SYN', MSG_FASTOPEN, full.getsockname())
attempt('not waiting', s.sendto, b'with the SYN', MSG_FASTOPEN | MSG_DONTWAIT, full.getsockname())
attempt('connect', s.connect, full.getsockname())

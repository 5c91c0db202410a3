# connect, bind, listen and accept, and what they say when it is too early, too
# late or not allowed.
from lib import *

port = closed_port()
s = socket()
attempt('getsockname fresh', s.getsockname)
attempt('getpeername fresh', s.getpeername)
attempt('shutdown fresh', s.shutdown, SHUT_WR)
attempt('accept fresh', s.accept)
attempt('connect refused', s.connect, ('127.0.0.1', port))
attempt('error after refusal', s.getsockopt, SOL_SOCKET, SO_ERROR)
l = listener()
attempt('connect after refusal', s.connect, l.getsockname())
attempt('connect again', s.connect, l.getsockname())
attempt('bind connected', s.bind, ('127.0.0.1', 0))
attempt('listen connected', s.listen, 1)
show('peer', s.getpeername() == l.getsockname())
a, addr = l.accept()
show('addresses', (addr == s.getsockname(), a.getsockname() == l.getsockname(), a.getpeername() == addr))
attempt('connect listening', l.connect, ('127.0.0.1', port))
attempt('bind bound', l.bind, ('127.0.0.1', 0))
attempt('getpeername listening', l.getpeername)
attempt('listen again', l.listen, 5)
attempt('acceptconn', l.getsockopt, SOL_SOCKET, SO_ACCEPTCONN)

attempt('bind in use', socket().bind, l.getsockname())
attempt('bind not local', socket().bind, ('192.0.2.77', 0))
attempt('connect multicast', socket().connect, ('224.0.0.1', 80))
attempt('connect broadcast', socket().connect, ('255.255.255.255', 80))
attempt('connect port 0', socket().connect, ('127.0.0.1', 0))

# Addresses as C passes them: too short, of another family, of none.
good = sockaddr(AF_INET, '127.0.0.1', l.getsockname()[1])
for what, addr, length in [
    ('short', good, 8), ('empty', good, 0), ('negative', good, -1),
    ('other family', sockaddr(AF_UNIX, '127.0.0.1', 80), 16), ('huge', good, 1000)]:
    show('connect ' + what, call('connect', socket().detach(), addr, length))
    show('bind ' + what, call('bind', socket().detach(), addr, length))
show('connect null', call('connect', socket().detach(), None, 16))
show('bind null', call('bind', socket().detach(), None, 16))
show('unspec on fresh', call('connect', socket().detach(), sockaddr(AF_UNSPEC, '0.0.0.0', 0), 16))
show('bind unspec any', call('bind', socket().detach(), sockaddr(AF_UNSPEC, '0.0.0.0', 0), 16))
show('bind unspec address', call('bind', socket().detach(), sockaddr(AF_UNSPEC, '127.0.0.1', 0), 16))

# accept's address, cut to the room that the caller has.
c = socket()
c.connect(l.getsockname())
room, size = ctypes.create_string_buffer(b'\xee' * 16, 16), ctypes.c_int(4)
fd = call('accept', l.fileno(), room, ctypes.byref(size))
show('accept cut', (fd >= 0, size.value, room.raw[:4] == struct.pack('<H', 2) + struct.pack('>H', c.getsockname()[1]), room.raw[4:].hex()))
room, size = ctypes.create_string_buffer(64), ctypes.c_int(64)
show('getsockname', (call('getsockname', fd, room, ctypes.byref(size)), size.value, room.raw[4:16].hex()))
size = ctypes.c_int(-1)
show('getsockname negative', call('getsockname', fd, room, ctypes.byref(size)))
show('getsockname null', call('getsockname', fd, None, None))
os.close(fd)

# Any address as a destination means this host.
any_ = socket()
attempt('connect 0.0.0.0', any_.connect, ('0.0.0.0', l.getsockname()[1]))
show('is', (any_.getpeername()[0], any_.getsockname()[0]))

# Not blocking: the refusal comes later, by poll and SO_ERROR, and only once.
n = socket()
n.setblocking(False)
show('start', errno.errorcode[n.connect_ex(('127.0.0.1', port))] in ('EINPROGRESS', 'ECONNREFUSED'))
until(n, 'OUT') # the kernel adds ERR and HUP
attempt('SO_ERROR', n.getsockopt, SOL_SOCKET, SO_ERROR)
attempt('SO_ERROR again', n.getsockopt, SOL_SOCKET, SO_ERROR)
n = socket()
n.setblocking(False)
show('start', n.connect_ex(l.getsockname()) in (0, errno.EINPROGRESS))
show('poll', until(n, 'OUT'))
attempt('SO_ERROR', n.getsockopt, SOL_SOCKET, SO_ERROR)
attempt('connect done', n.connect_ex, l.getsockname())
attempt('connect done once more', n.connect_ex, l.getsockname())
attempt('recv nothing', n.recv, 1)

l2 = listener()
l2.setblocking(False)
attempt('accept nothing', l2.accept)
show('poll', poll(l2))
c = socket()
c.connect(l2.getsockname())
show('poll', until(l2, 'IN'))
a, _ = l2.accept()
show('accepted blocks', os.get_blocking(a.fileno()))
show('poll', poll(l2))

# A socket that connects to itself: a simultaneous open.
me = socket()
me.bind(('127.0.0.1', 0))
attempt('to itself', me.connect, me.getsockname())
me.send(b'echo')
show('from itself', me.recv(10))
show('same', me.getsockname() == me.getpeername())

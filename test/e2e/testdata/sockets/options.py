# Options: what a fresh socket has, what can be set, what cannot.
from lib import *

SOCKET = [SO_REUSEADDR, SO_TYPE, SO_ERROR, SO_DONTROUTE, SO_BROADCAST, SO_KEEPALIVE, SO_OOBINLINE, SO_REUSEPORT,
          SO_RCVLOWAT, SO_SNDLOWAT, SO_ACCEPTCONN, SO_PROTOCOL, SO_DOMAIN, SO_PRIORITY, SO_MARK]
TCP = [TCP_NODELAY, TCP_CORK, TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT, TCP_SYNCNT, TCP_LINGER2, TCP_DEFER_ACCEPT,
       TCP_WINDOW_CLAMP, TCP_QUICKACK, TCP_USER_TIMEOUT, TCP_NOTSENT_LOWAT]
for kind in SOCK_STREAM, SOCK_DGRAM:
    for family in AF_INET, AF_INET6:
        s = socket(family, kind)
        for name in SOCKET:
            attempt('get SOL_SOCKET %d' % name, s.getsockopt, SOL_SOCKET, name)
        for name in TCP if kind == SOCK_STREAM else [TCP_NODELAY]:
            attempt('get TCP %d' % name, s.getsockopt, IPPROTO_TCP, name)
        attempt('IP_TTL', s.getsockopt, IPPROTO_IP, IP_TTL)
        attempt('IP_TOS', s.getsockopt, IPPROTO_IP, IP_TOS)
        attempt('IPV6_V6ONLY', s.getsockopt, IPPROTO_IPV6, IPV6_V6ONLY)
        attempt('linger', s.getsockopt, SOL_SOCKET, SO_LINGER, 8)
        attempt('unknown', s.getsockopt, SOL_SOCKET, 9999)
        attempt('unknown', s.setsockopt, SOL_SOCKET, 9999, 1)
        attempt('unknown level', s.setsockopt, 9999, 1, 1)
        attempt('unknown TCP', s.setsockopt, IPPROTO_TCP, 9999, 1)
        attempt('read only', s.setsockopt, SOL_SOCKET, SO_TYPE, 1)
        attempt('short', s.setsockopt, SOL_SOCKET, SO_KEEPALIVE, b'\1\0')
        attempt('empty', s.setsockopt, SOL_SOCKET, SO_KEEPALIVE, b'')

s = socket()
for level, name, values in [
    (SOL_SOCKET, SO_KEEPALIVE, [1, 0, 7, -1]), (SOL_SOCKET, SO_REUSEADDR, [1, 0, 5]), (SOL_SOCKET, SO_RCVLOWAT, [1, 100, 0]),
    (IPPROTO_TCP, TCP_NODELAY, [1, 0, 5]), (IPPROTO_TCP, TCP_KEEPIDLE, [1, 32767, 0, 32768, -1]),
    (IPPROTO_TCP, TCP_KEEPCNT, [1, 127, 0, 128]), (IPPROTO_TCP, TCP_SYNCNT, [1, 127, 0, 128]),
    (IPPROTO_TCP, TCP_MAXSEG, [1000, 10, 100000]), (IPPROTO_TCP, TCP_USER_TIMEOUT, [5000, 0, -1]),
    (IPPROTO_TCP, TCP_DEFER_ACCEPT, [1, 10, 0]), (IPPROTO_TCP, TCP_LINGER2, [10, 0, -1]),
    (IPPROTO_IP, IP_TTL, [1, 255, 0, 256, -1]), (IPPROTO_IP, IP_TOS, [0x10, 0xff, 0x100]),
    (SOL_SOCKET, SO_PRIORITY, [3, 6])]:
    for value in values:
        attempt('set %d %d to %d' % (level, name, value), s.setsockopt, level, name, value)
        if name != TCP_MAXSEG:
            attempt('is', s.getsockopt, level, name)
size = ctypes.c_int(2)
room = ctypes.create_string_buffer(b'\xee' * 8, 8)
show('cut', (call('getsockopt', s.fileno(), SOL_SOCKET, SO_TYPE, room, ctypes.byref(size)), size.value, room.raw.hex()))
size = ctypes.c_int(-1)
show('negative', call('getsockopt', s.fileno(), SOL_SOCKET, SO_TYPE, room, ctypes.byref(size)))
show('null', call('getsockopt', s.fileno(), SOL_SOCKET, SO_TYPE, None, None))
show('bad address', call('setsockopt', s.fileno(), SOL_SOCKET, SO_KEEPALIVE, 1, 4))

# What an accepted socket has from its listener.
l = socket()
l.setsockopt(SOL_SOCKET, SO_KEEPALIVE, 1)
l.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
l.setsockopt(IPPROTO_TCP, TCP_KEEPIDLE, 77)
l.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack('ii', 1, 5))
l.bind(('127.0.0.1', 0))
l.listen(1)
c = create_connection(l.getsockname())
a, _ = l.accept()
for level, name in (SOL_SOCKET, SO_KEEPALIVE), (IPPROTO_TCP, TCP_NODELAY), (IPPROTO_TCP, TCP_KEEPIDLE), (SOL_SOCKET, SO_REUSEADDR), (SOL_SOCKET, SO_ACCEPTCONN), (SOL_SOCKET, SO_DOMAIN), (SOL_SOCKET, SO_PROTOCOL):
    show('inherited %d %d' % (level, name), a.getsockopt(level, name))
show('inherited linger', a.getsockopt(SOL_SOCKET, SO_LINGER, 8))

info = a.getsockopt(IPPROTO_TCP, TCP_INFO, 256)
show('TCP_INFO state', (info[0], len(info) >= 104))
info = l.getsockopt(IPPROTO_TCP, TCP_INFO, 256)
show('TCP_INFO state', info[0])

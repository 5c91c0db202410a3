# UDP_SEGMENT and UDP_GRO: several datagrams in one call, either way.
from lib import *

UDP_SEGMENT, UDP_GRO = 103, 104

def every(s, total):
    """Sizes of what comes, until it is total bytes, and its ancillary data."""
    got, n = [], -1
    while n < total:
        data, control, flags, _ = s.recvmsg(70000, 100)
        got.append((len(data), [(level, kind, value.hex()) for level, kind, value in control], flags & MSG_CTRUNC))
        n = max(n, 0) + len(data)
    return got

def send(what, n, f, *args):
    """Sends n bytes and shows the sizes in which they came."""
    try:
        show(what, f(*args))
        show('came', [x[0] for x in every(r, n)])
    except OSError as e:
        show(what, errno.errorcode[e.errno])

def text(n):
    return bytes(i // 100 % 251 for i in range(n))

for family, addr in (AF_INET, '127.0.0.1'), (AF_INET6, '::1'):
    title('options')
    s, r = socket(family, SOCK_DGRAM), socket(family, SOCK_DGRAM)
    r.bind((addr, 0))
    to = r.getsockname()
    for name in UDP_SEGMENT, UDP_GRO:
        for value in 0, 1, 7, 65535, 65536, -1:
            attempt('set', s.setsockopt, IPPROTO_UDP, name, value)
            attempt('get', s.getsockopt, IPPROTO_UDP, name)
        attempt('short', s.setsockopt, IPPROTO_UDP, name, b'\1\0')
    s.setsockopt(IPPROTO_UDP, UDP_GRO, 0)

    title('sending')
    for n, size in (1000, 300), (900, 300), (0, 300), (300, 300), (12800, 100), (12801, 100), (65507, 1400), (100, 65000), (65507, 60000):
        s.setsockopt(IPPROTO_UDP, UDP_SEGMENT, size)
        send('%d by %d' % (n, size), n, s.sendto, bytes(n), to)
    s.setsockopt(IPPROTO_UDP, UDP_SEGMENT, 300)
    attempt('too large', s.sendto, bytes(70000), to)
    s.connect(to)
    send('write', 1000, os.write, s.fileno(), text(1000))

    title('by message')
    for n, size, value in (10, 0, b'\3\0'), (10, 3, b'\0\0'), (10, 3, b'\4\0'), (10, 3, b'\4\0\0\0'), (10, 3, b''), (1000, 0, b'\7\0'):
        s.setsockopt(IPPROTO_UDP, UDP_SEGMENT, size)
        send('%d by %s' % (n, value.hex()), n, s.sendmsg, [bytes(n)], [(IPPROTO_UDP, UDP_SEGMENT, value)])
    attempt('unknown', s.sendmsg, [b'x'], [(IPPROTO_UDP, 99, b'\1\0')])

    title('receiving')
    r.setsockopt(IPPROTO_UDP, UDP_GRO, 1)
    for n, size in (1000, 300), (900, 300), (300, 300), (200, 300), (0, 300), (10000, 1000), (1000, 0):
        s.setsockopt(IPPROTO_UDP, UDP_SEGMENT, size)
        s.send(text(n))
        poll(r, select.POLLIN, None)
        show('%d by %d' % (n, size), every(r, n))
    s.setsockopt(IPPROTO_UDP, UDP_SEGMENT, 400)
    s.send(text(1000))
    poll(r, select.POLLIN, None)
    data, control, flags, addr_ = r.recvmsg(500, 100)
    show('cut', (data == text(500), [x[:2] for x in control], bool(flags & MSG_TRUNC), addr_ == s.getsockname()))
    attempt('nothing more', r.recv, 1, MSG_DONTWAIT)
    r.setsockopt(IPPROTO_IP if family == AF_INET else IPPROTO_IPV6, 13 if family == AF_INET else 66, 1)
    s.send(text(1000))
    poll(r, select.POLLIN, None)
    show('with others', every(r, 1000))
    r.setsockopt(IPPROTO_UDP, UDP_GRO, 0)
    send('without', 1000, s.send, text(1000))

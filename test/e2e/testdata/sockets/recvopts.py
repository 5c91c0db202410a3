# IP_RECVOPTS and IP_RETOPTS, either way; IPV6_DONTFRAG and IPV6_MTU.
from lib import *

IP_OPTIONS, IP_RECVOPTS, IP_RETOPTS, IPV6_MTU, IPV6_DONTFRAG = 4, 6, 7, 24, 62

def udp(family=AF_INET, addr='127.0.0.1'):
    s = socket(family, SOCK_DGRAM)
    s.bind((addr, 0))
    return s

def timeless(value):
    """Options without the times in timestamps, which are nobody else's."""
    b, at = bytearray(value), 0
    while at < len(b) and b[at]:
        if b[at] == 1:
            at += 1
            continue
        if b[at] == 68:
            step = 4 if b[at + 3] & 15 == 0 else 8
            for slot in range(at + 4, at + b[at + 1] - step + 1, step):
                b[slot + step - 4:slot + step] = bytes(4)
        at += b[at + 1]
    return b.hex()

def control(s):
    data, items, flags, _ = s.recvmsg(100, 400)
    return len(data), [(level, kind, timeless(value) if kind in (6, 7) else value.hex()) for level, kind, value in items], flags & MSG_CTRUNC

title('what came')
for b in udp(), udp(AF_INET6, '::ffff:127.0.0.1'):
    a, port = udp(), b.getsockname()[1]
    for on in (IP_RECVOPTS,), (IP_RETOPTS,), (IP_RECVOPTS, IP_RETOPTS, 12, 13):
        for name in on:
            b.setsockopt(IPPROTO_IP, name, 1)
        for options in b'', b'\1\1\1\1', b'\7\x0f\4' + bytes(12), b'\7\x07\4' + bytes(4), b'\x44\x1c\5\1' + bytes(24), b'\x44\x10\5\0' + bytes(12), \
                       b'\x44\x08\5\0' + bytes(4), b'\x44\x04\5\x00', b'\x94\4\0\0\7\x0b\4' + bytes(8) + b'\x44\x0c\5\0' + bytes(8), b'\x44\x14\5\3\x7f\0\0\1' + bytes(4) + b'\x7f\0\0\1' + bytes(4):
            a.setsockopt(IPPROTO_IP, IP_OPTIONS, options)
            a.sendto(b'x', ('127.0.0.1', port))
            show(options.hex(), control(b))
        if len(on) == 1:
            b.setsockopt(IPPROTO_IP, on[0], 0)

title('what is sent along')
a, b = udp(), udp()
b.setsockopt(IPPROTO_IP, IP_RECVOPTS, 1)
a.setsockopt(IPPROTO_IP, IP_OPTIONS, b'\x94\4\0\0')
for value in b'\1\1\1\1', b'\7\x07\4' + bytes(4), b'', b'\7\7\3' + bytes(4), b'\1' * 40, b'\1' * 44:
    try:
        show(value.hex(), a.sendmsg([b'x'], [(IPPROTO_IP, IP_RETOPTS, value)], 0, b.getsockname()))
        show('came', control(b))
    except OSError as e:
        show(value.hex(), errno.errorcode[e.errno])
a.sendto(b'x', b.getsockname())
show('without', control(b))

title('IPv6')
a, b = udp(AF_INET6, '::1'), udp(AF_INET6, '::1')
for value in 0, 1279, 1280, 1500, 100000, -1, b'\0\5':
    attempt('IPV6_MTU %s' % value, a.setsockopt, IPPROTO_IPV6, IPV6_MTU, value)
attempt('is', a.getsockopt, IPPROTO_IPV6, IPV6_MTU)
for mtu in 1280, 5000, 0:
    a.setsockopt(IPPROTO_IPV6, IPV6_MTU, mtu)
    for whole in 0, 1:
        a.setsockopt(IPPROTO_IPV6, IPV6_DONTFRAG, whole)
        for size in 1232, 1233, 4952, 4953, 65000:
            attempt('%d %d: send %d' % (mtu, whole, size), a.sendto, bytes(size), b.getsockname())
            if not (whole and mtu and size > mtu - 48):
                show('got', len(b.recv(70000)))
a.setsockopt(IPPROTO_IPV6, IPV6_MTU, 1280)
for socks, value in (0, b'\1\0\0\0'), (1, b'\0\0\0\0'), (0, b'\2\0\0\0'), (0, b'\1'), (0, b'\xff\xff\xff\xff'):
    a.setsockopt(IPPROTO_IPV6, IPV6_DONTFRAG, socks)
    try:
        show('along', a.sendmsg([bytes(1233)], [(IPPROTO_IPV6, IPV6_DONTFRAG, value)], 0, b.getsockname()))
        show('got', len(b.recv(70000)))
    except OSError as e:
        show('along', errno.errorcode[e.errno])
for mode in 0, 1, 2, 3, 4, 5:
    a.setsockopt(IPPROTO_IPV6, 23, mode)
    a.setsockopt(IPPROTO_IPV6, IPV6_DONTFRAG, 0)
    try:
        show('mode %d' % mode, a.sendto(bytes(1233), b.getsockname()))
        show('got', len(b.recv(70000)))
    except OSError as e:
        show('mode %d' % mode, errno.errorcode[e.errno])

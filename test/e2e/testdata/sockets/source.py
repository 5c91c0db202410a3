# Where datagrams come from: IP_PKTINFO and IPV6_PKTINFO of a send, and IPV6_PKTINFO as
# an option. Linux keeps the option's address and does not look at it, so only what it
# looks at is here.
from lib import *

IPV6_PKTINFO, IP_PKTINFO = 50, 8
NOWHERE = 99 # no interface

def in6(addr, index=0):
    return inet_pton(AF_INET6, addr) + struct.pack('I', index)

def in4(addr):
    return struct.pack('I4s4s', 0, inet_aton(addr), bytes(4))

def receiver(family, addr):
    r = socket(family, SOCK_DGRAM)
    r.bind((addr, 0))
    r.settimeout(20)
    return r

def sent(what, f, r):
    try:
        f()
        show(what, r.recvfrom(9)[1][0])
    except OSError as e:
        show(what, errno.errorcode.get(e.errno, str(e)))

title('of a send')
r = receiver(AF_INET, '127.0.0.1')
for a in ('127.0.0.2', '127.0.0.1', '0.0.0.0', '192.0.2.1'):
    for bound in ('', '127.0.0.3'):
        s = socket(AF_INET, SOCK_DGRAM)
        if bound:
            s.bind((bound, 0))
        sent('from %s bound to %r' % (a, bound), lambda: s.sendmsg([b'x'], [(IPPROTO_IP, IP_PKTINFO, in4(a))], 0, r.getsockname()), r)
        sent('and then', lambda: s.sendto(b'x', r.getsockname()), r)
s = socket(AF_INET, SOCK_DGRAM)
s.connect(r.getsockname())
sent('connected', lambda: s.sendmsg([b'x'], [(IPPROTO_IP, IP_PKTINFO, in4('127.0.0.2'))]), r)
sent('and then', lambda: s.send(b'x'), r)
r6 = receiver(AF_INET6, '::1')
for a in ('::1', '::', '2001:db8::1'):
    s = socket(AF_INET6, SOCK_DGRAM)
    sent('from ' + a, lambda: s.sendmsg([b'x'], [(IPPROTO_IPV6, IPV6_PKTINFO, in6(a))], 0, r6.getsockname()), r6)

title('as an option')
for kind in (SOCK_DGRAM, SOCK_STREAM):
    s = socket(AF_INET6, kind)
    for value in (b'', bytes(4), in6('::1')[:19], in6('::1'), in6('::1') + b'x', in6('2001:db8::1'), in6('::', NOWHERE), in6('::', 0xffffffff), in6('::')):
        attempt('set %d bytes' % len(value), s.setsockopt, IPPROTO_IPV6, IPV6_PKTINFO, value)
    attempt('get', s.getsockopt, IPPROTO_IPV6, IPV6_PKTINFO, 20)
attempt('on IPv4', socket(AF_INET, SOCK_DGRAM).setsockopt, IPPROTO_IPV6, IPV6_PKTINFO, in6('::'))
s = socket(AF_INET6, SOCK_DGRAM)
for value in (in6('::1'), in6('::', NOWHERE), in6('::')):
    s.setsockopt(IPPROTO_IPV6, IPV6_PKTINFO, value)
    sent('datagram', lambda: s.sendto(b'x', r6.getsockname()), r6)
    sent('datagram over IPv4', lambda: s.sendto(b'x', ('::ffff:127.0.0.1', r.getsockname()[1])), r)
for value in (in6('::', NOWHERE), in6('::1')):
    c = socket(AF_INET6, SOCK_DGRAM)
    c.setsockopt(IPPROTO_IPV6, IPV6_PKTINFO, value)
    attempt('connect', c.connect, r6.getsockname())
l = listener(AF_INET6)
for value in (in6('::', NOWHERE), in6('::1')):
    c = socket(AF_INET6, SOCK_STREAM)
    c.setsockopt(IPPROTO_IPV6, IPV6_PKTINFO, value)
    attempt('connect of a stream', c.connect, l.getsockname())
    show('from', c.getsockname()[0])

title('the interface of datagrams')
IP_UNICAST_IF, IPV6_UNICAST_IF = 50, 76
for kind in (SOCK_DGRAM, SOCK_STREAM):
    for level, option in ((IPPROTO_IP, IP_UNICAST_IF), (IPPROTO_IPV6, IPV6_UNICAST_IF)):
        s = socket(AF_INET6, kind)
        for value in (struct.pack('>I', NOWHERE), struct.pack('>I', 0xffffffff), bytes(4), bytes(3), bytes(5), b''):
            attempt('set %s' % value.hex(), s.setsockopt, level, option, value)
        attempt('get', s.getsockopt, level, option)

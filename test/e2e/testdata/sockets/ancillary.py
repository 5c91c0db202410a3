# What recvmsg gives along with datagrams, and the error queue.
from lib import *

IP_RECVERR, IPV6_RECVERR, IP_ORIGDSTADDR, IPV6_ORIGDSTADDR = 11, 25, 20, 74
IP_PKTINFO, IPV6_PKTINFO, SO_TIMESTAMP, SO_TIMESTAMPNS, SO_RXQ_OVFL = 8, 50, 29, 35, 40
NAMES = {(SOL_SOCKET, SO_TIMESTAMP): 'SO_TIMESTAMP', (SOL_SOCKET, SO_TIMESTAMPNS): 'SO_TIMESTAMPNS', (SOL_SOCKET, SO_RXQ_OVFL): 'SO_RXQ_OVFL',
         (IPPROTO_IP, IP_TTL): 'IP_TTL', (IPPROTO_IP, IP_TOS): 'IP_TOS', (IPPROTO_IP, IP_PKTINFO): 'IP_PKTINFO',
         (IPPROTO_IP, IP_ORIGDSTADDR): 'IP_ORIGDSTADDR', (IPPROTO_IP, IP_RECVERR): 'IP_RECVERR',
         (IPPROTO_IPV6, IPV6_HOPLIMIT): 'IPV6_HOPLIMIT', (IPPROTO_IPV6, IPV6_TCLASS): 'IPV6_TCLASS', (IPPROTO_IPV6, IPV6_PKTINFO): 'IPV6_PKTINFO',
         (IPPROTO_IPV6, 8): 'IPV6_2292HOPLIMIT', (IPPROTO_IPV6, IPV6_ORIGDSTADDR): 'IPV6_ORIGDSTADDR', (IPPROTO_IPV6, IPV6_RECVERR): 'IPV6_RECVERR'}
ports = {}

def named(port):
    """Ports differ from run to run; they get names by the order in which they are seen."""
    return ports.setdefault(port, 'port%d' % len(ports))

def piece(level, kind, data):
    name = NAMES.get((level, kind), (level, kind))
    if name in ('SO_TIMESTAMP', 'SO_TIMESTAMPNS'):
        sec, part = struct.unpack('qq', data)
        return name, abs(sec - time.time()) < 60, 0 <= part < (1000000 if name == 'SO_TIMESTAMP' else 1000000000)
    if name == 'IP_ORIGDSTADDR':
        return name, len(data), inet_ntoa(data[4:8]), named(struct.unpack('>H', data[2:4])[0])
    if name == 'IPV6_ORIGDSTADDR':
        return name, len(data), inet_ntop(AF_INET6, data[8:24]), named(struct.unpack('>H', data[2:4])[0])
    if name in ('IP_RECVERR', 'IPV6_RECVERR'):
        no, origin, typ, code, pad, info, more = struct.unpack('IBBBBII', data[:16])
        who = data[16:]
        family = struct.unpack('H', who[:2])[0]
        addr = {AF_INET: lambda: inet_ntoa(who[4:8]), AF_INET6: lambda: inet_ntop(AF_INET6, who[8:24])}.get(family, lambda: '-')()
        return name, errno.errorcode[no], origin, typ, code, info, len(data), family, addr
    if name in ('IP_PKTINFO', 'IPV6_PKTINFO'):
        return name, data.hex()
    return name, len(data), int.from_bytes(data, sys.byteorder)

def receive(what, s, flags=0, room=200):
    def f():
        data, pieces, got, addr = s.recvmsg(room, 1000, flags)
        where = (addr[0], named(addr[1])) if addr else addr
        return data, [piece(*p) for p in pieces], got, where
    attempt(what, f)

def bound(family, addr):
    s = socket(family, SOCK_DGRAM)
    s.bind((addr, 0))
    return s

for family, addr, level, options in [
        (AF_INET, '127.0.0.1', IPPROTO_IP, {'TTL': 12, 'TOS': 13, 'ORIGDSTADDR': 20, 'PKTINFO': 8}),
        (AF_INET6, '::1', IPPROTO_IPV6, {'HOPLIMIT': 51, '2292HOPLIMIT': 8, 'TCLASS': 66, 'ORIGDSTADDR': 74, 'PKTINFO': 49})]:
    title('received over IPv' + ('4' if family == AF_INET else '6'))
    s, c = bound(family, addr), bound(family, addr)
    to = s.getsockname()
    c.setsockopt(level, IP_TOS if family == AF_INET else IPV6_TCLASS, 0x2c)
    c.setsockopt(level, IP_TTL if family == AF_INET else IPV6_UNICAST_HOPS, 77)
    for name, number in options.items():
        s.setsockopt(level, number, 1)
        c.sendto(name.encode(), to)
        receive(name, s)
        s.setsockopt(level, number, 0)
    for number in options.values():
        s.setsockopt(level, number, 1)
    for number in (SO_TIMESTAMP, SO_TIMESTAMPNS):
        s.setsockopt(SOL_SOCKET, number, 1)
        c.sendto(b'all', to)
        receive('all', s)
    show('stamps', (s.getsockopt(SOL_SOCKET, SO_TIMESTAMP), s.getsockopt(SOL_SOCKET, SO_TIMESTAMPNS)))

title('IPv4 on a socket of IPv6')
s = bound(AF_INET6, '::')
c = bound(AF_INET, '127.0.0.1')
for number in (51, 66, 49):
    s.setsockopt(IPPROTO_IPV6, number, 1)
for number in (12, 13):
    s.setsockopt(IPPROTO_IP, number, 1)
c.sendto(b'mapped', ('127.0.0.1', s.getsockname()[1]))
receive('recvmsg', s)

title('dropped for want of room')
s, c = bound(AF_INET, '127.0.0.1'), socket(AF_INET, SOCK_DGRAM)
s.setsockopt(SOL_SOCKET, SO_RXQ_OVFL, 1)
s.setsockopt(SOL_SOCKET, SO_RCVBUF, 2304)
for i in range(50):
    c.sendto(bytes(1000), s.getsockname())
s.settimeout(0.5) # what waits elsewhere comes when there is room
got = 0
try:
    while True:
        s.recv(2000)
        got += 1
except TimeoutError:
    pass
c.sendto(b'late', s.getsockname())
while True:
    data, pieces, _, _ = s.recvmsg(2000, 100)
    if data == b'late':
        break
    got += 1
show('late', (data, [(NAMES[p[:2]], int.from_bytes(p[2], sys.byteorder) == 50 - got) for p in pieces], 0 < got < 50))

for family, addr, level, option in [(AF_INET, '127.0.0.1', IPPROTO_IP, IP_RECVERR), (AF_INET6, '::1', IPPROTO_IPV6, IPV6_RECVERR)]:
    title('errors of IPv' + ('4' if family == AF_INET else '6'))
    s = bound(family, addr)
    s.setsockopt(level, option, 1)
    receive('empty', s, MSG_ERRQUEUE)
    port = closed_port(SOCK_DGRAM, family, addr)
    s.sendto(b'to nobody', (addr, port))
    time.sleep(0.05)
    receive('error', s, MSG_ERRQUEUE)
    receive('empty', s, MSG_ERRQUEUE)
    attempt('SO_ERROR after it', s.getsockopt, SOL_SOCKET, SO_ERROR)
    s.sendto(b'once', (addr, port))
    time.sleep(0.05)
    attempt('SO_ERROR before it', s.getsockopt, SOL_SOCKET, SO_ERROR)
    s.sendto(b'twice', (addr, port))
    time.sleep(0.05)
    attempt('send', s.sendto, b'not sent', (addr, port))
    receive('cut', s, MSG_ERRQUEUE, 2)
    attempt('SO_ERROR between them', s.getsockopt, SOL_SOCKET, SO_ERROR)
    receive('second', s, MSG_ERRQUEUE)
    attempt('SO_ERROR behind them', s.getsockopt, SOL_SOCKET, SO_ERROR)
    s.setsockopt(level, 12 if family == AF_INET else 51, 1)
    s.setsockopt(level, 8 if family == AF_INET else 49, 1)
    s.connect((addr, port))
    s.send(b'to the peer')
    time.sleep(0.05)
    attempt('recvfrom', s.recvfrom, 10)
    receive('with more', s, MSG_ERRQUEUE)
    s.send(b'dropped')
    time.sleep(0.05)
    s.setsockopt(level, option, 0)
    receive('switched off', s, MSG_ERRQUEUE)

title('errors are shown until they are read')
s = bound(AF_INET, '127.0.0.1')
s.setsockopt(IPPROTO_IP, IP_RECVERR, 1)
port = closed_port(SOCK_DGRAM)
def shown():
    time.sleep(0.05)
    return any(e in poll(s).split('+') for e in ('ERR', 'IN')) # where it is IN, see docs/options.md
for i in range(2):
    s.sendto(b'to nobody', ('127.0.0.1', port))
    show('one more', shown())
    attempt('recvfrom', s.recvfrom, 10)
    show('its errno was taken', shown())
try:
    s.recv(10, MSG_DONTWAIT)
except OSError:
    pass
show('recv has nothing', shown())
s.sendto(b'text', s.getsockname())
receive('a datagram', s)
show('it was taken', shown())
receive('first', s, MSG_ERRQUEUE)
show('one is left', shown())
receive('second', s, MSG_ERRQUEUE)
show('none is left', shown())
s.sendto(b'to nobody', ('127.0.0.1', port))
show('a third', shown())
s.setsockopt(IPPROTO_IP, IP_RECVERR, 0)

title('too large')
s = bound(AF_INET, '127.0.0.1')
s.setsockopt(IPPROTO_IP, IP_RECVERR, 1)
s.setsockopt(IPPROTO_IP, 10, 2)
attempt('send', s.sendto, bytes(1600), ('10.87.0.1', 9))
receive('local', s, MSG_ERRQUEUE)
attempt('SO_ERROR', s.getsockopt, SOL_SOCKET, SO_ERROR)
receive('empty', s, MSG_ERRQUEUE)

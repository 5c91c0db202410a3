# SO_REUSEPORT with sockets that share a port, and TCP_CONGESTION.
from lib import *

def sharing(family, kind, port=0, reuse=1):
    s = socket(family, kind)
    if reuse:
        s.setsockopt(SOL_SOCKET, SO_REUSEPORT, 1)
    s.bind(('127.0.0.1' if family == AF_INET else '::1', port))
    if kind == SOCK_STREAM:
        s.listen(200)
    s.setblocking(False)
    return s

def taken(l):
    """How many connections or datagrams wait."""
    n = 0
    try:
        while True:
            if l.type == SOCK_STREAM:
                l.accept()[0].close()
            else:
                l.recv(10)
            n += 1
    except BlockingIOError:
        return n

for family in AF_INET, AF_INET6:
    for kind in SOCK_STREAM, SOCK_DGRAM:
        title('%s %s' % (family.name, kind.name))
        first = sharing(family, kind)
        addr = first.getsockname()
        attempt('without the option', sharing, family, kind, addr[1], 0)
        rest = [sharing(family, kind, addr[1]) for _ in range(3)]

        def send(count):
            for _ in range(count):
                c = socket(family, kind)
                c.connect(addr)
                c.send(b'x')
                c.close()
            time.sleep(0.1)

        send(80)
        counts = [taken(s) for s in [first] + rest]
        show('each has some', all(counts))
        show('in all', sum(counts))
        one = socket(family, kind)
        one.bind((addr[0], 0))
        if kind == SOCK_DGRAM:
            for _ in range(20):
                one.sendto(b'x', addr)
            time.sleep(0.1)
            counts = [taken(s) for s in [first] + rest]
            show('one sender, one socket', sorted(counts))
        for s in rest[1:]:
            s.close()
        send(40)
        counts = [taken(s) for s in (first, rest[0])]
        show('the others have what the closed ones had', (sum(counts), all(counts)))
        first.close()
        send(10)
        show('the last has all', taken(rest[0]))
        rest[0].close()

title('TCP_CONGESTION')
TCP_CONGESTION = 13
name = lambda s: s.getsockopt(IPPROTO_TCP, TCP_CONGESTION, 16).rstrip(b'\0').decode()
l = socket()
for algorithm in b'reno', b'cubic', b'reno\0', b'nothing', b'', b'averyverylongnameindeed':
    attempt('set %s' % algorithm, l.setsockopt, IPPROTO_TCP, TCP_CONGESTION, algorithm)
    show('is', name(l) if algorithm in (b'reno', b'cubic', b'reno\0') else '')
l.setsockopt(IPPROTO_TCP, TCP_CONGESTION, b'reno')
l.bind(('127.0.0.1', 0))
l.listen()
c = create_connection(l.getsockname())
a, _ = l.accept()
show('accepted', name(a))
a.setsockopt(IPPROTO_TCP, TCP_CONGESTION, b'cubic')
show('changed while connected', name(a))
show('the listener', name(l))
a.sendall(bytes(200000))
got = 0
while got < 200000:
    got += len(c.recv(65536))
show('got', got)

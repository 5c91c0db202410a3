# Who may bind and listen beside whom, and dual-stack sockets.
from lib import *

def tcp(addr, port, *options, family=None, listen=True):
    s = socket(family or (AF_INET6 if ':' in addr else AF_INET), SOCK_STREAM)
    for level, name in options:
        s.setsockopt(level, name, 1)
    s.bind((addr, port))
    if listen:
        s.listen(4)
    return s

REUSE, PORT, ONLY = (SOL_SOCKET, SO_REUSEADDR), (SOL_SOCKET, SO_REUSEPORT), (IPPROTO_IPV6, IPV6_V6ONLY)
WILD4, WILD6, LOOP4, LOOP6 = '0.0.0.0', '::', '127.0.0.1', '::1'
OTHER = '127.0.0.2'

for first in (WILD4, (), True), (WILD6, (), True), (WILD6, (ONLY,), True), (LOOP4, (), True), (LOOP6, (), True), (LOOP4, (REUSE,), False), (LOOP4, (REUSE,), True), (LOOP4, (PORT,), True), (WILD4, (REUSE,), False), (WILD6, (REUSE,), True), ('::ffff:127.0.0.1', (), True):
    for second in (WILD4, ()), (WILD6, ()), (WILD6, (ONLY,)), (LOOP4, ()), (LOOP6, ()), (OTHER, ()), (LOOP4, (REUSE,)), (LOOP4, (PORT,)), (WILD4, (REUSE,)), (WILD6, (REUSE,)), (WILD6, (ONLY, REUSE)), ('::ffff:127.0.0.1', ()):
        one = tcp(first[0], 0, *first[1], listen=first[2])
        try:
            two = tcp(second[0], one.getsockname()[1], *second[1])
            two.close()
            result = 'done'
        except OSError as e:
            result = errno.errorcode[e.errno]
        one.close()
        show('%s %s listens %s, then %s %s:' % (first[0], [o[1] for o in first[1]], first[2], second[0], [o[1] for o in second[1]]), result)

title('dual stack')
l = tcp(WILD6, 0)
port = l.getsockname()[1]
show('listener', l.getsockname()[:1] + l.getsockname()[2:])
for addr in LOOP4, LOOP6:
    c = create_connection((addr, port))
    a, peer = l.accept()
    show(addr, (peer[0], peer[2:], a.getsockname()[0], c.getpeername()[0]))
c = socket(AF_INET6)
attempt('mapped destination', c.connect, ('::ffff:127.0.0.1', port))
show('is', (c.getsockname()[0], c.getpeername()[0]))
a, peer = l.accept()
show('peer', peer[0])
only = tcp(WILD6, 0, ONLY)
attempt('v4 to v6only', create_connection, ('127.0.0.1', only.getsockname()[1]))
c = socket(AF_INET6)
c.setsockopt(*ONLY, 1)
attempt('v6only to mapped', c.connect, ('::ffff:127.0.0.1', port))
attempt('v6only bind mapped', c.bind, ('::ffff:127.0.0.1', 0))
attempt('v4 bind v6', lambda: call('bind', socket().detach(), struct.pack('<H', AF_INET6) + bytes(26), 28))
attempt('v6 bind v4', lambda: call('bind', socket(AF_INET6).detach(), struct.pack('<H', AF_INET) + bytes(14), 16))
attempt('v6 bind short', lambda: call('bind', socket(AF_INET6).detach(), struct.pack('<H', AF_INET6) + bytes(26), 20))
attempt('v6 connect v4', lambda: call('connect', socket(AF_INET6).detach(), sockaddr(AF_INET, '127.0.0.1', 1), 16))

title('a port after its connection')
def used(server_first):
    """The port of a server whose connection has ended, who closed first."""
    l = tcp(LOOP4, 0)
    port = l.getsockname()[1]
    c = create_connection((LOOP4, port))
    a, _ = l.accept()
    l.close()
    first, second = (a, c) if server_first else (c, a)
    first.close()
    second.recv(1) # the end has arrived: who closes next closes second
    second.close()
    return port

port = used(server_first=True)
attempt('in TIME-WAIT, plain', lambda: tcp(LOOP4, port).close())
attempt('in TIME-WAIT, REUSEADDR', lambda: tcp(LOOP4, port, REUSE).close())
port = used(server_first=False)
while True:
    try:
        tcp(LOOP4, port).close()
        break
    except OSError: # the last acknowledgement is on its way
        time.sleep(0.01)
show('free at once', True)

title('SO_REUSEPORT shares connections')
one = tcp(LOOP4, 0, PORT)
two = tcp(LOOP4, one.getsockname()[1], PORT)
for s in one, two:
    s.setblocking(False)
taken = {one: 0, two: 0}
for _ in range(100):
    c = create_connection(one.getsockname())
    ready, _, _ = select.select([one, two], [], [])
    for s in ready:
        s.accept()
        taken[s] += 1
show('both', (sum(taken.values()), min(taken.values()) > 10))
show('low port', tcp(LOOP4, 81).getsockname())

# poll, select and epoll, level and edge, and descriptors that were registered
# before the socket was of any use.
from lib import *

IN, OUT, ET, ONESHOT, RDHUP, EXCLUSIVE = select.EPOLLIN, select.EPOLLOUT, select.EPOLLET, select.EPOLLONESHOT, select.EPOLLRDHUP, select.EPOLLEXCLUSIVE

def epoll(e, wait=0):
    return [events(m) for _, m in e.poll(wait)]

def edge(e, name):
    """Waits for an event of that name. An edge may come once too often, which
    programs have to bear; it must not be missing."""
    while True:
        for _, mask in e.poll(-1):
            if name in events(mask).split('+'):
                return name

title('epoll before connect, edge')
l = listener()
c = socket()
c.setblocking(False)
e = select.epoll()
e.register(c, IN | OUT | ET | RDHUP)
e.poll(0) # what a fresh socket says is nobody's business
show('not yet', [events(m) for _, m in e.poll(0) if m & OUT])
c.connect_ex(l.getsockname())
show('connected', edge(e, 'OUT'))
attempt('SO_ERROR', c.getsockopt, SOL_SOCKET, SO_ERROR)
a, _ = l.accept()
a.sendall(b'1')
show('data', edge(e, 'IN'))
show('read', c.recv(10))
a.sendall(b'2')
show('more data', edge(e, 'IN'))
show('read', c.recv(10))
a.close()
show('end', edge(e, 'RDHUP'))
show('read', c.recv(10))

title('epoll before listen, level')
l = socket()
l.bind(('127.0.0.1', 0))
e = select.epoll()
l.listen(16)
e.register(l, IN)
show('quiet', epoll(e))
cs = [socket() for _ in range(3)]
for c in cs:
    c.connect(l.getsockname())
for i in range(3):
    show('ready', epoll(e, -1))
    l.accept()
show('quiet', epoll(e))

title('edge on a listener, all taken at each edge')
l = listener()
l.setblocking(False)
e = select.epoll()
e.register(l, IN | ET)
for round in range(3):
    cs = [socket() for _ in range(4)]
    for c in cs:
        c.connect(l.getsockname())
    taken = 0
    while taken < 4:
        if taken == 0:
            show('edge', [x for x in epoll(e, -1)])
        try:
            l.accept()
            taken += 1
        except BlockingIOError:
            e.poll(0.01)
    show('taken', taken)
    attempt('empty', l.accept)

title('one shot')
c, a = pair()
e = select.epoll()
e.register(a, IN | ONESHOT)
c.sendall(b'x')
show('once', epoll(e, -1))
show('spent', epoll(e))
e.modify(a, IN | ONESHOT)
show('armed', epoll(e, -1))

title('exclusive, as servers with several workers wait')
l = listener()
l.setblocking(False)
e = select.epoll()
e.register(l, IN | EXCLUSIVE)
c = socket()
c.connect(l.getsockname())
show('ready', epoll(e, -1))
l.accept()
show('quiet', epoll(e))

title('select')
c, a = pair()
show('idle', [len(x) for x in select.select([c, a], [c, a], [c, a], 0)])
c.sendall(b'x')
show('data', [len(x) for x in select.select([a], [], [], None)])
show('read', a.recv(1))
c.close()
show('end', [len(x) for x in select.select([a], [], [], None)])

title('a poll that waits while another thread connects')
l = listener()
out = []
t = threading.Thread(target=lambda: out.append(poll(l, select.POLLIN, None)))
t.start()
c = socket()
c.connect(l.getsockname())
t.join()
show('woke', out)

title('two sleepers on one listener: each connection wakes')
l = listener()
done = []
def accept():
    s, _ = l.accept()
    done.append(s.recv(1))
ts = [threading.Thread(target=accept) for _ in range(5)]
for t in ts:
    t.start()
cs = [socket() for _ in range(5)]
for c in cs:
    c.connect(l.getsockname())
    c.sendall(b'x')
for t in ts:
    t.join()
show('served', done)

if 'TCP_NODELAY' in LACKS: # asyncio sets it
    sys.exit()
title('asyncio')
import asyncio
async def main():
    async def serve(r, w):
        w.write((await r.readline()).upper())
        await w.drain()
        w.close()
    server = await asyncio.start_server(serve, '127.0.0.1', 0)
    addr = server.sockets[0].getsockname()
    async def ask(i):
        r, w = await asyncio.open_connection(*addr)
        w.write(b'hello %d\n' % i)
        line = await r.readline()
        w.close()
        return line
    show('answers', sorted(await asyncio.gather(*[ask(i) for i in range(50)])))
asyncio.run(main())

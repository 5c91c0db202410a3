"""SO_REUSEPORT_LB (FreeBSD): listeners that share a port each get connections.

reuseport_lb.py ADDRESS: four listeners there; prints the port, then for each
line that it reads how many connections each listener has got, and closes the
first of them at the line 'close'.
"""
import sys
from socket import *

SO_REUSEPORT_LB = 0x10000
address = sys.argv[1]
family = AF_INET6 if ':' in address else AF_INET


def listener(port):
    s = socket(family, SOCK_STREAM)
    s.setsockopt(SOL_SOCKET, SO_REUSEPORT_LB, 1)
    assert s.getsockopt(SOL_SOCKET, SO_REUSEPORT_LB) == SO_REUSEPORT_LB
    s.bind((address, port))
    s.listen(200)
    s.setblocking(False)
    return s


listeners = [listener(0)]
port = listeners[0].getsockname()[1]
listeners += [listener(port) for _ in range(3)]
print('port', port, flush=True)


def taken(s):
    n = 0
    try:
        while True:
            s.accept()[0].close()
            n += 1
    except BlockingIOError:
        return n


for line in sys.stdin:
    if line == 'close\n':
        listeners.pop(0).close()
    print('got', *[taken(s) for s in listeners], flush=True)

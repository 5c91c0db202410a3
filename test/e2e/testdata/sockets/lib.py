# What the scripts of this folder share. A script prints what its calls
# returned, and nothing that differs from run to run, so that its output on the
# kernel's sockets is the expectation for its output in a sandbox.
import ctypes, errno, os, select, struct, sys, threading, time
from socket import *

libc = ctypes.CDLL(None, use_errno=True)

# The options that the system lacks whose sockets are tried, from the arguments:
# what needs them is left out, on the kernel as well.
LACKS = set(sys.argv[1:])

def title(text):
    print('--', text, flush=True)

def show(what, value):
    print(what + ':', value, flush=True)

def attempt(what, f, *args):
    """Calls f and shows its result, or the name of its error."""
    try:
        value = f(*args)
        if isinstance(value, socket):
            value = 'socket'
        show(what, value)
    except OSError as e:
        show(what, errno.errorcode.get(e.errno, str(e)))

def listener(family=AF_INET, addr=None, backlog=16):
    s = socket(family, SOCK_STREAM)
    s.bind((addr or ('127.0.0.1' if family == AF_INET else '::1'), 0))
    s.listen(backlog)
    return s

def pair(family=AF_INET):
    """A connection: the connecting end and the accepted one."""
    l = listener(family)
    c = socket(family, SOCK_STREAM)
    c.connect(l.getsockname())
    a, _ = l.accept()
    l.close()
    return c, a

NAMES = [(select.POLLIN, 'IN'), (select.POLLPRI, 'PRI'), (select.POLLOUT, 'OUT'), (select.POLLERR, 'ERR'),
         (select.POLLHUP, 'HUP'), (select.POLLRDHUP, 'RDHUP')]

def events(mask):
    return '+'.join(name for bit, name in NAMES if mask & bit) or '-'

def poll(s, want=select.POLLIN | select.POLLPRI | select.POLLOUT | select.POLLRDHUP, wait=0):
    """What poll says of one descriptor; wait in ms, None until something is."""
    p = select.poll()
    p.register(s, want)
    return '+'.join(events(m) for _, m in p.poll(wait)) or '-'

def until(s, *names):
    """Waits until poll reports all of the named events, then shows them all."""
    while True:
        got = poll(s)
        if all(n in got.split('+') for n in names):
            return got
        time.sleep(0.005)

def drain(s):
    """All bytes up to the end of the stream."""
    parts = []
    while True:
        b = s.recv(65536)
        if not b:
            return b''.join(parts)
        parts.append(b)

def closed_port(kind=SOCK_STREAM, family=AF_INET, addr='127.0.0.1'):
    s = socket(family, kind)
    s.bind((addr, 0))
    port = s.getsockname()[1]
    s.close()
    return port

def call(name, *args):
    """A libc function's result, or the name of its error."""
    r = getattr(libc, name)(*args)
    return r if r >= 0 else errno.errorcode[ctypes.get_errno()]

def sockaddr(family, text, port):
    """A struct sockaddr_in as C passes it."""
    return struct.pack('<H', family) + struct.pack('>H', port) + inet_aton(text) + bytes(8)

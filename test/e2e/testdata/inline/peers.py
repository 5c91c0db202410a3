# Two programs with a network between them: `peers.py server ADDR` and
# `peers.py client ADDR`. Each prints what it sees; through the inline path that
# has to be what it sees when the two kernels are connected directly.
import os, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'sockets'))
from lib import *
import fcntl, hashlib

SIOCATMARK = 0x8905
PORT = 7000

def at_mark(s):
    b = bytearray(4)
    fcntl.ioctl(s, SIOCATMARK, b)
    return struct.unpack('i', b)[0]

def reset(s):
    s.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack('ii', 1, 0))
    s.close()

def rest(s):
    """Reads to the end and shows how much that was and how it ended."""
    n, h = 0, hashlib.sha256()
    try:
        while True:
            b = s.recv(1 << 20)
            if not b:
                return show('end', (n, h.hexdigest()[:16]))
            n += len(b)
            h.update(b)
    except OSError as e:
        show('error', (n, h.hexdigest()[:16], errno.errorcode[e.errno]))

def exactly(s, n):
    b = b''
    while len(b) < n:
        more = s.recv(n - len(b))
        if not more:
            raise EOFError
        b += more
    return b

def bytes_of(n):
    return bytes(i * 31 % 251 for i in range(n))

BULK = bytes_of(65521) * 64

def another():
    """A second connection between the two."""
    if role == 'server':
        return l.accept()[0]
    s = socket(family, SOCK_STREAM)
    s.connect((addr, PORT))
    return s

def exchange(s, first):
    for i in range(3):
        if first:
            s.sendall(b'question %d' % i)
            show('answer', exactly(s, 8))
        else:
            show('question', exactly(s, 10))
            s.sendall(b'answer %d' % i)
    if first:
        s.shutdown(SHUT_WR)
    rest(s)
    s.close()

def half_close(s, first):
    if first:
        s.sendall(b'abc')
        s.shutdown(SHUT_WR)
        rest(s)
    else:
        rest(s)
        time.sleep(0.2)
        s.sendall(BULK)
    s.close()

def speaks_first(s, first):
    if not first:
        s.sendall(b'220 hello')
        s.shutdown(SHUT_WR)
    rest(s)
    s.close()

def resets(s, first):
    if first:
        s.sendall(b'abc')
        exactly(s, 1)
        reset(s)
    else:
        show('data', exactly(s, 3))
        s.sendall(b'.')
        rest(s)

def resets_after_data(s, first):
    """What was sent before the reset is not lost to it."""
    if first:
        s.sendall(b'abc')
        time.sleep(0.3)
        reset(s)
    else:
        time.sleep(0.6)
        rest(s)

def closes_unread(s, first):
    if first:
        s.sendall(b'question')
        rest(s)
    else:
        until(s, 'IN')
        s.sendall(b'bye')
        s.close()

def writes_to_the_closed(s, first):
    if not first:
        exactly(s, 1)
        s.close()
        return
    s.sendall(b'.')
    rest(s)
    try:
        while True:
            s.sendall(b'x')
            time.sleep(0.01)
    except OSError as e:
        show('write', errno.errorcode[e.errno])

def urgent(s, first):
    if first:
        s.sendall(b'abc')
        s.send(b'!', MSG_OOB)
        s.sendall(b'def')
        rest(s)
        return
    until(s, 'PRI', 'IN')
    show('urgent', s.recv(1, MSG_OOB))
    got = b''
    while not at_mark(s):
        got += s.recv(100)
    show('up to the mark', got)
    show('after', exactly(s, 3))
    s.close()

def urgent_bulk(s, first):
    """The mark keeps its place in a long stream."""
    half = 1000003
    if first:
        s.sendall(bytes_of(half))
        s.send(b'!', MSG_OOB)
        s.sendall(bytes_of(half))
        s.shutdown(SHUT_WR)
        rest(s)
        return
    s.setsockopt(SOL_SOCKET, SO_OOBINLINE, 1)
    n, marks = 0, []
    while True:
        until(s, 'IN')
        if at_mark(s):
            marks.append(n)
        b = s.recv(1 << 16)
        if not b:
            break
        n += len(b)
    show('marks', marks)
    show('bytes', n)
    s.close()

def slow_reader(s, first):
    """A reader that waits stops the writer; nothing is lost."""
    word = another()
    if first:
        s.setblocking(False)
        n = 0
        while n < 1 << 30:
            try:
                n += s.send(BULK)
            except BlockingIOError:
                if not select.select([], [s], [], 1)[1]:
                    break
        show('bounded', n < 256 << 20)
        word.sendall(b'go')
        s.setblocking(True)
        s.shutdown(SHUT_WR)
        show('told', int(exactly(s, 12)) == n)
    else:
        exactly(word, 2)
        n = 0
        while True:
            b = s.recv(1 << 20)
            if not b:
                break
            n += len(b)
        s.sendall(b'%12d' % n)
    s.close()
    word.close()

def resets_with_much_unread(s, first):
    """A reset after more than anybody has room for, while nobody reads."""
    word = another()
    if first:
        s.setblocking(False)
        try:
            while select.select([], [s], [], 1)[1]:
                s.send(BULK)
        except BlockingIOError:
            pass
        word.sendall(b'go')
        exactly(word, 2)
        reset(s)
    else:
        exactly(word, 2)
        word.sendall(b'go')
        time.sleep(0.5)
        try:
            while s.recv(1 << 20):
                pass
            show('end', 'of file')
        except OSError as e:
            show('error', errno.errorcode[e.errno])
    word.close()

def both_ways(s, first):
    t = threading.Thread(target=lambda: (s.sendall(BULK), s.shutdown(SHUT_WR)))
    t.start()
    rest(s)
    t.join()
    s.close()

CASES = [exchange, half_close, speaks_first, resets, resets_after_data, closes_unread, writes_to_the_closed,
         urgent, urgent_bulk, slow_reader, resets_with_much_unread, both_ways]

role, addr = sys.argv[1:3]
family = AF_INET6 if ':' in addr else AF_INET
if role == 'server':
    l = socket(family, SOCK_STREAM)
    l.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
    l.bind((addr, PORT))
    l.listen(16)
    show('listening', True)
for f in CASES:
    for turned in False, True:
        if role == 'server':
            s, _ = l.accept()
        else:
            s = socket(family, SOCK_STREAM)
            s.connect((addr, PORT))
        title(f.__name__ + (', the other way round' if turned else ''))
        f(s, (role == 'client') != turned)
        s.close()
if role == 'client':
    s = socket(family, SOCK_STREAM)
    attempt('nobody listens', s.connect, (addr, PORT + 1))

# The end of a connection: half-close, close, reset; what each end reads, writes
# and polls then.
from lib import *

def reset(c, a):
    """The accepted end resets the connection."""
    if 'SO_LINGER' in LACKS:
        c.sendall(b'unread')
        until(a, 'IN')
    else:
        a.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack('ii', 1, 0))
    a.close()

title('half-close')
c, a = pair()
show('poll open', poll(c))
c.sendall(b'question')
c.shutdown(SHUT_WR)
attempt('send after', c.send, b'x', MSG_NOSIGNAL)
show('read', drain(a))
show('again', a.recv(1))
show('poll', until(a, 'IN', 'RDHUP'))
a.sendall(b'answer')
a.close()
show('read', drain(c))
show('poll', until(c, 'HUP'))
attempt('shutdown again', c.shutdown, SHUT_WR)

title('close with all read')
c, a = pair()
a.close()
show('poll', until(c, 'IN', 'RDHUP'))
show('read', c.recv(1))
attempt('send, unaware', c.send, b'x', MSG_NOSIGNAL)
show('poll', until(c, 'HUP'))
attempt('send, aware', c.send, b'x', MSG_NOSIGNAL)

title('close with unread data is a reset')
c, a = pair()
c.sendall(b'unread')
show('poll', until(a, 'IN'))
a.close()
show('poll', until(c, 'ERR', 'HUP'))
attempt('read', c.recv, 1)
attempt('read again', c.recv, 1)
attempt('send', c.send, b'x', MSG_NOSIGNAL)
attempt('SO_ERROR', c.getsockopt, SOL_SOCKET, SO_ERROR)

title('reset by linger')
c, a = pair()
reset(c, a)
show('poll', until(c, 'ERR', 'HUP'))
attempt('SO_ERROR', c.getsockopt, SOL_SOCKET, SO_ERROR)
attempt('read', c.recv, 1)
attempt('send', c.send, b'x', MSG_NOSIGNAL)
attempt('getpeername', lambda: len(c.getpeername()))
attempt('shutdown', c.shutdown, SHUT_RDWR)

title('a reader that waits for a reset')
c, a = pair()
t = threading.Thread(target=lambda: attempt('read', c.recv, 1))
t.start()
reset(c, a)
t.join()

title('a reader that waits for the end')
c, a = pair()
t = threading.Thread(target=lambda: attempt('read', c.recv, 1))
t.start()
a.close()
t.join()

title('a reader whose socket another thread shuts down')
c, a = pair()
t = threading.Thread(target=lambda: attempt('read', c.recv, 1))
t.start()
c.shutdown(SHUT_RDWR)
t.join()

title('shutdown for reading')
c, a = pair()
c.shutdown(SHUT_RD)
show('poll', poll(c))
attempt('read', c.recv, 1)
c.sendall(b'still sending')
c.shutdown(SHUT_WR)
show('peer reads', drain(a))

title('broken pipe as a signal')
pid = os.fork()
if pid == 0:
    import signal
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    c, a = pair()
    a.close()
    while True:
        try:
            c.send(b'x')
        except ConnectionResetError: # a call that was under way may say so first
            pass
show('died of', os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))

title('lingering close waits for the data to go')
c, a = pair()
if 'SO_LINGER' not in LACKS:
    c.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack('ii', 1, 60))
data = b'y' * 3000000
t = threading.Thread(target=lambda: (c.sendall(data), c.close()))
t.start()
show('read', drain(a) == data)
t.join()

title('a listener closes with a connection waiting')
l = listener()
c = socket()
c.connect(l.getsockname())
l.close()
show('poll', until(c, 'HUP'))
attempt('read', c.recv, 1)

title('shutdown of a listener')
l = listener()
t = threading.Thread(target=lambda: attempt('accept', l.accept))
t.start()
l.shutdown(SHUT_RDWR)
t.join()

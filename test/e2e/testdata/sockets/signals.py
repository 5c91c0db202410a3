# A signal that arrives during a blocked call: with SA_RESTART the call goes on
# after the handler, without it the program sees EINTR.
from lib import *
import signal

READ, ACCEPT, RECVFROM = 0, 43, 45 # numbers of x86-64

r, w = os.pipe()
os.set_blocking(w, False)
signal.set_wakeup_fd(w) # tells the other thread that the handler ran
signal.signal(signal.SIGUSR1, lambda *_: None)
main = threading.main_thread().ident

def blocks_in(number):
    """Waits until the main thread sleeps in that system call."""
    while True:
        with open('/proc/self/task/%d/syscall' % os.getpid()) as f:
            if f.read().split()[0] == str(number):
                return
        time.sleep(0.01)

def interrupted(number, call_it, finish):
    """Calls with a signal in the middle; finish then lets the call succeed."""
    def other():
        blocks_in(number)
        signal.pthread_kill(main, signal.SIGUSR1)
        os.read(r, 1)
        finish()
    t = threading.Thread(target=other)
    t.start()
    value = call_it()
    t.join()
    return value

def accept():
    v = call('accept', l.fileno(), None, None)
    return 'accepted' if isinstance(v, int) else v

def bytes_after(number, call_it):
    """A read that gets three bytes after the signal, unless that ended it."""
    value = interrupted(number, call_it, lambda: c.send(b'abc'))
    if value != 3:
        a.recv(3, MSG_WAITALL)
    return value

buf = ctypes.create_string_buffer(10)
for restart in True, False:
    signal.siginterrupt(signal.SIGUSR1, not restart)
    show('-- SA_RESTART', restart)
    l = listener()
    c = socket()
    show('accept', interrupted(ACCEPT, accept, lambda: c.connect(l.getsockname())))
    c, a = pair()
    show('recv', bytes_after(RECVFROM, lambda: call('recv', a.fileno(), buf, 10, 0)))
    show('read', bytes_after(READ, lambda: call('read', a.fileno(), buf, 10)))
    u = socket(AF_INET, SOCK_DGRAM)
    u.bind(('127.0.0.1', 0))
    show('recvfrom', interrupted(RECVFROM, lambda: call('recvfrom', u.fileno(), buf, 10, 0, None, None), lambda: u.sendto(b'abc', u.getsockname())))
    a.setsockopt(SOL_SOCKET, SO_RCVTIMEO, struct.pack('ll', 60, 0))
    show('recv with a timeout', bytes_after(RECVFROM, lambda: call('recv', a.fileno(), buf, 10, 0)))

title('many signals while connections come and go')
signal.siginterrupt(signal.SIGUSR1, False)
stop = threading.Event()
def storm():
    while not stop.is_set():
        signal.pthread_kill(main, signal.SIGUSR1)
        stop.wait(0.001)
def client():
    for i in range(100):
        c = socket()
        c.connect(l.getsockname())
        c.sendall(b'%d' % i)
        c.close()
l = listener()
t, s = threading.Thread(target=client), threading.Thread(target=storm)
signal.set_wakeup_fd(-1)
s.start()
t.start()
got = []
for i in range(100):
    a, _ = l.accept()
    got.append(drain(a))
    a.close()
t.join()
stop.set()
s.join()
show('all came once', got == [b'%d' % i for i in range(100)])

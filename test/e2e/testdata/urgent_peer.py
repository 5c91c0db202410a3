# One end of a connection with urgent data: "receive ADDR apart|inline" prints
# what comes, "send ADDR PORT" sends it.
import array, fcntl, os, select, signal, sys, termios
from socket import *

how, addr, arg = sys.argv[1:]
family = AF_INET6 if ':' in addr else AF_INET

def at_mark(s):
    answer = array.array('i', [0])
    fcntl.ioctl(s, 0x8905, answer)  # SIOCATMARK
    return answer[0]

if how == 'send':
    s = create_connection((addr, int(arg)))
    s.recv(2)  # the other end is ready for the signal
    s.sendall(b'before')
    s.send(b'!', MSG_OOB)
    s.sendall(b'after')
    s.shutdown(SHUT_WR)
    s.recv(1)
    sys.exit()

l = socket(family, SOCK_STREAM)
l.bind((addr, 0))
l.listen()
print('port', l.getsockname()[1], flush=True)
s, _ = l.accept()
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGURG])
fcntl.fcntl(s, fcntl.F_SETOWN, os.getpid())
if arg == 'inline':
    s.setsockopt(SOL_SOCKET, SO_OOBINLINE, 1)
s.send(b'go')
if signal.sigwait([signal.SIGURG]) == signal.SIGURG:
    print('SIGURG')

def some(n):
    got = b''
    while len(got) < n and not (got and at_mark(s)):
        piece = s.recv(n - len(got))
        if not piece:
            break
        got += piece
    return got

print('before:', some(6))
poll = select.poll()
poll.register(s, select.POLLPRI | select.POLLIN)
poll.poll()
print('at mark:', at_mark(s))
if arg == 'apart':
    print('urgent:', s.recv(1, MSG_OOB))
rest = b''
while True:
    piece = s.recv(100)
    if not piece:
        break
    rest += piece
print('after:', rest)
print('end')

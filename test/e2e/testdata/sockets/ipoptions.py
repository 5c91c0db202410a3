# IP_OPTIONS: what is taken, what is shown, what travels.
from lib import *

IP_OPTIONS = 4

# Without CAP_NET_RAW (13), which containers seldom have and source routes need.
head = struct.pack('Ii', 0x20080522, 0)
caps = ctypes.create_string_buffer(24)
libc.capget(head, caps)
words = list(struct.unpack('6I', caps.raw))
words[0] &= ~(1 << 13)
libc.capset(head, struct.pack('6I', *words))

def shown(s):
    return s.getsockopt(IPPROTO_IP, IP_OPTIONS, 60).hex()

title('taken and refused')
for kind in SOCK_STREAM, SOCK_DGRAM:
    for family in AF_INET, AF_INET6:
        s = socket(family, kind)
        show('fresh', shown(s))
        for value in b'\1', b'\1\1\1\1\1', b'\x94\4\0\0', b'\7\7\4\1\2\3\4', b'\7\7\3\1\2\3\4', b'\x44\x0c\5\1\1\2\3\4\5\6\7\x08', \
                     b'\x83\7\4\x0a\0\0\1', b'\x83\7\x08\x0a\0\0\1', b'\x89\x0b\4\x0a\0\0\1\x0a\0\0\2', b'\x1e\4\0\0', b'\1' * 40, b'\1' * 41, b'\0\1', b'':
            attempt(value.hex(), s.setsockopt, IPPROTO_IP, IP_OPTIONS, value)
            show('shows', shown(s))

title('TCP')
l = listener()
l.setsockopt(IPPROTO_IP, IP_OPTIONS, b'\1' * 8)
c = socket()
c.setsockopt(IPPROTO_IP, IP_OPTIONS, b'\x94\4\0\0' + b'\1' * 16)
c.connect(l.getsockname())
a, _ = l.accept()
shows = shown(c)
show('connected', shows)
c.setsockopt(IPPROTO_IP, IP_OPTIONS, b'\1' * 40)
c.sendall(b'x' * 100000)
c.shutdown(SHUT_WR)
show('arrived', len(drain(a)))
a.sendall(b'answer')
show('answered', c.recv(100))
c.setsockopt(IPPROTO_IP, IP_OPTIONS, b'')
show('taken off', shown(c))

title('UDP')
a, b = socket(AF_INET, SOCK_DGRAM), socket(AF_INET6, SOCK_DGRAM)
b.bind(('::', 0))
port = b.getsockname()[1]
a.setsockopt(IPPROTO_IP, IP_OPTIONS, b'\7\x0b\4' + bytes(8) + b'\x44\x08\5\0' + bytes(4))
for size in 0, 1, 1472, 9000, 65507 - 20:
    attempt('send %d' % size, a.sendto, bytes(size), ('127.0.0.1', port))
    show('got', len(b.recv(70000)))
attempt('send one more', a.sendto, bytes(65507 - 19), ('127.0.0.1', port))
b.setsockopt(IPPROTO_IP, IP_OPTIONS, b'\1' * 4)
attempt('mapped', b.sendto, bytes(65507 - 4), ('::ffff:127.0.0.1', a.getsockname()[1]))
show('got', len(a.recv(70000)))
attempt('mapped, one more', b.sendto, bytes(65507 - 3), ('::ffff:127.0.0.1', a.getsockname()[1]))

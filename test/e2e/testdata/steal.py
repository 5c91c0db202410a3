"""Prints what getsockopt says of the TCP sockets of other programs.

steal.py PORT NAME...: for each socket of a process NAME that is bound to PORT
'listener' or 'connection', with the values of the options that nginx sets.
"""
import ctypes
import os
import socket
import struct
import sys

PIDFD_GETFD = 438
libc = ctypes.CDLL(None, use_errno=True)
OPTIONS = (
    ('SO_KEEPALIVE', socket.SOL_SOCKET, socket.SO_KEEPALIVE), ('TCP_KEEPIDLE', 6, 4), ('TCP_KEEPINTVL', 6, 5), ('TCP_KEEPCNT', 6, 6),
    ('TCP_DEFER_ACCEPT', 6, 9), ('TCP_FASTOPEN', 6, 23), ('SO_REUSEPORT', socket.SOL_SOCKET, socket.SO_REUSEPORT),
)

port, seen = int(sys.argv[1]), set()
for pid in filter(str.isdigit, os.listdir('/proc')):
    try:
        if open('/proc/%s/comm' % pid).read().strip() not in sys.argv[2:]:
            continue
        pidfd = os.pidfd_open(int(pid))
        numbers = os.listdir('/proc/%s/fd' % pid)
    except OSError:
        continue
    for number in numbers:
        try:
            link = os.readlink('/proc/%s/fd/%s' % (pid, number))
        except OSError:
            continue
        if not link.startswith('socket:') or link in seen:
            continue
        seen.add(link)
        fd = libc.syscall(PIDFD_GETFD, pidfd, int(number), 0)
        if fd < 0:
            continue
        try:
            s = socket.socket(fileno=fd)
            if s.family not in (socket.AF_INET, socket.AF_INET6) or s.type != socket.SOCK_STREAM or s.getsockname()[1] != port:
                continue
            kind = 'listener' if s.getsockopt(socket.SOL_SOCKET, 30) else 'connection'
            print(kind, *['%s=%d' % (name, s.getsockopt(level, n)) for name, level, n in OPTIONS])
        except OSError:
            pass

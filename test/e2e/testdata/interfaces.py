# Asks the interface ioctls, as older programs do, on a TCP and on a UDP socket.
import fcntl, socket, struct

SIOCGIFNAME, SIOCGIFCONF, SIOCGIFFLAGS, SIOCGIFADDR, SIOCGIFBRDADDR = 0x8910, 0x8912, 0x8913, 0x8915, 0x8919
SIOCGIFNETMASK, SIOCGIFMTU, SIOCGIFHWADDR, SIOCGIFINDEX = 0x891B, 0x8921, 0x8927, 0x8933

def ask(s, request, name):
    return fcntl.ioctl(s, request, struct.pack('16s24x', name))[16:]

def address(reply):
    return socket.inet_ntoa(reply[4:8])

for kind in socket.SOCK_STREAM, socket.SOCK_DGRAM:
    s = socket.socket(socket.AF_INET, kind)
    space = bytearray(40 * 16)
    import array, ctypes
    buf = (ctypes.c_char * len(space)).from_buffer(space)
    conf = fcntl.ioctl(s, SIOCGIFCONF, struct.pack('iL', len(space), ctypes.addressof(buf)))
    length = struct.unpack('iL', conf)[0]
    names = []
    for at in range(0, length, 40):
        name = bytes(space[at:at + 16]).rstrip(b'\0').decode()
        names.append(name + ' ' + address(bytes(space[at + 16:at + 40])))
    print('conf', ', '.join(sorted(names)))
    print('addr', address(ask(s, SIOCGIFADDR, b'eth0')))
    print('netmask', address(ask(s, SIOCGIFNETMASK, b'eth0')))
    print('mtu', struct.unpack('i', ask(s, SIOCGIFMTU, b'eth0')[:4])[0])
    family, mac = struct.unpack('H6s', ask(s, SIOCGIFHWADDR, b'eth0')[:8])
    print('hwaddr', family, mac.hex(':'))
    index = struct.unpack('i', ask(s, SIOCGIFINDEX, b'eth0')[:4])[0]
    print('index', index == socket.if_nametoindex('eth0'))
    print('name', fcntl.ioctl(s, SIOCGIFNAME, struct.pack('16si20x', b'', index))[:16].rstrip(b'\0').decode())
    flags = struct.unpack('h', ask(s, SIOCGIFFLAGS, b'eth0')[:2])[0]
    print('up', flags & 1, 'running', flags >> 6 & 1, 'loopback', flags >> 3 & 1)
    for name in b'eth7', b'':
        try:
            ask(s, SIOCGIFADDR, name)
            print(name, 'answers')
        except OSError as e:
            print(name, e.errno)

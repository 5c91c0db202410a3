# A DHCP server (RFC 2131) that says what it sees: on packet sockets, as the
# client's messages have no source address. It leases ADDRESS to each MAC address
# on, for SECONDS, with renewal after a second. While the file SILENT is there it
# does not answer.
#
# server.py INTERFACE NETWORK SECONDS SILENT
import os, socket, struct, sys

interface, network, seconds, silent = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
own = network + ".1"
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
s.bind((interface, 0x0800))
mac = s.getsockname()[4]
names = {1: "DISCOVER", 3: "REQUEST", 4: "DECLINE", 7: "RELEASE", 8: "INFORM"}
leases = {}

def checksum(b):
    total = sum(struct.unpack("!%dH" % (len(b) // 2), b))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff

def options(b):
    found = {}
    while b and b[0] != 255:
        if b[0] == 0:
            b = b[1:]
            continue
        found[b[0]] = b[2:2 + b[1]]
        b = b[2 + b[1]:]
    return found

def answer(request, kind, address):
    chaddr = request[28:34]
    body = struct.pack("!BBBBIHH", 2, 1, 6, 0, struct.unpack("!I", request[4:8])[0], 0, 0)
    body += bytes(4) + socket.inet_aton(address) + socket.inet_aton(own) + bytes(4) + request[28:44] + bytes(192)
    body += bytes((0x63, 0x82, 0x53, 0x63, 53, 1, kind, 54, 4)) + socket.inet_aton(own)
    body += struct.pack("!BBIBBIBBI", 51, 4, seconds, 58, 4, 1, 59, 4, max(2, seconds - 1))
    body += bytes((1, 4, 255, 255, 255, 0, 3, 4)) + socket.inet_aton(own) + b"\xff"
    udp = struct.pack("!HHHH", 67, 68, 8 + len(body), 0) + body
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0, socket.inet_aton(own), b"\xff" * 4)
    ip = ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:]
    s.send(chaddr + mac + b"\x08\x00" + ip + udp)

print("serving", flush=True)
while True:
    frame, where = s.recvfrom(2000)
    ip = frame[14:]
    if where[2] == socket.PACKET_OUTGOING or ip[9] != 17:
        continue
    udp = ip[(ip[0] & 15) * 4:]
    if udp[:4] != struct.pack("!HH", 68, 67):
        continue
    request = udp[8:]
    o = options(request[240:])
    kind, client = o.get(53, b"\0")[0], o.get(61, b"")[1:].decode(errors="replace")
    chaddr = request[28:34]
    print(names.get(kind, kind), chaddr.hex(":"), client, socket.inet_ntoa(request[12:16]), flush=True)
    if os.path.exists(silent):
        continue
    if kind == 7:
        leases.pop(chaddr, None)
    if kind in (1, 3):
        address = leases.setdefault(chaddr, network + ".%d" % (10 + len(leases)))
        answer(request, 2 if kind == 1 else 5, address)

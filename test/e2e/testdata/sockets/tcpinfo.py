# TCP_INFO: what it counts of a connection.
from lib import *

FIELDS = ('state ca_state retransmits probes backoff options wscale limited', 'B'), (
    'rto ato snd_mss rcv_mss unacked sacked lost retrans fackets last_data_sent last_ack_sent last_data_recv last_ack_recv '
    'pmtu rcv_ssthresh rtt rttvar snd_ssthresh snd_cwnd advmss reordering rcv_rtt rcv_space total_retrans', 'I'), (
    'pacing_rate max_pacing_rate bytes_acked bytes_received', 'Q'), (
    'segs_out segs_in notsent_bytes min_rtt data_segs_in data_segs_out', 'I'), (
    'delivery_rate busy_time rwnd_limited sndbuf_limited', 'Q'), ('delivered delivered_ce', 'I'), ('bytes_sent bytes_retrans', 'Q'), (
    'dsack_dups reord_seen rcv_ooopack snd_wnd', 'I')

def info(s):
    names, form = [], '='
    for part, letter in FIELDS:
        names += part.split()
        form += letter * len(part.split())
    data = s.getsockopt(IPPROTO_TCP, TCP_INFO, 280)
    return dict(zip(names, struct.unpack(form, data[:struct.calcsize(form)])))

def settled(s):
    """TCP_INFO once everything is acknowledged."""
    while info(s)['unacked']:
        time.sleep(0.01)
    time.sleep(0.1)  # a delayed acknowledgement
    return info(s)

l = listener()
show('listening', {k: info(l)[k] for k in ('state', 'unacked', 'sacked')})
c = socket()
show('closed', info(c)['state'])
c.connect(l.getsockname())
waiting = info(l)
show('one waits', (waiting['unacked'], waiting['sacked']))
a, _ = l.accept()
for name, s in ('connecting', c), ('accepted', a):
    i = info(s)
    show(name, {k: i[k] for k in ('state', 'ca_state', 'retransmits', 'probes', 'backoff', 'unacked', 'lost', 'retrans', 'bytes_received',
                                  'data_segs_in', 'data_segs_out', 'bytes_sent', 'bytes_retrans', 'notsent_bytes', 'busy_time', 'delivery_rate')})
    show(name + ' options', i['options'] & 7)

title('a transfer')
sent = bytes(range(256)) * 400
threading.Thread(target=lambda: (c.sendall(sent), c.send(b'end'))).start()
got = 0
while got < len(sent) + 3:
    got += len(a.recv(65536))
a.sendall(b'answer')
c.recv(10)
ci, ai = settled(c), settled(a)
for name, i in ('sender', ci), ('receiver', ai):
    show(name, {k: i[k] for k in ('state', 'ca_state', 'unacked', 'sacked', 'lost', 'retrans', 'total_retrans', 'bytes_received', 'bytes_sent',
                                  'bytes_retrans', 'notsent_bytes', 'dsack_dups', 'reord_seen', 'rcv_ooopack', 'delivered_ce', 'rwnd_limited', 'max_pacing_rate')})
    show(name + ' acknowledged', i['bytes_acked'])
    show(name + ' measured', [k for k in ('rto', 'ato', 'rtt', 'rttvar', 'min_rtt', 'snd_cwnd', 'pmtu', 'advmss', 'snd_mss', 'rcv_mss', 'rcv_space', 'rcv_ssthresh',
                                        'snd_wnd', 'segs_in', 'segs_out', 'data_segs_in', 'data_segs_out', 'delivered', 'delivery_rate', 'pacing_rate') if i[k] == 0])
show('what one sent the other got', (ci['data_segs_out'] == ai['data_segs_in'], ai['data_segs_out'] == ci['data_segs_in']))
show('no more data than segments', (ci['data_segs_out'] < ci['segs_out'], ai['data_segs_in'] < ai['segs_in']))
time.sleep(0.2)
i = info(a)
show('last', [k for k in ('last_data_sent', 'last_data_recv', 'last_ack_recv') if not 150 < i[k] < 60000])

title('a peer that does not read')
c.setblocking(False)
while poll(c, select.POLLOUT, 500) != '-':  # full, and not just for a moment
    try:
        c.send(bytes(65536))
    except BlockingIOError:
        pass
i = info(c)
show('waits for the window', (i['rwnd_limited'] >= 200000, i['busy_time'] >= i['rwnd_limited'], i['notsent_bytes'] > 0))

title('as the peer closes')
c, a = pair()
a.close()
time.sleep(0.05)
show('state', info(c)['state'])
c.close()

package tcp

// What an algorithm shows of its state: TCP_CC_INFO of tcp(7), in the structures
// of linux/inet_diag.h. An algorithm without one shows nothing.

import (
	"encoding/binary"
	"math"
	"time"
)

// A stateShower is an algorithm with such a structure. conn is nil before there
// is a connection.
type stateShower interface {
	showState(b []byte, c *conn) []byte
}

// CongestionInfo implements sockopt.Connection. Before there is a connection the
// structure is all zeros, as on Linux.
func (s *Socket) CongestionInfo(b []byte) []byte {
	if s.conn != nil {
		if a, ok := s.conn.cc.(stateShower); ok {
			b = a.showState(b, s.conn)
		}
		return b
	}
	if a, ok := newCongestion(s.opts.Congestion).(stateShower); ok {
		b = append(b, make([]byte, len(a.showState(nil, nil)))...)
	}
	return b
}

func appendWords(b []byte, words ...uint32) []byte {
	for _, w := range words {
		b = binary.NativeEndian.AppendUint32(b, w)
	}
	return b
}

// bbrUnit is a gain of 1 in struct tcp_bbr_info.
const bbrUnit = 256

// showState is struct tcp_bbr_info: the bandwidth in bytes a second, the least
// round trip in microseconds, the gains.
func (b *bbr) showState(out []byte, _ *conn) []byte {
	rtt := uint32(math.MaxUint32)
	if b.minRTT < bbrNoTime {
		rtt = micros(b.minRTT)
	}
	gain := bbrGains[min(int(b.state), len(bbrGains)-1)]
	return appendWords(out, uint32(b.bw), uint32(b.bw>>32), rtt, uint32(gain.pacing*bbrUnit), uint32(gain.cwnd*bbrUnit))
}

// vegasNoTime is how struct tcpvegas_info shows a round trip that was not seen.
const vegasNoTime = 0x7fffffff

// showState is struct tcpvegas_info: whether rounds are counted, the samples of
// this one, the least round trip of all and of this one in microseconds.
func (v *vegas) showState(out []byte, _ *conn) []byte {
	seen := func(d time.Duration) uint32 {
		if d == 0 {
			return vegasNoTime
		}
		return min(micros(d), vegasNoTime)
	}
	counting := uint32(0)
	if v.trips.running {
		counting = 1
	}
	return appendWords(out, counting, uint32(v.trips.count), seen(v.trips.ever.least), seen(v.trips.this.least))
}

// showState is struct tcp_dctcp_info: whether both ends use ECN, the state of a
// receiver that echoes marks (always 0: ours counts them, RFC 9768), alpha in
// 1/1024, and the bytes of this window, those marked first.
func (d *dctcp) showState(out []byte, c *conn) []byte {
	if c == nil || c.ecn == nil {
		return appendWords(out, 0, 0, 0, 0)
	}
	out = binary.NativeEndian.AppendUint16(out, 1)
	out = binary.NativeEndian.AppendUint16(out, 0)
	return appendWords(out, d.alpha, d.marked, d.acked)
}

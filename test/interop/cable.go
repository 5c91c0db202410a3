package main

// Frames on their way from one host to the other. What happens to them is
// decided by the simulator's model of a line, on the machine's clock.

import (
	"container/heap"
	"encoding/binary"
	"time"

	"github.com/tcpcni/tcpcni/netstack/sim"
	"github.com/tcpcni/tcpcni/netstack/wire"
)

// A cable carries frames one way.
type cable struct {
	line   *sim.Line
	flight frames
	serial uint64
	out    func(frame []byte) // does not keep the frame
	spare  [][]byte           // memory for frames
	trace  *trace             // nil: nobody asks
	name   string             // in the trace
}

// A frame under way.
type frame struct {
	at     time.Duration
	serial uint64 // frames of one instant stay in order
	data   []byte
}

type frames []frame

func (q frames) Len() int { return len(q) }
func (q frames) Less(i, j int) bool {
	return q[i].at < q[j].at || q[i].at == q[j].at && q[i].serial < q[j].serial
}
func (q frames) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *frames) Push(x any)   { *q = append(*q, x.(frame)) }
func (q *frames) Pop() any {
	old := *q
	f := old[len(old)-1]
	old[len(old)-1] = frame{}
	*q = old[:len(old)-1]
	return f
}

// send puts a copy of data on the cable. Only TCP is impaired: neighbour
// discovery is not what is tested.
func (c *cable) send(now time.Duration, data []byte) {
	data = c.copy(data)
	l3 := data[min(len(data), wire.EthernetLen):]
	segment := segmentOf(data)
	if segment == nil {
		c.push(now+c.line.Delay, data)
		return
	}
	tos := tosOf(l3)
	was := tos
	fate := c.line.Pass(now, len(l3), &tos)
	if c.trace != nil {
		c.trace.note(c.name, now, l3, segment, fate)
	}
	if !fate.Carried {
		c.spare = append(c.spare, data)
		return
	}
	if tos != was {
		setTOS(l3, tos)
	}
	if fate.Flip != 0 {
		segment[fate.Where%uint64(len(segment))] ^= fate.Flip
	}
	c.push(fate.At, data)
	if fate.Again != 0 {
		c.push(fate.Again, c.copy(data))
	}
}

func (c *cable) push(at time.Duration, data []byte) {
	c.serial++
	heap.Push(&c.flight, frame{at, c.serial, data})
}

// deliver hands on what has arrived by now.
func (c *cable) deliver(now time.Duration) {
	for len(c.flight) > 0 && c.flight[0].at <= now {
		f := heap.Pop(&c.flight).(frame)
		c.out(f.data)
		c.spare = append(c.spare, f.data)
	}
}

// copy returns data in memory that was used before, if there is any: the garbage
// collector would stop the line.
func (c *cable) copy(data []byte) []byte {
	var b []byte
	if n := len(c.spare); n > 0 {
		b, c.spare = c.spare[n-1], c.spare[:n-1]
	}
	return append(b[:0], data...)
}

// segmentOf is the TCP segment in a frame, nil when it holds something else.
func segmentOf(data []byte) []byte {
	if len(data) < wire.EthernetLen {
		return nil
	}
	l3 := data[wire.EthernetLen:]
	head := wire.IPv6Len
	switch binary.BigEndian.Uint16(data[12:]) {
	case wire.EtherIPv4:
		if len(l3) < wire.IPv4MinHeader || l3[9] != wire.ProtoTCP {
			return nil
		}
		head = int(l3[0]&15) * 4
	case wire.EtherIPv6:
		if len(l3) < wire.IPv6Len || l3[6] != wire.ProtoTCP {
			return nil
		}
	default:
		return nil
	}
	if len(l3) < head+20 {
		return nil
	}
	return l3[head:]
}

func tosOf(l3 []byte) uint8 {
	if l3[0]>>4 == 4 {
		return l3[1]
	}
	return l3[0]<<4 | l3[1]>>4
}

func setTOS(l3 []byte, tos uint8) {
	if l3[0]>>4 == 6 {
		l3[0], l3[1] = l3[0]&0xf0|tos>>4, l3[1]&15|tos<<4
		return
	}
	l3[1] = tos
	head := l3[:int(l3[0]&15)*4]
	head[10], head[11] = 0, 0
	binary.BigEndian.PutUint16(head[10:], wire.Checksum(head, 0))
}

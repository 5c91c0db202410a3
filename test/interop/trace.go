package main

// What went over the cables lately, for who has to find out why something
// failed.

import (
	"fmt"
	"strings"
	"time"

	"github.com/tcpcni/tcpcni/netstack/sim"
	"github.com/tcpcni/tcpcni/netstack/wire"
)

// traceLen is how many packets are kept.
const traceLen = 256

// traceHead is how many of the first packets are kept besides.
const traceHead = 12

// A trace keeps the first packets, the last ones, and the numbers of all urgent bytes that were
// pointed at.
type trace struct {
	head [traceHead]noted
	ring [traceLen]noted
	n    int
	isn  map[uint16]uint32       // of the end that has the port
	urg  map[string]map[int]bool // by the cable's name: ends of urgent data, counted as bytes of the stream
	edge map[uint16]uint32       // the highest right edge of a window that was offered to the port
	scal map[uint16]uint8        // shift of windows that the port offers
	bad  error                   // text beyond the window
	fast int                     // SYNs with text
	syns int                     // without an acknowledgement
}

type noted struct {
	name string
	at   time.Duration
	tos  uint8
	head [wire.TCPMaxHeader]byte
	text int // bytes
	fate sim.Fate
}

func newTrace() *trace {
	return &trace{
		isn: make(map[uint16]uint32), urg: make(map[string]map[int]bool),
		edge: make(map[uint16]uint32), scal: make(map[uint16]uint8),
	}
}

func (t *trace) note(name string, now time.Duration, l3, segment []byte, fate sim.Fate) {
	var h wire.TCP
	text, err := wire.ParseTCP(segment, &h)
	if err != nil {
		return
	}
	n := &t.ring[t.n%traceLen]
	t.n++
	*n = noted{name: name, at: now, tos: tosOf(l3), text: len(text), fate: fate}
	copy(n.head[:], segment)
	if t.n <= traceHead {
		t.head[t.n-1] = *n
	}
	if h.Flags&wire.TCPSyn != 0 {
		t.syn(&h)
		if len(text) > 0 {
			t.fast++
		}
		if h.Flags&wire.TCPAck == 0 {
			t.syns++
		}
	} else if err := t.window(&h, len(text)); err != nil && t.bad == nil {
		t.bad = fmt.Errorf("%s: %w", strings.TrimSpace(name), err)
	}
	if h.Flags&wire.TCPUrg != 0 {
		if t.urg[name] == nil {
			t.urg[name] = make(map[int]bool)
		}
		t.urg[name][int(h.Seq+uint32(h.Urgent)-t.isn[h.SrcPort]-1)] = true
	}
}

// syn notes what a SYN says. Scaling counts when both offer it.
func (t *trace) syn(h *wire.TCP) {
	t.isn[h.SrcPort] = h.Seq
	delete(t.edge, h.DstPort)
	t.scal[h.SrcPort] = uint8(max(h.WScale, 0))
	if h.Flags&wire.TCPAck != 0 {
		if h.WScale < 0 {
			t.scal[h.DstPort] = 0
		}
		t.edge[h.DstPort] = h.Ack + uint32(h.Window)
	}
}

// window fails when text goes beyond the highest edge that was ever offered, by
// more than the byte of a probe. A line that reorders does not matter: what was
// offered counts, not what arrived.
func (t *trace) window(h *wire.TCP, text int) error {
	if h.Flags&wire.TCPRst != 0 || h.Flags&wire.TCPAck == 0 {
		return nil
	}
	edge := h.Ack + uint32(h.Window)<<t.scal[h.SrcPort]
	if was, ok := t.edge[h.DstPort]; !ok || int32(edge-was) > 0 {
		t.edge[h.DstPort] = edge
	}
	limit, ok := t.edge[h.SrcPort]
	if over := int32(h.Seq + uint32(text) - limit); ok && text > 0 && over > 1 {
		return fmt.Errorf("%d bytes of text go %d beyond the window", text, over)
	}
	return nil
}

// flagNames are in the order of the bits.
const flagNames = "FSRPAUEWN"

// String lists the packets, numbers counted from each end's first.
func (t *trace) String() string {
	var b strings.Builder
	for i := range t.n {
		n := &t.ring[i%traceLen]
		if i < t.n-traceLen {
			if i >= traceHead {
				continue
			}
			n = &t.head[i]
		}
		var h wire.TCP
		if _, err := wire.ParseTCP(n.head[:int(n.head[12]>>4)*4], &h); err != nil {
			continue
		}
		flags := ""
		for bit, c := range flagNames {
			if uint16(h.Flags)>>bit&1 != 0 {
				flags += string(c)
			}
		}
		fmt.Fprintf(&b, "%9.3f %s %d>%d %s %d+%d ack %d win %d", n.at.Seconds()*1000, n.name, h.SrcPort, h.DstPort, flags,
			h.Seq-t.isn[h.SrcPort], n.text, h.Ack-t.isn[h.DstPort], h.Window)
		if h.Flags&wire.TCPUrg != 0 {
			fmt.Fprintf(&b, " urg %d", h.Urgent)
		}
		for _, s := range h.SACK[:h.NSACK] {
			fmt.Fprintf(&b, " sack %d-%d", s.Left-t.isn[h.DstPort], s.Right-t.isn[h.DstPort])
		}
		if h.HasTS {
			fmt.Fprintf(&b, " ts %d %d", h.TSVal, h.TSEcr)
		}
		fmt.Fprintf(&b, " tos %d", n.tos)
		switch {
		case !n.fate.Carried:
			b.WriteString(" LOST")
		case n.fate.Flip != 0:
			b.WriteString(" CORRUPT")
		default:
			fmt.Fprintf(&b, " +%.3f", (n.fate.At-n.at).Seconds()*1000)
		}
		b.WriteString("\n")
	}
	return b.String()
}

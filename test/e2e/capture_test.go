package e2e

import (
	"encoding/binary"
	"errors"
	"io"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// What went over a sandbox's uplink, from the file of --pcap. A frame's time is
// when the engine got to write it down, which on a busy machine is later than
// when it was decided on. How long the engine waited is told by the timestamps of
// its segments (RFC 7323), which are its own clock, so load makes a wait longer
// and never shorter: tests bound waits strictly from below.

// slack is a step of the clock.
const slack = time.Millisecond

// late is by how much a busy machine may make a wait longer.
const late = 30 * time.Second

// A segment is one TCP frame of a capture, up to 64 KiB as the engine hands it
// over.
type segment struct {
	at       time.Time
	from, to netip.AddrPort
	seq, ack uint32
	syn, fin bool
	rst      bool
	stamp    time.Duration // the sender's clock, from an unknown start; 0 without the option
	text     []byte
}

// segments reads a capture that may still be growing.
func segments(t *testing.T, path string) []segment {
	t.Helper()
	f, err := os.Open(path)
	must(t, err)
	defer f.Close()
	r, err := pcapgo.NewNgReader(f, pcapgo.DefaultNgReaderOptions)
	must(t, err)
	var list []segment
	for {
		frame, info, err := r.ReadPacketData()
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return list
		}
		must(t, err)
		p := gopacket.NewPacket(frame, layers.LayerTypeEthernet, gopacket.Lazy)
		tcp, ok := p.Layer(layers.LayerTypeTCP).(*layers.TCP)
		if !ok || p.NetworkLayer() == nil {
			continue
		}
		src, _ := netip.AddrFromSlice(p.NetworkLayer().NetworkFlow().Src().Raw())
		dst, _ := netip.AddrFromSlice(p.NetworkLayer().NetworkFlow().Dst().Raw())
		var stamp time.Duration
		for _, o := range tcp.Options {
			if o.OptionType == layers.TCPOptionKindTimestamps && len(o.OptionData) == 8 {
				stamp = time.Duration(binary.BigEndian.Uint32(o.OptionData)) * time.Millisecond
			}
		}
		list = append(list, segment{
			at: info.Timestamp, from: netip.AddrPortFrom(src, uint16(tcp.SrcPort)), to: netip.AddrPortFrom(dst, uint16(tcp.DstPort)),
			seq: tcp.Seq, ack: tcp.Ack, syn: tcp.SYN, fin: tcp.FIN, rst: tcp.RST, stamp: stamp, text: tcp.Payload,
		})
	}
}

// probes are the keep-alive probes of the sandbox's side of a connection: they
// begin below what it has sent, and have no text, or one byte of it.
func probes(list []segment, side func(segment) bool) []segment {
	var found []segment
	var next uint32
	for _, s := range list {
		if !side(s) {
			continue
		}
		if end := s.seq + uint32(len(s.text)); s.syn || s.fin {
			next = end + 1
		} else if len(s.text) <= 1 && s.seq == next-1 && !s.rst {
			found = append(found, s)
		} else if int32(end-next) > 0 {
			next = end
		}
	}
	return found
}

// checkProbes holds the probes of a connection's one side, until it was given up,
// against the options: one comes idle after the peer was last heard, the next
// interval after one that had no answer, and count of them without one are the
// last.
func checkProbes(t *testing.T, list []segment, side func(segment) bool, idle, interval time.Duration, count int) {
	t.Helper()
	asked := probes(list, side)
	if len(asked) == 0 {
		t.Fatal("no probe")
	}
	own, peer := asked[0].from, asked[0].to
	isProbe := map[time.Time]bool{}
	for _, p := range asked {
		isProbe[p.at] = true
	}
	// The last of the sandbox's side, and its stamp before it last heard of the
	// peer, which was not earlier than that.
	var last segment
	var since time.Duration
	var heard time.Time
	unanswered := 0
	for _, s := range list {
		switch {
		case s.from == peer && s.to == own:
			heard, since, unanswered = s.at, last.stamp, 0
			continue
		case s.from != own || s.to != peer:
			continue
		case isProbe[s.at]:
			after, want := since, idle
			if unanswered > 0 {
				after, want = last.stamp, interval
			}
			if d := s.stamp - after; s.stamp == 0 || d < want-slack {
				t.Errorf("a probe (%d of a row) after %v, want %v", unanswered+1, d, want)
			}
			unanswered++
		}
		if !s.rst {
			last = s
		}
	}
	if unanswered != count {
		t.Errorf("given up after %d probes without an answer, want %d", unanswered, count)
	}
	// An upper bound that says minutes and not hours: the machine may be busy.
	if d, want := last.at.Sub(heard), idle+time.Duration(count-1)*interval; d > want+late {
		t.Errorf("the last probe came %v after the peer was heard, want %v", d, want)
	}
	if t.Failed() {
		for _, s := range list {
			t.Logf("%v (%v) %v > %v seq %d ack %d syn %v fin %v rst %v, %d bytes", s.at.Format("05.000"), s.stamp, s.from, s.to, s.seq, s.ack, s.syn, s.fin, s.rst, len(s.text))
		}
	}
}

package hostlink

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/tcpcni/tcpcni/netstack/wire"
)

func TestPcapIsReadByGopacket(t *testing.T) {
	var file bytes.Buffer
	now := 5 * time.Second
	in := gather(nil, testSegment(wire.TCPSyn, nil))
	inner := &pipeLink{in: []RxFrame{{Data: in}}}
	start := time.Now()
	c := PcapLink(inner, &file, func() time.Duration { return now })
	if _, err := c.ReadFrame(nil); err != nil {
		t.Fatal(err)
	}
	now += 1500 * time.Nanosecond
	out := testSegment(wire.TCPAck, pattern(60001)) // a super-segment of odd length
	out.Payload = [][]byte{out.Payload[0][:1], out.Payload[0][1:]}
	c.Transmit(out)
	if _, err := c.ReadFrame(nil); !errors.Is(err, ErrAgain) {
		t.Fatal(err)
	}

	// Nothing was closed: what is in the file has to do for a reader.
	r, err := pcapgo.NewNgReader(bytes.NewReader(file.Bytes()), pcapgo.DefaultNgReaderOptions)
	if err != nil {
		t.Fatal(err)
	}
	if r.LinkType() != layers.LinkTypeEthernet {
		t.Errorf("link type %v", r.LinkType())
	}
	var first time.Time
	for i, want := range [][]byte{in, gather(nil, out)} {
		data, ci, opts, err := r.ReadPacketDataWithOptions()
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(data, want) || ci.Length != len(want) || ci.CaptureLength != len(want) {
			t.Errorf("packet %d: %d bytes, %+v", i, len(data), ci)
		}
		direction := pcapgo.NgEpbFlag(1 + i) // inbound, outbound
		if opts.Flags == nil || opts.Flags.Direction != direction {
			t.Errorf("packet %d: flags %+v, want direction %d", i, opts.Flags, direction)
		}
		if i == 0 {
			first = ci.Timestamp
			if first.Before(start) || first.After(start.Add(time.Minute)) {
				t.Errorf("timestamp %v, recorded at %v", first, start)
			}
		} else if d := ci.Timestamp.Sub(first); d != 1500*time.Nanosecond {
			t.Errorf("packets %v apart, want 1.5µs", d)
		}
		p := gopacket.NewPacket(data, layers.LayerTypeEthernet, gopacket.Default)
		if tcp, ok := p.Layer(layers.LayerTypeTCP).(*layers.TCP); !ok || tcp.SYN != (i == 0) {
			t.Errorf("packet %d decodes as %v", i, p)
		}
	}
	if _, _, err := r.ReadPacketData(); !errors.Is(err, io.EOF) {
		t.Errorf("after the last packet: %v", err)
	}
	if len(inner.out) != 1 {
		t.Errorf("%d frames reached the link, want 1", len(inner.out))
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("disk full") }

func TestPcapFailureDoesNotStopTraffic(t *testing.T) {
	inner := &pipeLink{}
	c := PcapLink(inner, fullDisk{}, Now)
	for range 100 {
		c.Transmit(testSegment(wire.TCPAck, pattern(60000)))
	}
	if len(inner.out) != 100 {
		t.Errorf("%d of 100 frames passed", len(inner.out))
	}
	if err := c.Close(); err == nil {
		t.Error("close does not tell that the record is incomplete")
	}
}

// The wrappers go together in either order, and timers reach the inner one.
func TestPcapOfImpairedLink(t *testing.T) {
	var file bytes.Buffer
	var now time.Duration = 1
	clock := func() time.Duration { return now }
	inner := &pipeLink{}
	var l Link = PcapLink(Impair(inner, Impairment{Delay: time.Second}, clock), &file, clock)
	timed, ok := l.(Timed)
	if !ok {
		t.Fatal("a recorded link is no Timed link")
	}
	l.Transmit(testSegment(wire.TCPAck, nil))
	at, ok := timed.Deadline()
	if !ok || at != 1+time.Second {
		t.Fatalf("deadline %v %v", at, ok)
	}
	now = at
	if timed.Tick(); len(inner.out) != 1 {
		t.Error("nothing sent at the deadline")
	}
}

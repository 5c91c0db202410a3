package hostlink

// Packet captures: pcapng, draft-ietf-opsawg-pcapng, sections 4.1 (section
// header), 4.2 (interface description) and 4.3 (enhanced packet). It is a few
// fixed blocks, and unlike the older format it tells directions apart.

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"time"
)

// A CapturedLink writes every frame that passes to a file as well. It is a
// Timed link, for the sake of an inner link that is one.
type CapturedLink struct {
	inner Link
	w     io.Writer
	buf   *bufio.Writer
	now   func() time.Duration
	epoch time.Time // the wall clock when now was zero
	head  [32]byte
	frame []byte // a frame on its way out, in one piece
	err   error  // the first failure to write; nothing is written after it
}

// Numbers of the format.
const (
	ngSection     = 0x0a0d0d0a
	ngInterface   = 1
	ngPacket      = 6
	ngByteOrder   = 0x1a2b3c4d
	ngEthernet    = 1 // LINKTYPE_ETHERNET
	ngOptEnd      = 0
	ngOptFlags    = 2 // epb_flags: bits 0 and 1 are the direction
	ngOptTsresol  = 9 // if_tsresol
	ngInbound     = 1
	ngOutbound    = 2
	ngNanoseconds = 9 // 10^-9 s

	// ngSnapLen holds the largest super-segment with room to spare.
	ngSnapLen = 256 << 10
	// ngPacketLen is the length of an enhanced packet block around its data: the
	// fixed part, the flags option, the end of options and the closing length.
	ngPacketLen = 28 + 8 + 4 + 4
)

// PcapLink records the traffic of l in w in the pcapng format. now is the clock
// that timestamps come from, as a rule Now; they are anchored to the wall clock
// once, so that they never run backwards. Frames are recorded as the link
// carries them: super-segments whole, and checksums that the link finishes
// unfinished. The record is complete whenever ReadFrame has said ErrAgain, and
// after Close, which also closes w if it is an io.Closer. A write that fails
// ends the recording, never the traffic; Close returns the error.
func PcapLink(l Link, w io.Writer, now func() time.Duration) *CapturedLink {
	c := &CapturedLink{inner: l, w: w, buf: bufio.NewWriterSize(w, 1<<20), now: now}
	c.epoch = time.Now().Add(-now())
	le := binary.LittleEndian
	b := le.AppendUint32(nil, ngSection)
	b = le.AppendUint32(b, 28)
	b = le.AppendUint32(b, ngByteOrder)
	b = le.AppendUint16(b, 1) // version 1.0
	b = le.AppendUint16(b, 0)
	b = le.AppendUint64(b, ^uint64(0)) // length of the section unknown
	b = le.AppendUint32(b, 28)

	b = le.AppendUint32(b, ngInterface)
	b = le.AppendUint32(b, 32)
	b = le.AppendUint16(b, ngEthernet)
	b = le.AppendUint16(b, 0)
	b = le.AppendUint32(b, ngSnapLen)
	b = le.AppendUint16(b, ngOptTsresol)
	b = le.AppendUint16(b, 1)
	b = append(b, ngNanoseconds, 0, 0, 0)
	b = le.AppendUint16(b, ngOptEnd)
	b = le.AppendUint16(b, 0)
	b = le.AppendUint32(b, 32)
	c.write(b)
	return c
}

func (c *CapturedLink) write(b []byte) {
	if c.err == nil {
		_, c.err = c.buf.Write(b)
	}
}

// record writes one frame.
func (c *CapturedLink) record(data []byte, direction uint32) {
	size := uint32(len(data))
	data = data[:min(len(data), ngSnapLen)]
	pad := -len(data) & 3
	total := uint32(ngPacketLen + len(data) + pad)
	stamp := uint64(c.epoch.Add(c.now()).UnixNano())
	le := binary.LittleEndian
	h := le.AppendUint32(c.head[:0], ngPacket)
	h = le.AppendUint32(h, total)
	h = le.AppendUint32(h, 0) // interface
	h = le.AppendUint32(h, uint32(stamp>>32))
	h = le.AppendUint32(h, uint32(stamp))
	h = le.AppendUint32(h, uint32(len(data))) // captured
	h = le.AppendUint32(h, size)              // on the link
	c.write(h)
	c.write(data)
	t := append(c.head[:0], 0, 0, 0)[:pad]
	t = le.AppendUint16(t, ngOptFlags)
	t = le.AppendUint16(t, 4)
	t = le.AppendUint32(t, direction)
	t = le.AppendUint32(t, ngOptEnd)
	t = le.AppendUint32(t, total)
	c.write(t)
}

// Flush writes what is buffered to the file.
func (c *CapturedLink) Flush() error {
	if c.err == nil {
		c.err = c.buf.Flush()
	}
	return c.err
}

// FD implements Link.
func (c *CapturedLink) FD() int { return c.inner.FD() }

// ReadFrame implements Link.
func (c *CapturedLink) ReadFrame(buf []byte) (RxFrame, error) {
	f, err := c.inner.ReadFrame(buf)
	if err != nil {
		_ = c.Flush()
		return f, err
	}
	c.record(f.Data, ngInbound)
	return f, nil
}

// Transmit implements Link.
func (c *CapturedLink) Transmit(f *TxFrame) {
	c.frame = gather(c.frame[:0], f)
	c.record(c.frame, ngOutbound)
	c.inner.Transmit(f)
}

// Deadline implements Timed.
func (c *CapturedLink) Deadline() (time.Duration, bool) { return deadlineOf(c.inner) }

// Tick implements Timed.
func (c *CapturedLink) Tick() { tick(c.inner) }

// Stats implements Link.
func (c *CapturedLink) Stats() LinkStats { return c.inner.Stats() }

// Close writes what is buffered, closes the file and the inner link.
func (c *CapturedLink) Close() error {
	errs := []error{c.Flush()}
	if f, ok := c.w.(io.Closer); ok {
		errs = append(errs, f.Close())
	}
	return errors.Join(append(errs, c.inner.Close())...)
}

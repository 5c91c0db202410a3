package e2e

import (
	"encoding/binary"
	"os"
	"testing"
)

// readPcap returns the frames of a capture file of Ethernet frames
// (draft-ietf-opsawg-pcap), little-endian, with either unit of time.
func readPcap(t *testing.T, path string) [][]byte {
	t.Helper()
	text, err := os.ReadFile(path)
	must(t, err)
	le := binary.LittleEndian
	if len(text) < 24 || le.Uint32(text) != 0xa1b2c3d4 && le.Uint32(text) != 0xa1b23c4d || le.Uint32(text[20:])&0xffff != 1 {
		t.Fatalf("%s: %d bytes that do not begin as a capture of Ethernet frames", path, len(text))
	}
	var frames [][]byte
	for rest := text[24:]; len(rest) > 0; {
		if len(rest) < 16 {
			t.Fatalf("%s: ends within a frame's header", path)
		}
		n := int(le.Uint32(rest[8:]))
		if n > len(rest)-16 {
			t.Fatalf("%s: ends within a frame", path)
		}
		frames = append(frames, rest[16:16+n])
		rest = rest[16+n:]
	}
	return frames
}

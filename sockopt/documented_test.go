package sockopt

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// TestDocumentedDefaults: a new socket of each profile reads the default that
// docs/options.md has for it, be that a value or the name of a tunable.
func TestDocumentedDefaults(t *testing.T) {
	for _, name := range ProfileNames() {
		p := profileOf(t, name)
		for _, kind := range socketKinds {
			for _, row := range p.Rows() {
				if !readable(p, kind.domain, kind.typ, &row) {
					continue
				}
				t.Run(fmt.Sprintf("%s/%s/%s", name, kind.name, row.Name), func(t *testing.T) {
					s := newFake(p, kind.domain, kind.typ)
					room := 64
					if row.Name == "SO_MAX_PACING_RATE" {
						room = sizeofInt // of 4 or 8 bytes
					}
					got, err := p.Get(s, row.Level, row.Number, room)
					if row.Default == "" {
						if row.Access == ReadWrite && row.Codec != Struct && row.ID != MTU6 { // which reads the path's
							t.Error("it can be set, and no default is documented")
						}
						return
					}
					if err != nil {
						t.Fatal(err)
					}
					if want := documented(t, p, &row, kind.domain, kind.typ); !bytes.Equal(bytes.TrimRight(got, "\x00"), bytes.TrimRight(want, "\x00")) {
						t.Errorf("reads %x, the document says %q, which is %x", got, row.Default, want)
					}
				})
			}
		}
	}
}

// readable reports whether a socket of the kind can be asked for the option.
func readable(p *Profile, domain, typ int, r *Row) bool {
	return r.Refuse == 0 && r.Access != WriteOnly && r.Asks == 0 && hasLevel(domain, typ, r.Level) && p.find(typ, r.Level, r.Number) != nil
}

// documented is the value that a default means, as getsockopt gives it. Zeros at
// the end do not count.
func documented(t *testing.T, p *Profile, r *Row, domain, typ int) []byte {
	t.Helper()
	words := strings.Split(r.Default, ", ")
	if len(words) == 2 && r.Codec == Int { // of TCP and of UDP, or of IPv4 and of IPv6
		second := typ == SockDgram || r.ID == MaxSeg && domain == AFInet6
		words = words[truth(second):][:1]
	}
	switch r.Default {
	case "empty", "none", "off, 0":
		return nil
	}
	var b []byte
	for _, word := range words {
		if v, err := strconv.ParseInt(word, 10, 64); err == nil {
			b = binary.NativeEndian.AppendUint32(b, uint32(v))
			continue
		}
		value, known := p.Value(word)
		if !known {
			value, known = p.Value("net.inet.tcp." + word)
		}
		switch fields := strings.Fields(value); {
		case !known:
			b = append(b, word...)
		case len(fields) == 3: // least, default, most
			b = binary.NativeEndian.AppendUint32(b, number(t, fields[1]))
		case r.Codec == Text:
			b = append(b, value...)
		default:
			b = binary.NativeEndian.AppendUint32(b, number(t, value))
		}
	}
	return b
}

func number(t *testing.T, text string) uint32 {
	t.Helper()
	v, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	return uint32(v)
}

// TestDocumentedRanges: the ends of a documented range are taken, and one beyond
// is EINVAL.
func TestDocumentedRanges(t *testing.T) {
	for _, name := range ProfileNames() {
		for _, row := range profileOf(t, name).Rows() {
			if row.Refuse != 0 || row.Access == ReadOnly || row.Min == 0 && row.Max == 0 {
				continue
			}
			kind := socketKinds[0]
			switch {
			case row.Level == protoIPv6:
				kind = socketKinds[1]
			case row.On&TCPOnly == 0:
				kind = socketKinds[2]
			}
			for _, c := range []struct {
				value int
				want  errno.Errno // 0: taken, or refused with an error that the note names
			}{{row.Min, 0}, {row.Max, 0}, {row.Min - 1, errno.EINVAL}, {row.Max + 1, errno.EINVAL}} {
				unsigned := row.Codec == Uint || row.Codec == UintMillis
				if c.value > math.MaxInt32 && !unsigned || c.value > math.MaxUint32 || c.value < 0 && unsigned || c.value < math.MinInt32 {
					continue // the type does not have it
				}
				p := profileOf(t, name)
				if e := set(t, p, newFake(p, kind.domain, kind.typ), row.Name, intBytes(c.value)); e != c.want && (c.want != 0 || e == errno.EINVAL || !strings.Contains(row.Note, e.Name())) {
					t.Errorf("%s: %s %d: %v, want %v", name, row.Name, c.value, e, c.want)
				}
			}
		}
	}
}

package tcp

// Segments of scripts: what "<" sends in and ">" expects.

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/tcpcni/tcpcni/netstack/wire"
)

// flagLetters: E, W and A are ECE, CWR and AE, as in packetdrill.
var flagLetters = map[rune]wire.TCPFlags{
	'S': wire.TCPSyn, 'F': wire.TCPFin, 'R': wire.TCPRst, 'P': wire.TCPPsh, 'U': wire.TCPUrg, '.': wire.TCPAck,
	'E': wire.TCPEce, 'W': wire.TCPCwr, 'A': wire.TCPAe, '0': 0,
}

// ecnNames are the low bits of the traffic class: RFC 3168 section 5.
var ecnNames = []string{"noecn", "ect1", "ect0", "ce"}

func (s *script) number(w string) int {
	n, err := strconv.Atoi(w)
	if err != nil {
		s.fail("%v", err)
	}
	return n
}

// within reports whether got is what w says: N, or N..M for a range.
func (s *script) within(w string, got int) bool {
	low, high, ranged := strings.Cut(w, "..")
	if !ranged {
		return got == s.number(w)
	}
	return got >= s.number(low) && got <= s.number(high)
}

func (s *script) flags(w string) (f wire.TCPFlags) {
	for _, r := range w {
		b, ok := flagLetters[r]
		if !ok {
			s.fail("flag %c", r)
		}
		f |= b
	}
	return f
}

// input builds the peer's segment and hands it in.
func (s *script) input(words []string) {
	rx := Rx{Src: s.remote, Dst: s.local, Link: 1, TTL: 64}
	h := &rx.Header
	*h = wire.TCP{SrcPort: s.rport, DstPort: s.lport, WScale: -1, Flags: s.flags(words[0]), Seq: peerISS, Window: 65535}
	size, raw := 0, []byte(nil)
	var sign []func(*Rx)
	for i := 1; i < len(words); i++ {
		word := func() string {
			if i++; i == len(words) {
				s.fail("nothing behind %s", words[i-1])
			}
			return words[i]
		}
		arg := func() int { return s.number(word()) }
		switch words[i] {
		case "seq":
			h.Seq = peerISS + uint32(arg())
		case "ack":
			h.Ack = s.iss + uint32(arg())
		case "len":
			size = arg()
		case "gso":
			rx.GSOSize = arg()
		case "win":
			h.Window = uint16(arg())
		case "mss":
			h.MSS = uint16(arg())
		case "ws":
			h.WScale = int8(arg())
		case "urg":
			h.Urgent = uint16(arg())
		case "sackok":
			h.SACKPermitted = true
		case "port":
			h.SrcPort = uint16(arg())
		case "to":
			h.DstPort = uint16(arg())
		case "from":
			rx.Src = netip.MustParseAddr(word())
		case "dst":
			rx.Dst = netip.MustParseAddr(word())
		case "ttl":
			rx.TTL = uint8(arg())
		case "tos":
			rx.TOS = uint8(arg())
		case "noecn", "ect1", "ect0", "ce":
			rx.TOS = rx.TOS&^3 | uint8(slices.Index(ecnNames, words[i]))
		case "ts":
			h.HasTS = true
			h.TSVal = uint32(arg())
			if e := arg(); e != 0 {
				h.TSEcr = s.tsBase + uint32(e)
			} else if s.tsOK {
				h.TSEcr = s.tsBase
			}
		case "sack":
			for _, b := range strings.Split(word(), ",") {
				l, r, _ := strings.Cut(b, "-")
				h.SACK[h.NSACK] = wire.SACKBlock{Left: s.iss + uint32(s.number(l)), Right: s.iss + uint32(s.number(r))}
				h.NSACK++
			}
		case "md5":
			sign = append(sign, s.md5Signer(word()))
		case "ao":
			sign = append(sign, s.aoSigner(word()))
		case "fo":
			raw = append(raw, s.fastCookie()...)
		case "opt":
			b, err := hex.DecodeString(word())
			if err != nil {
				s.fail("%v", err)
			}
			raw = append(raw, b...)
		default:
			s.fail("word %q", words[i])
		}
	}
	if raw != nil {
		s.reparse(h, raw)
	}
	if size > 0 {
		at := int(int32(h.Seq-peerISS)) - 1
		if h.Flags&wire.TCPSyn != 0 {
			at++
		}
		rx.Payload = patterned(at, size)
		s.fed = true
	}
	for _, f := range sign {
		f(&rx)
	}
	s.l.Input(&rx)
}

// reparse adds options as bytes and reads the header as it would come from the
// wire.
func (s *script) reparse(h *wire.TCP, raw []byte) {
	b := append(h.AppendTo(nil), raw...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	if len(b) > wire.TCPMaxHeader {
		s.fail("%d bytes of options", len(b)-wire.TCPMinHeader)
	}
	b[12] = byte(len(b)/4)<<4 | b[12]&1
	if _, err := wire.ParseTCP(b, h); err != nil {
		s.fail("%v", err)
	}
}

func (s *script) show(o sent) string {
	var f strings.Builder
	for _, r := range "SFRPUEWA." {
		if o.h.Flags&flagLetters[r] != 0 {
			f.WriteRune(r)
		}
	}
	text := fmt.Sprintf("%s seq %d len %d win %d", &f, o.h.Seq-o.f.iss, o.len, o.h.Window)
	if len(s.flows) > 1 {
		text = o.f.name + ": " + text
	}
	if o.h.Flags&wire.TCPAck != 0 {
		text += fmt.Sprintf(" ack %d", o.h.Ack-peerISS)
	}
	if o.h.Flags&wire.TCPSyn != 0 {
		text += fmt.Sprintf(" mss %d ws %d sackok %v", o.h.MSS, o.h.WScale, o.h.SACKPermitted)
	}
	if o.h.HasTS {
		text += fmt.Sprintf(" ts %d ecr %d", o.h.TSVal-o.f.tsBase, o.h.TSEcr)
	}
	for _, b := range o.h.SACK[:o.h.NSACK] {
		text += fmt.Sprintf(" sack %d-%d", b.Left-peerISS, b.Right-peerISS)
	}
	return text + fmt.Sprintf(" %s after %v", ecnNames[o.tos&3], o.at-s.began)
}

// sackText is the SACK option as scripts write it.
func sackText(h *wire.TCP) string {
	var have []string
	for _, b := range h.SACK[:h.NSACK] {
		have = append(have, fmt.Sprintf("%d-%d", b.Left-peerISS, b.Right-peerISS))
	}
	return strings.Join(have, ",")
}

// fields are the words of ">" that compare a number.
var fields = map[string]func(s *script, o *sent) int{
	"seq":    func(s *script, o *sent) int { return int(int32(o.h.Seq - s.iss)) },
	"rawseq": func(_ *script, o *sent) int { return int(o.h.Seq) },
	"ack":    func(_ *script, o *sent) int { return int(int32(o.h.Ack - peerISS)) },
	"gso":    func(_ *script, o *sent) int { return o.gso },
	"win":    func(_ *script, o *sent) int { return int(o.h.Window) },
	"mss":    func(_ *script, o *sent) int { return int(o.h.MSS) },
	"ws":     func(_ *script, o *sent) int { return int(o.h.WScale) },
	"urg":    func(_ *script, o *sent) int { return int(o.h.Urgent) },
	"ecr":    func(_ *script, o *sent) int { return int(o.h.TSEcr) },
	"tsval":  func(s *script, o *sent) int { return int(int32(o.h.TSVal - s.tsBase)) },
	"tos":    func(_ *script, o *sent) int { return int(o.tos) },
	"ttl":    func(_ *script, o *sent) int { return int(o.ttl) },
	"port":   func(_ *script, o *sent) int { return int(o.h.DstPort) },
}

// traits are the words of ">" that stand alone.
var traits = map[string]func(o *sent) bool{
	"ts":       func(o *sent) bool { return o.h.HasTS },
	"nots":     func(o *sent) bool { return !o.h.HasTS },
	"sackok":   func(o *sent) bool { return o.h.SACKPermitted },
	"nosackok": func(o *sent) bool { return !o.h.SACKPermitted },
	"nosack":   func(o *sent) bool { return o.h.NSACK == 0 },
	"df":       func(o *sent) bool { return !o.noDF },
	"nodf":     func(o *sent) bool { return o.noDF },
	"noecn":    func(o *sent) bool { return o.tos&3 == 0 },
	"ect1":     func(o *sent) bool { return o.tos&3 == 1 },
	"ect0":     func(o *sent) bool { return o.tos&3 == 2 },
	"ce":       func(o *sent) bool { return o.tos&3 == 3 },
}

// expect compares the next segment sent. "len" is 0 unless it is named.
func (s *script) expect(words []string) {
	s.t.Helper()
	s.l.Flush()
	if words[0] == "none" {
		if len(s.out) > 0 {
			s.fail("sent %s", s.show(s.out[0]))
		}
		return
	}
	if len(s.out) == 0 {
		s.fail("nothing was sent")
	}
	o := s.out[0]
	s.out = s.out[1:]
	if o.f != s.flow {
		s.fail("this is %q's turn: %s", o.f.name, s.show(o))
	}
	if f := s.flags(words[0]); o.h.Flags != f {
		s.fail("flags %s, want %s, in %s", o.h.Flags, f, s.show(o))
	}
	size := "0"
	for i := 1; i < len(words); i++ {
		word := func() string {
			if i++; i == len(words) {
				s.fail("nothing behind %s", words[i-1])
			}
			return words[i]
		}
		name := words[i]
		field, trait := fields[name], traits[name]
		switch {
		case name == "len":
			size = word()
		case name == "sack":
			if want, got := word(), sackText(&o.h); got != want {
				s.fail("sack %q, want %q, in %s", got, want, s.show(o))
			}
		case name == "opt" || name == "noopt":
			text := word()
			b, err := hex.DecodeString(text)
			if err != nil {
				s.fail("%v", err)
			}
			if have := o.h.AppendTo(nil)[wire.TCPMinHeader:]; strings.Contains(string(have), string(b)) != (name == "opt") {
				s.fail("options are %x", have)
			}
		case field != nil:
			if want, got := word(), field(s, &o); !s.within(want, got) {
				s.fail("%s is %d, want %s, in %s", name, got, want, s.show(o))
			}
		case trait != nil:
			if !trait(&o) {
				s.fail("not %s: %s", name, s.show(o))
			}
		default:
			s.fail("word %q", name)
		}
	}
	if !s.within(size, o.len) {
		s.fail("len is %d, want %s, in %s", o.len, size, s.show(o))
	}
}

package tcp

// Words of scripts for signed segments. The signatures that the peer makes and
// checks are computed here from the documents, not by the code under test.

import (
	"bytes"
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha1"
	"encoding/binary"
	"net/netip"
	"strings"

	"github.com/tcpcni/tcpcni/netstack/wire"
	"github.com/tcpcni/tcpcni/sockopt"
)

// covered is the pseudo header and header b of a segment, its checksum zero.
func covered(src, dst netip.Addr, b []byte, text int) (pseudo, header []byte) {
	n := uint32(len(b) + text)
	pseudo = append(src.AsSlice(), dst.AsSlice()...)
	if src.Is4() {
		pseudo = append(pseudo, 0, 6, byte(n>>8), byte(n))
	} else {
		pseudo = append(pseudo, byte(n>>24), byte(n>>16), byte(n>>8), byte(n), 0, 0, 0, 6)
	}
	header = bytes.Clone(b)
	header[16], header[17] = 0, 0
	return pseudo, header
}

func md5Of(key string, src, dst netip.Addr, b, text []byte) []byte {
	pseudo, header := covered(src, dst, b, len(text))
	sum := md5.Sum(bytes.Join([][]byte{pseudo, header[:20], text, []byte(key)}, nil))
	return sum[:]
}

// aoOf is the MAC of HMAC-SHA-1-96 over all options, the sequence number
// extension being zero.
func aoOf(key string, src, dst netip.Addr, sisn, disn uint32, b, text []byte) []byte {
	pseudo, header := covered(src, dst, b, len(text))
	context := append(append([]byte("\x01TCP-AO"), src.AsSlice()...), dst.AsSlice()...)
	context = append(context, b[:4]...)
	context = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(context, sisn), disn)
	kdf := hmac.New(sha1.New, []byte(key))
	kdf.Write(append(context, 0, 160))
	mac := hmac.New(sha1.New, kdf.Sum(nil))
	i := bytes.LastIndex(header[20:], []byte{wire.OptAO, 16}) + 20
	clear(header[i+4 : i+16])
	mac.Write(bytes.Join([][]byte{{0, 0, 0, 0}, pseudo, header, text}, nil))
	return mac.Sum(nil)[:12]
}

// resign replaces the last n bytes of the header's last option.
func resign(rx *Rx, extra []byte, sum func(b []byte) []byte) {
	h := rx.Header
	h.Raw, h.Extra = nil, extra
	b := h.AppendTo(nil)
	mac := sum(b)
	copy(b[len(b)-len(mac):], mac)
	wire.ParseTCP(b, &rx.Header)
}

// md5Signer signs the peer's segment; "KEY!" spoils the signature.
func (s *script) md5Signer(key string) func(*Rx) {
	key, bad := strings.CutSuffix(key, "!")
	return func(rx *Rx) {
		resign(rx, wire.AppendOption(nil, wire.OptMD5, make([]byte, 16)), func(b []byte) []byte {
			sum := md5Of(key, rx.Src, rx.Dst, b, rx.Payload)
			if bad {
				sum[3] ^= 1
			}
			return sum
		})
	}
}

// aoSigner signs with "KEY,KEYID,RNEXTKEYID".
func (s *script) aoSigner(word string) func(*Rx) {
	key, bad := strings.CutSuffix(word, "!")
	parts := strings.Split(key, ",")
	return func(rx *Rx) {
		body := make([]byte, 14)
		body[0], body[1] = byte(s.number(parts[1])), byte(s.number(parts[2]))
		resign(rx, wire.AppendOption(nil, wire.OptAO, body), func(b []byte) []byte {
			sisn, disn := uint32(peerISS), s.iss
			if rx.Header.Flags&synBits == wire.TCPSyn {
				sisn, disn = rx.Header.Seq, 0
			}
			mac := aoOf(parts[0], rx.Src, rx.Dst, sisn, disn, b, rx.Payload)
			if bad {
				mac[3] ^= 1
			}
			return mac
		})
	}
}

// checkSigned verifies what is sent when the peer has a key, and that it is not
// signed when there is none.
func (s *script) checkSigned(p *Path, h *wire.TCP, payload [][]byte) {
	b := h.AppendTo(nil)
	text := bytes.Join(payload, nil)
	var in wire.TCP
	wire.ParseTCP(b, &in)
	sum, signed := in.Option(wire.OptMD5)
	mac, aoed := in.Option(wire.OptAO)
	switch {
	case s.md5 == "" && s.ao == "" && (signed || aoed):
		s.fail("signed without need")
	case s.md5 != "" && !bytes.Equal(sum, md5Of(s.md5, p.Src, p.Dst, b, text)):
		s.fail("a wrong MD5 signature: %x", b)
	case s.ao != "":
		sisn, disn := s.iss, uint32(peerISS)
		if h.Flags&synBits == wire.TCPSyn {
			sisn, disn = h.Seq, 0
		} else if h.Flags&wire.TCPSyn != 0 {
			sisn = h.Seq
		}
		key := strings.Split(s.ao, ",")
		if len(mac) != 14 || mac[0] != byte(s.number(key[1])) || mac[1] != byte(s.number(key[2])) || !bytes.Equal(mac[2:], aoOf(key[0], p.Src, p.Dst, sisn, disn, b, text)) {
			s.fail("a wrong TCP-AO signature: %x", b)
		}
	}
}

func init() {
	// md5key KEY [PREFIX]: the socket's; the peer has it as well.
	verbs["md5key"] = func(s *script, args []string) {
		to := netip.PrefixFrom(s.remote, s.remote.BitLen())
		if len(args) > 1 {
			to = netip.MustParsePrefix(args[1])
		} else {
			s.md5 = args[0]
		}
		key := []byte(args[0])
		if args[0] == "none" {
			key, s.md5 = nil, ""
		}
		s.result(s.s.SetMD5Key(to, key), "0")
	}
	// md5sig on, md5sig off: the switch of systems with an association database.
	verbs["md5sig"] = func(s *script, args []string) {
		s.s.opts.SetRare(func(r *sockopt.Rare) { r.MD5Sig = args[0] == "on" })
		s.s.Changed(sockopt.MD5Sig)
	}
	// associate out|in KEY [SPORT DPORT]: an entry of the database; the key "none"
	// takes it away. What is sent is then checked with the last key of "out".
	verbs["associate"] = func(s *script, args []string) {
		sel := Selector{Src: s.local, Dst: s.remote}
		if args[0] == "in" {
			sel.Src, sel.Dst = sel.Dst, sel.Src
		}
		if len(args) > 2 {
			sel.SrcPort, sel.DstPort = uint16(s.number(args[2])), uint16(s.number(args[3]))
		}
		if args[1] == "none" {
			s.result(s.l.Associations().Delete(sel), "0")
			return
		}
		s.result(s.l.Associations().Add(Association{sel, []byte(args[1])}), "0")
		if args[0] == "out" {
			s.md5 = args[1]
		}
	}
	// md5check KEY: what the peer expects from now on; none: no signature.
	verbs["md5check"] = func(s *script, args []string) {
		s.l.Flush()
		if s.md5 = args[0]; s.md5 == "none" {
			s.md5 = ""
		}
	}
	// aokey KEY SENDID RECVID: the socket's.
	verbs["aokey"] = func(s *script, args []string) {
		k := AOKey{Peers: netip.PrefixFrom(s.remote, s.remote.BitLen()), Key: []byte(args[0]), SendID: uint8(s.number(args[1])), RecvID: uint8(s.number(args[2]))}
		s.result(s.s.AddAOKey(k), "0")
	}
	verbs["aodelete"] = func(s *script, args []string) {
		s.result(s.s.DeleteAOKey(netip.PrefixFrom(s.remote, s.remote.BitLen()), uint8(s.number(args[0])), uint8(s.number(args[1]))), "0")
	}
	// aocheck KEY,KEYID,RNEXTKEYID: what the peer expects from now on.
	verbs["aocheck"] = func(s *script, args []string) { s.l.Flush(); s.ao = args[0] }
	verbs["aonext"] = func(s *script, args []string) { s.result(s.s.SetAONext(uint8(s.number(args[0]))), "0") }
	verbs["aocurrent"] = func(s *script, args []string) { s.result(s.s.SetAOCurrent(uint8(s.number(args[0]))), "0") }
}

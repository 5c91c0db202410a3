package tcp

// The headers of the segment that a connection began with, for the listener's
// program: TCP_SAVE_SYN and TCP_SAVED_SYN of tcp(7).

import (
	"slices"

	"github.com/tcpcni/tcpcni/sockopt"
)

// maxSavedSYN bounds what is kept of one SYN, in bytes: all headers that a host
// without extension headers can send, and some of those.
const maxSavedSYN = 256

// linkHeaderLen is the length of an Ethernet header, in bytes. What the stack
// sends to itself has one of zeros, as on Linux's loopback link.
const linkHeaderLen = 14

// keepSYN is what the listener keeps of a SYN; nil: nothing, as it is not asked
// to, or the headers are longer than anybody needs.
func (lst *listener) keepSYN(rx *Rx) []byte {
	what := lst.s.opts.Rare().SaveSYN
	if what == 0 || len(rx.IPHeader)+len(rx.TCPHeader) > maxSavedSYN-linkHeaderLen {
		return nil
	}
	var link []byte
	if what > 1 {
		if link = rx.LinkHeader; link == nil {
			link = make([]byte, linkHeaderLen)
			link[12], link[13] = 0x08, 0x00
			if rx.Dst.Is6() {
				link[12], link[13] = 0x86, 0xdd
			}
		}
	}
	return slices.Concat(link, rx.IPHeader, rx.TCPHeader)
}

// SavedSYN implements sockopt.Connection.
func (s *Socket) SavedSYN() []byte {
	if s.conn == nil || s.conn.rare == nil {
		return nil
	}
	return s.conn.rare.syn
}

// DropSYN implements sockopt.Connection.
func (s *Socket) DropSYN() {
	if s.conn != nil && s.conn.rare != nil {
		s.conn.rare.syn = nil
	}
}

var _ sockopt.Connection = (*Socket)(nil)

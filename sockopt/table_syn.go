package sockopt

import "github.com/tcpcni/tcpcni/sockopt/errno"

// A Connection is implemented by a Target that is a TCP socket.
type Connection interface {
	// CongestionInfo appends what TCP_CC_INFO shows: the structure that the
	// algorithm has in linux/inet_diag.h, or nothing.
	CongestionInfo(b []byte) []byte
	// SavedSYN is the headers of the SYN that the connection began with, as far
	// as its listener kept them; nil: none.
	SavedSYN() []byte
	// DropSYN forgets them.
	DropSYN()
}

// synRows are the options about a connection's own inside and its first segment
// (linux/tcp.h, tcp(7)).
var synRows = at(protoTCP, TCPOnly, []Row{
	{ID: CCInfo, Name: "TCP_CC_INFO", Number: 26, Codec: Struct, Access: ReadOnly, Default: "empty", getBytes: getCCInfo,
		Note: "union tcp_cc_info of linux/inet_diag.h for bbr, dctcp and vegas; nothing for the others"},
	{ID: SaveSYN, Name: "TCP_SAVE_SYN", Number: 27, Default: "0", Max: 2,
		set: rarely(func(r *Rare, v int) { r.SaveSYN = uint8(v) }), get: rareValue(func(r *Rare) int { return int(r.SaveSYN) }),
		Note: "of a listener: 1 keeps the IP and TCP headers of the SYNs that connections begin with, 2 the link's as well; a SYN that was answered by a cookie is not kept"},
	{ID: SavedSYN, Name: "TCP_SAVED_SYN", Number: 28, Codec: Struct, Access: ReadOnly, Default: "empty", getBytes: getSavedSYN,
		Note: "of an accepted connection, once; a buffer that is too small is EINVAL and is told the length"},
	{ID: ULP, Name: "TCP_ULP", Number: 31, Codec: Text, Default: "empty", setBytes: setULP, getBytes: func(_ *call, b []byte, _ int) ([]byte, error) { return b, nil },
		Note: "as Linux without modules such as tls: any name is ENOENT, an empty value EINVAL"},
})

func getCCInfo(c *call, b []byte, _ int) ([]byte, error) {
	if t, ok := c.t.(Connection); ok {
		b = t.CongestionInfo(b)
	}
	return b, nil
}

// A NoRoom is EINVAL for a buffer that is too small, by those options that tell
// how much is needed.
type NoRoom struct{ Need int }

func (NoRoom) Error() string { return errno.EINVAL.Error() }

func getSavedSYN(c *call, b []byte, maxLen int) ([]byte, error) {
	t, ok := c.t.(Connection)
	if !ok {
		return b, nil
	}
	syn := t.SavedSYN()
	if len(syn) > maxLen {
		return nil, NoRoom{len(syn)}
	}
	t.DropSYN()
	return append(b, syn...), nil
}

func setULP(_ *call, val []byte) error {
	if len(val) < 1 {
		return errno.EINVAL
	}
	return errno.ENOENT
}

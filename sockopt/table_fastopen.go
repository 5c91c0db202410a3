package sockopt

import (
	"slices"

	"github.com/tcpcni/tcpcni/sockopt/errno"
)

const (
	fastKeySize    = 16 // TCP_FASTOPEN_KEY_LENGTH, bytes
	fastOpenClient = 1  // TFO_CLIENT_ENABLE, a bit of the tunable tcp_fastopen
)

// fastOpenRows are the options of TCP Fast Open (RFC 7413, tcp(7)). Whether it is
// used at all is for the tunable tcp_fastopen to say.
var fastOpenRows = at(protoTCP, TCPOnly, []Row{
	{ID: FastOpen, Name: "TCP_FASTOPEN", Number: 23, Unit: "connections", Default: "0", NotInherited: true, set: setFastOpen, get: rareValue(func(r *Rare) int { return int(r.FastOpen) }),
		Note: "of a listener: how many may have data before their handshake is complete, at most somaxconn; takes tcp_fastopen with 2; EINVAL for a negative number or a connection"},
	{ID: FastOpenConnect, Name: "TCP_FASTOPEN_CONNECT", Number: 30, Codec: Bool, Max: 1, Default: "0", set: setFastOpenConnect, get: rareValue(func(r *Rare) int { return truth(r.FastOpenConnect) }),
		Note: "0 or 1; EOPNOTSUPP unless tcp_fastopen has 1, EINVAL with a connection or a listener"},
	{ID: FastOpenKey, Name: "TCP_FASTOPEN_KEY", Number: 33, Codec: Struct, Unit: "bytes", Default: "empty", NotInherited: true, Lasting: fastKeySize, setBytes: setFastOpenKey, getBytes: getFastOpenKey,
		Note: "16 bytes, or 32 with the key before; of a listener, for its own cookies; empty while the cookies are those of the stack, whose key nobody is shown; after the engine's death the second one is forgotten"},
	{ID: FastOpenNoCookie, Name: "TCP_FASTOPEN_NO_COOKIE", Number: 34, Codec: Bool, Max: 1, Default: "0", set: setFastOpenNoCookie, get: rareValue(func(r *Rare) int { return truth(r.FastOpenNoCookie) }),
		Note: "0 or 1; EINVAL with a connection"},
})

// States of struct tcp_info (linux/tcp_states.h).
const (
	tcpClose  = 7
	tcpListen = 10
)

// stateIn reports whether the socket is in one of the states.
func stateIn(c *call, states ...uint8) bool {
	var i TCPInfo
	c.t.Info(&i)
	return slices.Contains(states, i.State)
}

func setFastOpen(c *call, v int) error {
	if v < 0 || !stateIn(c, tcpClose, tcpListen) {
		return errno.EINVAL
	}
	c.o.SetRare(func(r *Rare) { r.FastOpen = min(int32(v), c.p.Tunables.Somaxconn) })
	return nil
}

func setFastOpenConnect(c *call, v int) error {
	switch {
	case c.p.Tunables.FastOpen&fastOpenClient == 0:
		return errno.EOPNOTSUPP
	case !stateIn(c, tcpClose):
		return errno.EINVAL
	}
	c.o.SetRare(func(r *Rare) { r.FastOpenConnect = v != 0 })
	return nil
}

func setFastOpenNoCookie(c *call, v int) error {
	if !stateIn(c, tcpClose, tcpListen) {
		return errno.EINVAL
	}
	c.o.SetRare(func(r *Rare) { r.FastOpenNoCookie = v != 0 })
	return nil
}

func setFastOpenKey(c *call, val []byte) error {
	if len(val) != fastKeySize && len(val) != 2*fastKeySize {
		return errno.EINVAL
	}
	c.o.SetRare(func(r *Rare) { r.FastOpenKeys = string(val) })
	return nil
}

func getFastOpenKey(c *call, b []byte, _ int) ([]byte, error) {
	return append(b, c.o.Rare().FastOpenKeys...), nil
}

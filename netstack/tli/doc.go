// Package tli is the transport-level interface (t_open, t_bind, t_connect, …) of
// X/Open's XTI and System V's TLI over a stack's TCP: service type T_COTS_ORD, a
// connection with an orderly release.
//
// An Endpoint is what t_open returns. Its methods are the functions of the
// interface in asynchronous mode (O_NONBLOCK): the package is pure and nothing
// in it waits. What would wait fails with TNODATA or TFLOW, and Provider.Notify
// is called when there is something new to look for. What may be called when,
// and what it leads to, is the state table of the XTI specification as data
// (state.go); which events stand in the way of a call (TLOOK) is a table as well
// (look.go).
//
//	p := &tli.Provider{Stack: stack, Profile: profile}
//	e, info, err := p.Open("/dev/tcp")
//	ret, err := e.Bind(tli.Bind{Addr: local, Qlen: 5})
//	call, err := e.Listen()                 // TNODATA until somebody comes
//	conn, _, err := p.Open("/dev/tcp")
//	err = e.Accept(conn, call.Sequence)
//	n, flags, err := conn.Rcv(buf)
//
// What differs from a stream of the kernel:
//
//   - TCP answers a SYN before the user has accepted, as every TCP does: a peer
//     whose connection indication is refused by SndDis was connected and is
//     reset.
//   - Who may be bound to one address is what the profile's bind rule says of
//     sockets with SO_REUSEADDR: under Linux's, several endpoints, or one that
//     listens. An endpoint that took a connection from a listener and is idle
//     again has the listener's address back when that is free; until then what
//     needs it fails with TSYSERR, EADDRINUSE.
//   - No TSDUs: T_MORE says nothing to the peer. Expedited data is TCP's urgent
//     data, one byte on the receiving side.
//   - Data cannot go with a connect, a disconnect or a release.
package tli

// Package dnsrelay passes DNS queries on from an address that a sandbox reaches
// to resolvers that only the host reaches, because they listen on loopback. It
// does not read more of a message than it needs to pass it on.
//
// RFC 1035 section 4.2 (UDP and TCP), RFC 7766 (TCP).
package dnsrelay

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Bounds of what a sandbox can make the host hold.
const (
	maxQueries     = 256             // over UDP, at a time
	maxConnections = 32              // over TCP, at a time
	upstreamWait   = 5 * time.Second // for a resolver's answer, glibc's own patience
	idleWait       = 10 * time.Second
	maxMessage     = 65535
)

// Port of DNS.
const Port = 53

// A Config says where queries come from and where they go.
type Config struct {
	Device    string           // only what arrives on this device is served; "" is any
	Listen    []netip.Addr     // addresses to serve on, UDP and TCP
	Port      uint16           // to serve on; 0 is 53
	Resolvers []netip.AddrPort // tried in order; port 0 is 53
	Log       *slog.Logger
}

// A Relay serves until Close.
type Relay struct {
	cfg     Config
	closers []io.Closer
	cancel  context.CancelFunc
	done    sync.WaitGroup
	queries chan struct{} // one token for each query that may be under way
	conns   chan struct{}
}

// Start opens the sockets and serves. An address that is served already, by the
// host's own resolver, is left to it: that is no error.
func Start(cfg Config) (*Relay, error) {
	if len(cfg.Resolvers) == 0 {
		return nil, errors.New("dns relay: no resolver to pass queries on to")
	}
	if cfg.Port == 0 {
		cfg.Port = Port
	}
	for i, r := range cfg.Resolvers {
		if r.Port() == 0 {
			cfg.Resolvers[i] = netip.AddrPortFrom(r.Addr(), Port)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &Relay{
		cfg: cfg, cancel: cancel,
		queries: make(chan struct{}, maxQueries),
		conns:   make(chan struct{}, maxConnections),
	}
	for _, a := range cfg.Listen {
		if err := r.listen(ctx, netip.AddrPortFrom(a, cfg.Port)); err != nil {
			r.Close()
			return nil, fmt.Errorf("dns relay on %s: %w", a, err)
		}
	}
	return r, nil
}

// Close ends the relay and returns when nothing of it runs.
func (r *Relay) Close() {
	r.cancel()
	for _, c := range r.closers {
		_ = c.Close()
	}
	r.done.Wait()
}

func (r *Relay) listen(ctx context.Context, at netip.AddrPort) error {
	lc := net.ListenConfig{Control: r.control}
	pc, err := lc.ListenPacket(ctx, "udp", at.String())
	switch {
	case errors.Is(err, unix.EADDRINUSE):
		r.cfg.Log.Debug("dns relay: somebody serves this address already", "address", at, "protocol", "udp")
	case err != nil:
		return err
	default:
		r.closers = append(r.closers, pc)
		r.done.Go(func() { r.serveUDP(ctx, pc.(*net.UDPConn)) })
	}
	l, err := lc.Listen(ctx, "tcp", at.String())
	switch {
	case errors.Is(err, unix.EADDRINUSE):
		r.cfg.Log.Debug("dns relay: somebody serves this address already", "address", at, "protocol", "tcp")
	case err != nil:
		return err
	default:
		r.closers = append(r.closers, l)
		r.done.Go(func() { r.serveTCP(ctx, l) })
	}
	return nil
}

// control binds the socket to the device, so that relays of several sandboxes
// can serve the same address on their own devices, and lets those of one bridge
// share its address: they are all alike.
func (r *Relay) control(_, _ string, c syscall.RawConn) error {
	var err error
	cerr := c.Control(func(fd uintptr) {
		if r.cfg.Device != "" {
			err = os.NewSyscallError("SO_BINDTODEVICE", unix.BindToDevice(int(fd), r.cfg.Device))
		}
		if err == nil {
			err = os.NewSyscallError("SO_REUSEPORT", unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1))
		}
	})
	return errors.Join(cerr, err)
}

func (r *Relay) serveUDP(ctx context.Context, pc *net.UDPConn) {
	buf := make([]byte, maxMessage)
	for {
		n, from, err := pc.ReadFromUDPAddrPort(buf)
		if ctx.Err() != nil {
			return
		}
		if err != nil || n < headerLen {
			continue
		}
		select {
		case r.queries <- struct{}{}:
		default:
			continue // the client asks again
		}
		query := append([]byte(nil), buf[:n]...)
		r.done.Go(func() {
			defer func() { <-r.queries }()
			if answer := r.exchange(ctx, query); answer != nil {
				_, _ = pc.WriteToUDPAddrPort(answer, from)
			}
		})
	}
}

// headerLen is the length of a message's header: RFC 1035 section 4.1.1.
const headerLen = 12

// exchange asks the resolvers in turn. When none answers, the answer is SERVFAIL
// and comes at once, unlike silence.
func (r *Relay) exchange(ctx context.Context, query []byte) []byte {
	for _, to := range r.cfg.Resolvers {
		if answer, err := askUDP(ctx, to, query); err == nil {
			return answer
		} else if ctx.Err() == nil {
			r.cfg.Log.Debug("dns relay: no answer", "resolver", to, "error", err)
		}
	}
	if ctx.Err() != nil {
		return nil
	}
	return servFail(query)
}

func askUDP(ctx context.Context, to netip.AddrPort, query []byte) ([]byte, error) {
	conn, err := (&net.Dialer{Timeout: upstreamWait}).DialContext(ctx, "udp", to.String())
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	if err := conn.SetDeadline(time.Now().Add(upstreamWait)); err != nil {
		return nil, err
	}
	if _, err := conn.Write(query); err != nil {
		return nil, err
	}
	buf := make([]byte, maxMessage)
	for {
		n, err := conn.Read(buf)
		if err != nil {
			return nil, err
		}
		if n >= headerLen && binary.BigEndian.Uint16(buf) == binary.BigEndian.Uint16(query) {
			return buf[:n], nil
		}
	}
}

// servFail answers a query with RCODE 2 (RFC 1035 section 4.1.1), the header
// alone.
func servFail(query []byte) []byte {
	const (
		qr       = 0x80 // byte 2: this is a response
		keep     = 0x79 // byte 2: OPCODE and RD of the query
		servfail = 2    // byte 3: RCODE
	)
	a := make([]byte, headerLen)
	copy(a, query[:2])
	a[2] = query[2]&keep | qr
	a[3] = servfail
	return a
}

func (r *Relay) serveTCP(ctx context.Context, l net.Listener) {
	for {
		conn, err := l.Accept()
		if ctx.Err() != nil {
			if err == nil {
				_ = conn.Close()
			}
			return
		}
		if err != nil {
			time.Sleep(10 * time.Millisecond) // out of descriptors, perhaps
			continue
		}
		select {
		case r.conns <- struct{}{}:
		default:
			_ = conn.Close()
			continue
		}
		r.done.Go(func() {
			defer func() { <-r.conns }()
			r.splice(ctx, conn)
		})
	}
}

// splice joins the client with the first resolver that takes a connection.
func (r *Relay) splice(ctx context.Context, client net.Conn) {
	defer func() { _ = client.Close() }()
	var server net.Conn
	for _, to := range r.cfg.Resolvers {
		var err error
		if server, err = (&net.Dialer{Timeout: upstreamWait}).DialContext(ctx, "tcp", to.String()); err == nil {
			break
		}
	}
	if server == nil {
		return
	}
	defer func() { _ = server.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = client.Close(); _ = server.Close() })
	defer stop()
	var both sync.WaitGroup
	both.Go(func() { pump(server, client) })
	both.Go(func() { pump(client, server) })
	both.Wait()
}

// pump copies until the end or until nothing came for idleWait, and passes the
// end on.
func pump(to, from net.Conn) {
	buf := make([]byte, 16<<10)
	for {
		_ = from.SetReadDeadline(time.Now().Add(idleWait))
		n, err := from.Read(buf)
		if n > 0 {
			_ = to.SetWriteDeadline(time.Now().Add(idleWait))
			if _, werr := to.Write(buf[:n]); werr != nil {
				_ = from.Close()
				return
			}
		}
		if err == nil {
			continue
		}
		if t, ok := to.(*net.TCPConn); ok && errors.Is(err, io.EOF) {
			_ = t.CloseWrite()
		} else {
			_ = to.Close()
		}
		return
	}
}

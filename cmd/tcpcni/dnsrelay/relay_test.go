package dnsrelay

import (
	"bytes"
	"encoding/binary"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"testing"
	"time"
)

var quiet = slog.New(slog.DiscardHandler)

// echo is a resolver that sends every message back with QR set.
func echo(t *testing.T) netip.AddrPort {
	t.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pc.Close() })
	at := pc.LocalAddr().(*net.UDPAddr).AddrPort()
	l, err := net.Listen("tcp", at.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		buf := make([]byte, 4096)
		for {
			n, from, err := pc.ReadFrom(buf)
			if err != nil {
				return
			}
			buf[2] |= 0x80
			_, _ = pc.WriteTo(buf[:n], from)
		}
	}()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(c, c); _ = c.Close() }()
		}
	}()
	return at
}

// serve starts a relay on a free port of loopback.
func serve(t *testing.T, resolvers ...netip.AddrPort) (*Relay, netip.AddrPort) {
	t.Helper()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := free.Addr().(*net.TCPAddr).AddrPort()
	_ = free.Close()
	r, err := Start(Config{Listen: []netip.Addr{at.Addr()}, Port: at.Port(), Resolvers: resolvers, Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r, at
}

func query(id uint16) []byte {
	q := make([]byte, 32)
	binary.BigEndian.PutUint16(q, id)
	q[2] = 1 // RD
	return q
}

func ask(t *testing.T, network string, at netip.AddrPort, msg []byte) []byte {
	t.Helper()
	c, err := net.Dial(network, at.String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(3 * time.Second))
	if _, err := c.Write(msg); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 4096)
	n, err := c.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	return buf[:n]
}

func TestRelayPassesBothTransports(t *testing.T) {
	_, at := serve(t, echo(t))
	got := ask(t, "udp", at, query(7))
	want := query(7)
	want[2] |= 0x80
	if !bytes.Equal(got, want) {
		t.Fatalf("udp: got % x, want % x", got, want)
	}
	msg := append([]byte{0, 32}, query(8)...)
	if got := ask(t, "tcp", at, msg); !bytes.Equal(got, msg) {
		t.Fatalf("tcp: got % x, want % x", got, msg)
	}
}

func TestRelayTakesTheNextResolver(t *testing.T) {
	dead := netip.MustParseAddrPort("127.0.0.1:9")
	_, at := serve(t, dead, echo(t))
	if got := ask(t, "udp", at, query(9)); got[3]&0xf != 0 {
		t.Fatalf("got % x", got)
	}
}

func TestRelayAnswersServFailWhenNoResolverDoes(t *testing.T) {
	_, at := serve(t, netip.MustParseAddrPort("127.0.0.1:9"))
	got := ask(t, "udp", at, query(10))
	want := []byte{0, 10, 0x81, 2, 0, 0, 0, 0, 0, 0, 0, 0}
	if !bytes.Equal(got, want) {
		t.Fatalf("got % x, want % x", got, want)
	}
}

func TestAddressInUseIsLeftToItsHolder(t *testing.T) {
	holder := echo(t)
	r, err := Start(Config{Listen: []netip.Addr{holder.Addr()}, Port: holder.Port(), Resolvers: []netip.AddrPort{holder}, Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	if got := ask(t, "udp", holder, query(11)); got[2]&0x80 == 0 {
		t.Fatalf("got % x", got)
	}
}

func TestNoResolverIsAnError(t *testing.T) {
	if _, err := Start(Config{Log: quiet}); err == nil {
		t.Fatal("started")
	}
}

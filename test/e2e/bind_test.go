package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The bind rules as a program in a sandbox meets them: testdata/bind.c does the
// steps and prints what came of each. The rules themselves, in every
// combination, are netstack/ports' to test.

// bindScenario is steps with the outcome that each must have. Lines that begin
// with # are the sentences of the system's page.
type bindScenario struct {
	profile string
	flags   []string
	kernel  bool // Linux itself must do the same
	text    string
}

var bindScenarios = map[string]bindScenario{
	"linux": {profile: "linux", kernel: true, text: `
		a = tcp4 -> ok
		a bind 0.0.0.0 4000 -> ok
		b = tcp4 -> ok
		b bind 127.0.0.1 4000 -> EADDRINUSE
		b set SO_REUSEADDR 1 -> ok
		b bind 127.0.0.1 4000 -> EADDRINUSE
		a set SO_REUSEADDR 1 -> ok
		b bind 127.0.0.1 4000 -> ok
		a listen -> ok
		c = tcp4 -> ok
		c set SO_REUSEADDR 1 -> ok
		c bind 127.0.0.2 4000 -> EADDRINUSE
		reset -> ok

		a = tcp6 -> ok
		a bind :: 4001 -> ok
		b = tcp4 -> ok
		b bind 127.0.0.1 4001 -> EADDRINUSE
		a = tcp6 -> ok
		a set IPV6_V6ONLY 1 -> ok
		a bind :: 4001 -> ok
		b bind 127.0.0.1 4001 -> ok
		reset -> ok

		user 1000 -> ok
		a = tcp4 -> ok
		a set SO_REUSEPORT 1 -> ok
		a bind 127.0.0.1 4002 -> ok
		b = tcp4 -> ok
		b set SO_REUSEPORT 1 -> ok
		b bind 127.0.0.1 4002 -> ok
		user 0 -> ok
		user 1001 -> ok
		c = tcp4 -> ok
		c set SO_REUSEPORT 1 -> ok
		c bind 127.0.0.1 4002 -> EADDRINUSE
		c bind 127.0.0.1 80 -> EACCES
		user 0 -> ok
		d = tcp4 -> ok
		d bind 127.0.0.1 80 -> ok
		reset -> ok

		a = tcp4 -> ok
		a bind 192.0.2.1 4003 -> EADDRNOTAVAIL
		a bind 255.255.255.255 4003 -> ok
		b = tcp4 -> ok
		b bind 127.0.0.1 0 -> ok
		b within 32768 60999 -> ok
		c = tcp4 -> ok
		c set SO_EXCLBIND 1 -> ENOPROTOOPT
		reset -> ok
	`},

	"illumos": {profile: "illumos", text: illumosBind},
	"omnios":  {profile: "omnios", text: illumosBind},

	"freebsd": {profile: "freebsd", text: `
		# EADDRINUSE when an attempt is made to create a socket with a port which has already been allocated.
		a = tcp4 -> ok
		a bind 0.0.0.0 4000 -> ok
		b = tcp4 -> ok
		b bind 127.0.0.1 4000 -> EADDRINUSE
		b set SO_REUSEADDR 1 -> ok
		b bind 127.0.0.1 4000 -> ok
		c = tcp4 -> ok
		c set SO_REUSEADDR 1 -> ok
		c bind 127.0.0.1 4000 -> EADDRINUSE
		reset -> ok

		a = tcp4 -> ok
		a set SO_REUSEPORT 1 -> ok
		a bind 127.0.0.1 4001 -> ok
		b = tcp4 -> ok
		b bind 127.0.0.1 4001 -> EADDRINUSE
		b set SO_REUSEPORT 1 -> ok
		b bind 127.0.0.1 4001 -> ok
		a listen -> ok
		b listen -> ok
		reset -> ok

		a = tcp4 -> ok
		a set SO_REUSEPORT_LB 1 -> ok
		a bind 127.0.0.1 4011 -> ok
		b = tcp4 -> ok
		b bind 127.0.0.1 4011 -> EADDRINUSE
		b set SO_REUSEPORT_LB 1 -> ok
		b bind 127.0.0.1 4011 -> ok
		a listen -> ok
		b listen -> ok
		reset -> ok

		user 1000 -> ok
		a = tcp4 -> ok
		a bind 0.0.0.0 4002 -> ok
		user 0 -> ok
		user 1001 -> ok
		b = tcp4 -> ok
		b set SO_REUSEADDR 1 -> ok
		b bind 127.0.0.1 4002 -> EADDRINUSE
		b bind 127.0.0.1 80 -> EACCES
		user 0 -> ok
		b bind 127.0.0.1 4002 -> ok
		reset -> ok

		# EADDRNOTAVAIL: a network address for which no network interface exists; EAFNOSUPPORT: bind to a multicast address.
		a = tcp4 -> ok
		a bind 192.0.2.1 4003 -> EADDRNOTAVAIL
		a bind 255.255.255.255 4003 -> EADDRNOTAVAIL
		a bind 224.0.0.1 4003 -> EAFNOSUPPORT
		# If the port is not specified, the system will assign one.
		a bind 0.0.0.0 0 -> ok
		a within 10000 65535 -> ok
		reset -> ok
	`},

	"sortix": {profile: "sortix", text: `
		# No two sockets can bind to the same local address and port.
		a = tcp4 -> ok
		a set SO_REUSEADDR 1 -> ok
		a bind 127.0.0.1 4000 -> ok
		b = tcp4 -> ok
		b set SO_REUSEADDR 1 -> ok
		b bind 127.0.0.1 4000 -> EADDRINUSE
		b bind 127.0.0.2 4000 -> ok
		# … one is bound to the any address and a port … unless both sockets had SO_REUSEADDR set.
		c = tcp4 -> ok
		c bind 0.0.0.0 4000 -> EADDRINUSE
		c set SO_REUSEADDR 1 -> ok
		c bind 0.0.0.0 4000 -> ok
		reset -> ok

		# … when the second socket was bound …
		a = tcp4 -> ok
		a bind 127.0.0.1 4001 -> ok
		b = tcp4 -> ok
		b set SO_REUSEADDR 1 -> ok
		b bind 0.0.0.0 4001 -> EADDRINUSE
		a set SO_REUSEADDR 1 -> ok
		b bind 0.0.0.0 4001 -> ok
		reset -> ok

		# … and the current user is the same that bound the first socket or has superuser privileges.
		user 1000 -> ok
		a = tcp4 -> ok
		a set SO_REUSEADDR 1 -> ok
		a bind 127.0.0.1 4002 -> ok
		user 0 -> ok
		user 1001 -> ok
		b = tcp4 -> ok
		b set SO_REUSEADDR 1 -> ok
		b bind 0.0.0.0 4002 -> EADDRINUSE
		# Binding to a well-known port (port 1 through port 1023) requires superuser privileges.
		b bind 127.0.0.1 1023 -> EACCES
		user 0 -> ok
		b bind 0.0.0.0 4002 -> ok
		c = tcp4 -> ok
		c bind 127.0.0.1 1023 -> ok
		reset -> ok

		# Sockets can be bound to the any address, the broadcast address, the address of a network interface.
		a = tcp4 -> ok
		a bind 192.0.2.1 4003 -> EADDRNOTAVAIL
		a bind 255.255.255.255 4003 -> ok
		# The dynamic port range 32768 (inclusive) through 61000 (exclusive).
		b = tcp4 -> ok
		b bind 127.0.0.1 0 -> ok
		b within 32768 60999 -> ok
		reset -> ok
	`},

	"cxux": {profile: "cxux", text: `
		# EADDRINUSE: a network address/port pair that has already been bound to another socket.
		a = tcp4 -> ok
		a bind 127.0.0.1 4000 -> ok
		b = tcp4 -> ok
		b bind 127.0.0.1 4000 -> EADDRINUSE
		b bind 127.0.0.2 4000 -> ok
		c = tcp4 -> ok
		c bind 0.0.0.0 4000 -> EADDRINUSE
		c set SO_REUSEADDR 1 -> ok
		c bind 0.0.0.0 4000 -> ok
		reset -> ok

		# EADDRNOTAVAIL: a network address for which no network interface exists.
		a = tcp4 -> ok
		a bind 192.0.2.1 4001 -> EADDRNOTAVAIL
		a bind 255.255.255.255 4001 -> EADDRNOTAVAIL
		# EACCES: a reserved port number and the effective user ID was not the privileged user.
		user 1000 -> ok
		a bind 127.0.0.1 1023 -> EACCES
		user 0 -> ok
		a bind 127.0.0.1 1023 -> ok
		b = tcp4 -> ok
		b bind 127.0.0.1 0 -> ok
		b within 1024 5000 -> ok
		reset -> ok
	`},

	// A server that starts again while a connection of the one before is in
	// TIME-WAIT: alone, with SO_REUSEADDR, and with it on both.
	"linux restart":   {profile: "linux", kernel: true, text: restart("EADDRINUSE", "EADDRINUSE", "ok") + datagrams("EADDRINUSE", "ok")},
	"illumos restart": {profile: "illumos", text: restart("EADDRINUSE", "ok", "ok") + datagrams("ok", "ok")},
	"omnios restart":  {profile: "omnios", text: restart("EADDRINUSE", "ok", "ok") + datagrams("ok", "ok")},
	"freebsd restart": {profile: "freebsd", text: restart("EADDRINUSE", "ok", "ok") + datagrams("EADDRINUSE", "EADDRINUSE")},
	// The quiet time of two MSLs before reusing sockets is 60 seconds.
	"sortix restart": {profile: "sortix", text: restart("EADDRINUSE", "EADDRINUSE", "EADDRINUSE") + datagrams("EADDRINUSE", "EADDRINUSE")},
	"cxux restart":   {profile: "cxux", text: restart("EADDRINUSE", "ok", "ok") + datagrams("EADDRINUSE", "EADDRINUSE")},

	// What each says when no port is left. Sortix and CX/UX have no tunable for
	// the range; Linux' name is on the same value.
	"linux exhausted":   {profile: "linux", flags: onePort, text: exhausted("EADDRINUSE", "EADDRNOTAVAIL", "EAGAIN")},
	"illumos exhausted": {profile: "illumos", flags: []string{"--set", "tcp_smallest_anon_port=65535"}, text: exhausted("EADDRNOTAVAIL", "EADDRNOTAVAIL", "EADDRNOTAVAIL")},
	"omnios exhausted":  {profile: "omnios", flags: []string{"--set", "smallest_anon_port=65535"}, text: exhausted("EADDRNOTAVAIL", "EADDRNOTAVAIL", "EADDRNOTAVAIL")},
	"freebsd exhausted": {profile: "freebsd", flags: []string{"--set", "net.inet.ip.portrange.first=65535"}, text: exhausted("EADDRNOTAVAIL", "EADDRNOTAVAIL", "EADDRNOTAVAIL")},
	// EAGAIN: a port could not be assigned because each port in the dynamic port range had already been bound to a socket.
	"sortix exhausted": {profile: "sortix", flags: onePort, text: exhausted("EAGAIN", "EAGAIN", "EAGAIN")},
	"cxux exhausted":   {profile: "cxux", flags: onePort, text: exhausted("EADDRINUSE", "EADDRNOTAVAIL", "EADDRINUSE")},
	// The range as it is: 1024 to 5000, every port of it, and none twice.
	"cxux full": {profile: "cxux", text: `
		fill tcp4 127.0.0.1 -> 3977
		a = tcp4 -> ok
		a bind 127.0.0.1 0 -> EADDRINUSE
		a bind 127.0.0.1 1024 -> EADDRINUSE
		a bind 127.0.0.1 5000 -> EADDRINUSE
		a bind 127.0.0.1 5001 -> ok
		b = tcp4 -> ok
		b connect 127.0.0.1 9 -> EADDRNOTAVAIL
		reset -> ok
		b = tcp4 -> ok
		b bind 127.0.0.1 0 -> ok
	`},
}

var onePort = []string{"--set", "ip_local_port_range=4000 4000"}

// exhausted is a range of one port that is taken, with what bind and listen, a
// connection and a datagram socket say that come next. With the port free again,
// listen and connect bind to it by themselves.
func exhausted(bind, connect, datagram string) string {
	return strings.NewReplacer("BIND", bind, "CONNECT", connect, "DATAGRAM", datagram).Replace(`
		a = tcp4 -> ok
		a bind 127.0.0.1 0 -> ok
		b = tcp4 -> ok
		b bind 127.0.0.1 0 -> BIND
		b listen -> BIND
		b connect 127.0.0.1 9 -> CONNECT
		c = udp4 -> ok
		c bind 127.0.0.1 0 -> ok
		d = udp4 -> ok
		d bind 127.0.0.1 0 -> BIND
		d connect 127.0.0.1 9 -> DATAGRAM
		a close -> ok
		c close -> ok
		b bind 127.0.0.1 0 -> ok
		d bind 127.0.0.1 0 -> ok
		b close -> ok
		e = tcp4 -> ok
		e listen -> ok
		e within 1 65535 -> ok
		e close -> ok
		f = tcp4 -> ok
		f connect 127.0.0.1 9 -> ECONNREFUSED
	`)
}

// restart is a server that starts again, with what its bind says.
func restart(plain, mine, both string) string {
	server := func(port, options, steps string) string {
		return strings.NewReplacer("PORT", port, "OPTIONS", options, "STEPS", steps).Replace(`
			a = tcp4 -> ok
			OPTIONS
			a bind 127.0.0.1 PORT -> ok
			a listen -> ok
			b = tcp4 -> ok
			b connect 127.0.0.1 PORT -> ok
			a accept c -> ok
			a close -> ok
			c close -> ok
			b close -> ok
			d = tcp4 -> ok
			STEPS
			reset -> ok
		`)
	}
	reuse := "d set SO_REUSEADDR 1 -> ok\n"
	return server("5000", "", "d bind 127.0.0.1 5000 -> "+plain) +
		server("5001", "", reuse+"d bind 127.0.0.1 5001 -> "+mine) +
		server("5002", "a set SO_REUSEADDR 1 -> ok", reuse+"d bind 127.0.0.1 5002 -> "+both)
}

// datagrams is what bind says to a datagram socket beside another, when it has
// SO_REUSEADDR and when both have. The ports of TCP are others than those of
// UDP.
func datagrams(mine, both string) string {
	return strings.NewReplacer("MINE", mine, "BOTH", both).Replace(`
		a = tcp4 -> ok
		a bind 127.0.0.1 5003 -> ok
		b = udp4 -> ok
		b bind 127.0.0.1 5003 -> ok
		c = udp4 -> ok
		c bind 127.0.0.1 5003 -> EADDRINUSE
		c set SO_REUSEADDR 1 -> ok
		c bind 127.0.0.1 5003 -> MINE
		c = udp4 -> ok
		c set SO_REUSEADDR 1 -> ok
		b set SO_REUSEADDR 1 -> ok
		c bind 127.0.0.1 5003 -> BOTH
		reset -> ok
	`)
}

// illumosBind is tcp(7P), "Address formats".
const illumosBind = `
	# If a socket is bound to INADDR_ANY or the unspecified address and port N, no other socket can bind to port N,
	# regardless of the binding address.
	a = tcp4 -> ok
	a bind 0.0.0.0 4000 -> ok
	b = tcp4 -> ok
	b bind 127.0.0.1 4000 -> EADDRINUSE
	c = tcp6 -> ok
	c bind :: 4000 -> EADDRINUSE
	c bind ::1 4000 -> EADDRINUSE
	# If SO_REUSEADDR is set on a socket doing a bind, they do not compare as equal to any IP address.
	b set SO_REUSEADDR 1 -> ok
	b bind 127.0.0.1 4000 -> ok
	c set SO_REUSEADDR 1 -> ok
	c bind :: 4000 -> ok
	# … as long as the two sockets are not both bound to INADDR_ANY or the same IP address …
	d = tcp4 -> ok
	d set SO_REUSEADDR 1 -> ok
	d bind 0.0.0.0 4000 -> EADDRINUSE
	d bind 127.0.0.1 4000 -> EADDRINUSE
	# No two TCP sockets can be bound to the same port unless the bound IP addresses are different.
	d bind 127.0.0.2 4000 -> ok
	reset -> ok

	# Once SO_EXCLBIND is enabled on a socket, no other socket can be bound to the same port.
	a = tcp4 -> ok
	a set SO_EXCLBIND 1 -> ok
	a get SO_EXCLBIND -> 4117
	a get TCP_EXCLBIND -> 33
	a bind 127.0.0.1 4001 -> ok
	b = tcp4 -> ok
	b set SO_REUSEADDR 1 -> ok
	b bind 0.0.0.0 4001 -> EADDRINUSE
	b bind 127.0.0.1 4001 -> EADDRINUSE
	b bind 127.0.0.2 4001 -> EADDRINUSE
	c = tcp6 -> ok
	c set SO_REUSEADDR 1 -> ok
	c bind ::1 4001 -> EADDRINUSE
	# It may be switched off again, as rresvport does.
	a set SO_EXCLBIND 0 -> ok
	a get SO_EXCLBIND -> 0
	b bind 0.0.0.0 4001 -> ok
	reset -> ok

	# Nor can the socket that asks for it have a port beside others.
	a = tcp4 -> ok
	a bind 127.0.0.1 4002 -> ok
	b = tcp4 -> ok
	b set TCP_EXCLBIND 1 -> ok
	b get SO_EXCLBIND -> 4117
	b bind 127.0.0.2 4002 -> EADDRINUSE
	b set TCP_EXCLBIND 0 -> ok
	b bind 127.0.0.2 4002 -> ok
	reset -> ok

	# A server starts again beside the connections of the one before. They have not inherited SO_EXCLBIND.
	a = tcp4 -> ok
	a set SO_EXCLBIND 1 -> ok
	a bind 127.0.0.1 4003 -> ok
	a listen -> ok
	b = tcp4 -> ok
	b connect 127.0.0.1 4003 -> ok
	a accept c -> ok
	c get SO_EXCLBIND -> 0
	a close -> ok
	d = tcp4 -> ok
	d bind 0.0.0.0 4003 -> EADDRINUSE
	d set SO_REUSEADDR 1 -> ok
	d set SO_EXCLBIND 1 -> ok
	d bind 0.0.0.0 4003 -> EADDRINUSE
	d set SO_EXCLBIND 0 -> ok
	d bind 127.0.0.1 4003 -> ok
	d listen -> ok
	reset -> ok

	# EADDRNOTAVAIL: a network address for which no network interface exists.
	a = tcp4 -> ok
	a bind 192.0.2.1 4004 -> EADDRNOTAVAIL
	a bind 255.255.255.255 4004 -> EADDRNOTAVAIL
	# EACCES: a reserved port number and the effective user ID was not the privileged user.
	user 1000 -> ok
	a bind 127.0.0.1 1023 -> EACCES
	b = tcp4 -> ok
	b set TCP_ANONPRIVBIND 1 -> EACCES
	user 0 -> ok
	a bind 127.0.0.1 1023 -> ok
	b set TCP_ANONPRIVBIND 1 -> ok
	b bind 0.0.0.0 0 -> ok
	b within 512 1023 -> ok
	# The operating system will choose a local port.
	c = tcp4 -> ok
	c bind 127.0.0.1 0 -> ok
	c within 32768 65535 -> ok
	reset -> ok
`

// steps are the commands of a scenario and what the program prints for them.
func (s *bindScenario) steps() (commands []string, printed string) {
	for line := range strings.Lines(s.text) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		command, _, _ := strings.Cut(line, " -> ")
		commands = append(commands, command)
		printed += line + "\n"
	}
	return commands, printed
}

// bindProgram is testdata/bind.c, built with the project's header.
func bindProgram(t *testing.T) string {
	t.Helper()
	once(t, "tcpcni.h", func(path string) error {
		text, err := os.ReadFile(filepath.Join("..", "..", "include", "tcpcni.h"))
		if err != nil {
			return err
		}
		return os.WriteFile(path, text, 0o644)
	})
	return compileC(t, "bind")
}

func TestBindRules(t *testing.T) {
	onlyTCPCNI(t)
	program := bindProgram(t)
	for name, s := range bindScenarios {
		t.Run(name, func(t *testing.T) {
			commands, printed := s.steps()
			steps := append([]string{program}, commands...)
			if s.kernel {
				compareLines(t, kernelProgram(t, steps...).ok(), printed)
			}
			_, p := newHost(t).run(append([]string{"--profile", s.profile}, s.flags...), steps...)
			compareLines(t, printed, p.ok())
		})
	}
}

// TestEngineKilledPortsShared: two sockets share a port as the second has
// SO_REUSEADDR and the first has not. Whichever of them the engine's successor
// makes first, both have their ports again.
func TestEngineKilledPortsShared(t *testing.T) {
	onlyTCPCNI(t)
	s := bindScenario{text: `
		b = tcp4 -> ok
		a = tcp4 -> ok
		a bind 0.0.0.0 4000 -> ok
		b set SO_REUSEADDR 1 -> ok
		b bind 127.0.0.1 4000 -> ok
		d = tcp4 -> ok
		e = tcp4 -> ok
		d bind 0.0.0.0 4001 -> ok
		e set SO_REUSEADDR 1 -> ok
		e bind 127.0.0.1 4001 -> ok
		wait -> ok
		a listen -> ok
		b listen -> ok
		d listen -> ok
		e listen -> ok
		c = tcp4 -> ok
		c set SO_REUSEADDR 1 -> ok
		c bind 0.0.0.0 4000 -> EADDRINUSE
		c connect 127.0.0.1 4000 -> ok
	`}
	commands, printed := s.steps()
	in, out, err := os.Pipe()
	must(t, err)
	defer func() { _, _ = in.Close(), out.Close() }()
	pod := newHost(t).pod("--profile", "illumos")
	p := pod.startWith(plumbing{stdin: in}, append([]string{bindProgram(t)}, commands...)...)
	p.line(`(?m)^e bind .*$`)
	pod.crash()
	_, err = out.WriteString("\n")
	must(t, err)
	compareLines(t, printed, p.ok())
	pod.stop()
}

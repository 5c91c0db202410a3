package ports

import (
	"fmt"
	"net/netip"
	"strings"
)

// The oracle says by tables alone what Linux does when a second socket asks for
// a port, so that it shares nothing with the code under test. Whether the
// tables are right, the kernel itself says in kernel_test.go.

// An endpoint is one way to bind.
type endpoint struct {
	name   string
	addr   netip.Addr
	v6     bool
	v6only bool
}

// The addresses are of every kind that a rule or a policy tells apart. Which
// address of an interface it is says nothing, so two of each family do.
var endpoints = []endpoint{
	{"0.0.0.0", netip.MustParseAddr("0.0.0.0"), false, false},
	{"127.0.0.1", netip.MustParseAddr("127.0.0.1"), false, false},
	{"127.0.0.2", netip.MustParseAddr("127.0.0.2"), false, false},
	{"255.255.255.255", netip.MustParseAddr("255.255.255.255"), false, false},
	{"224.0.0.251", netip.MustParseAddr("224.0.0.251"), false, false},
	{"[::]", netip.IPv6Unspecified(), true, false},
	{"[::]only", netip.IPv6Unspecified(), true, true},
	{"[::1]", netip.IPv6Loopback(), true, false},
	{"[::2]", netip.MustParseAddr("::2"), true, false},
	{"[ff0e::fb]", netip.MustParseAddr("ff0e::fb"), true, false},
	{"[::ffff:127.0.0.1]", netip.MustParseAddr("::ffff:127.0.0.1"), true, false},
	{"[::ffff:0.0.0.0]", netip.MustParseAddr("::ffff:0.0.0.0"), true, false},
}

// meets has an x where a packet could be for both.
var meets = []string{
	//  any4 .1 .2 255 224  any6 only ::1 ::2 ff0e  map1 map*
	"x  x  x  x  x    x    .    .   .   .     x    x", // 0.0.0.0
	"x  x  .  .  .    x    .    .   .   .     x    x", // 127.0.0.1
	"x  .  x  .  .    x    .    .   .   .     .    x", // 127.0.0.2
	"x  .  .  x  .    x    .    .   .   .     .    x", // 255.255.255.255
	"x  .  .  .  x    x    .    .   .   .     .    x", // 224.0.0.251
	"x  x  x  x  x    x    x    x   x   x     x    x", // ::
	".  .  .  .  .    x    x    x   x   x     .    .", // :: IPV6_V6ONLY
	".  .  .  .  .    x    x    x   .   .     .    .", // ::1
	".  .  .  .  .    x    x    .   x   .     .    .", // ::2
	".  .  .  .  .    x    x    .   .   x     .    .", // ff0e::fb
	"x  x  .  .  .    x    .    .   .   .     x    x", // ::ffff:127.0.0.1
	"x  x  x  x  x    x    .    .   .   .     x    x", // ::ffff:0.0.0.0
}

// shares says for two sockets that meet whether the second may bind: both have
// SO_REUSEADDR, both have SO_REUSEPORT, one user, the first listens.
var shares = map[[4]bool]bool{
	{false, false, false, false}: false,
	{false, false, false, true}:  false,
	{false, false, true, false}:  false,
	{false, false, true, true}:   false,
	{false, true, false, false}:  false,
	{false, true, false, true}:   false,
	{false, true, true, false}:   true,
	{false, true, true, true}:    true,
	{true, false, false, false}:  true,
	{true, false, false, true}:   false,
	{true, false, true, false}:   true,
	{true, false, true, true}:    false,
	{true, true, false, false}:   true,
	{true, true, false, true}:    false,
	{true, true, true, false}:    true,
	{true, true, true, true}:     true,
}

// A user is one socket's part in a case.
type user struct {
	at                   int // index of endpoints
	reuseAddr, reusePort bool
	uid                  uint32
}

func (u user) String() string {
	s := endpoints[u.at].name
	if u.reuseAddr {
		s += " reuseaddr"
	}
	if u.reusePort {
		s += " reuseport"
	}
	return fmt.Sprintf("%s uid %d", s, u.uid)
}

func (u user) claim(port uint16) *Claim {
	e := endpoints[u.at]
	return &Claim{Addr: e.addr, Port: port, V6: e.v6, V6Only: e.v6only, ReuseAddr: u.reuseAddr, ReusePort: u.reusePort, UID: u.uid}
}

// users is every user of the small space.
func users() []user {
	var list []user
	for at := range endpoints {
		for flags := range 8 {
			list = append(list, user{at, flags&1 != 0, flags&2 != 0, uint32(1000 + flags>>2)})
		}
	}
	return list
}

// mayShare is the oracle.
func mayShare(first, second user, firstListens bool) bool {
	if strings.ReplaceAll(meets[second.at], " ", "")[first.at] == '.' {
		return true
	}
	return shares[[4]bool{first.reuseAddr && second.reuseAddr, first.reusePort && second.reusePort, first.uid == second.uid, firstListens}]
}

package udp

// SO_COOKIE: socket(7).

import "github.com/tcpcni/tcpcni/sockopt"

// Cookie is a number that no other socket of the stack has, never 0: that of
// SetCookie or of an owner that knows one, or else an even one (TCP has the
// odd ones).
func (s *Socket) Cookie() uint64 {
	if c := s.opts.Rare().Cookie; c != 0 {
		return c
	}
	if k, ok := s.owner.(sockopt.Known); ok {
		return k.Cookie()
	}
	s.l.cookies++
	s.SetCookie(2 * s.l.cookies)
	return s.opts.Rare().Cookie
}

// SetCookie gives the socket the identity that another had.
func (s *Socket) SetCookie(c uint64) {
	s.opts.SetRare(func(r *sockopt.Rare) { r.Cookie = c })
}

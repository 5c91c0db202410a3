package engine

// maxTombstones bounds the sockets that are remembered after their E was
// closed: the program may still ask a failed connection why it failed. The
// oldest goes first; its descriptor then answers as the AF_UNIX socket it is.
const maxTombstones = 4096

// registry knows the sockets by cookie and by the number of their E.
type registry struct {
	byCookie map[uint64]*sock
	byFD     []*sock // index: the descriptor number of E
	gen      uint32
	max      int
	live     int    // sockets with an E
	shut     int    // TCP sockets that are shut for writing
	tombs    []tomb // a ring once it has maxTombstones entries
	oldest   int
}

// genMask is the part of a generation that fits into a poller's tag.
const genMask = 1<<24 - 1

func (r *registry) full() bool { return r.live >= r.max }

func (r *registry) find(cookie uint64) *sock { return r.byCookie[cookie] }

func (r *registry) add(s *sock) {
	if r.byCookie == nil {
		r.byCookie = make(map[uint64]*sock)
	}
	r.byCookie[s.cookie] = s
	for s.fd >= len(r.byFD) {
		r.byFD = append(r.byFD, nil)
	}
	r.gen = (r.gen + 1) & genMask
	s.gen = r.gen
	r.byFD[s.fd] = s
	r.live++
}

// byTag finds the socket that an event is for; nil when that was closed
// meanwhile.
func (r *registry) byTag(gen uint32, fd int) *sock {
	if fd >= len(r.byFD) || r.byFD[fd] == nil || r.byFD[fd].gen != gen {
		return nil
	}
	return r.byFD[fd]
}

// unlink is called before E is closed.
func (r *registry) unlink(s *sock) {
	if s.fd < len(r.byFD) && r.byFD[s.fd] == s {
		r.byFD[s.fd] = nil
		r.live--
	}
}

// remove forgets a socket that no program holds any more.
func (r *registry) remove(s *sock) {
	r.drop(tomb{s, s.cookie})
}

// drop forgets a socket, unless its cookie is another's by now.
func (r *registry) drop(t tomb) {
	if r.byCookie[t.cookie] != t.s {
		return
	}
	delete(r.byCookie, t.cookie)
	if t.s.stream != nil && t.s.stream.wrShut {
		r.shut--
	}
}

// noteShut notes that a socket is, or is no longer, shut for writing.
func (r *registry) noteShut(s *stream, shut bool) {
	if s.wrShut == shut {
		return
	}
	s.wrShut = shut
	switch {
	case r.byCookie[s.cookie] != &s.sock:
	case shut:
		r.shut++
	default:
		r.shut--
	}
}

// A tomb is a socket that was buried, under the cookie that it had then.
type tomb struct {
	s      *sock
	cookie uint64
}

// bury keeps a socket without an E for a while.
func (r *registry) bury(s *sock) {
	t := tomb{s, s.cookie}
	if len(r.tombs) < maxTombstones {
		r.tombs = append(r.tombs, t)
		return
	}
	r.drop(r.tombs[r.oldest])
	r.tombs[r.oldest] = t
	r.oldest = (r.oldest + 1) % maxTombstones
}

package tcp

// Sockets calls yield, until it returns false, for all that ss(8) lists:
// listeners and connections in every state. What has only a small record, in
// SYN-RECEIVED or TIME-WAIT, is shown by a stand-in, good for its addresses,
// State, Kind and Info. yield must not call into the layer.
func (l *Layer) Sockets(yield func(*Socket) bool) {
	for _, list := range l.listeners {
		for _, lst := range list {
			if !yield(lst.s) {
				return
			}
		}
	}
	for _, c := range l.conns {
		if !yield(c.s) {
			return
		}
	}
	for _, h := range l.half {
		if !yield(l.standIn(h.lst.s.domain, StateSynReceived, &h.path, &h.key)) {
			return
		}
	}
	for w := l.waits.oldest; w != nil; w = w.newer {
		p := Path{Src: w.key.self(), Dst: w.key.peer()}
		if !yield(l.standIn(w.domain, StateTimeWait, &p, &w.key)) {
			return
		}
	}
}

func (l *Layer) standIn(domain uint8, state State, p *Path, k *tuple) *Socket {
	s := &Socket{l: l, domain: domain}
	s.conn = &conn{l: l, s: s, state: state, block: &stackBlocks[0], path: *p, lport: k.lport, rport: k.rport}
	return s
}

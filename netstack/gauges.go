package netstack

// gauges is what the stack shows to tunables that can only be read.
type gauges struct{ s *Stack }

func (g gauges) TCPBlocks() int { return g.s.tcp.Blocks() }

func (g gauges) ReassemblySegments() int {
	n := g.s.tcp.ReassemblySegments()
	for _, guest := range g.s.guests {
		n += guest.tcp.ReassemblySegments()
	}
	return n
}

func (g gauges) SACKHoles() int { return g.s.tcp.SACKHoles() }

// Counter is the counter that All has by that name; 0 when there is none.
func (g gauges) Counter(name string) uint64 {
	sum := g.s.counter(name)
	for _, guest := range g.s.guests {
		sum += guest.counter(name)
	}
	return sum
}

func (s *Stack) counter(name string) uint64 {
	for n, v := range s.All {
		if n == name {
			return v
		}
	}
	return 0
}

// Retune takes over what the profile's tunables are now: those that the stack
// keeps a copy of. Most are read where they count.
func (s *Stack) Retune() {
	s.tcp.Retune()
	for _, guest := range s.guests {
		guest.tcp.Retune()
	}
}

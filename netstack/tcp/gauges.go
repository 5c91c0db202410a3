package tcp

// What FreeBSD's read-only variables under net.inet.tcp show. They are counted
// when somebody asks.

// Blocks is the number of control blocks: connections, half-open ones, listeners,
// and records in TIME-WAIT.
func (l *Layer) Blocks() int {
	n := len(l.conns) + len(l.half) + len(l.waits.byTuple)
	for _, list := range l.listeners {
		n += len(list)
	}
	return n
}

// ReassemblySegments is the number of pieces that wait behind a gap, of all
// connections.
func (l *Layer) ReassemblySegments() int { return l.ooo.pieces }

// SACKHoles is the number of holes that peers have reported below something that
// arrived, of all connections.
func (l *Layer) SACKHoles() int {
	n := 0
	for _, c := range l.conns {
		n += c.holes()
	}
	return n
}

// Retune takes over the tunables that the layer keeps a copy of.
func (l *Layer) Retune() {
	l.memory = l.limits()
	l.takeFastOpenKeys()
	if l.tun.NoMetricsSave {
		l.metrics = metricsTable{}
	}
	for _, c := range l.conns {
		if c.timers[timerKeep] == 0 {
			c.armKeepAlive()
		}
	}
}

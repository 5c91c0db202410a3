package tcp

// The memory that all connections of a layer may take together, as Linux's
// tcp_mem has it: programs that do not read and peers that do not acknowledge
// must not take the machine's. Connections that are read at once go on as ever.

import "github.com/tcpcni/tcpcni/sockopt"

// exhaustedQueue is what a writer may queue even without memory, in bytes, so
// that everybody gets on.
const exhaustedQueue = 4096

// memoryLimits are the bounds of the pool's bytes in use: from soft on buffers
// are not tuned beyond their defaults, from hard on queues take next to nothing:
// a peer's text that would have to be queued is dropped, and sent again later.
type memoryLimits struct{ soft, hard int }

// memoryPage is the unit of the tunable tcp_mem, in bytes.
const memoryPage = 4096

func limitsOf(t *sockopt.Tunables) memoryLimits {
	return memoryLimits{int(t.TCPMem.Default) * memoryPage, int(t.TCPMem.Max) * memoryPage}
}

// limits are the layer's part of the bounds.
func (l *Layer) limits() memoryLimits {
	m, n := limitsOf(l.tun), max(l.parts, 1)
	return memoryLimits{m.soft / n, m.hard / n}
}

// pressed reports whether buffers may not grow.
func (l *Layer) pressed() bool { return l.pool.InUse() >= l.memory.soft }

// exhausted reports whether queues may not grow either.
func (l *Layer) exhausted() bool { return l.pool.InUse() >= l.memory.hard }

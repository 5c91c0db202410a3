package tcp

// The memory that all connections of a layer may take together, as Linux's
// tcp_mem has it: programs that do not read and peers that do not acknowledge
// must not take the machine's. Connections that are read at once go on as ever.

// Bounds of the pool's bytes in use.
const (
	// softMemory is from when on buffers are not tuned beyond their defaults.
	softMemory = 256 << 20
	// hardMemory is from when on queues take next to nothing: a peer's text that
	// would have to be queued is dropped, and sent again later.
	hardMemory = 512 << 20
	// exhaustedQueue is what a writer may queue even then, so that everybody
	// gets on.
	exhaustedQueue = 4096
)

// memoryLimits are the two bounds of a layer, in bytes.
type memoryLimits struct{ soft, hard int }

// pressed reports whether buffers may not grow.
func (l *Layer) pressed() bool { return l.pool.InUse() >= l.memory.soft }

// exhausted reports whether queues may not grow either.
func (l *Layer) exhausted() bool { return l.pool.InUse() >= l.memory.hard }

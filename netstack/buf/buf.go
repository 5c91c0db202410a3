// Package buf holds the memory that payload travels in: fixed-size chunks from
// a pool that belongs to one stack, so that the data path neither allocates nor
// locks.
package buf

// Sizes of the chunk classes, in bytes. A frame chunk has room for the largest
// packet with all headers around it.
const (
	SmallSize = 2 << 10
	LargeSize = 64 << 10
	FrameSize = 72 << 10
)

var sizes = [...]int{SmallSize, LargeSize, FrameSize}

// A Chunk is a piece of memory of one of the classes. B is the part that holds
// data; its capacity is the class size, less what Narrow has cut off. The holder of
// the chunk owns it until it gives it to a call that takes ownership or returns it
// to its Pool.
type Chunk struct {
	B    []byte
	mem  []byte // all of it
	next *Chunk // free list of the pool
}

// Narrow makes B the part p of the chunk's memory and reports whether p is one.
// Other memory, and a p whose capacity ends before the chunk's does, are not. What is
// in front of p stays unused for as long as the chunk is out.
func (c *Chunk) Narrow(p []byte) bool {
	at := len(c.mem) - cap(p)
	if at < 0 || len(p) == 0 || &c.mem[at] != &p[0] {
		return false
	}
	c.B = p
	return true
}

// A Pool hands out chunks and keeps returned ones for reuse. It is not safe for
// concurrent use: one event loop owns it.
type Pool struct {
	free  [len(sizes)]*Chunk
	idle  [len(sizes)]int // chunks on each free list
	inUse int             // bytes handed out
}

// idleBytes bounds the memory that a free list keeps, per class; what is
// returned beyond it goes to the garbage collector.
const idleBytes = 8 << 20

// Get returns a chunk whose capacity is at least n (n is at most FrameSize) and
// whose B has length zero.
func (p *Pool) Get(n int) *Chunk {
	class, size := classOf(n)
	p.inUse += size
	c := p.free[class]
	if c == nil {
		c = &Chunk{mem: make([]byte, size)}
	} else {
		p.free[class], c.next = c.next, nil
		p.idle[class]--
	}
	c.B = c.mem[:0]
	return c
}

// Put takes a chunk back. The caller must not use it afterwards.
func (p *Pool) Put(c *Chunk) {
	class, size := classOf(len(c.mem))
	p.inUse -= size
	if (p.idle[class]+1)*size > idleBytes {
		return
	}
	c.next, p.free[class] = p.free[class], c
	p.idle[class]++
}

// Give notes that n bytes of chunks that this pool has handed out are another's
// from now on, whose count the caller raises by Give(-n).
func (p *Pool) Give(n int) { p.inUse -= n }

// Trim leaves the chunks that nobody has to the garbage collector.
func (p *Pool) Trim() { clear(p.free[:]); clear(p.idle[:]) }

// InUse reports the bytes of all chunks that were handed out and not returned.
func (p *Pool) InUse() int { return p.inUse }

func classOf(n int) (class, size int) {
	for class < len(sizes)-1 && n > sizes[class] {
		class++
	}
	return class, sizes[class]
}

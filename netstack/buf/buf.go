// Package buf holds the memory that payload travels in: fixed-size chunks from
// a pool that belongs to one stack, so that the data path neither allocates nor
// locks.
package buf

// Sizes of the two chunk classes, in bytes.
const (
	SmallSize = 2 << 10
	LargeSize = 64 << 10
)

// A Chunk is a piece of memory of one of the two classes. B is the part that
// holds data; its capacity is the class size. The holder of the chunk owns it
// until it gives it to a call that takes ownership or returns it to its Pool.
type Chunk struct {
	B    []byte
	next *Chunk // free list of the pool
}

// A Pool hands out chunks and keeps returned ones for reuse. It is not safe for
// concurrent use: one event loop owns it.
type Pool struct {
	free  [2]*Chunk
	idle  [2]int // chunks on each free list
	inUse int    // bytes handed out
}

// idleBytes bounds the memory that a free list keeps, per class; what is
// returned beyond it goes to the garbage collector.
const idleBytes = 8 << 20

// Get returns a chunk whose capacity is at least n (n is at most LargeSize) and
// whose B has length zero.
func (p *Pool) Get(n int) *Chunk {
	class, size := classOf(n)
	p.inUse += size
	c := p.free[class]
	if c == nil {
		return &Chunk{B: make([]byte, 0, size)}
	}
	p.free[class], c.next = c.next, nil
	p.idle[class]--
	c.B = c.B[:0]
	return c
}

// Put takes a chunk back. The caller must not use it afterwards.
func (p *Pool) Put(c *Chunk) {
	class, size := classOf(cap(c.B))
	p.inUse -= size
	if (p.idle[class]+1)*size > idleBytes {
		return
	}
	c.next, p.free[class] = p.free[class], c
	p.idle[class]++
}

// Trim leaves the chunks that nobody has to the garbage collector.
func (p *Pool) Trim() { p.free, p.idle = [2]*Chunk{}, [2]int{} }

// InUse reports the bytes of all chunks that were handed out and not returned.
func (p *Pool) InUse() int { return p.inUse }

func classOf(n int) (class, size int) {
	if n <= SmallSize {
		return 0, SmallSize
	}
	return 1, LargeSize
}

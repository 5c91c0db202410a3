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

// blank is what the chunks of Blank show. Nobody writes to it.
var blank [LargeSize]byte

// IsBlank reports whether b is a part of a chunk that Blank has returned. Its
// capacity has to reach to the chunk's end, as that of a plain slice does.
func IsBlank(b []byte) bool {
	at := len(blank) - cap(b)
	return at >= 0 && cap(b) > 0 && &b[:1][0] == &blank[at]
}

// A Pool hands out chunks and keeps returned ones for reuse. It is not safe for
// concurrent use: one event loop owns it.
type Pool struct {
	free  [len(sizes)]*Chunk
	idle  [len(sizes)]int // chunks on each free list
	inUse int             // bytes handed out

	blanks  *Chunk // free list of those without memory
	nBlanks int
}

// idleBytes bounds the memory that a free list keeps, per class; what is
// returned beyond it goes to the garbage collector.
const idleBytes = 8 << 20

// idleBlanks bounds the free list of chunks without memory.
const idleBlanks = 1024

// Blank returns a chunk of n bytes, at most LargeSize, that are all zero and must
// not be written to. They stand for bytes that are not in this process: the chunk
// has no memory of its own, but counts like one that has.
func (p *Pool) Blank(n int) *Chunk {
	p.inUse += n
	c := p.blanks
	if c == nil {
		c = new(Chunk)
	} else {
		p.blanks, c.next = c.next, nil
		p.nBlanks--
	}
	c.B = blank[len(blank)-n:]
	return c
}

// putBlank is Put for a chunk of Blank.
func (p *Pool) putBlank(c *Chunk) {
	p.inUse -= cap(c.B)
	if p.nBlanks < idleBlanks {
		c.next, p.blanks = p.blanks, c
		p.nBlanks++
	}
}

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
	if c.mem == nil {
		p.putBlank(c)
		return
	}
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
func (p *Pool) Trim() {
	clear(p.free[:])
	clear(p.idle[:])
	p.blanks, p.nBlanks = nil, 0
}

// InUse reports the bytes of all chunks that were handed out and not returned.
func (p *Pool) InUse() int { return p.inUse }

func classOf(n int) (class, size int) {
	for class < len(sizes)-1 && n > sizes[class] {
		class++
	}
	return class, sizes[class]
}

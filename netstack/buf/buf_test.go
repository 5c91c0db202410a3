package buf

import "testing"

// A chunk that was narrowed to a part comes back from the pool whole, and counts
// whole while it is out.
func TestNarrow(t *testing.T) {
	var p Pool
	c := p.Get(FrameSize)
	part := c.B[:FrameSize][66:1514]
	if !c.Narrow(part) || &c.B[0] != &part[0] || len(c.B) != len(part) {
		t.Fatal("not narrowed to its own part")
	}
	for name, other := range map[string][]byte{
		"nothing":             nil,
		"none of its bytes":   part[:0],
		"other memory":        make([]byte, 100),
		"another chunk's":     p.Get(FrameSize).B[:FrameSize][66:1514],
		"a smaller chunk's":   p.Get(LargeSize).B[:LargeSize],
		"a part with an end":  part[:10:20],
		"more than its own":   make([]byte, FrameSize+1),
		"as large as the own": make([]byte, FrameSize),
	} {
		if c.Narrow(other) {
			t.Errorf("%s: taken for its part", name)
		}
	}
	if &c.B[0] != &part[0] || len(c.B) != len(part) {
		t.Error("changed by what was refused")
	}
	out := p.InUse()
	p.Put(c)
	if back := out - p.InUse(); back != FrameSize {
		t.Errorf("%d bytes back", back)
	}
	again := p.Get(LargeSize + 1)
	if again != c || cap(again.B) != FrameSize || len(again.B) != 0 {
		t.Errorf("the pool gives %d bytes of capacity, the same chunk: %v", cap(again.B), again == c)
	}
}

// Every class gives what was asked for.
func TestClasses(t *testing.T) {
	var p Pool
	for _, n := range []int{0, 1, SmallSize, SmallSize + 1, LargeSize, LargeSize + 1, FrameSize} {
		c := p.Get(n)
		if cap(c.B) < n || len(c.B) != 0 {
			t.Errorf("asked for %d bytes: capacity %d, length %d", n, cap(c.B), len(c.B))
		}
		p.Put(c)
	}
	if p.InUse() != 0 {
		t.Errorf("%d bytes in use", p.InUse())
	}
}

// TestBlank: a blank chunk counts, is known by its parts, and is never handed out
// as memory.
func TestBlank(t *testing.T) {
	var p Pool
	for _, n := range []int{1, SmallSize, LargeSize} {
		c := p.Blank(n)
		if len(c.B) != n || cap(c.B) != n || p.InUse() != n {
			t.Errorf("a blank chunk of %d bytes has %d of %d, %d are in use", n, len(c.B), cap(c.B), p.InUse())
		}
		if !IsBlank(c.B) || !IsBlank(c.B[n-1:]) || !IsBlank(c.B[:1]) || IsBlank(c.B[n:]) {
			t.Errorf("%d bytes: the parts are not what they are", n)
		}
		p.Put(c)
		if p.InUse() != 0 {
			t.Errorf("%d bytes are in use", p.InUse())
		}
	}
	for range 3 {
		if c := p.Get(1); IsBlank(c.B[:cap(c.B)]) || cap(c.B) != SmallSize {
			t.Error("memory that is blank")
		}
	}
	if n := testing.AllocsPerRun(100, func() { p.Put(p.Blank(LargeSize)) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

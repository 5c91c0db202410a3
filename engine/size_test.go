package engine

import (
	"testing"
	"unsafe"
)

// An idle connection of a program costs the engine a stream beside what the stack
// has of it. The bound is a size class of the allocator; what only some sockets
// have goes into deal.
func TestStreamIsSmall(t *testing.T) {
	if n := unsafe.Sizeof(stream{}); n > 256 {
		t.Errorf("%d bytes, at most 256", n)
	}
}

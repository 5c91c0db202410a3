package hostlink

import "testing"

func TestIdleTime(t *testing.T) {
	fd, err := OpenIdle()
	if err != nil {
		t.Fatal(err)
	}
	defer CloseFD(fd)
	one, ok := IdleTime(fd)
	two, again := IdleTime(fd)
	if !ok || !again || one <= 0 || two < one {
		t.Errorf("idle for %v, then for %v", one, two)
	}
	if _, ok := IdleTime(-1); ok {
		t.Error("read from no file")
	}
}

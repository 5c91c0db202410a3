package process

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

func start(t *testing.T, name string, args ...string) (*exec.Cmd, ID) {
	t.Helper()
	cmd := exec.Command(name, args...)
	if err := cmd.Start(); err != nil {
		t.Skipf("%s: %v", name, err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	id, err := Identify(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	return cmd, id
}

func TestIDRoundTrip(t *testing.T) {
	id, err := Identify(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "pid")
	if err := id.WriteFile(path); err != nil {
		t.Fatal(err)
	}
	got, err := ReadID(path)
	if err != nil || got != id {
		t.Fatalf("read back %v, %v; wrote %v", got, err, id)
	}
	if !got.Alive() {
		t.Fatal("this process is not alive")
	}
	for _, bad := range []string{"", "1", "x 1", "1 x", "-1 5", "0 5", "99999999999 1"} {
		if _, err := ParseID(bad); err == nil {
			t.Errorf("ParseID(%q) accepted", bad)
		}
	}
}

func TestOpenRefusesARecycledNumber(t *testing.T) {
	cmd, id := start(t, "sleep", "60")
	id.Start++
	if _, err := Open(id); !errors.Is(err, ErrGone) {
		t.Fatalf("opened a process that started at another time: %v", err)
	}
	if err := Stop(id, time.Second); err != nil {
		t.Fatal(err)
	}
	id.Start--
	if !id.Alive() {
		t.Fatal("Stop of another process's identity ended this one")
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
}

func TestStopEndsAProcessThatIgnoresSIGTERM(t *testing.T) {
	cmd, id := start(t, "sh", "-c", `trap "" TERM; echo; while :; do sleep 60; done`)
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	if err := Stop(id, 50*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	<-done
	if id.Alive() {
		t.Fatal("still alive")
	}
}

func TestLockExcludes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	first, err := TryLock(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := TryLock(path); !errors.Is(err, ErrLocked) {
		t.Fatalf("second lock: %v", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Millisecond)
	defer cancel()
	if _, err := Lock(ctx, path); !errors.Is(err, ErrLocked) {
		t.Fatalf("lock with a deadline: %v", err)
	}
	if err := first.Remove(); err != nil {
		t.Fatal(err)
	}
	second, err := TryLock(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("the lock is on a file that has no name: %v", err)
	}
	if err := second.Unlock(); err != nil {
		t.Fatal(err)
	}
}

// Who asks is not taken for a holder, and the lock of a killed holder is gone.
func TestHeld(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	held := func(want bool) {
		t.Helper()
		if got, err := Held(path); err != nil || got != want {
			t.Errorf("held: %v, %v", got, err)
		}
	}
	held(false)
	if _, err := os.Stat(path); err == nil {
		t.Error("the question made the file")
	}
	holder := exec.Command("flock", "--no-fork", path, "sh", "-c", "echo locked; exec sleep infinity")
	out, err := holder.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	held(true)
	if err := holder.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = holder.Wait()
	held(false)
	l, err := TryLock(path)
	if err != nil {
		t.Fatal(err)
	}
	held(true)
	if err := l.Unlock(); err != nil {
		t.Fatal(err)
	}
	held(false)
}

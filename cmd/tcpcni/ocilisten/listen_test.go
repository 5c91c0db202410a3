package ocilisten

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/tcpcni/tcpcni/test/needroot"
)

// listener serves a socket in a short folder until the test ends.
func listener(t *testing.T, handle func(*specs.ContainerProcessState, *os.File) error) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "oci")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "l.sock")
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.Serve(ctx, handle) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return path
}

// say sends a text with descriptors and waits until the other side hangs up.
func say(t *testing.T, path, text string, files ...*os.File) {
	t.Helper()
	c, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	var oob []byte
	if len(files) > 0 {
		var fds []int
		for _, f := range files {
			fds = append(fds, int(f.Fd()))
		}
		oob = syscall.UnixRights(fds...)
	}
	if text != "" {
		if _, _, err := c.WriteMsgUnix([]byte(text), oob, nil); err != nil && !errors.Is(err, syscall.EPIPE) {
			t.Fatal(err)
		}
	}
	_ = c.CloseWrite()
	_ = c.SetReadDeadline(time.Now().Add(time.Minute))
	_, err = c.Read(make([]byte, 1))
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("%q: the listener does not let go", text)
	}
}

// Nothing but a seccomp listener with a matching state reaches the handler, and
// what does not is closed.
func TestGarbage(t *testing.T) {
	needroot.Check(t, "be a peer that is listened to")
	path := listener(t, func(*specs.ContainerProcessState, *os.File) error {
		t.Error("the handler was called")
		return nil
	})
	good, err := json.Marshal(specs.ContainerProcessState{Fds: []string{specs.SeccompFdName}, Pid: os.Getpid()})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"", "nonsense", "{", "[]", "{}", `{"fds":[]}`, `{"fds":["other"]}`, `{"fds":["seccompFd","seccompFd"]}`,
		string(good), string(good) + string(good), strings.Repeat("[", 100000)} {
		for n := range 3 {
			var ends, sent []*os.File
			for range n {
				r, w, err := os.Pipe()
				if err != nil {
					t.Fatal(err)
				}
				ends, sent = append(ends, r), append(sent, w)
			}
			say(t, path, text, sent...)
			// The descriptors are gone there, too: a pipe has no writer left.
			for i := range ends {
				_ = sent[i].Close()
				_ = ends[i].SetReadDeadline(time.Now().Add(time.Minute))
				if _, err := ends[i].Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("%.40q: a descriptor is still open", text)
				}
				_ = ends[i].Close()
			}
		}
	}
}

// A peer that never finishes takes no place from the others.
func TestSlowPeers(t *testing.T) {
	needroot.Check(t, "be a peer that is listened to")
	path := listener(t, func(*specs.ContainerProcessState, *os.File) error { return nil })
	for range maxPeers / 2 {
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		if _, err := c.Write([]byte("{")); err != nil {
			t.Fatal(err)
		}
	}
	say(t, path, "{}")
}

func TestListen(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, says := range map[string]string{
		"relative": "absolute", "/" + strings.Repeat("x", 107): "107", file: "not a socket",
	} {
		if l, err := Listen(path); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v", path, err)
			if err == nil {
				_ = l.Close()
			}
		}
	}
}

package hostlink

// Network namespaces: network_namespaces(7), setns(2), unshare(2).

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// InNetNS runs f in the network namespace at path (a file as in /run/netns or
// /proc/PID/ns/net); "" is the current one. f runs on a goroutine of its own
// whose thread is in that namespace: sockets that it opens and programs that it
// starts belong there, goroutines that it starts do not.
func InNetNS(path string, f func() error) error {
	if path == "" {
		return f()
	}
	target, err := netns.GetFromPath(path)
	if err != nil {
		return fmt.Errorf("network namespace %q: %w", path, err)
	}
	defer func() { _ = target.Close() }()
	return onThread(func() (bool, error) {
		home, err := netns.Get()
		if err != nil {
			return true, fmt.Errorf("current network namespace: %w", err)
		}
		defer func() { _ = home.Close() }()
		if err := netns.Set(target); err != nil {
			return true, fmt.Errorf("enter network namespace %q: %w", path, err)
		}
		err = f()
		// A thread that cannot return is given up, which harms nobody.
		return netns.Set(home) == nil, err
	})
}

// NewNetNS makes a network namespace and binds it to the file path, which must
// not exist; the directory is made when missing. The namespace lives until
// DeleteNetNS, with or without processes in it. Its loopback device is down.
func NewNetNS(path string) (err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDONLY, 0o444)
	if err != nil {
		return fmt.Errorf("network namespace %q: %w", path, err)
	}
	_ = file.Close()
	defer func() {
		if err != nil {
			_ = os.Remove(path)
		}
	}()
	// The thread is spent: it keeps the new namespace until it ends.
	return onThread(func() (bool, error) {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return true, fmt.Errorf("new network namespace: %w", err)
		}
		if err := unix.Mount("/proc/thread-self/ns/net", path, "none", unix.MS_BIND, ""); err != nil {
			return false, fmt.Errorf("bind network namespace to %q: %w", path, err)
		}
		return false, nil
	})
}

// DeleteNetNS undoes NewNetNS. A path that is not there is no error.
func DeleteNetNS(path string) error {
	// Detached, because a process may be about to enter through the file.
	if err := unix.Unmount(path, unix.MNT_DETACH); err != nil && err != unix.EINVAL && err != unix.ENOENT {
		return fmt.Errorf("unmount network namespace %q: %w", path, err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// SameNetNS reports whether the two paths name one network namespace; "" is the
// current one.
func SameNetNS(a, b string) (bool, error) {
	var st [2]unix.Stat_t
	for i, p := range [2]string{a, b} {
		if p == "" {
			p = "/proc/thread-self/ns/net"
		}
		if err := unix.Stat(p, &st[i]); err != nil {
			return false, fmt.Errorf("network namespace %q: %w", p, err)
		}
	}
	return st[0].Dev == st[1].Dev && st[0].Ino == st[1].Ino, nil
}

// onThread runs f on a thread of its own. f reports whether the thread is as it
// was; one that is not ends with its goroutine.
func onThread(f func() (clean bool, err error)) error {
	done := make(chan error, 1)
	go func() {
		err := errors.New("the function ended its goroutine")
		defer func() { done <- err }()
		runtime.LockOSThread()
		var clean bool
		if clean, err = f(); clean {
			runtime.UnlockOSThread()
		}
	}()
	return <-done
}

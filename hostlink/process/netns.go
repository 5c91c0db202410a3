package process

// Processes by network namespace: proc_pid_ns(5).

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// A NetNS is the identity of a network namespace. Inode numbers are given out
// again when a namespace is gone; its cookie is not as long as the machine runs.
// The zero NetNS is none.
type NetNS struct {
	Ino    uint64 `json:"ino"`
	Cookie uint64 `json:"cookie"` // of SO_NETNS_COOKIE, socket(7)
}

// NewNetNS makes a network namespace, which lives as long as the returned file
// is open somewhere or a process is in it. Its loopback device is down.
func NewNetNS() (*os.File, NetNS, error) {
	var file *os.File
	err := onThread(func() (bool, error) {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return false, os.NewSyscallError("unshare", err)
		}
		var err error
		file, err = os.Open(threadNetNS)
		return false, err
	})
	if err != nil {
		return nil, NetNS{}, fmt.Errorf("new network namespace: %w", err)
	}
	n, err := NetNSOf(fmt.Sprintf("/proc/self/fd/%d", file.Fd()))
	if err != nil {
		_ = file.Close()
	}
	return file, n, err
}

const threadNetNS = "/proc/thread-self/ns/net"

// NetNSOf returns the identity of the namespace at path.
func NetNSOf(path string) (NetNS, error) {
	ino, err := netnsInode(path)
	if err != nil {
		return NetNS{}, err
	}
	var cookie uint64
	err = onThread(func() (bool, error) {
		f, err := os.Open(path)
		if err != nil {
			return true, err
		}
		defer func() { _ = f.Close() }()
		if err := unix.Setns(int(f.Fd()), unix.CLONE_NEWNET); err != nil {
			return true, os.NewSyscallError("setns", err)
		}
		s, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return false, os.NewSyscallError("socket", err)
		}
		defer func() { _ = unix.Close(s) }()
		cookie, err = unix.GetsockoptUint64(s, unix.SOL_SOCKET, unix.SO_NETNS_COOKIE)
		return false, os.NewSyscallError("SO_NETNS_COOKIE", err)
	})
	if err != nil {
		return NetNS{}, fmt.Errorf("network namespace %q: %w", path, err)
	}
	return NetNS{ino, cookie}, nil
}

func netnsInode(path string) (uint64, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return 0, fmt.Errorf("network namespace %q: %w", path, err)
	}
	return st.Ino, nil
}

// Is reports whether the namespace is the one at path now.
func (n NetNS) Is(path string) bool {
	if ino, err := netnsInode(path); err != nil || ino != n.Ino || !IsNetNS(path) {
		return false
	}
	got, err := NetNSOf(path)
	return err == nil && got == n
}

// onThread runs f on a thread of its own. f reports whether the thread is as it
// was; one that is not ends with its goroutine.
func onThread(f func() (clean bool, err error)) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		clean, err := f()
		if clean {
			runtime.UnlockOSThread()
		}
		done <- err
	}()
	return <-done
}

// InNetNS returns the processes that have a thread-group leader in the
// namespace. A process that unshared its namespace is no longer in it.
func InNetNS(n NetNS) ([]ID, error) {
	dirs, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	var ids []ID
	for _, d := range dirs {
		pid, err := strconv.Atoi(d.Name())
		if err != nil {
			continue
		}
		path := filepath.Join("/proc", d.Name(), "ns", "net")
		if ino, err := netnsInode(path); err != nil || ino != n.Ino {
			continue
		}
		// All processes with this inode number are in one namespace: the first
		// tells whether it is the one meant.
		if len(ids) == 0 && !n.Is(path) {
			continue
		}
		if id, err := Identify(pid); err == nil && id.Alive() {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// KillNetNS kills every process in the namespace but those of except, and
// returns when none is left. Processes that multiply are killed faster than
// they multiply or reported as an error.
func KillNetNS(n NetNS, except ...int) error {
	if n == (NetNS{}) {
		return nil
	}
	const rounds, pause = 100, 10 * time.Millisecond
	spared := map[int]bool{os.Getpid(): true}
	for _, pid := range except {
		spared[pid] = true
	}
	for range rounds {
		ids, err := InNetNS(n)
		if err != nil {
			return err
		}
		left := 0
		for _, id := range ids {
			if spared[id.PID] {
				continue
			}
			left++
			h, err := Open(id)
			if err != nil {
				continue
			}
			err = h.Signal(unix.SIGKILL)
			_ = h.Close()
			if err != nil && !errors.Is(err, ErrGone) {
				return err
			}
		}
		if left == 0 {
			return nil
		}
		time.Sleep(pause)
	}
	return fmt.Errorf("network namespace %d: processes are left after %d rounds of SIGKILL", n.Ino, rounds)
}

// IsNetNS reports whether path is a namespace of any kind, and not a file that
// one was bound to once.
func IsNetNS(path string) bool {
	var st unix.Statfs_t
	return unix.Statfs(path, &st) == nil && st.Type == unix.NSFS_MAGIC
}

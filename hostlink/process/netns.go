package process

// Processes by network namespace: proc_pid_ns(5).

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// A NetNS is the identity of a network namespace: its inode number, as
// readlink of /proc/PID/ns/net shows it. 0 is none.
type NetNS uint64

// NetNSOf returns the identity of the namespace at path.
func NetNSOf(path string) (NetNS, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return 0, fmt.Errorf("network namespace %q: %w", path, err)
	}
	return NetNS(st.Ino), nil
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
		if got, err := NetNSOf(filepath.Join("/proc", d.Name(), "ns", "net")); err != nil || got != n {
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
	return fmt.Errorf("network namespace %d: processes are left after %d rounds of SIGKILL", n, rounds)
}

// IsNetNS reports whether path is a namespace of any kind, and not a file that
// one was bound to once.
func IsNetNS(path string) bool {
	var st unix.Statfs_t
	return unix.Statfs(path, &st) == nil && st.Type == unix.NSFS_MAGIC
}

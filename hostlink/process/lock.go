package process

// File locks (flock(2)) and files written at once or not at all (rename(2)).

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// ErrLocked says that somebody else holds the lock.
var ErrLocked = errors.New("locked by another process")

// A FileLock is an exclusive lock that ends with its holder, however that ends.
type FileLock struct{ f *os.File }

// Lock waits for the lock on path until the context is over. The file is made
// when missing.
func Lock(ctx context.Context, path string) (*FileLock, error) {
	const pause = 10 * time.Millisecond
	for {
		l, err := TryLock(path)
		if !errors.Is(err, ErrLocked) {
			return l, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(pause):
		}
	}
}

// TryLock takes the lock on path, or fails with ErrLocked.
func TryLock(path string) (*FileLock, error) {
	for {
		f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|unix.O_CLOEXEC, 0o600)
		if err != nil {
			return nil, err
		}
		if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
			_ = f.Close()
			if err == unix.EWOULDBLOCK {
				return nil, fmt.Errorf("%s: %w", path, ErrLocked)
			}
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		// The holder before us may have removed the file between our open and
		// our lock: a lock on a file that nobody can open any more is none.
		if sameFile(f, path) {
			return &FileLock{f}, nil
		}
		_ = f.Close()
	}
}

// Held reports whether somebody has the lock on path. It neither makes the file
// nor is ever taken for a holder by others who ask.
func Held(path string) (bool, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_CLOEXEC, 0)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer func() { _ = f.Close() }()
	err = unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB)
	if err == unix.EWOULDBLOCK {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("lock %s: %w", path, err)
	}
	return false, nil
}

func sameFile(f *os.File, path string) bool {
	mine, err1 := f.Stat()
	now, err2 := os.Stat(path)
	return err1 == nil && err2 == nil && os.SameFile(mine, now)
}

// Unlock gives the lock back and leaves the file.
func (l *FileLock) Unlock() error { return l.f.Close() }

// Remove removes the file and gives the lock back, in this order.
func (l *FileLock) Remove() error {
	err := os.Remove(l.f.Name())
	return errors.Join(err, l.f.Close())
}

// WriteFile replaces the file at path by data, at once: a reader sees the old
// content or the new.
func WriteFile(path string, data []byte, mode os.FileMode) (err error) {
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(tmp.Name())
		}
	}()
	_, err = tmp.Write(data)
	err = errors.Join(err, tmp.Chmod(mode), tmp.Close())
	if err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}

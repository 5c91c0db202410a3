package hostlink

// A root directory with nothing in it but one program: mount_namespaces(7),
// pivot_root(2).

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// EmptyRoot gives the calling thread, and what it starts from now on, a mount
// namespace of its own whose root is a read-only file system that holds the
// program at path exe, as /name, and nothing else. The caller has locked its
// goroutine to the thread, for good. at is a directory to mount it on; nothing of
// it shows anywhere else.
//
// The program is the file that exe names now, whatever takes its place later.
func EmptyRoot(at, exe, name string) error {
	// The thread shares its root and working directory with the others until
	// here; a new mount namespace comes with its own.
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("new mount namespace: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("private mounts: %w", err)
	}
	const flags = unix.MS_NOSUID | unix.MS_NODEV
	if err := unix.Mount("tcpcni", at, "tmpfs", flags, "mode=0555,nr_inodes=4"); err != nil {
		return fmt.Errorf("mount on %s: %w", at, err)
	}
	if err := putProgram(filepath.Join(at, name), exe); err != nil {
		return err
	}
	if err := unix.Mount("", at, "", flags|unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		return fmt.Errorf("read-only root: %w", err)
	}
	// The old root comes to lie above the new one and is taken away.
	if err := unix.Chdir(at); err != nil {
		return fmt.Errorf("%s: %w", at, err)
	}
	if err := unix.PivotRoot(".", "."); err != nil {
		return os.NewSyscallError("pivot_root", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("unmount the old root: %w", err)
	}
	return os.NewSyscallError("chdir", unix.Chdir("/"))
}

// putProgram shows the program at path. A link of /proc names a file of the old
// mount namespace, which cannot be mounted in the new one: it is mounted by its
// name. A program whose file has been replaced already is copied.
func putProgram(path, exe string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o555)
	if err != nil {
		return err
	}
	if name, err := filepath.EvalSymlinks(exe); err == nil && sameProgram(name, exe) {
		err = unix.Mount(name, path, "", unix.MS_BIND, "")
		if err == nil && sameProgram(path, exe) {
			err = unix.Mount("", path, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV, "")
			return errors.Join(err, f.Close())
		}
		if err == nil { // replaced at this moment
			_ = unix.Unmount(path, unix.MNT_DETACH)
		}
	}
	from, err := os.Open(exe)
	if err != nil {
		return errors.Join(err, f.Close())
	}
	_, err = io.Copy(f, from)
	return errors.Join(err, from.Close(), f.Close())
}

func sameProgram(a, b string) bool {
	x, err1 := os.Stat(a)
	y, err2 := os.Stat(b)
	return err1 == nil && err2 == nil && os.SameFile(x, y)
}

// Package node puts tcpcni on a node and takes it off again: binaries where the
// container runtime looks for CNI plugins, and the network configuration.
//
// A runtime reads the configuration directory at any moment and starts whatever
// the files name, so order and atomicity are the whole matter. Every file
// appears at once under its final name, complete and on disk. The configuration
// comes last on installation, when all that it names is there, and goes first
// when tcpcni is removed. A program that runs from a replaced binary keeps the
// old file: running sandboxes do not notice.
package node

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// tempMark is in the name of every file that is not complete yet. A leading dot
// and no known extension keep runtimes from reading it.
const tempMark = ".tcpcni-new-"

// replaceFile makes path a copy of content: written beside it, synchronised,
// renamed. It reports whether anything changed; a file that has the content and
// the mode already is left alone.
func replaceFile(path string, content io.Reader, mode fs.FileMode) (changed bool, err error) {
	dir := filepath.Dir(path)
	tmp, err := os.CreateTemp(dir, tempMark+filepath.Base(path)+"-*")
	if err != nil {
		return false, err
	}
	defer func() {
		_ = tmp.Close() // closed already when all went well
		if err != nil || !changed {
			_ = os.Remove(tmp.Name())
		}
	}()
	if _, err := io.Copy(tmp, content); err != nil {
		return false, fmt.Errorf("%s: %w", path, err)
	}
	if err := errors.Join(tmp.Chmod(mode), tmp.Sync()); err != nil {
		return false, fmt.Errorf("%s: %w", path, err)
	}
	same, err := sameContent(tmp, path, mode)
	if err != nil || same {
		return false, err
	}
	if err := tmp.Close(); err != nil {
		return false, err
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		return false, err
	}
	return true, syncDir(dir)
}

// replaceLink makes path a symbolic link to target.
func replaceLink(path, target string) (changed bool, err error) {
	if old, err := os.Readlink(path); err == nil && old == target {
		return false, nil
	}
	tmp := filepath.Join(filepath.Dir(path), tempMark+filepath.Base(path))
	if err := os.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	if err := os.Symlink(target, tmp); err != nil {
		return false, err
	}
	if err := os.Rename(tmp, path); err != nil {
		_ = os.Remove(tmp)
		return false, err
	}
	return true, syncDir(filepath.Dir(path))
}

// remove takes a file away; one that is not there is no error.
func remove(path string) (changed bool, err error) {
	err = os.Remove(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, err
	}
	return true, syncDir(filepath.Dir(path))
}

// sweep removes what an installation that was killed left in dir.
func sweep(dir string) error {
	list, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range list {
		if strings.HasPrefix(e.Name(), tempMark) {
			err = errors.Join(err, os.Remove(filepath.Join(dir, e.Name())))
		}
	}
	return err
}

// syncDir makes renames in dir last through a power cut.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// sameContent reports whether path is a regular file with f's content and mode.
func sameContent(f *os.File, path string, mode fs.FileMode) (bool, error) {
	st, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if !st.Mode().IsRegular() || st.Mode().Perm() != mode.Perm() {
		return false, nil
	}
	mine, err := f.Stat()
	if err != nil || mine.Size() != st.Size() {
		return false, err
	}
	old, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer func() { _ = old.Close() }()
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return false, err
	}
	return equalReaders(f, old)
}

func equalReaders(a, b io.Reader) (bool, error) {
	var x, y [64 << 10]byte
	for {
		n, err1 := io.ReadFull(a, x[:])
		m, err2 := io.ReadFull(b, y[:])
		if !bytes.Equal(x[:n], y[:m]) {
			return false, nil
		}
		switch {
		case ended(err1) && ended(err2):
			return true, nil
		case err1 != nil && !ended(err1):
			return false, err1
		case err2 != nil && !ended(err2):
			return false, err2
		}
	}
}

func ended(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

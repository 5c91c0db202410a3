package main

// A tree is the root of an image in the making: names and where their contents
// come from. It is written out as a tar archive without a copy on disk before,
// with owners and times that do not depend on the machine.

import (
	"archive/tar"
	"debug/elf"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// An entry is a folder, a symbolic link (link), bytes (data) or a copy of a
// file of the machine (src).
type entry struct {
	mode fs.FileMode
	link string
	data []byte
	src  string
}

type tree map[string]entry

// put adds an entry and the folders above it.
func (t tree) put(name string, e entry) {
	name = strings.Trim(path.Clean("/"+name), "/")
	if name == "" {
		return
	}
	t[name] = e
	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		if _, ok := t[dir]; !ok {
			t[dir] = entry{mode: fs.ModeDir | 0o755}
		}
	}
}

func (t tree) dir(name string, perm fs.FileMode) { t.put(name, entry{mode: fs.ModeDir | perm}) }
func (t tree) text(name, text string)            { t.put(name, entry{mode: 0o644, data: []byte(text)}) }
func (t tree) symlink(name, to string)           { t.put(name, entry{mode: fs.ModeSymlink | 0o777, link: to}) }

// program adds an executable of the machine.
func (t tree) program(name, src string) { t.put(name, entry{mode: 0o755, src: src}) }

// skipped is what packages hold for people and not for programs.
var skipped = []string{"usr/share/doc/", "usr/share/man/", "usr/share/locale/", "usr/share/info/",
	"usr/share/lintian/", "usr/share/bash-completion/", "usr/share/zoneinfo/", "usr/share/perl5/"}

// debian lays out an empty root as Debian has it and adds the files of
// installed packages, and the libraries that their programs load.
func (t tree) debian(packages ...string) error {
	for _, d := range []string{"bin", "sbin", "lib", "lib64"} {
		t.dir("usr/"+d, 0o755)
		t.symlink(d, "usr/"+d)
	}
	t.dir("tmp", fs.ModeSticky|0o777)
	t.dir("root", 0o700)
	t.text("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nwww-data:x:33:33::/:/bin/false\nredis:x:100:100::/:/bin/false\n")
	t.text("etc/group", "root:x:0:\nwww-data:x:33:\nredis:x:100:\n")
	for _, p := range packages {
		list, err := exec.Command("dpkg", "-L", p).Output()
		if err != nil {
			return fmt.Errorf("package %s: %w", p, err)
		}
		for name := range strings.Lines(string(list)) {
			if err := t.file(strings.TrimSpace(name)); err != nil {
				return fmt.Errorf("package %s: %w", p, err)
			}
		}
	}
	return t.libraries()
}

// file adds a file or link of the machine under its own name, in /usr when its
// folder has moved there.
func (t tree) file(name string) error {
	real := strings.TrimPrefix(name, "/")
	for _, d := range []string{"bin/", "sbin/", "lib/", "lib64/"} {
		if strings.HasPrefix(real, d) {
			real = "usr/" + real
		}
	}
	if slices.ContainsFunc(skipped, func(s string) bool { return strings.HasPrefix(real, s) }) {
		return nil
	}
	fi, err := os.Lstat(name)
	if os.IsNotExist(err) {
		return nil // left out by the machine's dpkg.cfg
	}
	switch {
	case err != nil:
		return err
	case fi.Mode().IsRegular():
		t.put(real, entry{mode: fi.Mode().Perm(), src: name})
	case fi.Mode()&fs.ModeSymlink != 0 && t[real].mode == 0:
		to, err := os.Readlink(name)
		if err != nil {
			return err
		}
		t.symlink(real, to)
	}
	return nil
}

// libraries adds what the programs of the tree name as their interpreter and
// their libraries, and what those name.
func (t tree) libraries() error {
	for todo := slices.Sorted(maps.Keys(t)); len(todo) > 0; {
		e := t[todo[0]]
		todo = todo[1:]
		if e.src == "" {
			continue
		}
		needed, err := neededBy(e.src)
		if err != nil {
			return err
		}
		for _, lib := range needed {
			name := strings.TrimPrefix(lib, "/")
			if _, ok := t[name]; ok {
				continue
			}
			real, err := filepath.EvalSymlinks(lib)
			if err != nil {
				return fmt.Errorf("%s needs %s: %w", e.src, lib, err)
			}
			t.program(name, real)
			todo = append(todo, name)
		}
	}
	return nil
}

// neededBy lists the libraries of an ELF file, as files below /usr; none for
// any other file.
func neededBy(file string) ([]string, error) {
	f, err := elf.Open(file)
	if err != nil {
		return nil, nil
	}
	defer f.Close()
	names, err := f.ImportedLibraries()
	if err != nil {
		return nil, nil // static
	}
	var libs []string
	for _, n := range names {
		lib := filepath.Join("/usr/lib/x86_64-linux-gnu", n)
		if n == "ld-linux-x86-64.so.2" {
			lib = "/usr/lib64/" + n
		}
		if _, err := os.Stat(lib); err != nil {
			lib = filepath.Join(filepath.Dir(file), n) // private to its package
		}
		libs = append(libs, lib)
	}
	if len(libs) > 0 {
		libs = append(libs, "/usr/lib64/ld-linux-x86-64.so.2")
	}
	return libs, nil
}

// write writes the tree as a tar archive.
func (t tree) write(w io.Writer) error {
	tw := tar.NewWriter(w)
	for _, name := range slices.Sorted(maps.Keys(t)) {
		if err := t[name].write(tw, name); err != nil {
			return err
		}
	}
	return tw.Close()
}

func (e entry) write(tw *tar.Writer, name string) error {
	h := &tar.Header{Name: name, Mode: int64(e.mode.Perm()), Typeflag: tar.TypeReg, Size: int64(len(e.data)), Format: tar.FormatPAX}
	switch {
	case e.mode.IsDir():
		h.Typeflag, h.Name = tar.TypeDir, name+"/"
		if e.mode&fs.ModeSticky != 0 {
			h.Mode |= 0o1000
		}
	case e.link != "":
		h.Typeflag, h.Linkname = tar.TypeSymlink, e.link
	}
	var from io.Reader = strings.NewReader(string(e.data))
	if e.src != "" {
		f, err := os.Open(e.src)
		if err != nil {
			return err
		}
		defer f.Close()
		fi, err := f.Stat()
		if err != nil {
			return err
		}
		h.Size, from = fi.Size(), f
	}
	if err := tw.WriteHeader(h); err != nil {
		return err
	}
	if h.Typeflag != tar.TypeReg {
		return nil
	}
	_, err := io.CopyN(tw, from, h.Size)
	return err
}

package main

// An initramfs: an archive of cpio's "newc" format, as the kernel's
// Documentation/driver-api/early-userspace/buffer-format.rst describes it.

import (
	"bytes"
	"fmt"
)

// Kinds of files, from stat(2).
const (
	kindDevice = 0o020000 // of characters
	kindFolder = 0o040000
	kindFile   = 0o100000
)

// A cpio is an archive that is being written.
type cpio struct {
	b     bytes.Buffer
	inode int
}

func (c *cpio) folder(path string) { c.entry(path, kindFolder|0o755, 0, 0, nil) }

func (c *cpio) file(path string, mode int, content []byte) {
	c.entry(path, kindFile|mode, 0, 0, content)
}

func (c *cpio) device(path string, mode, major, minor int) {
	c.entry(path, kindDevice|mode, major, minor, nil)
}

func (c *cpio) entry(path string, mode, major, minor int, content []byte) {
	links := 1
	c.inode++
	fmt.Fprintf(&c.b, "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X",
		c.inode, mode, 0, 0, links, 0, len(content), 0, 0, major, minor, len(path)+1, 0)
	c.b.WriteString(path)
	c.b.WriteByte(0)
	c.pad()
	c.b.Write(content)
	c.pad()
}

// pad fills up to a multiple of four bytes.
func (c *cpio) pad() {
	for c.b.Len()%4 != 0 {
		c.b.WriteByte(0)
	}
}

// end returns the whole archive.
func (c *cpio) end() []byte {
	c.entry("TRAILER!!!", 0, 0, 0, nil)
	return c.b.Bytes()
}

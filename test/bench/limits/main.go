// Command limits measures what the machine takes for the pieces of every path:
// system calls, memory copies, a pair of local sockets, a TAP. They are bare
// loops in C (c/limits.c), so nothing that does more can be faster. It needs root
// and gcc, and works in a network namespace of its own.
package main

import (
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/tcpcni/tcpcni/hostlink"
)

//go:embed c/limits.c
var source []byte

// whats are the loops in words.
var whats = map[string]string{
	"system-call":                       "a system call that does nothing",
	"epoll-empty":                       "epoll_wait that finds nothing",
	"memcpy-cached":                     "copy within the caches",
	"memcpy-memory":                     "copy from memory to memory",
	"pair":                              "write and read of an AF_UNIX pair, one thread",
	"pair-two-processes-there-and-back": "over two pairs to another process and back, which waits in read",
	"tap-write":                         "write to a TAP, to where the kernel drops the segment",
	"packet-write-tap-read":             "write to a packet socket and read from the TAP",
}

func main() {
	duration := flag.Duration("time", time.Second, "length of each loop, at least 1ms")
	flag.Parse()
	if flag.NArg() != 0 || *duration < time.Millisecond {
		fmt.Fprintln(os.Stderr, "usage: limits [-time 1s]")
		os.Exit(2)
	}
	if err := run(*duration); err != nil {
		fmt.Fprintln(os.Stderr, "limits:", err)
		os.Exit(1)
	}
}

func run(duration time.Duration) (err error) {
	dir, err := os.MkdirTemp("", "tcpcni-limits-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	file, program, space := filepath.Join(dir, "limits.c"), filepath.Join(dir, "limits"), filepath.Join(dir, "ns")
	if err := os.WriteFile(file, source, 0o644); err != nil {
		return err
	}
	if out, err := exec.Command("gcc", "-O2", "-Wall", "-o", program, file).CombinedOutput(); err != nil {
		return fmt.Errorf("gcc: %w: %s", err, out)
	}
	if err := hostlink.NewNetNS(space); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, hostlink.DeleteNetNS(space)) }()
	var out []byte
	err = hostlink.InNetNS(space, func() (err error) {
		cmd := exec.Command(program, fmt.Sprint(duration.Milliseconds()))
		cmd.Stderr = os.Stderr
		out, err = cmd.Output()
		return err
	})
	if err != nil {
		return err
	}
	return print(string(out))
}

// print writes a table in Markdown.
func print(lines string) error {
	fmt.Print("| | bytes | ns | Gbit/s |\n|---|---|---|---|\n")
	for line := range strings.Lines(lines) {
		var name string
		var ns float64
		var bytes int
		if _, err := fmt.Sscan(line, &name, &ns, &bytes); err != nil {
			return fmt.Errorf("limits printed %q: %w", line, err)
		}
		if name == "pair-memory" {
			fmt.Printf("| kernel memory of an AF_UNIX pair | %d | | |\n", bytes)
			continue
		}
		speed := ""
		if bytes > 1000 {
			speed = fmt.Sprintf("%.1f", float64(bytes)*8/ns)
		}
		fmt.Printf("| %s | %d | %.0f | %s |\n", whats[name], bytes, ns, speed)
	}
	return nil
}

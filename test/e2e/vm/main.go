// Command vm runs tests on another kernel: Debian's own, with control groups of
// version 2, VLANs and everything else that distributions have and the machine
// at hand may lack.
//
//	vm run [FLAG...] [COMMAND [ARG...]]   boot, run COMMAND (default: the tests
//	                                      that selection.go names), power off
//	vm fetch                              only fill the cache
//
//	-memory MIB      of the guest
//	-write FOLDER    what the guest writes there stays; all else goes with it
//	-append TEXT     more parameters for its kernel
//
// The kernel runs in qemu, by KVM where there is one, and else emulated. Its
// root is the machine's own file system, shared read-only, below a layer in
// memory that goes with it; it has no network device. The packages that this
// needs beyond qemu and kmod are unpacked into a cache and never installed.
//
// As the first process of that kernel the same binary is its init, see init.go.
package main

import (
	"fmt"
	"os"
	"time"
)

var modes = map[string]func(args []string) error{
	"run":   run,
	"fetch": func([]string) error { _, err := fetch(); return err },
}

func main() {
	if os.Getpid() == 1 {
		initMain()
	}
	word := "run"
	if len(os.Args) > 1 {
		word = os.Args[1]
	}
	f, ok := modes[word]
	if !ok {
		fmt.Fprintln(os.Stderr, "usage: vm run [FLAG...] [COMMAND [ARG...]] | vm fetch")
		os.Exit(2)
	}
	if err := f(os.Args[min(len(os.Args), 2):]); err != nil {
		fmt.Fprintln(os.Stderr, "vm:", err)
		os.Exit(1)
	}
}

// started is the zero of the times that say prints.
var started = time.Now()

// say prints one line of progress with the seconds since the start.
func say(format string, args ...any) {
	fmt.Printf("[%5.1fs] %s\n", time.Since(started).Seconds(), fmt.Sprintf(format, args...))
}

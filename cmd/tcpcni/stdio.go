package main

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// standardNames are the descriptors that a program inherits, in their order.
var standardNames = []string{"standard input", "standard output", "standard error"}

// checkStandard refuses to hand a socket of another kernel's network to a
// program: it would be a way around the engine. inetd(8) and the like start
// programs so.
func checkStandard(fds ...int) error {
	for i, fd := range fds {
		domain, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
		if err != nil || domain == unix.AF_UNIX {
			continue // no socket, or one that stays on the machine
		}
		return fmt.Errorf("%s: a network socket (address family %d) of the host: accepted: a file, a pipe, a terminal or an AF_UNIX socket", standardNames[i], domain)
	}
	return nil
}

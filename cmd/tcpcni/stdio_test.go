package main

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestHostSocketsAreNotInherited(t *testing.T) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pair[0])
	defer unix.Close(pair[1])
	if err := checkStandard(0, pair[0], -1); err != nil {
		t.Errorf("file, local socket, closed descriptor: %v", err)
	}
	for _, domain := range []int{unix.AF_INET, unix.AF_INET6, unix.AF_NETLINK} {
		typ := unix.SOCK_STREAM
		if domain == unix.AF_NETLINK {
			typ = unix.SOCK_RAW
		}
		fd, err := unix.Socket(domain, typ|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		err = checkStandard(0, fd, pair[0])
		if err == nil || !strings.HasPrefix(err.Error(), "standard output: ") {
			t.Errorf("family %d: %v", domain, err)
		}
		_ = unix.Close(fd)
	}
}

package errno

import (
	"errors"
	"strings"
	"syscall"
	"testing"
)

// The numbers are the ABI of the machine that runs the test.
func TestNumbersAreTheKernels(t *testing.T) {
	for n, l := range labels {
		if l.name == "" {
			continue
		}
		want := syscall.Errno(n).Error()
		if got := Errno(n).Error(); !strings.EqualFold(got, want) && Errno(n) != ENOSYS {
			t.Errorf("%s (%d): text %q, syscall has %q", l.name, n, got, want)
		}
	}
	pairs := map[Errno]syscall.Errno{
		EPERM: syscall.EPERM, EAGAIN: syscall.EAGAIN, EINVAL: syscall.EINVAL, EDOM: syscall.EDOM,
		ENOPROTOOPT: syscall.ENOPROTOOPT, EOPNOTSUPP: syscall.EOPNOTSUPP, EADDRINUSE: syscall.EADDRINUSE,
		ECONNREFUSED: syscall.ECONNREFUSED, EINPROGRESS: syscall.EINPROGRESS, EHOSTUNREACH: syscall.EHOSTUNREACH,
		ENETUNREACH: syscall.ENETUNREACH, ETIMEDOUT: syscall.ETIMEDOUT, EDEADLK: syscall.EDEADLK,
		EALREADY: syscall.EALREADY,
	}
	for ours, kernels := range pairs {
		if int(ours) != int(kernels) {
			t.Errorf("%s = %d, the kernel has %d", ours.Name(), ours, kernels)
		}
	}
}

func TestNames(t *testing.T) {
	if got := ECONNRESET.Name(); got != "ECONNRESET" {
		t.Errorf("Name = %q", got)
	}
	if got := Errno(4000).Name() + " " + Errno(4000).Error(); got != "4000 errno 4000" {
		t.Errorf("a free number shows as %q", got)
	}
}

func TestOf(t *testing.T) {
	if Of(nil) != 0 || Of(EPIPE) != EPIPE || Of(errors.New("disk")) != EIO {
		t.Error("Of loses the number")
	}
	if Errno(0).Or() != nil || Errno(EPIPE).Or() != error(EPIPE) {
		t.Error("Or loses the error")
	}
}

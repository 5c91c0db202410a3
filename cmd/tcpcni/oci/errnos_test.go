package oci

import (
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

func TestWithoutErrnos(t *testing.T) {
	enosys, eacces := uint(unix.ENOSYS), uint(unix.EACCES)
	got := WithoutErrnos(&specs.LinuxSeccomp{DefaultAction: specs.ActErrno, Syscalls: []specs.LinuxSyscall{
		{Names: []string{"clone3", "connect", "io_uring_setup"}, Action: specs.ActErrno, ErrnoRet: &enosys},
		{Names: []string{"mount"}, Action: specs.ActErrno, ErrnoRet: &eacces},
		{Names: []string{"read"}, Action: specs.ActAllow},
	}})
	want := map[string]specs.LinuxSeccompAction{
		"clone3": specs.ActNotify, "io_uring_setup": specs.ActNotify, // the engine answers ENOSYS
		"connect": specs.ActErrno, // the engine would connect
		"mount":   specs.ActErrno, "read": specs.ActAllow,
	}
	for _, r := range got.Syscalls {
		if r.ErrnoRet != nil {
			t.Errorf("%v names the error %d", r.Names, *r.ErrnoRet)
		}
		for _, n := range r.Names {
			if r.Action != want[n] {
				t.Errorf("%s: %s, want %s", n, r.Action, want[n])
			}
			delete(want, n)
		}
	}
	if len(want) > 0 {
		t.Errorf("lost: %v", want)
	}
}

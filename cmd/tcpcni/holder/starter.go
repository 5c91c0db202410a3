package holder

import (
	"fmt"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/tcpcni/tcpcni/hostlink"
)

// A starter is a thread that is in the sandbox's network namespace and has an
// empty root directory. Engines are started from it and inherit both, so that
// neither they nor the holder need the privilege to change a namespace later.
type starter struct{ work chan func() }

// program is the binary's name in the empty root.
const program = "tcpcni"

// newStarter makes the thread. dir is any directory of the sandbox.
func newStarter(netNS, dir string) (*starter, error) {
	s := &starter{make(chan func())}
	ready := make(chan error)
	go s.run(netNS, dir, ready)
	return s, <-ready
}

// run never unlocks its thread: nothing else may run there.
func (s *starter) run(netNS, dir string, ready chan<- error) {
	runtime.LockOSThread()
	err := enterNetNS(netNS)
	if err == nil {
		err = hostlink.EmptyRoot(dir, "/proc/self/exe", program)
	}
	ready <- err
	if err != nil {
		return
	}
	for f := range s.work {
		f()
	}
}

func enterNetNS(path string) error {
	if path == "" {
		return nil
	}
	ns, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = ns.Close() }()
	if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter network namespace %q: %w", path, err)
	}
	return nil
}

// do runs f on the thread.
func (s *starter) do(f func() error) error {
	done := make(chan error)
	s.work <- func() { done <- f() }
	return <-done
}

// start starts the binary with args. fds become its descriptors 0, 1, 2, …; none
// of them changes its mode, which os.StartProcess would see to. The process gets
// CAP_SYS_PTRACE and no other capability, and dies with this one.
func (s *starter) start(args []string, fds []uintptr) (pid, pidfd int, err error) {
	err = s.do(func() error {
		pid, err = syscall.ForkExec("/"+program, append([]string{"tcpcni"}, args...), &syscall.ProcAttr{
			Env:   []string{},
			Files: fds,
			Sys: &syscall.SysProcAttr{
				AmbientCaps: []uintptr{unix.CAP_SYS_PTRACE},
				Pdeathsig:   unix.SIGKILL,
				PidFD:       &pidfd,
			},
		})
		return err
	})
	return pid, pidfd, err
}

// Package killat kills a program at a chosen one of its steps: ptrace(2). A step
// is a system call that changes something outside the process. So a test can
// kill a program in front of each of them in turn, and nothing of this is in the
// program.
package killat

import (
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// steps are the system calls that count. An open counts when it may make a file.
var steps = map[uint64]bool{
	unix.SYS_WRITE: true, unix.SYS_SENDTO: true, unix.SYS_SENDMSG: true, unix.SYS_IOCTL: true,
	unix.SYS_MKDIRAT: true, unix.SYS_UNLINKAT: true, unix.SYS_RENAMEAT: true, unix.SYS_RENAMEAT2: true,
	unix.SYS_FCHMOD: true, unix.SYS_MOUNT: true, unix.SYS_UMOUNT2: true, unix.SYS_UNSHARE: true, unix.SYS_SETNS: true,
	unix.SYS_CLONE: true, unix.SYS_CLONE3: true, unix.SYS_FLOCK: true, unix.SYS_CONNECT: true,
	unix.SYS_PIDFD_SEND_SIGNAL: true, unix.SYS_KILL: true, unix.SYS_EXIT_GROUP: true,
}

// Run starts the command and kills it with SIGKILL in front of its n-th step,
// counted from 1. It reports false when the command ended before. Programs that
// the command starts are not touched. The command's standard output must not be
// an io.Writer of Go's.
func Run(cmd *exec.Cmd, n int) (killed bool, err error) {
	runtime.LockOSThread() // the tracer is a thread
	defer runtime.UnlockOSThread()
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = new(syscall.SysProcAttr)
	}
	cmd.SysProcAttr.Ptrace = true
	if err := cmd.Start(); err != nil {
		return false, err
	}
	defer func() { _ = cmd.Wait() }() // closes the pipes; the process was waited for here
	t := tracee{pid: cmd.Process.Pid, left: n, inside: make(map[int]bool)}
	killed, err = t.follow()
	if err != nil {
		_ = unix.Kill(t.pid, unix.SIGKILL)
	}
	return killed, err
}

type tracee struct {
	pid    int
	left   int          // steps to go
	inside map[int]bool // threads that are inside a system call
	killed bool
}

// follow runs every thread from system call to system call until the process has
// ended.
func (t *tracee) follow() (bool, error) {
	const options = unix.PTRACE_O_TRACESYSGOOD | unix.PTRACE_O_TRACECLONE | unix.PTRACE_O_EXITKILL
	started := false
	for {
		var ws unix.WaitStatus
		// Of this thread's children only: others of the test are others' to wait for.
		tid, err := unix.Wait4(-1, &ws, unix.WALL|unix.WNOTHREAD, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return t.killed, fmt.Errorf("wait: %w", err)
		}
		if ws.Exited() || ws.Signaled() {
			if tid == t.pid {
				return t.killed, nil
			}
			continue
		}
		if !started {
			started = true
			if err := unix.PtraceSetOptions(t.pid, options); err != nil {
				return false, fmt.Errorf("trace: %w", err)
			}
		}
		t.resume(tid, t.stopped(tid, ws))
	}
}

// stopped looks at a stop and returns the signal to go on with.
func (t *tracee) stopped(tid int, ws unix.WaitStatus) (signal int) {
	const syscallStop = unix.SIGTRAP | 0x80
	switch sig := ws.StopSignal(); {
	case sig == syscallStop:
		t.inside[tid] = !t.inside[tid]
		if t.inside[tid] && t.isStep(tid) {
			t.left--
		}
		if t.left == 0 && !t.killed {
			t.killed = unix.Kill(t.pid, unix.SIGKILL) == nil
		}
		return 0
	case sig == unix.SIGTRAP, sig == unix.SIGSTOP: // an event, or a new thread
		return 0
	default:
		return int(sig)
	}
}

// isStep reports whether the call that the thread is about to make is a step.
func (t *tracee) isStep(tid int) bool {
	var r unix.PtraceRegs
	if unix.PtraceGetRegs(tid, &r) != nil {
		return false
	}
	if r.Orig_rax == unix.SYS_OPENAT {
		return r.Rdx&unix.O_CREAT != 0
	}
	return steps[r.Orig_rax]
}

func (t *tracee) resume(tid, signal int) {
	// A thread that was killed meanwhile is no error.
	_ = unix.PtraceSyscall(tid, signal)
}

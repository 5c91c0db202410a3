package core

// Instructions by single steps (ptrace(2), PTRACE_SINGLESTEP): the test starts
// itself again, traced, and counts how often the thread stops between two
// signals that it sends to itself. It needs no performance counters, which
// virtual machines often lack, and counts the same on any machine: the other
// threads of the process stand still, so that the runtime neither preempts nor
// collects, and what it chooses by the processor is off.

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// Variables that make a process the one that is counted.
const (
	countTask  = "TCPCNI_COUNT_TASK"
	countTimes = "TCPCNI_COUNT_TIMES"
)

// warm is how often a task is done before anything is measured: buffers reach
// their size, the congestion window its own.
const warm = 50

// mark stops the thread for whoever traces it.
func mark() error {
	return unix.Tgkill(unix.Getpid(), unix.Gettid(), unix.SIGUSR1)
}

// counted does the task so often between two marks. It has to run on the thread
// that is traced, the process's first.
func counted(once func() error, times int) error {
	for range warm {
		if err := once(); err != nil {
			return err
		}
	}
	if err := mark(); err != nil {
		return err
	}
	for range times {
		if err := once(); err != nil {
			return err
		}
	}
	return mark()
}

// errUntraceable is about a machine on which a process may trace no other.
var errUntraceable = errors.New("no process may be traced here")

// steps runs this program again for one task and returns the instructions
// between the marks.
func steps(name string, times int) (n int, err error) {
	// All of ptrace is by thread: the one that starts is the tracer.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), countTask+"="+name, fmt.Sprintf("%s=%d", countTimes, times),
		"GOGC=off", "GOMAXPROCS=1", "GODEBUG=asyncpreemptoff=1,cpu.all=off")
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Ptrace: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		if errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOSYS) {
			err = errUntraceable
		}
		return 0, err
	}
	pid := cmd.Process.Pid
	var held []int
	defer func() {
		_ = cmd.Process.Kill()
		// A process has not ended before its tracer has seen every thread end.
		for _, tid := range held {
			_, _ = unix.Wait4(tid, nil, unix.WALL, nil)
		}
		_, _ = unix.Wait4(pid, nil, unix.WALL, nil)
		_ = cmd.Process.Release()
	}()
	counting, signal := false, 0
	for stops := 0; ; stops++ {
		var status unix.WaitStatus
		if _, err := unix.Wait4(pid, &status, unix.WALL, nil); err != nil {
			return 0, err
		}
		if status.Exited() || status.Signaled() {
			return 0, fmt.Errorf("%s: ended before the second mark: %v", name, status)
		}
		signal = 0
		switch s := status.StopSignal(); {
		case s == unix.SIGTRAP:
			if counting {
				n++
			}
		case s == unix.SIGUSR1 && counting:
			return n, nil
		case s == unix.SIGUSR1:
			counting = true
			if held, err = holdOthers(pid); err != nil {
				return 0, err
			}
		default:
			signal = int(s)
		}
		if counting {
			err = singleStep(pid, signal)
		} else {
			err = unix.PtraceCont(pid, signal)
		}
		if err != nil {
			return 0, err
		}
	}
}

// holdOthers stops the other threads of the process for good. The one that is
// stepped must not need them: the pure core has one thread.
func holdOthers(pid int) (held []int, err error) {
	dir := fmt.Sprintf("/proc/%d/task", pid)
	tasks, err := os.ReadDir(dir)
	if err != nil {
		return held, err
	}
	for _, t := range tasks {
		tid, err := strconv.Atoi(t.Name())
		if err != nil || tid == pid {
			continue
		}
		if err := unix.PtraceAttach(tid); err != nil {
			return held, fmt.Errorf("thread %d: %w", tid, err)
		}
		held = append(held, tid)
		if _, err := unix.Wait4(tid, nil, unix.WALL, nil); err != nil {
			return held, err
		}
	}
	return held, nil
}

// singleStep lets the thread execute one instruction; unix.PtraceSingleStep
// cannot pass a signal on.
func singleStep(pid, signal int) error {
	_, _, e := unix.RawSyscall6(unix.SYS_PTRACE, unix.PTRACE_SINGLESTEP, uintptr(pid), 0, uintptr(signal), 0, 0)
	if e != 0 {
		return e
	}
	return nil
}

package hostlink

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/tcpcni/tcpcni/test/needroot"
)

// A task of the tests: a thread of this process, and what it is told to do.
type task struct {
	tid  int
	work chan func()
}

// newTask starts a thread that has gone through prepare.
func newTask(t *testing.T, prepare ...func() error) *task {
	t.Helper()
	k := &task{work: make(chan func())}
	ready := make(chan error)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		k.tid = unix.Gettid()
		var err error
		for _, f := range prepare {
			if err == nil {
				err = f()
			}
		}
		ready <- err
		for f := range k.work {
			f()
		}
	}()
	if err := <-ready; err != nil {
		t.Fatal(err)
	}
	return k
}

func underFilter() error {
	l, err := InstallFilter()
	if err == nil {
		CloseFD(l)
	}
	return err
}

func elsewhere() error { return unix.Unshare(unix.CLONE_NEWNET) }

// TestMembers asks for threads that are the sandbox's and for others.
func TestMembers(t *testing.T) {
	needroot.Check(t, "make network namespaces and filters")
	m, err := NewMembers("")
	if err != nil {
		t.Fatal(err)
	}
	child := exec.Command("sleep", "1000")
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = child.Process.Kill(); _ = child.Wait() }()
	dead := exec.Command("true")
	if err := dead.Run(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what string
		tid  int
		want unix.Errno
	}{
		{"a thread of the sandbox", newTask(t, underFilter).tid, 0},
		{"one without a filter", newTask(t).tid, unix.EPERM},
		{"one in another network namespace", newTask(t, elsewhere, underFilter).tid, unix.EPERM},
		{"another process", child.Process.Pid, unix.EPERM},
		{"the first process", 1, unix.EPERM},
		{"one that has ended", dead.Process.Pid, unix.ESRCH},
		{"none", 0, unix.ESRCH},
		{"a negative number", -1, unix.ESRCH},
		{"a number beyond all", 1<<31 - 1, unix.ESRCH},
	} {
		k, e := m.Thread(c.tid)
		if e != c.want {
			t.Errorf("%s: %v, want %v", c.what, e, c.want)
		}
		if e != 0 && (k.PidFD >= 0 || k.Mem >= 0) {
			t.Errorf("%s: refused, and yet %+v", c.what, k)
		}
		k.Close()
		if _, e := m.Standing(c.tid); e != c.want {
			t.Errorf("%s: standing: %v, want %v", c.what, e, c.want)
		}
		if _, e := m.ClosesOnExec(c.tid, 0); e != c.want {
			t.Errorf("%s: descriptor: %v, want %v", c.what, e, c.want)
		}
	}
}

// TestMembersServants asks for those who serve a sandbox under a filter that
// whoever started them has put on them, and for the threads of a process of the
// host that visits the namespace.
func TestMembersServants(t *testing.T) {
	needroot.Check(t, "make network namespaces and filters")
	m, err := NewMembers("")
	if err != nil {
		t.Fatal(err)
	}
	// A child under a filter, of this process.
	child := exec.Command("sleep", "1000")
	start := make(chan error)
	k := newTask(t, underFilter)
	k.work <- func() { start <- child.Start() }
	if err := <-start; err != nil {
		t.Fatal(err)
	}
	defer func() { _ = child.Process.Kill(); _ = child.Wait() }()
	for _, tid := range []int{child.Process.Pid, k.tid} {
		got, e := m.Thread(tid)
		got.Close()
		if e != 0 {
			t.Errorf("a task of the sandbox: %v", e)
		}
	}
	m.Outsiders = []int{os.Getpid()}
	for _, tid := range []int{child.Process.Pid, k.tid} {
		got, e := m.Thread(tid)
		got.Close()
		if e != unix.EPERM {
			t.Errorf("one who serves it, or a child of his: %v", e)
		}
	}
	// A thread of this process, whose first thread is elsewhere.
	path := filepath.Join(t.TempDir(), "ns")
	if err := NewNetNS(path); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = DeleteNetNS(path) }()
	if m, err = NewMembers(path); err != nil {
		t.Fatal(err)
	}
	got, e := m.Thread(newTask(t, func() error { return setNetNS(path) }, underFilter).tid)
	got.Close()
	if e != unix.EPERM {
		t.Errorf("a visitor: %v", e)
	}
}

func setNetNS(path string) error {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer CloseFD(fd)
	return unix.Setns(fd, unix.CLONE_NEWNET)
}

// TestMembersOldKernel asks for threads where pidfds stand for processes only: a
// thread's must not be kept, as its number may come to mean another.
func TestMembersOldKernel(t *testing.T) {
	needroot.Check(t, "make network namespaces and filters")
	m, err := NewMembers("")
	if err != nil {
		t.Fatal(err)
	}
	k := newTask(t, underFilter)
	child := exec.Command("sleep", "1000")
	start := make(chan error)
	k.work <- func() { start <- child.Start() }
	if err := <-start; err != nil {
		t.Fatal(err)
	}
	defer func() { _ = child.Process.Kill(); _ = child.Wait() }()
	defer func() { openThreadFlags = pidfdThread }()
	openThreadFlags = 1 << 30
	for _, c := range []struct {
		what string
		tid  int
		want bool
	}{{"a thread", k.tid, true}, {"a process", child.Process.Pid, false}} {
		got, e := m.Thread(c.tid)
		got.Close()
		if e != 0 || got.Brief != c.want {
			t.Errorf("%s: brief %v, %v; want %v", c.what, got.Brief, e, c.want)
		}
	}
}

// TestMembersElsewhere looks from the namespace that the thread has moved to.
func TestMembersElsewhere(t *testing.T) {
	needroot.Check(t, "make network namespaces and filters")
	path := filepath.Join(t.TempDir(), "ns")
	if err := NewNetNS(path); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = DeleteNetNS(path) }()
	m, err := NewMembers(path)
	if err != nil {
		t.Fatal(err)
	}
	inside := exec.Command("sleep", "1000")
	start := make(chan error)
	newTask(t, func() error { return setNetNS(path) }, underFilter).work <- func() { start <- inside.Start() }
	if err := <-start; err != nil {
		t.Fatal(err)
	}
	defer func() { _ = inside.Process.Kill(); _ = inside.Wait() }()
	k, e := m.Thread(inside.Process.Pid)
	if e != 0 {
		t.Fatal(e)
	}
	defer k.Close()
	s, e := m.Standing(inside.Process.Pid)
	if e != 0 || s.UID != uint32(os.Geteuid()) || s.Caps&(1<<unix.CAP_NET_ADMIN) == 0 {
		t.Errorf("standing %+v, %v", s, e)
	}
	if _, e := m.Thread(newTask(t, underFilter).tid); e != unix.EPERM {
		t.Errorf("a thread outside: %v", e)
	}
}

// TestMemoryOfTheDead reads through a descriptor whose process has executed
// another program, and has ended.
func TestMemoryOfTheDead(t *testing.T) {
	needroot.Check(t, "open the memory of a process")
	cmd := exec.Command("sh", "-c", "read x; exec sleep 1000")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	v := view{pidfd: -1}
	if v.dir, err = unix.Open(filepath.Join("/proc", strconv.Itoa(cmd.Process.Pid)), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0); err != nil {
		t.Fatal(err)
	}
	defer v.close()
	mem, e := v.openat("mem", unix.O_RDWR)
	if e != 0 {
		t.Fatal(e)
	}
	defer CloseFD(mem)
	b := make([]byte, 1)
	if _, e := ReadMemory(mem, 8, b); e != unix.EFAULT {
		t.Errorf("of the living: %v", e)
	}
	if _, err := in.Write([]byte("\n")); err != nil {
		t.Fatal(err)
	}
	for {
		_, e := ReadMemory(mem, 8, b)
		if e == unix.ESRCH {
			break
		}
		if e != unix.EFAULT {
			t.Fatal(e)
		}
		runtime.Gosched()
	}
}

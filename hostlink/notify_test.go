package hostlink

import (
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tcpcni/tcpcni/test/needroot"
)

// filtered is a thread of this process under the filter.
type filtered struct {
	t     *testing.T
	on    *Notifier
	calls chan func()
}

func newFiltered(t *testing.T) *filtered {
	t.Helper()
	needroot.Check(t, "install a filter without no_new_privs")
	f := &filtered{t: t, calls: make(chan func())}
	installed := make(chan error)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		fd, err := InstallFilter()
		if err == nil {
			f.on = NewNotifier(fd)
		}
		installed <- err
		for call := range f.calls {
			call()
		}
	}()
	if err := <-installed; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		close(f.calls)
		_ = f.on.Close()
	})
	return f
}

// next waits for a notified call.
func (f *filtered) next() Notification {
	f.t.Helper()
	for range 10000 {
		if f.on.Ready() {
			var n Notification
			if e := f.on.Recv(&n); e != 0 {
				f.t.Fatal(e)
			}
			return n
		}
		time.Sleep(time.Millisecond)
	}
	f.t.Fatal("no call came")
	return Notification{}
}

type outcome struct {
	v   int
	err error
}

func (f *filtered) do(call func() (int, error)) chan outcome {
	done := make(chan outcome, 1)
	f.calls <- func() {
		v, err := call()
		done <- outcome{v, err}
	}
	return done
}

// inetSocket is unix.Socket, but tells the scheduler that the thread may wait: a
// collection that began meanwhile would otherwise stop the world, and with it
// whoever is to answer the call.
func inetSocket() (int, error) {
	fd, _, e := unix.Syscall(unix.SYS_SOCKET, unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if e != 0 {
		return -1, e
	}
	return int(fd), nil
}

func TestNotifiedSocketGetsAPair(t *testing.T) {
	f := newFiltered(t)
	done := f.do(inetSocket)
	n := f.next()
	if n.Nr != unix.SYS_SOCKET || n.Args[0] != unix.AF_INET || !f.on.Valid(n.ID) {
		t.Fatalf("got %+v", n)
	}
	e, p, errno := NewPair(PairStream, false)
	if errno != 0 {
		t.Fatal(errno)
	}
	defer CloseFD(e)
	given, errno := f.on.ReplyFD(n.ID, p, true)
	if errno != 0 {
		t.Fatal(errno)
	}
	got := <-done
	if got.err != nil || got.v != given {
		t.Fatalf("socket returned %d, %v; the reply said %d", got.v, got.err, given)
	}
	want, _ := SocketCookie(p)
	if cookie, ok := SocketCookie(got.v); !ok || cookie != want {
		t.Error("the descriptor is not the pair's end")
	}
	if fl, _ := unix.FcntlInt(uintptr(got.v), unix.F_GETFD, 0); fl != unix.FD_CLOEXEC {
		t.Error("not close-on-exec")
	}
	CloseFD(p)
	CloseFD(got.v)
	if n, errno := Recv(e, make([]byte, 1), 0); n != 0 || errno != 0 {
		t.Errorf("after the last close: %d, %v", n, errno)
	}
	if f.on.Valid(n.ID) || f.on.Reply(n.ID, 0, 0) != unix.ENOENT {
		t.Error("the call is still there")
	}
}

func TestNotifiedReplies(t *testing.T) {
	f := newFiltered(t)
	listen := func() (int, error) { return 0, unix.Listen(0, 1) }
	done := f.do(listen)
	if e := f.on.Reply(f.next().ID, 0, unix.EADDRINUSE); e != 0 {
		t.Fatal(e)
	}
	if got := <-done; got.err != unix.EADDRINUSE {
		t.Errorf("error: got %v", got.err)
	}
	done = f.do(listen)
	if e := f.on.Reply(f.next().ID, 0, 0); e != 0 {
		t.Fatal(e)
	}
	if got := <-done; got.err != nil {
		t.Errorf("success: got %v", got.err)
	}
	// The kernel knows that descriptor -1 is none.
	done = f.do(func() (int, error) { return 0, unix.Listen(-1, 1) })
	if e := f.on.Continue(f.next().ID); e != 0 {
		t.Fatal(e)
	}
	if got := <-done; got.err != unix.EBADF {
		t.Errorf("continued: got %v", got.err)
	}
}

func TestNotifiedMemoryAndDescriptor(t *testing.T) {
	f := newFiltered(t)
	sock, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer CloseFD(sock)
	done := f.do(func() (int, error) { return 0, unix.Bind(sock, &unix.SockaddrInet4{Port: 0x1234}) })
	n := f.next()
	var sa [16]byte
	members, err := NewMembers("")
	if err != nil {
		t.Fatal(err)
	}
	thread, e := members.Thread(int(n.TID))
	if e != 0 {
		t.Fatal(e)
	}
	defer thread.Close()
	if got, e := ReadMemory(thread.Mem, n.Args[1], sa[:]); got != len(sa) || e != 0 || sa[2] != 0x12 || sa[3] != 0x34 {
		t.Errorf("read %d %v %x", got, e, sa)
	}
	if _, e := ReadMemory(thread.Mem, 8, sa[:]); e != unix.EFAULT {
		t.Errorf("a bad address: %v", e)
	}
	if _, e := ReadMemory(thread.Mem, 1<<63, sa[:]); e != unix.EFAULT {
		t.Errorf("an address of the kernel: %v", e)
	}
	p, e := GetFD(thread.PidFD, int(n.Args[0]))
	if e != 0 {
		t.Fatal(e)
	}
	defer CloseFD(p)
	a, _ := SocketCookie(p)
	if b, _ := SocketCookie(sock); a == 0 || a != b {
		t.Errorf("cookies %d and %d", a, b)
	}
	if _, e := GetFD(thread.PidFD, 1<<20); e != unix.EBADF {
		t.Errorf("no such descriptor: %v", e)
	}
	f.on.Reply(n.ID, 0, 0)
	<-done

	inode, ok := SocketInode(p)
	if !ok {
		t.Fatal("no inode")
	}
	found, ok := members.FindSocket(inode)
	if !ok {
		t.Fatal("the search found nothing")
	}
	CloseFD(found)
}

func TestWriteMemory(t *testing.T) {
	mem, err := unix.Open("/proc/self/mem", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer CloseFD(mem)
	b := make([]byte, 8)
	v := []RemoteVec{{Addr: addressOf(&b[0]), Len: 3}, {Addr: addressOf(&b[5]), Len: 3}}
	if n, e := WriteMemoryV(mem, v, []byte("abcdef")); n != 6 || e != 0 || string(b) != "abc\x00\x00def" {
		t.Errorf("%d %v %q", n, e, b)
	}
	if _, e := WriteMemory(mem, 8, b); e != unix.EFAULT {
		t.Errorf("a bad address: %v", e)
	}
}

func TestIsNotifier(t *testing.T) {
	f := newFiltered(t)
	if !IsNotifier(f.on.FD()) {
		t.Error("a listener is none")
	}
	p, err := NewPoller(1)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.Close() }()
	if IsNotifier(p.epfd) || IsNotifier(-1) {
		t.Error("others are")
	}
}

// The Go runtime interrupts threads with SIGURG to preempt goroutines. A reply
// with a descriptor that is interrupted half-way would have the call return 0.
func TestReplyFDSurvivesSignals(t *testing.T) {
	f := newFiltered(t)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer HoldSignals()()
	// The goroutine that sends signals never rests.
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 1))
	pid, self := unix.Getpid(), unix.Gettid()
	var replying, over atomic.Bool
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		for !over.Load() {
			for range 20 {
				if replying.Load() {
					_ = unix.Tgkill(pid, self, unix.SIGURG)
				}
			}
			runtime.Gosched()
		}
	}()
	defer func() { over.Store(true); <-stopped }()
	e, p, errno := NewPair(PairStream, false)
	if errno != 0 {
		t.Fatal(errno)
	}
	defer CloseFD(e)
	defer CloseFD(p)
	want, _ := SocketCookie(p)
	for range 300 {
		done := f.do(inetSocket)
		id := f.next().ID
		replying.Store(true)
		given, errno := f.on.ReplyFD(id, p, true)
		replying.Store(false)
		if errno != 0 {
			t.Fatal(errno)
		}
		got := <-done
		if cookie, _ := SocketCookie(got.v); got.err != nil || got.v != given || cookie != want {
			t.Fatalf("socket returned %d, %v; the reply said %d", got.v, got.err, given)
		}
		CloseFD(got.v)
	}
}

package holder

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/tcpcni/tcpcni/engine/rpc"
	"github.com/tcpcni/tcpcni/hostlink"
)

// Two against one: an engine that was taken over, whose capability reaches into
// whatever process it has a pidfd of, and a program of its sandbox, which may make
// a pidfd of every process that it sees.

const (
	secret       = "for nobody else"
	secretNumber = 3 // in the victim
)

// playAccomplice is a program of the sandbox, without privileges. It makes a
// pidfd of process args[0], and says its own number, that of the pidfd, and that
// of a socket in which waits another.
func playAccomplice(args []string) error {
	victim, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	if err := underFilter(0); err != nil {
		return err
	}
	const nobody = 65534
	if err := syscall.Setresgid(nobody, nobody, nobody); err != nil {
		return err
	}
	if err := syscall.Setresuid(nobody, nobody, nobody); err != nil {
		return err
	}
	pidfd, err := unix.PidfdOpen(victim, 0)
	if err != nil {
		return err
	}
	if _, e := hostlink.GetFD(pidfd, secretNumber); e != unix.EPERM {
		return fmt.Errorf("by itself: %v", e)
	}
	a, b, e := hostlink.NewPacketPair()
	if e != 0 {
		return e
	}
	for range 8 {
		if e := hostlink.SendPacket(a, []byte("here"), []int{pidfd}, false); e != 0 {
			return e
		}
	}
	fmt.Println(os.Getpid(), pidfd, b)
	_, _ = os.Stdin.Read(make([]byte, 1)) // until the test ends
	return nil
}

// A theft is one way to come to another process's descriptors.
type theft struct {
	a      *attacker
	victim int
	tid    int // the accomplice
	place  int // its pidfd, which the holder gave
	pidfd  int // the accomplice's number for the victim's pidfd
	socket int // the accomplice's number for the socket
}

// take brings the victim's pidfd here, into the lowest number that is free.
func (x *theft) take() int {
	fd, e := hostlink.GetFD(x.place, x.pidfd)
	if e != 0 {
		return -int(e)
	}
	return fd
}

// loot is what descriptor 3 of the process behind pidfd n holds, or the error.
func loot(n int) string {
	if n < 0 {
		return "no pidfd: " + unix.Errno(-n).Error()
	}
	fd, e := hostlink.GetFD(n, secretNumber)
	if e != 0 {
		return e.Error()
	}
	b := make([]byte, 64)
	got, err := unix.Pread(fd, b, 0)
	if err != nil {
		return "a descriptor: " + err.Error()
	}
	return string(b[:got])
}

// fill uses up every number below n that is free.
func fill(n int) {
	for {
		a, b, e := hostlink.NewPair(hostlink.PairStream, true)
		if e != 0 || max(a, b) > n {
			return
		}
	}
}

func sys(nr uintptr, args ...uintptr) (int, unix.Errno) {
	var a [6]uintptr
	copy(a[:], args)
	r, _, e := unix.RawSyscall6(nr, a[0], a[1], a[2], a[3], a[4], a[5])
	return int(r), e
}

// again takes the pidfd after the numbers below n are used up.
func (x *theft) again(n int) string {
	fill(n)
	return loot(x.take())
}

// The places of an engine, as hostlink.ReservePlaces has them.
var (
	firstPlace = hostlink.PlaceFD(0)
	lastPlace  = hostlink.PlaceFD(hostlink.Places - 1)
)

// thefts are what is tried, by one engine, one after the other.
var thefts = []struct {
	name string
	how  func(x *theft) string
}{
	{"a pidfd out of its table", func(x *theft) string { return loot(x.take()) }},
	{"a pidfd that it sends", func(x *theft) string { return loot(x.receive()) }},
	{"a pidfd whose number has more bits", func(x *theft) string {
		return loot(x.take() | 1<<32 | firstPlace<<32)
	}},
	{"a number of a place with more bits", func(x *theft) string {
		_, e := hostlink.GetFD(1<<32|x.place, x.pidfd) // the kernel does not look at them
		if e != 0 {
			return "no accomplice: " + e.Error()
		}
		return loot(1<<32 | x.take())
	}},
	{"dup2 over a place", func(x *theft) string {
		if _, e := sys(unix.SYS_DUP2, uintptr(x.take()), uintptr(firstPlace+1)); e != unix.EPERM {
			return fmt.Sprint("dup2: ", e)
		}
		return empty(firstPlace + 1)
	}},
	{"dup3 over the last place", func(x *theft) string {
		if _, e := sys(unix.SYS_DUP3, uintptr(x.take()), uintptr(lastPlace), unix.O_CLOEXEC); e != unix.EPERM {
			return fmt.Sprint("dup3: ", e)
		}
		return empty(lastPlace)
	}},
	{"dup", func(x *theft) string {
		n, e := sys(unix.SYS_DUP, uintptr(x.take()))
		if e != 0 {
			return e.Error()
		}
		return loot(n)
	}},
	{"F_DUPFD from a place on", func(x *theft) string {
		for _, how := range []uintptr{unix.F_DUPFD, unix.F_DUPFD_CLOEXEC, unix.F_DUPFD_QUERY} {
			if n, e := sys(unix.SYS_FCNTL, uintptr(x.take()), how, uintptr(firstPlace)); e != unix.EPERM {
				return fmt.Sprint("fcntl: ", n, e)
			}
		}
		return empty(lastPlace)
	}},
	{"a place that was closed", func(x *theft) string {
		for place := firstPlace; place <= lastPlace; place++ {
			if _, e := sys(unix.SYS_CLOSE, uintptr(place)); e != unix.EPERM {
				return fmt.Sprint("close: ", e)
			}
			if _, e := sys(unix.SYS_CLOSE, uintptr(1<<32|place)); e != unix.EPERM {
				return fmt.Sprint("close with more bits: ", e)
			}
		}
		return x.again(lastPlace)
	}},
	{"places that were closed at once", func(x *theft) string {
		for _, first := range []int{3, firstPlace, lastPlace} {
			if _, e := sys(unix.SYS_CLOSE_RANGE, uintptr(first), uintptr(lastPlace), 0); e != unix.EPERM {
				return fmt.Sprint("close_range: ", e)
			}
		}
		return x.again(lastPlace)
	}},
	{"a table of its own", func(x *theft) string {
		if _, e := sys(unix.SYS_CLOSE_RANGE, 1<<30, 1<<30, unix.CLOSE_RANGE_UNSHARE); e != unix.EPERM {
			return fmt.Sprint("close_range: ", e)
		}
		return x.again(lastPlace)
	}},
	{"a limit below the places", func(x *theft) string {
		limit := unix.Rlimit{Cur: 64, Max: 64}
		if _, e := sys(unix.SYS_SETRLIMIT, unix.RLIMIT_NOFILE, uintptr(unsafe.Pointer(&limit))); e != unix.EPERM {
			return fmt.Sprint("setrlimit: ", e)
		}
		if _, e := sys(unix.SYS_PRLIMIT64, 0, unix.RLIMIT_NOFILE, uintptr(unsafe.Pointer(&limit))); e != unix.EPERM {
			return fmt.Sprint("prlimit: ", e)
		}
		return x.again(lastPlace)
	}},
	{"no number free below the places", func(x *theft) string { return x.again(lastPlace) }},
	{"a message, no number free below the places", func(x *theft) string {
		fill(lastPlace)
		return loot(x.receive())
	}},
	{"numbers that come and go below the places", func(x *theft) string {
		fill(lastPlace)
		for n := firstPlace - 30; n <= lastPlace+30; n++ {
			hostlink.CloseFD(n)
			if got := loot(x.take()); got != unix.EPERM.Error() {
				return got
			}
		}
		return loot(x.take())
	}},
	{"a listener, to answer itself", func(*theft) string {
		for n := range lastPlace + 1000 {
			if hostlink.IsNotifier(n) {
				return fmt.Sprint("descriptor ", n)
			}
		}
		return unix.EPERM.Error()
	}},
	{"a listener of the accomplice, to be answered on", func(x *theft) string {
		ans, err := x.a.holder.Ask(&rpc.Message{Op: rpc.OpGuard, Args: [6]uint64{uint64(x.place)}}, 0)
		ans.CloseFDs()
		if err != unix.EEXIST {
			return fmt.Sprint(err)
		}
		return unix.EPERM.Error()
	}},
	{"the holder's word for the victim", func(x *theft) string {
		for _, place := range []int{0, 1, hostlink.KeeperPlace, hostlink.KeeperPlace} {
			if _, e := x.a.thread(x.victim, place); e != unix.EPERM {
				return fmt.Sprint("place ", place, ": ", e)
			}
		}
		return empty(hostlink.PlaceFD(1))
	}},
	{"what is no place", func(x *theft) string {
		for _, place := range []int{hostlink.Places, -1, -hostlink.Places, 1 << 31, 1 << 32, x.take() - firstPlace} {
			if _, e := x.a.thread(x.tid, place); e != unix.EINVAL {
				return fmt.Sprint("place ", place, ": ", e)
			}
		}
		return loot(x.take())
	}},
	{"kinds that there are not", func(x *theft) string {
		for _, kind := range []int{-1, 2, 1 << 32} {
			if _, e := hostlink.AskPlace(kind, x.victim, 1); e != unix.EINVAL {
				return fmt.Sprint("kind ", kind, ": ", e)
			}
		}
		if _, e := hostlink.AskPlace(hostlink.PlaceKeeper, x.victim, 1); e != unix.ENOENT {
			return fmt.Sprint("keeper: ", e)
		}
		return empty(hostlink.PlaceFD(1))
	}},
}

// empty is what a place is that nobody was put in: no pidfd.
func empty(n int) string {
	if got := loot(n); got != unix.EBADF.Error() {
		return got
	}
	return unix.EPERM.Error()
}

// receive brings it here by a message.
func (x *theft) receive() int {
	s, e := hostlink.GetFD(x.place, x.socket)
	if e != 0 {
		return -int(e)
	}
	defer hostlink.CloseFD(s)
	_, fds, e := hostlink.RecvPacket(s, make([]byte, 8), true)
	if e != 0 {
		return -int(e)
	}
	return fds[0]
}

// steal tries one of them, "steal NUMBER VICTIM ACCOMPLICE PIDFD SOCKET".
func (a *attacker) steal(args string) string {
	var n int
	x := theft{a: a}
	if _, err := fmt.Sscan(args, &n, &x.victim, &x.tid, &x.pidfd, &x.socket); err != nil {
		return err.Error()
	}
	var e unix.Errno
	if x.place, e = a.thread(x.tid, 0); e != 0 {
		return "no accomplice: " + e.Error()
	}
	return thefts[n].how(&x)
}

// thread asks the holder for a thread, and returns its pidfd.
func (a *attacker) thread(tid, place int) (int, unix.Errno) {
	t, e := hostlink.AskPlace(hostlink.PlaceThread, tid, place)
	if t.Mem >= 0 {
		hostlink.CloseFD(t.Mem)
	}
	return t.PidFD, e
}

// newVictim starts a process that is not in the sandbox and has a file open that
// nobody else can open.
func newVictim(t *testing.T) int {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sleep", "1000")
	cmd.ExtraFiles = []*os.File{f}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return cmd.Process.Pid
}

// newAccomplice starts a program in the sandbox and returns what it says.
func (f *fixture) newAccomplice(victim int) string {
	f.t.Helper()
	cmd := exec.Command("/proc/self/exe", "accomplice", strconv.Itoa(victim))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		f.t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		f.t.Fatal(err)
	}
	if err := hostlink.InNetNS(f.cfg.Inner.NetNS, cmd.Start); err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { _ = in.Close(); _ = cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		f.t.Fatal("the accomplice: ", err)
	}
	return strings.TrimSpace(line)
}

// TestSteal has an engine and a program of its sandbox try together to get at the
// descriptors of a process of the host.
func TestSteal(t *testing.T) {
	f := newFixture(t)
	victim := newVictim(t)
	help := f.newAccomplice(victim)
	for i, x := range thefts {
		if got := f.tell(fmt.Sprintf("steal %d %d %s", i, victim, help)); got != unix.EPERM.Error() {
			t.Errorf("%s: %q", x.name, got)
		}
	}
}

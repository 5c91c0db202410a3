package holder

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/tcpcni/tcpcni/engine"
	"github.com/tcpcni/tcpcni/engine/rpc"
	"github.com/tcpcni/tcpcni/hostlink"
	"github.com/tcpcni/tcpcni/hostlink/cgroup"
	"github.com/tcpcni/tcpcni/test/needroot"
)

// The test binary plays the holder, and the engine that the holder starts, which
// somebody has taken over.
func TestMain(m *testing.M) {
	var err error
	switch {
	case len(os.Args) > 1 && os.Args[1] == "holder":
		switch os.Getenv(filteredEnv) {
		case "plain":
			err = underFilter(0)
		case "listener":
			err = underFilter(unix.SECCOMP_FILTER_FLAG_NEW_LISTENER)
		}
		if err == nil {
			err = Run(os.Args[2], func() error {
				_, err := os.Stdout.WriteString("ready\n")
				return err
			})
		}
	case len(os.Args) > 1 && os.Args[1] == "engine":
		err = playAttacker(os.Args[2:])
	case len(os.Args) > 1 && os.Args[1] == "accomplice":
		err = playAccomplice(os.Args[2:])
	default:
		os.Exit(m.Run())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, os.Args[1]+":", err)
		os.Exit(1)
	}
}

// playAttacker is locked down as an engine is, and does what lines on the control
// socket say.
func playAttacker(args []string) error {
	f := flag.NewFlagSet("engine", flag.ContinueOnError)
	fds := map[string]*int{}
	for _, name := range []string{"config-fd", "holder-fd", "control-fd", "uplink-fd", "inner-fd"} {
		fds[name] = f.Int(name, -1, "")
	}
	if err := f.Parse(args); err != nil {
		return err
	}
	if err := hostlink.ReservePlaces(); err != nil {
		return err
	}
	if err := hostlink.DropPrivileges(unix.CAP_SYS_PTRACE); err != nil {
		return err
	}
	listener, err := hostlink.LockDown()
	if err != nil {
		return err
	}
	a := &attacker{holder: rpc.NewConn(*fds["holder-fd"])}
	if listener >= 0 {
		if _, err := a.holder.Ask(&rpc.Message{Op: rpc.OpGuard, Args: [6]uint64{uint64(listener)}}, 0); err != nil {
			return err
		}
		hostlink.CloseFD(listener)
	}
	if _, err := a.holder.Ask(&rpc.Message{Op: rpc.OpReady}, 0); err != nil {
		return err
	}
	for {
		c, err := hostlink.AcceptControl(*fds["control-fd"])
		if err != nil {
			time.Sleep(time.Millisecond)
			continue
		}
		for {
			line, err := c.ReadLine()
			if errors.Is(err, hostlink.ErrAgain) {
				time.Sleep(time.Millisecond)
				continue
			}
			if err != nil {
				break
			}
			if err := c.SendLine([]byte(a.try(string(line))), -1); err != nil {
				break
			}
		}
		_ = c.Close()
	}
}

type attacker struct{ holder *rpc.Conn }

// try does one thing, "OP ARG0 ARG1 DATA" for a question to the holder.
func (a *attacker) try(line string) string {
	word, rest, _ := strings.Cut(line, " ")
	switch word {
	case "pid":
		return strconv.Itoa(os.Getpid())
	case "execve":
		_, _, e := unix.RawSyscall(unix.SYS_EXECVE, 0, 0, 0)
		return e.Error()
	case "garbage":
		for _, m := range [][]byte{{1}, make([]byte, 20), make([]byte, 200000)} {
			hostlink.SendPacket(a.holder.FD(), m, nil, false)
		}
		return "sent"
	case "descriptors":
		// More than any question has, on all of them.
		for op := uint32(0); op < 40; op++ {
			q := rpc.Message{Op: op, FDs: []int{0, 1, 2, 0, 1, 2, 0, 1}}
			if op == rpc.OpStopping {
				continue
			}
			if ans, err := a.holder.Ask(&q, 0); err == nil {
				ans.CloseFDs()
			}
		}
		return "sent"
	case "flood":
		for i := range 20000 {
			_, _ = a.thread(i, i%hostlink.Places)
		}
		return "sent"
	case "deaf":
		return a.deaf()
	case "threads":
		return a.threads()
	case "thread":
		var tid int
		_, _ = fmt.Sscan(rest, &tid)
		_, e := a.thread(tid, 0)
		return e.Error()
	case "steal":
		return a.steal(rest)
	}
	var q rpc.Message
	var op uint32
	var fd int
	if _, err := fmt.Sscan(rest, &op, &q.Args[0], &q.Args[1], &fd); err != nil {
		return err.Error()
	}
	q.Op, q.Data = op, []byte(word)
	if fd >= 0 {
		q.FDs = []int{fd}
	}
	ans, err := a.holder.Ask(&q, 0)
	ans.CloseFDs()
	if err != nil {
		return err.Error()
	}
	return "granted"
}

// A fixture is a holder under test.
type fixture struct {
	t   *testing.T
	cmd *exec.Cmd
	cfg engine.Config
	dir string

	killed bool // by the test
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	needroot.Check(t, "make network namespaces")
	if withCgo {
		t.Skip("needs a binary built with CGO_ENABLED=0, as the command is")
	}
	f := &fixture{t: t, dir: t.TempDir()}
	ns, up := filepath.Join(f.dir, "ns"), filepath.Join(f.dir, "up")
	for _, path := range []string{ns, up} {
		if err := hostlink.NewNetNS(path); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = hostlink.DeleteNetNS(path) })
	}
	for _, d := range [][2]string{{"up0", up}, {"eth0", ns}} {
		tap, err := hostlink.OpenTAP(hostlink.TAPConfig{Name: d[0], NetNS: d[1], Persist: true, Up: true})
		if err != nil {
			t.Fatal(err)
		}
		_ = tap.Close()
	}
	f.cfg = engine.Config{
		Name: "test", ControlPath: filepath.Join(f.dir, "control.sock"),
		Uplink: engine.LinkSpec{Kind: engine.LinkTAP, Ifname: "up0", NetNS: up},
		Inner:  engine.LinkSpec{Kind: engine.LinkTAP, Ifname: "eth0", NetNS: ns},
		Ifname: "eth0", MAC: "02:00:00:00:98:02", MTU: 1500,
		Addrs: []netip.Prefix{netip.MustParsePrefix("10.98.0.2/24")},
	}
	text, err := json.Marshal(f.cfg)
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(f.dir, "config.json")
	if err := os.WriteFile(config, text, 0o600); err != nil {
		t.Fatal(err)
	}
	f.cmd = exec.Command("/proc/self/exe", "holder", config)
	log, err := os.OpenFile(filepath.Join(f.dir, "holder.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(f.said())
		}
		_ = log.Close()
	})
	f.cmd.Stderr = log
	out, err := f.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := f.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = f.cmd.Process.Signal(unix.SIGTERM)
		if err := f.cmd.Wait(); err != nil && !f.killed {
			t.Errorf("holder: %v", err)
		}
		if err := cgroup.Remove(f.dir); err != nil {
			t.Error(err)
		}
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "ready\n" {
		t.Fatalf("holder said %q, %v", line, err)
	}
	return f
}

// said is what the holder has written to its log.
func (f *fixture) said() string {
	b, _ := os.ReadFile(filepath.Join(f.dir, "holder.log"))
	return string(b)
}

// tell has the engine do something; "" when it died of that.
func (f *fixture) tell(line string) string {
	f.t.Helper()
	c, err := hostlink.DialControl(f.cfg.ControlPath, 30*time.Second)
	if err != nil {
		f.t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if err := c.SendLine([]byte(line), -1); err != nil {
		return ""
	}
	answer, err := c.ReadLine()
	if err != nil {
		return ""
	}
	return string(answer)
}

// ask has the engine ask the holder.
func (f *fixture) ask(op uint32, arg0, arg1 int64, data string, fd int) string {
	f.t.Helper()
	if data == "" {
		data = "-"
	}
	return f.tell(fmt.Sprintf("%s %d %d %d %d", data, op, uint64(arg0), uint64(arg1), fd))
}

// TestTakenOver asks the holder for what is not the sandbox's.
func TestTakenOver(t *testing.T) {
	f := newFixture(t)
	foreign := newForeign(t)
	perm, inval := unix.EPERM.Error(), unix.EINVAL.Error()
	holder := int64(f.cmd.Process.Pid)
	self, err := strconv.ParseInt(f.tell("pid"), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what       string
		op         uint32
		arg0, arg1 int64
		data       string
		fd         int
		want       string
	}{
		{"rights of a process of the host", rpc.OpStanding, foreign, 0, "", -1, perm},
		{"descriptors of a process of the host", rpc.OpClosesOnExec, foreign, 0, "", -1, perm},
		{"a socket that nobody has", rpc.OpFind, 12345, 0, "", -1, unix.ENOENT.Error()},
		{"a keeper that is not its child", rpc.OpKeeper, foreign, 0, "", 0, inval},
		{"the holder as keeper", rpc.OpKeeper, holder, 0, "", 0, inval},
		{"a keeper without a journal", rpc.OpKeeper, foreign, 0, "", -1, inval},
		{"another listener of its filter", rpc.OpGuard, 0, 0, "", -1, unix.EEXIST.Error()},
		{"a file as listener", rpc.OpKeep, 0, 0, "", 0, inval},
		{"nothing as listener", rpc.OpKeep, 0, 0, "", -1, inval},
		{"what nobody left", rpc.OpInherit, 1 << 40, 0, "", -1, unix.ENOENT.Error()},
		{"an interface with a long name", rpc.OpInterface, 0, 0, strings.Repeat("x", 4000), -1, unix.ENODEV.Error()},
		{"an address of the host", rpc.OpListenKernel, 0, 0, "10.98.0.1:80", -1, unix.EADDRNOTAVAIL.Error()},
		{"every address", rpc.OpListenKernel, 0, 0, "0.0.0.0:80", -1, unix.EADDRNOTAVAIL.Error()},
		{"a peer far away", rpc.OpDialKernel, 0, 0, "192.0.2.1:80", -1, unix.EADDRNOTAVAIL.Error()},
		{"no address", rpc.OpDialKernel, 0, 0, "x", -1, inval},
		{"no port", rpc.OpListenKernel, 0, 0, "127.0.0.1:0", -1, inval},
		{"a datagram socket at an address of the host", rpc.OpBindKernel, 0, 0, "127.0.0.1:9,10.98.0.1:9", -1, unix.EADDRNOTAVAIL.Error()},
		{"a datagram socket at every address", rpc.OpBindKernel, 0, 0, "0.0.0.0:0", -1, unix.EADDRNOTAVAIL.Error()},
		{"a datagram socket at IPv4-mapped loopback", rpc.OpBindKernel, 0, 0, "[::ffff:127.0.0.1]:9", -1, inval},
		{"a datagram socket nowhere", rpc.OpBindKernel, 0, 0, "127.0.0.1:9,", -1, inval},
		{"a datagram socket shared twice", rpc.OpBindKernel, 2, 0, "127.0.0.1:9", -1, inval},
		{"nine datagram sockets", rpc.OpBindKernel, 0, 0, strings.Repeat("127.0.0.1:0,", 8) + "127.0.0.1:0", -1, inval},
		{"an operation that is none", 999, 0, 0, "", -1, unix.ENOSYS.Error()},
	} {
		if got := f.ask(c.op, c.arg0, c.arg1, c.data, c.fd); got != c.want {
			t.Errorf("%s: %q, want %q", c.what, got, c.want)
		}
	}
	for _, c := range []struct {
		what string
		tid  int64
		want string
	}{
		{"the first process", 1, perm},
		{"the holder", holder, perm},
		{"its own memory", self, perm},
		{"a process of the host", foreign, perm},
		{"a thread that is none", -1, unix.ESRCH.Error()},
		{"no thread", 0, unix.ESRCH.Error()},
	} {
		if got := f.tell(fmt.Sprint("thread ", c.tid)); got != c.want {
			t.Errorf("%s: %q, want %q", c.what, got, c.want)
		}
	}
	// The holder gets over what is no question at all, and leaks nothing.
	before := countFDs(t, f.cmd.Process.Pid)
	for _, what := range []string{"garbage", "descriptors", "flood"} {
		if got := f.tell(what); got != "sent" {
			t.Errorf("%s: %q", what, got)
		}
	}
	if got := f.tell("thread 1"); got != perm {
		t.Errorf("afterwards: %q", got)
	}
	if after := countFDs(t, f.cmd.Process.Pid); after > before+2 {
		t.Errorf("the holder had %d descriptors and has %d", before, after)
	}
}

// filteredEnv tells the holder to be under a seccomp filter, "plain" or with a
// "listener".
const filteredEnv = "HOLDER_TEST_FILTERED"

// underFilter puts every thread of this process under a filter that allows all,
// as a container runtime may be that starts plugins.
func underFilter(flags uintptr) error {
	prog := []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW}}
	f := unix.SockFprog{Len: 1, Filter: &prog[0]}
	flags |= unix.SECCOMP_FILTER_FLAG_TSYNC | unix.SECCOMP_FILTER_FLAG_TSYNC_ESRCH
	_, _, e := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&f)))
	if e != 0 {
		return os.NewSyscallError("seccomp", e)
	}
	return nil
}

// TestNoListener has an engine where the one listener that the kernel has for
// a process is somebody else's: it serves, and gets hold of nobody.
func TestNoListener(t *testing.T) {
	t.Setenv(filteredEnv, "listener")
	f := newFixture(t)
	help := f.newAccomplice(newVictim(t))
	accomplice, _, _ := strings.Cut(help, " ")
	if got := f.tell("thread " + accomplice); got != unix.ENOSYS.Error() {
		t.Errorf("thread: %q", got)
	}
	if got := f.ask(rpc.OpGuard, int64(hostlink.PlaceFD(0)), 0, "", -1); got != unix.EEXIST.Error() {
		t.Errorf("a listener later: %q", got)
	}
}

// TestTakenOverUnderFilter asks for the memory of the holder's threads where the
// holder is under a filter like a program of the sandbox. One of them is in the
// sandbox's namespace.
func TestTakenOverUnderFilter(t *testing.T) {
	t.Setenv(filteredEnv, "plain")
	f := newFixture(t)
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", f.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range tasks {
		tid, err := strconv.ParseInt(d.Name(), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		if got := f.tell(fmt.Sprint("thread ", tid)); got != unix.EPERM.Error() && got != unix.ESRCH.Error() {
			t.Errorf("thread %d of the holder: %q", tid, got)
		}
	}
}

// TestReplaced has the engine killed, by somebody else and by its own filter.
func TestReplaced(t *testing.T) {
	f := newFixture(t)
	first := f.tell("pid")
	pid, err := strconv.Atoi(first)
	if err != nil {
		t.Fatal(first)
	}
	if err := unix.Kill(pid, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	second := f.next(first)
	if got := f.tell("execve"); got != "" {
		t.Errorf("execve: %q", got)
	}
	f.next(second)
}

// TestLogBounded has an engine die that has filled the log.
func TestLogBounded(t *testing.T) {
	f := newFixture(t)
	first := f.tell("pid")
	if err := os.WriteFile(filepath.Join(f.dir, "holder.log"), make([]byte, maxLog+1), 0o600); err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(first)
	if err != nil {
		t.Fatal(first)
	}
	if err := unix.Kill(pid, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	f.next(first)
	if said := f.said(); len(said) > 1000 || !strings.Contains(said, "started again") {
		t.Errorf("%d bytes of log", len(said))
	}
}

// TestReplacedLater has the engine killed while no other can be started.
func TestReplacedLater(t *testing.T) {
	f := newFixture(t)
	holder := f.cmd.Process.Pid
	first := f.tell("pid")
	pid, err := strconv.Atoi(first)
	if err != nil {
		t.Fatal(first)
	}
	var before unix.Rlimit
	if err := unix.Prlimit(holder, unix.RLIMIT_NOFILE, nil, &before); err != nil {
		t.Fatal(err)
	}
	if err := unix.Prlimit(holder, unix.RLIMIT_NOFILE, &unix.Rlimit{Max: before.Max}, nil); err != nil {
		t.Fatal(err)
	}
	if err := unix.Kill(pid, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for range 1000 {
		if strings.Contains(f.said(), "too many open files") {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if err := unix.Prlimit(holder, unix.RLIMIT_NOFILE, &before, nil); err != nil {
		t.Fatal("the holder is gone: ", err)
	}
	f.next(first)
}

// next waits for an engine that is not the one before.
func (f *fixture) next(before string) string {
	f.t.Helper()
	for range 1000 {
		if now := f.tell("pid"); now != "" && now != before {
			return now
		}
		time.Sleep(10 * time.Millisecond)
	}
	f.t.Fatal("no other engine")
	return ""
}

// TestEngineDiesWithHolder kills the holder; nothing is left.
func TestEngineDiesWithHolder(t *testing.T) {
	f := newFixture(t)
	pid, err := strconv.Atoi(f.tell("pid"))
	if err != nil {
		t.Fatal(err)
	}
	pidfd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer hostlink.CloseFD(pidfd)
	if err := f.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	f.killed = true
	p := []unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}
	if n, err := unix.Poll(p, 60_000); n != 1 {
		t.Errorf("the engine lives on: %v", err)
	}
}

// newForeign starts a process that is not in the sandbox.
func newForeign(t *testing.T) int64 {
	t.Helper()
	cmd := exec.Command("sleep", "1000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return int64(cmd.Process.Pid)
}

func countFDs(t *testing.T, pid int) int {
	t.Helper()
	names, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		t.Fatal(err)
	}
	return len(names)
}

// TestPauses grow and have an end.
func TestPauses(t *testing.T) {
	for n := range quickDeaths + 1 {
		if pauseAfter(n) != 0 {
			t.Errorf("a pause after %d deaths", n)
		}
	}
	for n := quickDeaths + 2; n < 100; n++ {
		if pauseAfter(n) < pauseAfter(n-1) || pauseAfter(n) > maxPause || pauseAfter(n) == 0 {
			t.Errorf("pause after %d deaths: %v", n, pauseAfter(n))
		}
	}
}

// TestCannotOpen starts a holder with files that cannot be opened: the reason is
// the last that it says, for the plugin to pass on.
func TestCannotOpen(t *testing.T) {
	needroot.Check(t, "enter control groups")
	dir := t.TempDir()
	none := filepath.Join(dir, "none")
	text, err := json.Marshal(&engine.Config{
		Name: "test", ControlPath: filepath.Join(dir, "control.sock"),
		Uplink: engine.LinkSpec{Kind: engine.LinkTAP, Ifname: "up0", NetNS: none},
		Inner:  engine.LinkSpec{Kind: engine.LinkTAP, Ifname: "eth0", NetNS: none},
		Ifname: "eth0", MAC: "02:00:00:00:98:02", MTU: 1500,
		Addrs: []netip.Prefix{netip.MustParsePrefix("10.98.0.2/24")},
	})
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "config.json")
	if err := os.WriteFile(config, text, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("/proc/self/exe", "holder", config).CombinedOutput()
	if err == nil {
		t.Fatal("the holder started")
	}
	if err := cgroup.Remove(dir); err != nil {
		t.Error(err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if last := lines[len(lines)-1]; !strings.HasPrefix(last, "holder: uplink: ") || !strings.Contains(last, unix.ENOENT.Error()) {
		t.Errorf("the holder said\n%s", out)
	}
}

package hostlink

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// keeperRole makes the test binary a process that dies and leaves a keeper.
const keeperRole = "TCPCNI_HOSTLINK_TEST_KEEPER"

func init() {
	if os.Getenv(keeperRole) == "" {
		return
	}
	os.Exit(playKept())
}

// playKept says the keeper's process id and the number of a socket, then kills
// itself once it is told to. Descriptor 3 is the lifeline.
func playKept() int {
	big := make([]byte, 64<<20) // what a keeper must not hold on to
	for i := range big {
		big[i] = 1
	}
	pid, err := StartKeeper(3)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	// Made and closed after the keeper: the table is one.
	e, p, _ := NewPair(PairStream, false)
	gone, other, _ := NewPair(PairStream, false)
	CloseFD(gone)
	n, e2 := Recv(other, make([]byte, 1), 0)
	if n != 0 || e2 != 0 {
		fmt.Println("a closed end shows", n, e2, "not the end of file")
		return 1
	}
	if _, e := Send(p, []byte("kept"), 0); e != 0 {
		fmt.Println(e)
		return 1
	}
	runtime.GC()
	for i := range big {
		big[i] = 2
	}
	fmt.Println(pid, e)
	_, _ = os.Stdin.Read(make([]byte, 1))
	_ = unix.Kill(os.Getpid(), unix.SIGKILL)
	select {}
}

type kept struct {
	cmd      *exec.Cmd
	lifeline *os.File
	keeper   int
	fd       int
}

func startKept(t *testing.T) *kept {
	t.Helper()
	// The keeper comes to this process when its parent dies.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	t.Cleanup(func() { _ = w.Close() })
	k := &kept{cmd: exec.Command("/proc/self/exe"), lifeline: w}
	k.cmd.Env = append(os.Environ(), keeperRole+"=1")
	k.cmd.ExtraFiles = []*os.File{r}
	in, err := k.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := k.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := k.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fscan(out, &k.keeper, &k.fd); err != nil {
		t.Fatal(err)
	}
	_ = in.Close()
	_ = k.cmd.Wait()
	return k
}

// memory is what a process takes for itself alone.
func memory(t *testing.T, pid int) string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for line := range bytes.Lines(text) {
		f := strings.Fields(string(line))
		if f[0] == "Rss:" || f[0] == "Pss:" || f[0] == "Private_Dirty:" || f[0] == "Anonymous:" {
			list = append(list, f[0]+" "+f[1]+" kB")
		}
	}
	return strings.Join(list, ", ")
}

func privateKB(t *testing.T, pid int) (kb int) {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "Anonymous:")
	_, _ = fmt.Sscan(rest, &kb)
	return kb
}

func TestKeeperHoldsDescriptorsOfTheDead(t *testing.T) {
	k := startKept(t)
	// It may not have come to unmapping yet.
	for end := time.Now().Add(20 * time.Second); privateKB(t, k.keeper) > 2048 && !withCgo(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the keeper holds for itself: %s", memory(t, k.keeper))
		}
	}
	t.Logf("keeper: %s", memory(t, k.keeper))
	pidfd, err := unix.PidfdOpen(k.keeper, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer CloseFD(pidfd)
	// Nothing but SIGKILL reaches it.
	for _, sig := range []unix.Signal{unix.SIGTERM, unix.SIGINT, unix.SIGHUP, unix.SIGCHLD, unix.SIGSTOP, unix.SIGCONT} {
		if err := unix.Kill(k.keeper, sig); err != nil {
			t.Fatal(err)
		}
	}
	fd, e := GetFD(pidfd, k.fd)
	if e != 0 {
		t.Fatalf("pidfd_getfd: %v", e)
	}
	defer CloseFD(fd)
	var b [8]byte
	if n, e := Recv(fd, b[:], 0); e != 0 || string(b[:n]) != "kept" {
		t.Errorf("the kept socket holds %q, %v", b[:n], e)
	}
	if err := unix.Kill(k.keeper, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	reap(t, k.keeper)
}

func TestKeeperEndsWithItsLifeline(t *testing.T) {
	k := startKept(t)
	_ = k.lifeline.Close()
	reap(t, k.keeper)
}

// reap waits for the end of an adopted child.
func reap(t *testing.T, pid int) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; {
		var st unix.WaitStatus
		got, err := unix.Wait4(pid, &st, unix.WNOHANG, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got == pid {
			return
		}
		if time.Now().After(end) {
			_ = unix.Kill(pid, unix.SIGKILL)
			t.Fatal("the keeper is still there")
		}
		time.Sleep(5 * time.Millisecond)
	}
}

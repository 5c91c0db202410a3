package holder

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/tcpcni/tcpcni/engine/rpc"
)

// unheard is how many questions a deaf engine asks.
const unheard = 5000

// deaf asks for thousands of kernel sockets, one or eight at a time, before it
// takes the first answer. It says what it got.
func (a *attacker) deaf() string {
	for i := range unheard {
		q := rpc.Message{Op: rpc.OpListenKernel, Data: fmt.Appendf(nil, "127.0.0.1:%d", 1+i)}
		if i%2 != 0 {
			q = rpc.Message{Op: rpc.OpBindKernel, Data: []byte(strings.Repeat("127.0.0.1:0,", 7) + "127.0.0.1:0")}
		}
		if err := a.holder.Send(&q, false); err != nil {
			return err.Error()
		}
	}
	// An answer of another kind ends what waits, if there was room for it.
	answers, sockets := 0, 0
	for {
		var m rpc.Message
		if err := a.holder.Receive(&m, true); err != nil {
			break
		}
		answers++
		sockets += len(m.FDs)
		m.CloseFDs()
	}
	return fmt.Sprint(answers, " ", sockets)
}

// TestDeafEngine has an engine ask and not listen. Answers that it leaves lying
// are lost; the holder neither waits, nor grows, nor keeps what it made for them.
func TestDeafEngine(t *testing.T) {
	f := newFixture(t)
	pid := f.cmd.Process.Pid
	fds, memory := countFDs(t, pid), residentMemory(t, pid)
	for range 3 {
		var answers, sockets int
		said := f.tell("deaf")
		if _, err := fmt.Sscan(said, &answers, &sockets); err != nil {
			t.Fatalf("%q: %v", said, err)
		}
		if answers == 0 || answers >= unheard || sockets == 0 {
			t.Errorf("%d answers and %d sockets for %d questions", answers, sockets, unheard)
		}
		t.Logf("%d answers, %d sockets", answers, sockets)
	}
	// Answers to questions that were still on their way come first.
	for range 1000 {
		if f.ask(rpc.OpStanding, 1, 0, "", -1) == unix.EPERM.Error() {
			break
		}
	}
	if got := f.ask(rpc.OpStanding, 1, 0, "", -1); got != unix.EPERM.Error() {
		t.Errorf("afterwards: %q", got)
	}
	if now := countFDs(t, pid); now > fds+2 {
		t.Errorf("the holder had %d descriptors and has %d", fds, now)
	}
	const most = 16 << 20
	if now := residentMemory(t, pid); now > memory+most {
		t.Errorf("the holder had %d bytes and has %d", memory, now)
	}
	// Complaints about it are one line, not one for each.
	if n := strings.Count(f.said(), "an answer to the engine"); n != 1 {
		t.Errorf("the log has %d lines about answers", n)
	}
}

// residentMemory is that of a process, in bytes.
func residentMemory(t *testing.T, pid int) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		t.Fatal(err)
	}
	var size, pages int
	if _, err := fmt.Sscan(string(text), &size, &pages); err != nil {
		t.Fatal(err)
	}
	return pages * os.Getpagesize()
}

// threads starts more than a machine has room for, one at a time.
func (a *attacker) threads() string {
	for range 100000 {
		there := make(chan struct{})
		go func() {
			runtime.LockOSThread()
			close(there)
			select {}
		}()
		<-there
	}
	return "started"
}

// TestThreadBomb has an engine start threads. It gets as many as its control group
// has, not the machine's, and another takes its place.
func TestThreadBomb(t *testing.T) {
	f := newFixture(t)
	limit := taskLimit(t, f.cmd.Process.Pid)
	if limit == "" {
		t.Skip("the holder has no control group that limits tasks")
	}
	if limit == "max" {
		t.Fatal("no limit of tasks")
	}
	first := f.tell("pid")
	if got := f.tell("threads"); got != "" {
		t.Errorf("threads: %q", got)
	}
	f.next(first)
}

// taskLimit is the limit of tasks of the control group of a process; "": it is in
// none of ours.
func taskLimit(t *testing.T, pid int) string {
	t.Helper()
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(f) != 3 || !strings.Contains(f[2], "/tcpcni/") || f[1] != "" && f[1] != "pids" {
			continue
		}
		for _, root := range []string{"/sys/fs/cgroup/pids", "/sys/fs/cgroup"} {
			if limit, err := os.ReadFile(filepath.Join(root, f[2], "pids.max")); err == nil {
				return strings.TrimSpace(string(limit))
			}
		}
	}
	return ""
}

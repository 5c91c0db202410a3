package hostlink

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/tcpcni/tcpcni/test/needroot"
)

// dropEnv makes the test binary drop its privileges and report instead of
// testing: dropping cannot be undone.
const dropEnv = "HOSTLINK_TEST_DROP"

func TestDropPrivileges(t *testing.T) {
	if os.Getenv(dropEnv) != "" {
		dropAndReport()
		return
	}
	needroot.Check(t, "have privileges that can be dropped")
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestDropPrivileges$", "-test.v")
	cmd.Env = append(os.Environ(), dropEnv+"=1")
	out, err := cmd.CombinedOutput()
	if strings.Contains(string(out), ErrCgo.Error()) {
		t.Skip("this test binary has cgo: ", ErrCgo)
	}
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	kept := fmt.Sprintf("%016x", uint64(1)<<unix.CAP_SYS_PTRACE)
	threads := strings.Split(strings.TrimSpace(string(out)), "thread\n")[1:]
	if len(threads) < 2 {
		t.Fatalf("want several threads: %s", out)
	}
	for _, status := range threads {
		for _, line := range []string{"CapPrm:\t" + kept, "CapEff:\t" + kept, "CapBnd:\t" + kept, "CapInh:\t" + kept, "CapAmb:\t0000000000000000", "NoNewPrivs:\t1"} {
			if !strings.Contains(status, line) {
				t.Errorf("%q is missing in %s", line, status)
			}
		}
	}
	for _, line := range []string{"dumpable 0", "socket operation not permitted", "again <nil>"} {
		if !strings.Contains(string(out), line) {
			t.Errorf("%q is missing in %s", line, out)
		}
	}
}

func dropAndReport() {
	// Threads that sleep in the kernel, outside of the scheduler's sight.
	var fds [2]int
	_ = unix.Pipe(fds[:])
	for range 3 {
		go func() {
			runtime.LockOSThread()
			_, _ = unix.Read(fds[0], make([]byte, 1))
		}()
	}
	if err := DropPrivileges(unix.CAP_SYS_PTRACE); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	tasks, _ := filepath.Glob("/proc/self/task/*/status")
	for _, f := range tasks {
		b, _ := os.ReadFile(f)
		fmt.Printf("thread\n%s", b)
	}
	dumpable, _ := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
	_, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW, 0)
	fmt.Println("dumpable", dumpable)
	fmt.Println("socket", err)
	fmt.Println("again", DropPrivileges(unix.CAP_SYS_PTRACE))
	os.Exit(0)
}

func TestDropPrivilegesChecksItsArguments(t *testing.T) {
	for _, c := range []int{-1, unix.CAP_LAST_CAP + 1} {
		if err := DropPrivileges(c); err == nil || errors.Is(err, ErrCgo) {
			t.Errorf("capability %d: %v", c, err)
		}
	}
}

func TestRaiseNoFile(t *testing.T) {
	got, err := RaiseNoFile()
	if err != nil {
		t.Fatal(err)
	}
	var lim unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &lim); err != nil || lim.Cur != lim.Max || lim.Max != got {
		t.Errorf("limit %+v, %v; returned %d", lim, err, got)
	}
}

func TestClockAndEntropy(t *testing.T) {
	a := Now()
	if b := Now(); a <= 0 || b < a {
		t.Errorf("%v, then %v", a, b)
	}
	var x, y [32]byte
	Entropy(x[:])
	Entropy(y[:])
	if x == y || x == [32]byte{} {
		t.Error("no entropy")
	}
}

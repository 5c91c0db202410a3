package cgroup

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/tcpcni/tcpcni/test/needroot"
)

// The test binary plays the process that enters a group, too.
const roleVar = "TCPCNI_CGROUP_TEST_DIR"

const limit = 256 << 20

func TestMain(m *testing.M) {
	dir := os.Getenv(roleVar)
	if dir == "" {
		os.Exit(m.Run())
	}
	if err := Enter(dir, limit); err != nil {
		_, _ = os.Stdout.WriteString("error " + err.Error() + "\n")
	} else {
		_, _ = os.Stdout.WriteString("entered\n")
	}
	_, _ = os.Stdin.Read(make([]byte, 1)) // until it is killed
}

// TestLife enters a group, finds the process and its limit there, and removes the
// group under the process.
func TestLife(t *testing.T) {
	needroot.Check(t, "make control groups")
	dir := filepath.Join(t.TempDir(), "sandbox-eth0")
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), roleVar+"="+dir)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = in.Close() }()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 1000)
	n, err := out.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	if got := string(buf[:n]); got != "entered\n" {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if err := Remove(dir); err != nil {
			t.Error(err)
		}
		t.Skip("this machine's control groups: " + got)
	}
	limits, tasks := 0, 0
	for _, h := range hierarchies() {
		procs, err := os.ReadFile(filepath.Join(h.group(dir), "cgroup.procs"))
		if err != nil || strings.TrimSpace(string(procs)) != strconv.Itoa(cmd.Process.Pid) {
			t.Errorf("%s: processes %q, %v", h.path, procs, err)
		}
		if h.tasks != "" {
			text, err := os.ReadFile(filepath.Join(h.group(dir), h.tasks))
			if err != nil || strings.TrimSpace(string(text)) != strconv.Itoa(maxTasks) {
				t.Errorf("%s: limit of tasks %q, %v", h.path, text, err)
			}
			tasks++
		}
		if h.limit == "" {
			continue
		}
		text, err := os.ReadFile(filepath.Join(h.group(dir), h.limit))
		if err != nil || strings.TrimSpace(string(text)) != strconv.Itoa(limit) {
			t.Errorf("%s: limit %q, %v", h.path, text, err)
		}
		limits++
	}
	if limits != 1 || tasks != 1 {
		t.Errorf("%d limits of memory, %d of tasks", limits, tasks)
	}
	lost := hierarchy{path: hierarchies()[0].path}
	if err := os.Mkdir(lost.group("/lost/eth0"), 0o755); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	if err := Remove(dir); err != nil {
		t.Error(err)
	}
	if err := <-done; err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("the process in it: %v", err)
	}
	for _, h := range hierarchies() {
		if _, err := os.Stat(h.group(dir)); !os.IsNotExist(err) {
			t.Errorf("%s is left: %v", h.group(dir), err)
		}
	}
	if _, err := os.Stat(lost.group("/lost/eth0")); !os.IsNotExist(err) {
		t.Errorf("a group that nobody is in is left: %v", err)
	}
	if err := Remove(dir); err != nil {
		t.Errorf("again: %v", err)
	}
}

// TestNames keeps sandboxes of two state directories apart.
func TestNames(t *testing.T) {
	if name("/run/a/sandboxes/x-eth0") == name("/run/b/sandboxes/x-eth0") {
		t.Error("two directories have one group")
	}
}

// TestWithout is a machine without control groups.
func TestWithout(t *testing.T) {
	defer func(old string) { root = old }(root)
	root = t.TempDir()
	if err := Enter("/run/x", 0); err == nil {
		t.Error("entered a group that cannot be")
	}
	if err := Remove("/run/x"); err != nil {
		t.Error(err)
	}
}

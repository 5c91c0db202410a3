// Package e2e runs programs that nobody changed inside sandboxes of the tcpcni
// command and lets kernel programs on the other side judge them. Each test has
// a network namespace of its own as 'the host', and a state directory of its
// own, so tests neither see each other nor the machine's network.
//
// With E2E_KERNEL=1 the same programs run in an ordinary namespace on the
// kernel's sockets: what fails there is a fault of the test.
package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// hang is how long a step may take before the test calls it a hang. It is far
// above what any step needs on a loaded machine and decides nothing else.
// E2E_HANG shortens it for who is after one.
var hang = 3 * time.Minute

// onKernel is set when the programs run on the kernel's own sockets.
var onKernel = os.Getenv("E2E_KERNEL") != ""

var (
	binDir  string // holds tcpcni, host-local and static
	workDir string // what the tests share: compiled programs, served files
)

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	if text := os.Getenv("E2E_HANG"); text != "" {
		if hang, err = time.ParseDuration(text); err != nil {
			return 0, fmt.Errorf("E2E_HANG: %w", err)
		}
	}
	workDir, err = os.MkdirTemp("", "e2e")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(workDir)
	// The programs under test run as users other than root, too.
	if err := os.Chmod(workDir, 0o755); err != nil {
		return 0, err
	}
	// Debian's own programs, also for a shell whose PATH has others first or
	// lacks sbin.
	path := "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	if goTool, err := exec.LookPath("go"); err == nil {
		path += ":" + filepath.Dir(goTool)
	}
	if err := os.Setenv("PATH", path); err != nil {
		return 0, err
	}
	if binDir, err = binaries(); err != nil {
		return 0, err
	}
	return m.Run(), nil
}

// binaries returns the folder of the built command, building it from the tree
// unless TCPCNI_BIN names one.
func binaries() (string, error) {
	if dir := os.Getenv("TCPCNI_BIN"); dir != "" || onKernel {
		return dir, nil
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		return "", err
	}
	out, err := exec.Command("make", "-s", "-C", root, "build").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("make build: %w\n%s", err, strings.TrimSpace(string(out)))
	}
	return filepath.Join(root, "bin"), nil
}

// command is the path of the command under test.
func command() string { return filepath.Join(binDir, "tcpcni") }

// onlyTCPCNI skips a test that is about the command itself.
func onlyTCPCNI(t *testing.T) {
	t.Helper()
	if onKernel {
		t.Skip("says something about the command only")
	}
}

package hostlink

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// filesEnv names the file that a process under LimitFiles writes to.
const filesEnv = "HOSTLINK_TEST_FILES"

// A process that may make files of 1,000 bytes writes as much as it can, and
// lives on.
func TestLimitFiles(t *testing.T) {
	const limit = 1000
	if path := os.Getenv(filesEnv); path != "" {
		if err := LimitFiles(limit); err != nil {
			t.Fatal(err)
		}
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if _, err = f.Write(make([]byte, 600)); err == nil {
				continue
			}
		}
		if !errors.Is(err, unix.EFBIG) {
			t.Fatalf("the last write: %v", err)
		}
		if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: limit + 1, Max: limit}); err == nil {
			t.Fatal("raised")
		}
		return
	}
	path := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestLimitFiles$")
	var out bytes.Buffer
	cmd.Env, cmd.Stdout, cmd.Stderr = append(os.Environ(), filesEnv+"="+path), &out, &out
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v: %s", err, &out)
	}
	if st, err := os.Stat(path); err != nil || st.Size() != limit {
		t.Errorf("%v, %v", st, err)
	}
}

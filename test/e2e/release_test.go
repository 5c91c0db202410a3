package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// earlierRelease is the revision that stands for the release before this one.
// docs/testing.md says when it moves. Tests build it from the clone's own
// history.
const earlierRelease = "f300b929f21fe063a2f9e6c232a1ccb1bb2208f5"

// releaseDir is a folder with the plugins of the earlier release. The test is
// skipped when its source cannot be had; in a clone with the whole history that
// is a fault under CI=true.
func releaseDir(t *testing.T) string {
	t.Helper()
	onlyTCPCNI(t)
	return once(t, "release", func(path string) error {
		program, err := releaseProgram(t)
		if err != nil {
			return err
		}
		// Programs of other users' containers read this folder, and not the cache.
		if err := os.Mkdir(path, 0o755); err != nil {
			return err
		}
		for from, name := range map[string]string{program: "tcpcni", filepath.Join(binDir, "host-local"): "host-local"} {
			text, err := os.ReadFile(from)
			if err != nil {
				return err
			}
			if err := os.WriteFile(filepath.Join(path, name), text, 0o755); err != nil {
				return err
			}
		}
		return nil
	})
}

// releaseProgram builds the earlier release's command, or finds it built by an
// earlier run: the cache is by revision and compiler.
func releaseProgram(t *testing.T) (string, error) {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = workDir // without a home, for this run only
	}
	dir := filepath.Join(cache, "tcpcni", "release")
	program := filepath.Join(dir, earlierRelease[:12]+"-"+runtime.Version())
	if _, err := os.Stat(program); err == nil {
		return program, nil
	}
	haveRelease(t)
	source := t.TempDir()
	archive := exec.Command("git", gitArgs("archive", "--output="+source+"/source.tar", earlierRelease)...)
	if err := output1(archive); err != nil {
		return "", err
	}
	if err := output1(exec.Command("tar", "-C", source, "-xf", source+"/source.tar")); err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	// Renamed when it is whole: other runs may look for it now.
	build := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-o", program+".new", "./cmd/tcpcni")
	build.Dir = source
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if err := output1(build); err != nil {
		return "", err
	}
	return program, os.Rename(program+".new", program)
}

// gitArgs makes git work on the clone whoever owns it.
func gitArgs(args ...string) []string {
	return append([]string{"-c", "safe.directory=*", "-C", "../.."}, args...)
}

func git(args ...string) (string, error) {
	out, err := exec.Command("git", gitArgs(args...)...).CombinedOutput()
	text := strings.TrimSpace(string(out))
	if err != nil {
		return "", fmt.Errorf("git %s: %w: %s", strings.Join(args, " "), err, text)
	}
	return text, nil
}

// haveRelease makes sure that the clone has the earlier release's source.
func haveRelease(t *testing.T) {
	t.Helper()
	has := func() error {
		_, err := git("cat-file", "-e", earlierRelease+"^{commit}")
		return err
	}
	missing := has()
	if missing == nil {
		return
	}
	shallow, err := git("rev-parse", "--is-shallow-repository")
	if err != nil {
		t.Skipf("the source of the earlier release cannot be had: this tree is no clone, or git is missing: %v", err)
	}
	if shallow == "false" {
		if os.Getenv("CI") == "true" {
			t.Fatalf("the clone has its whole history, and revision %s is not in it (CI=true: not skipped): %v", earlierRelease, missing)
		}
		t.Skipf("the clone's history has no revision %s, the earlier release: %v", earlierRelease, missing)
	}
	_, err = git("fetch", "--quiet", "--no-tags", "--depth=1", "origin", earlierRelease)
	if err = errors.Join(err, has()); err != nil {
		t.Skipf("this clone is shallow, without the revision %s of the earlier release, and cannot fetch it; git fetch --unshallow gets it: %v", earlierRelease, err)
	}
}

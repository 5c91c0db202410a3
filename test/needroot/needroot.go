// Package needroot says in one place what becomes of a test that needs root and
// does not have it: it is skipped with the reason, except under CI=true, where
// it fails, because there nobody reads the list of skipped tests.
package needroot

import (
	"os"
	"testing"
)

// Check ends the test or benchmark unless it runs as root. reason completes the
// sentence "needs root to …".
func Check(t testing.TB, reason string) {
	t.Helper()
	if os.Geteuid() == 0 {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("needs root to %s (CI=true: not skipped)", reason)
	}
	t.Skipf("needs root to %s", reason)
}

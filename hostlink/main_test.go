package hostlink

import "runtime"

// Namespaces and filters are properties of threads, and some tests end with a
// thread that has others than the process. The first thread is not to be one of
// them, since it stands for the process in /proc: it stays with the goroutine
// that waits for the tests.
func init() { runtime.LockOSThread() }

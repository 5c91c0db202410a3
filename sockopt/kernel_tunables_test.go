package sockopt

import (
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/tcpcni/tcpcni/test/needroot"
)

// otherRanges are the tunables whose largest value kernels differ about.
var otherRanges = map[string]string{
	"net.ipv4.tcp_ecn":                    "0..2 until Linux 7.0",
	"net.ipv4.tcp_invalid_ratelimit":      "kept in ticks",
	"net.ipv4.ip_unprivileged_port_start": "not above ip_local_port_range",
}

// ownNamespace moves the test to a network namespace of its own.
func ownNamespace(t *testing.T) {
	needroot.Check(t, "make a network namespace")
	runtime.LockOSThread() // and never unlocked: the thread ends with the test
	const own = "/proc/thread-self/ns/net"
	machine, _ := os.Readlink(own)
	if err := syscall.Unshare(syscall.CLONE_NEWNET); err != nil {
		t.Skipf("no namespace: %v", err)
	}
	if now, err := os.Readlink(own); err != nil || now == machine {
		t.Fatalf("the namespace is %s, was %s: %v", now, machine, err)
	}
}

// TestKernelTunableRanges: the least and the largest value of every tunable of
// Linux are taken by this kernel, in a network namespace of the test's own, and read
// as they were written. The kernel takes more of many, without a meaning.
func TestKernelTunableRanges(t *testing.T) {
	ownNamespace(t)
	p := linux(t)
	tried := 0
	for row := range p.tunableRows {
		path := "/proc/sys/" + strings.ReplaceAll(row.name, ".", "/")
		was, err := os.ReadFile(path)
		if row.fields != 1 || row.access == neverSet || err != nil {
			continue // of another system, of another kernel, or of the machine and not of a namespace
		}
		write := func(v int64) bool {
			return os.WriteFile(path, []byte(strconv.FormatInt(v, 10)), 0) == nil
		}
		if !write(row.min) && !write(row.max) {
			continue // to be read only, in a namespace
		}
		tried++
		for _, v := range []int64{row.min, row.max} {
			if v == row.max && otherRanges[row.name] != "" {
				continue
			}
			if !write(v) {
				t.Errorf("%s: this kernel refuses %d", row.name, v)
				continue
			}
			if b, _ := os.ReadFile(path); strings.TrimSpace(string(b)) != strconv.FormatInt(v, 10) {
				t.Errorf("%s: %d reads %s on this kernel", row.name, v, b)
			}
		}
		_ = os.WriteFile(path, was, 0)
	}
	if tried < 60 {
		t.Errorf("%d tunables were tried", tried)
	}
}

package e2e

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netns"

	"github.com/tcpcni/tcpcni/test/needroot"
)

// The addresses of the network that `tcpcni run` makes by default.
const (
	hostV4 = "10.87.0.1"
	hostV6 = "fd87::1"
)

var hosts atomic.Int32

// A host is a network namespace that plays the machine: kernel programs run in
// it, and sandboxes are made from it.
type host struct {
	t     *testing.T
	name  string // of the namespace
	state string // TCPCNI_STATE of what runs in it
	pods  int
}

// newHost makes a namespace with nothing but loopback, and takes it away with
// every process in it when the test ends.
func newHost(t *testing.T) *host {
	t.Helper()
	needroot.Check(t, "make network namespaces")
	h := &host{t: t, name: fmt.Sprintf("e2e-%d-%d", os.Getpid(), hosts.Add(1))}
	state, err := os.MkdirTemp("", "e2e-state")
	must(t, err)
	h.state = state
	sh(t, "ip", "netns", "add", h.name)
	t.Cleanup(h.remove)
	sh(t, "ip", "-n", h.name, "link", "set", "lo", "up")
	return h
}

// path names the namespace as a file.
func (h *host) path() string { return "/run/netns/" + h.name }

// env is the environment of everything that runs in the host.
func (h *host) env() []string { return []string{"TCPCNI_STATE=" + h.state} }

// start runs a kernel program in the host.
func (h *host) start(args ...string) *proc {
	h.t.Helper()
	return h.startWith(plumbing{}, args...)
}

func (h *host) startWith(io plumbing, args ...string) *proc {
	h.t.Helper()
	io.env = append(io.env, h.env()...)
	return start(h.t, io, append([]string{"ip", "netns", "exec", h.name}, args...)...)
}

// sh runs a command of the test's own set-up in the host.
func (h *host) sh(args ...string) string {
	h.t.Helper()
	return sh(h.t, append([]string{"ip", "netns", "exec", h.name}, args...)...)
}

// in runs f on a thread that is in the host's namespace. The thread ends with
// the goroutine, so it never has to find its way back.
func (h *host) in(f func() error) error {
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		target, err := netns.GetFromName(h.name)
		if err == nil {
			err = netns.Set(target)
			_ = target.Close()
		}
		if err == nil {
			err = f()
		}
		result <- err
	}()
	return <-result
}

// reaches waits until something accepts TCP connections at the address, as
// seen from the host.
func (h *host) reaches(addr string) {
	h.t.Helper()
	eventually(h.t, "a listener at "+addr, func() bool {
		return h.in(func() error {
			c, err := net.DialTimeout("tcp", addr, 5*time.Second)
			if err == nil {
				err = c.Close()
			}
			return err
		}) == nil
	})
}

// resolvConf gives programs of the host and of its sandboxes a resolv.conf of
// their own, the way ip-netns(8) defines it.
func (h *host) resolvConf(text string) {
	h.t.Helper()
	dir := "/etc/netns/" + h.name
	must(h.t, os.MkdirAll(dir, 0o755))
	h.t.Cleanup(func() {
		_ = os.RemoveAll(dir)
		_ = os.Remove("/etc/netns") // goes only if nobody else uses it
	})
	must(h.t, os.WriteFile(dir+"/resolv.conf", []byte(text), 0o644))
}

// counter reads one of the namespace's cumulative protocol counters.
func (h *host) counter(proto, name string) int {
	h.t.Helper()
	var value int
	must(h.t, h.in(func() error {
		text, err := os.ReadFile("/proc/thread-self/net/snmp")
		if err != nil {
			return err
		}
		value = snmp(string(text))[proto][name]
		return nil
	}))
	return value
}

// snmp parses the pairs of lines of /proc/net/snmp.
func snmp(text string) map[string]map[string]int {
	table := map[string]map[string]int{}
	lines := strings.Split(strings.TrimSpace(text), "\n")
	for i := 0; i+1 < len(lines); i += 2 {
		names, values := strings.Fields(lines[i]), strings.Fields(lines[i+1])
		row := map[string]int{}
		for j := 1; j < len(names) && j < len(values); j++ {
			row[names[j]], _ = strconv.Atoi(values[j])
		}
		table[strings.TrimSuffix(names[0], ":")] = row
	}
	return table
}

// remove ends whatever still belongs to the host and takes it away. Processes
// are known by the state directory in their environment, which is this test's
// alone.
func (h *host) remove() {
	if h.t.Failed() {
		h.showLogs()
	}
	for _, pid := range h.processes() {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	sh(h.t, "ip", "netns", "del", h.name)
	for _, at := range h.mounts() { // a test that failed may leave one
		_ = syscall.Unmount(at, syscall.MNT_DETACH)
	}
	if err := os.RemoveAll(h.state); err != nil {
		h.t.Error(err)
	}
}

// mounts lists the namespaces that are bound to files of the host's state.
func (h *host) mounts() []string {
	found, _ := filepath.Glob(h.state + "/sandboxes/*/netns")
	return found
}

// processes lists the processes that were started with the host's state
// directory.
func (h *host) processes() []int {
	var found []int
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range dirs {
		env, err := os.ReadFile(dir + "/environ")
		if err != nil || !strings.Contains("\x00"+string(env), "\x00TCPCNI_STATE="+h.state+"\x00") {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err == nil {
			found = append(found, pid)
		}
	}
	return found
}

// showLogs prints the engines' logs of a test that failed.
func (h *host) showLogs() {
	_ = filepath.WalkDir(h.state, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.HasSuffix(path, ".log") {
			if text, err := os.ReadFile(path); err == nil {
				h.t.Logf("%s:\n%s", filepath.Base(filepath.Dir(path))+"/"+d.Name(), tail(string(text)))
			}
		}
		return nil
	})
}

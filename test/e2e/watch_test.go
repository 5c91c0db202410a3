package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A watch looks at a sandbox from outside for as long as it lives and reports
// every socket that the kernel's own TCP/IP would have served.
//
// The tables of /proc/PID/net are sampled, since they show only what is open
// now. The counters of /proc/PID/net/snmp remember: a single connection,
// segment or datagram of the past stays visible in them, however short it was.
type watch struct {
	h     *host
	pid   int
	stops chan struct{}
	done  chan struct{}
	seen  map[string]bool // what was reported, to say it once
}

// tables are the kernel's sockets of a namespace, one a line under a heading.
var tables = []string{
	"tcp", "tcp6", "udp", "udp6", "udplite", "udplite6", "raw", "raw6", "icmp", "icmp6", "packet",
}

// traffic are the counters that stay at zero in a namespace whose kernel never
// carried anything for a program.
var traffic = map[string][]string{
	"Tcp": {"ActiveOpens", "PassiveOpens", "InSegs", "OutSegs"},
	"Udp": {"InDatagrams", "OutDatagrams"},
}

// noKernelSockets watches the sandbox until the test ends.
func watchSandbox(h *host, pid int) *watch {
	h.t.Helper()
	w := &watch{h: h, pid: pid, stops: make(chan struct{}), done: make(chan struct{}), seen: map[string]bool{}}
	go func() {
		defer close(w.done)
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			w.look()
			select {
			case <-w.stops:
				return
			case <-tick.C:
			}
		}
	}()
	h.t.Cleanup(w.stop)
	return w
}

// stop takes the last look and reports what was found, as failures.
func (w *watch) stop() {
	select {
	case <-w.stops:
		return
	default:
	}
	close(w.stops)
	<-w.done
	w.look()
	w.lookAtCounters()
	for what := range w.seen {
		w.h.t.Error("kernel socket in the sandbox: " + what)
	}
}

func (w *watch) look() {
	for _, table := range tables {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", w.pid, table))
		if err != nil {
			continue
		}
		for i, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
			if i > 0 {
				w.seen[table+": "+strings.TrimSpace(line)] = true
			}
		}
	}
	for _, pid := range w.members() {
		w.lookAtDescriptors(pid)
	}
}

// members lists the processes of the sandbox's namespace.
func (w *watch) members() []int {
	space, err := os.Stat(fmt.Sprintf("/proc/%d/ns/net", w.pid))
	if err != nil {
		return nil
	}
	var found []int
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range dirs {
		theirs, err := os.Stat(dir + "/ns/net")
		if err != nil || !os.SameFile(space, theirs) {
			continue
		}
		// The engine is there as well; the sockets that it has the kernel make
		// show in the tables.
		if line, _ := os.ReadFile(dir + "/cmdline"); strings.HasPrefix(string(line), "tcpcni\x00engine") {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(dir)); err == nil {
			found = append(found, pid)
		}
	}
	return found
}

// lookAtDescriptors finds descriptors that are sockets of another family than
// AF_UNIX and AF_NETLINK. It asks the sockets themselves: the tables of /proc/net
// leave out netlink sockets that are not bound yet.
func (w *watch) lookAtDescriptors(pid int) {
	process, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return // ended since
	}
	defer unix.Close(process)
	fds, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	for _, path := range fds {
		target, err := os.Readlink(path)
		if err != nil || !strings.HasPrefix(target, "socket:") {
			continue
		}
		number, err := strconv.Atoi(filepath.Base(path))
		if err != nil {
			continue
		}
		if domain := socketDomain(process, number); domain != unix.AF_UNIX && domain != unix.AF_NETLINK && domain != unix.AF_UNSPEC {
			exe, _ := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
			w.seen[fmt.Sprintf("%s of %s is neither AF_UNIX nor AF_NETLINK but family %d", path, exe, domain)] = true
		}
	}
}

// socketDomain returns the address family of a process's descriptor, AF_UNSPEC
// if it is no socket any more.
func socketDomain(process, number int) int {
	fd, err := unix.PidfdGetfd(process, number, 0)
	if err != nil {
		return unix.AF_UNSPEC
	}
	defer unix.Close(fd)
	domain, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
	if err != nil {
		return unix.AF_UNSPEC
	}
	return domain
}

// lookAtCounters reads what the sandbox's namespace remembers.
func (w *watch) lookAtCounters() {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/snmp", w.pid))
	if err != nil {
		w.h.t.Errorf("the sandbox ended before its counters were read: %v", err)
		return
	}
	counters := snmp(string(text))
	for proto, names := range traffic {
		for _, name := range names {
			if n := counters[proto][name]; n != 0 {
				w.seen[fmt.Sprintf("%s counts %s %d", proto, name, n)] = true
			}
		}
	}
	six, _ := os.ReadFile(fmt.Sprintf("/proc/%d/net/snmp6", w.pid))
	for line := range strings.Lines(string(six)) {
		f := strings.Fields(line)
		if len(f) == 2 && (f[0] == "Udp6InDatagrams" || f[0] == "Udp6OutDatagrams") && f[1] != "0" {
			w.seen[line] = true
		}
	}
}

// TestWatchSeesKernelSockets makes sure that the proof proves something: a
// namespace whose kernel did carry a program's traffic does not pass.
func TestWatchSeesKernelSockets(t *testing.T) {
	h := newHost(t)
	s := h.newSandbox()
	s.kernelNetwork()
	server := start(t, plumbing{}, "ip", "netns", "exec", s.kernelName(), "python3", "-m", "http.server", "8000")
	h.reaches(s.v4 + ":8000")
	w := &watch{h: h, pid: server.pid(), seen: map[string]bool{}}
	w.look()
	w.lookAtCounters()
	var all string
	for what := range w.seen {
		all += what + "\n"
	}
	for _, want := range []string{"tcp: ", "Tcp counts InSegs", "neither AF_UNIX nor AF_NETLINK"} {
		if !strings.Contains(all, want) {
			t.Errorf("the watch does not report %q, only:\n%s", want, all)
		}
	}
}

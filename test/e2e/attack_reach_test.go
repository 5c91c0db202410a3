package e2e

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/tcpcni/tcpcni/plugin"
)

// What reaches the processes behind a sandbox, from inside by
// testdata/attack/reach.c, and through the sockets that they listen on.

// about are the files of /proc, and the calls, that give one process power over
// another.
var about = []string{"memory", "map", "descriptors", "root", "namespace", "environment", "read", "write", "trace", "descriptor", "signal"}

func TestAttackReach(t *testing.T) {
	onlyTCPCNI(t)
	h := newHost(t)
	program := compileEdited(t, "attack-reach", "attack/reach", "", "")
	pod := h.pod()
	u := watchOver(pod)
	dir := plugin.SandboxAt(h.state, pod.name, "eth0").Dir
	args := []string{program, strconv.Itoa(u.engine), strconv.Itoa(u.holder), dir}
	refused := func(what string) map[string]string {
		want := map[string]string{}
		for _, who := range []string{"engine", "holder"} {
			for _, a := range about {
				want[who+" "+a] = what
			}
		}
		return want
	}
	with := func(m map[string]string, more ...string) map[string]string {
		for i := 0; i < len(more); i += 2 {
			m[more[i]] = more[i+1]
		}
		return m
	}
	for _, c := range []struct {
		name string
		args []string
		want map[string]string
	}{
		// `tcpcni run` shares the machine's processes and files: root may signal
		// what is root's, and speak to the sockets of root.
		{"root", args, with(refused("EACCES EPERM"),
			"engine signal", "done", "holder signal", "done", "control.sock connect", "done", "listener.sock connect", "done")},
		{"user", append([]string{"setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"}, args...), with(refused("EACCES EPERM"),
			"control.sock connect", "EACCES", "listener.sock connect", "EACCES")},
		// A container has processes and files of its own.
		{"container", []string{"unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount", "--mount-proc", "sh", "-c",
			fmt.Sprintf("mount -t tmpfs none %s && exec %s", h.state, strings.Join(args, " "))}, with(refused("ESRCH ENOENT"),
			"control.sock connect", "ENOENT", "listener.sock connect", "ENOENT")},
	} {
		t.Run(c.name, func(t *testing.T) {
			tried := map[string]bool{}
			for line := range strings.Lines(pod.start(c.args...).ok()) {
				what, got, _ := strings.Cut(strings.TrimSpace(line), ": ")
				tried[what] = true
				if want, ok := c.want[what]; !ok || !strings.Contains(" "+want+" ", " "+got+" ") {
					t.Errorf("%s: %s, want %s", what, got, want)
				}
			}
			for what := range c.want {
				if !tried[what] {
					t.Errorf("%s was not tried", what)
				}
			}
		})
	}
	u.check(t, compileEdited(t, "attack-program", "attack/program", "", ""))
	pod.stop()
}

// descriptorsOf counts the descriptors of a process.
func descriptorsOf(t *testing.T, pid int) int {
	t.Helper()
	names, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	must(t, err)
	return len(names)
}

// What a runtime that is not one says to the two sockets of a sandbox: garbage,
// too much, half of it, and descriptors of anything but a listener.
func TestAttackSockets(t *testing.T) {
	onlyTCPCNI(t)
	h := newHost(t)
	pod := h.pod()
	u := watchOver(pod)
	dir := plugin.SandboxAt(h.state, pod.name, "eth0").Dir
	before := [2]int{descriptorsOf(t, u.engine), descriptorsOf(t, u.holder)}
	state, err := json.Marshal(specs.ContainerProcessState{
		Version: "1.2.0", Fds: []string{specs.SeccompFdName}, Pid: os.Getpid(), State: specs.State{Version: "1.2.0", ID: "x", Status: "creating", Pid: os.Getpid()},
	})
	must(t, err)
	null, err := os.Open(os.DevNull)
	must(t, err)
	defer null.Close()
	fds := func(n int) []byte {
		all := make([]int, n)
		for i := range all {
			all[i] = int(null.Fd())
		}
		return unix.UnixRights(all...)
	}
	long := strings.Repeat("[", 3<<20)
	for _, name := range []string{"listener.sock", "control.sock"} {
		for round := range 20 {
			for _, m := range []struct {
				text string
				oob  []byte
			}{
				{"", nil}, {"\n", nil}, {"{", nil}, {"null\n", nil}, {"{}\n", fds(1)}, {`{"op":"attach"}` + "\n", fds(1)}, {`{"op":"attach"}` + "\n", nil},
				{`{"op":"attach"}` + "\n", fds(200)}, {string(state), fds(1)}, {string(state), fds(2)}, {string(state), fds(200)}, {string(state), nil},
				{strings.Replace(string(state), specs.SeccompFdName, "x", 1), fds(1)}, {"\x00\xff\xfe", fds(3)}, {`{"fds":[1]}`, fds(1)}, {long, nil},
			} {
				if round > 0 && len(m.text) == len(long) {
					continue
				}
				c, err := net.DialUnix("unix", nil, &net.UnixAddr{Net: "unix", Name: dir + "/" + name})
				must(t, err)
				// Whoever is hung up on in the middle of it has been heard enough.
				_ = c.SetDeadline(time.Now().Add(hang))
				if m.text != "" {
					_, _, _ = c.WriteMsgUnix([]byte(m.text), m.oob, nil)
				}
				_ = c.CloseWrite()
				_, _ = c.Read(make([]byte, 100))
				_ = c.Close()
			}
		}
	}
	u.check(t, compileEdited(t, "attack-program", "attack/program", "", ""))
	for i, pid := range []int{u.engine, u.holder} {
		eventually(t, "as many descriptors as before", func() bool { return descriptorsOf(t, pid) <= before[i]+8 })
	}
	pod.stop()
}

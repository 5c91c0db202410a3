package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/containerd/nri/pkg/adaptation"
	"github.com/containerd/nri/pkg/api"

	"github.com/tcpcni/tcpcni/cmd/tcpcni/oci"
	"github.com/tcpcni/tcpcni/hostlink/process"
	"github.com/tcpcni/tcpcni/plugin"
)

// netNS stands for a pod's network namespace: any will do, and this one is
// there without root.
const netNS = "/proc/self/ns/net"

// sandbox makes a state directory with one attachment and an engine that says
// that it is there.
func sandbox(t *testing.T) (stateDir string, s plugin.Sandbox) {
	t.Helper()
	stateDir, err := os.MkdirTemp("", "nri") // short: sockets are in it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(stateDir) })
	s = plugin.SandboxAt(stateDir, "pod", "eth0")
	if err := os.MkdirAll(s.Dir, 0o755); err != nil {
		t.Fatal(err)
	}
	writeRecord(t, s, plugin.InterceptNone)
	listen(t, s.ControlPath(), func(c net.Conn) {
		for lines := bufio.NewScanner(c); lines.Scan(); {
			fmt.Fprintln(c, `{"status":{}}`)
		}
	})
	listen(t, s.ListenerPath(), func(net.Conn) {})
	return stateDir, s
}

func writeRecord(t *testing.T, s plugin.Sandbox, intercept string) {
	t.Helper()
	rec, err := json.Marshal(plugin.Record{ContainerID: "pod", IfName: "eth0", NetNS: netNS, Intercept: intercept})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(s.Dir, "attachment.json"), rec, 0o600); err != nil {
		t.Fatal(err)
	}
}

func listen(t *testing.T, path string, serve func(net.Conn)) {
	t.Helper()
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = c.Close() }()
				serve(c)
			}()
		}
	}()
}

func pod(namespace, path string, annotations map[string]string) *api.PodSandbox {
	return &api.PodSandbox{Id: "p", Name: "web", Namespace: namespace, Annotations: annotations,
		Linux: &api.LinuxPodSandbox{Namespaces: []*api.LinuxNamespace{{Type: "pid"}, {Type: "network", Path: path}}}}
}

func intercept(value string) map[string]string {
	return map[string]string{plugin.InterceptAnnotation: value}
}

func TestChoice(t *testing.T) {
	stateDir, s := sandbox(t)
	p := &interceptor{stateDir: stateDir, namespaces: []string{"chosen"}, base: oci.Default()}
	for _, c := range []struct {
		what string
		pod  *api.PodSandbox
		want bool
		says string
	}{
		{"plain", pod("default", netNS, nil), false, ""},
		{"asked for", pod("default", netNS, intercept("true")), true, ""},
		{"namespace", pod("chosen", netNS, nil), true, ""},
		{"kept out", pod("chosen", netNS, intercept("false")), false, ""},
		{"in any way", pod("default", netNS, intercept("required")), false, ""},
		{"in any way, and this one", pod("chosen", netNS, intercept("required")), true, ""},
		{"another network", pod("default", "/proc/self/ns/mnt", nil), false, ""},
		{"misspelt", pod("chosen", netNS, intercept("yes")), false, "accepted: true, required, false"},
		{"host network", pod("chosen", "", nil), false, "host's network"},
		{"no such namespace", pod("chosen", "/run/netns/none", nil), false, "none"},
		{"no sandbox", pod("chosen", "/proc/self/ns/mnt", nil), false, "no sandbox"},
	} {
		a, _, err := p.CreateContainer(context.Background(), c.pod, &api.Container{Name: "c", Id: "c"})
		policy := a.GetLinux().GetSeccompPolicy()
		if c.want != (policy != nil) || (err != nil) != (c.says != "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: policy %v, error %v", c.what, policy != nil, err)
		}
		if policy != nil && policy.GetListenerPath() != s.ListenerPath() {
			t.Errorf("%s: listener %q", c.what, policy.GetListenerPath())
		}
	}
	// What ADD has decided holds, whatever the pod says that ADD was not shown.
	writeRecord(t, s, plugin.InterceptNRI)
	for _, annotations := range []map[string]string{nil, intercept("false"), intercept("required")} {
		a, _, err := p.CreateContainer(context.Background(), pod("default", netNS, annotations), &api.Container{Name: "c", Id: "c"})
		if err != nil || a.GetLinux().GetSeccompPolicy().GetListenerPath() != s.ListenerPath() {
			t.Errorf("decided by ADD, %v: %v", annotations, err)
		}
	}
	writeRecord(t, s, plugin.InterceptRequired)
	if a, _, err := p.CreateContainer(context.Background(), pod("default", netNS, nil), &api.Container{Name: "c"}); a != nil || err != nil {
		t.Errorf("left to another way: %v, %v", a, err)
	}
	// Without an engine: nothing is created.
	if err := os.Remove(s.ControlPath()); err != nil {
		t.Fatal(err)
	}
	if _, _, err := p.CreateContainer(context.Background(), pod("chosen", netNS, nil), &api.Container{}); err == nil || !strings.Contains(err.Error(), "does not answer") {
		t.Errorf("no engine: %v", err)
	}
}

// The container's own profile is merged, as far as the runtime tells it.
func TestOwnProfile(t *testing.T) {
	stateDir, _ := sandbox(t)
	p := &interceptor{stateDir: stateDir, base: oci.Default()}
	asked := pod("default", netNS, intercept("true"))
	errno := &api.OptionalUInt32{Value: 13}
	container := func(l *api.LinuxContainer) *api.Container { return &api.Container{Name: "c", Id: "c", Linux: l} }
	for _, c := range []struct {
		what      string
		container *api.Container
		action    string // the merged profile's default
		says      string
	}{
		{"not told", container(nil), "SCMP_ACT_ERRNO", ""},
		{"runtime default", container(&api.LinuxContainer{SeccompProfile: &api.SecurityProfile{ProfileType: api.SecurityProfile_RUNTIME_DEFAULT}}), "SCMP_ACT_ERRNO", ""},
		{"unconfined", container(&api.LinuxContainer{SeccompProfile: &api.SecurityProfile{ProfileType: api.SecurityProfile_UNCONFINED}}), "SCMP_ACT_ALLOW", ""},
		{"localhost", container(&api.LinuxContainer{SeccompProfile: &api.SecurityProfile{ProfileType: api.SecurityProfile_LOCALHOST, LocalhostRef: "own.json"}}), "", "own.json"},
		{"told", container(&api.LinuxContainer{SeccompPolicy: &api.LinuxSeccomp{DefaultAction: "SCMP_ACT_LOG",
			Syscalls: []*api.LinuxSyscall{{Names: []string{"mkdir", "listen"}, Action: "SCMP_ACT_ERRNO", ErrnoRet: errno}}}}), "SCMP_ACT_LOG", ""},
		{"another agent", container(&api.LinuxContainer{SeccompPolicy: &api.LinuxSeccomp{DefaultAction: "SCMP_ACT_LOG", ListenerPath: "/run/other.sock"}}), "", "listenerPath"},
	} {
		a, _, err := p.CreateContainer(context.Background(), asked, c.container)
		policy := a.GetLinux().GetSeccompPolicy()
		if policy.GetDefaultAction() != c.action || (err != nil) != (c.says != "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: default %q, error %v", c.what, policy.GetDefaultAction(), err)
		}
		if c.what == "told" && (says(policy, "mkdir") != "SCMP_ACT_ERRNO 0" || says(policy, "listen") != "SCMP_ACT_ERRNO 0" || says(policy, "connect") != "SCMP_ACT_NOTIFY 0") {
			t.Errorf("%s: mkdir %s, listen %s, connect %s", c.what, says(policy, "mkdir"), says(policy, "listen"), says(policy, "connect"))
		}
	}
}

// says is the action of the first rule for a call.
func says(l *api.LinuxSeccomp, call string) string {
	for _, r := range l.GetSyscalls() {
		if slices.Contains(r.GetNames(), call) {
			return fmt.Sprint(r.GetAction(), " ", r.GetErrnoRet().GetValue())
		}
	}
	return ""
}

// The plugin registers with NRI's own runtime side, and again when that was
// restarted. The lock says for how long.
func TestRegistersAgain(t *testing.T) {
	stateDir, s := sandbox(t)
	socket, behind := filepath.Join(stateDir, "nri.sock"), filepath.Join(stateDir, "runtime.sock")
	// The runtime side keeps connections for as long as its process lives: what
	// hangs up in its place stands between.
	conns := make(chan net.Conn, 10)
	listen(t, socket, func(c net.Conn) {
		r, err := net.Dial("unix", behind)
		if err != nil {
			return
		}
		conns <- c
		go func() {
			_, _ = io.Copy(r, c)
			_ = r.Close()
		}()
		_, _ = io.Copy(c, r)
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- serve(ctx, &interceptor{stateDir: stateDir, base: oci.Default()}, socket, "90")
	}()
	held := func(want bool) {
		t.Helper()
		for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
			got, err := process.Held(filepath.Join(stateDir, "nri.lock"))
			if err != nil {
				t.Fatal(err)
			}
			if got == want {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("the lock is held: %v", got)
			}
		}
	}
	held(false)
	for turn := range 2 {
		r, err := adaptation.New("test", "1",
			func(ctx context.Context, sync adaptation.SyncCB) error { _, err := sync(ctx, nil, nil); return err },
			func(context.Context, []*api.ContainerUpdate) ([]*api.ContainerUpdate, error) { return nil, nil },
			adaptation.WithSocketPath(behind), adaptation.WithPluginPath(t.TempDir()), adaptation.WithPluginConfigPath(t.TempDir()))
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Start(); err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
			reply, err := r.CreateContainer(ctx, &api.CreateContainerRequest{Pod: pod("default", netNS, intercept("true")), Container: &api.Container{Id: "c"}})
			if err == nil && reply.GetAdjust().GetLinux().GetSeccompPolicy().GetListenerPath() == s.ListenerPath() {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("turn %d: the plugin is not there: %v", turn, err)
			}
		}
		held(true)
		// What the plugin refuses, the runtime does not create.
		if _, err := r.CreateContainer(ctx, &api.CreateContainerRequest{Pod: pod("default", "", intercept("true")), Container: &api.Container{Id: "d"}}); err == nil {
			t.Error("a container without an engine was created")
		}
		r.Stop()
		_ = (<-conns).Close()
		held(false)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// When the plugin comes back it ends the containers of its pods that were created
// without it, and no others.
func TestEndsUnfiltered(t *testing.T) {
	stateDir, s := sandbox(t)
	p := &interceptor{stateDir: stateDir, base: oci.Default()}
	own, foreign := pod("default", netNS, intercept("true")), pod("default", "/proc/self/ns/mnt", nil)
	foreign.Id = "f"
	run := func(id string, pod *api.PodSandbox) (*api.Container, *exec.Cmd) {
		t.Helper()
		cmd := exec.Command("sleep", "infinity")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		})
		return &api.Container{Id: id, Name: id, PodSandboxId: pod.Id, Pid: uint32(cmd.Process.Pid), State: api.ContainerState_CONTAINER_RUNNING}, cmd
	}
	filtered, a := run("filtered", own)
	unfiltered, b := run("unfiltered", own)
	other, c := run("other", foreign)
	if _, _, err := p.CreateContainer(context.Background(), own, filtered); err != nil {
		t.Fatal(err)
	}
	if _, _, err := p.CreateContainer(context.Background(), own, &api.Container{Id: "removed"}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := p.CreateContainer(context.Background(), own, &api.Container{Id: "gone"}); err != nil {
		t.Fatal(err)
	}
	if err := p.RemoveContainer(context.Background(), own, &api.Container{Id: "removed"}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := p.CreateContainer(context.Background(), own, &api.Container{Id: "../x"}); err == nil || !strings.Contains(err.Error(), "../x") {
		t.Errorf("an ID that is no name: %v", err)
	}
	pods, containers := []*api.PodSandbox{own, foreign}, []*api.Container{filtered, unfiltered, other}

	// A pod of which ADD noted nothing keeps what it has.
	p.endUnfiltered(pods, containers)
	for _, cmd := range []*exec.Cmd{a, b, c} {
		if id, err := process.Identify(cmd.Process.Pid); err != nil || !id.Alive() {
			t.Fatalf("%v was ended: %v", cmd, err)
		}
	}
	writeRecord(t, s, plugin.InterceptNRI)
	p.endUnfiltered(pods, containers)
	if err := b.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("the container without a filter: %v", err)
	}
	for _, cmd := range []*exec.Cmd{a, c} {
		if id, err := process.Identify(cmd.Process.Pid); err != nil || !id.Alive() {
			t.Errorf("%v was ended: %v", cmd, err)
		}
	}
	left, err := os.ReadDir(marks(s))
	if err != nil || len(left) != 1 || left[0].Name() != "filtered" {
		t.Errorf("marks: %v, %v", left, err)
	}
	// A number that has come to be somebody else's: here, of another namespace.
	writeRecord(t, s, plugin.InterceptNRI)
	rec, err := s.Record()
	if err != nil {
		t.Fatal(err)
	}
	rec.NetNS = "/proc/self/ns/mnt"
	text, err := json.Marshal(rec)
	if err == nil {
		err = os.WriteFile(filepath.Join(s.Dir, "attachment.json"), text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := endContainer(s, a.Process.Pid); err == nil || !strings.Contains(err.Error(), "not in the sandbox") {
		t.Errorf("another namespace's process: %v", err)
	}
}

// A second plugin is told off, and takes over when the first is gone.
func TestOneForEachNode(t *testing.T) {
	stateDir, _ := sandbox(t)
	sync := func() (*registration, error) {
		r := &registration{interceptor: &interceptor{stateDir: stateDir, namespaces: []string{"chosen"}}, over: make(chan struct{})}
		_, err := r.Synchronize(context.Background(), nil, nil)
		return r, err
	}
	first, err := sync()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := first.Synchronize(context.Background(), nil, nil); err != nil {
		t.Errorf("asked twice: %v", err)
	}
	second, err := sync()
	if err == nil || !strings.Contains(err.Error(), "one tcpcni-nri") {
		t.Errorf("a second one: %v", err)
	}
	select {
	case <-second.over:
	default:
		t.Error("the second one goes on")
	}
	first.end(errClosed)
	third, err := sync()
	if err != nil {
		t.Errorf("after the first: %v", err)
	}
	third.end(nil)
	if _, err := third.Synchronize(context.Background(), nil, nil); err != nil {
		t.Error(err)
	}
	if there, err := process.Held(filepath.Join(stateDir, "nri.lock")); err != nil || there {
		t.Errorf("a connection that is closed has the lock: %v", err)
	}
}

func TestFlags(t *testing.T) {
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"--index", "first"}, "two digits"},
		{[]string{"--base", "/no/such/file"}, "accepted: a file, default, unconfined"},
		{[]string{"surplus"}, "surplus"},
	} {
		cmd := command()
		cmd.SetArgs(c.args)
		if err := cmd.Execute(); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%v: %v", c.args, err)
		}
	}
}

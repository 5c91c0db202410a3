// Package suite tests a Kubernetes cluster whose pods have their network from
// tcpcni. It runs inside the laboratory that the command in the folder above
// brings up (make e2e-kind), and is skipped everywhere else.
//
// Every test has a Kubernetes namespace of its own. Nothing here sleeps for a
// fixed time: a test waits for a condition, and hang ends it when the condition
// never comes.
package suite

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// hang is far above what any step needs on a loaded machine.
const hang = 2 * time.Minute

// onBridge is set when the pods' network is the kernel's, see install.go.
var onBridge = os.Getenv("E2E_KIND_CNI") == "bridge"

func TestMain(m *testing.M) {
	if os.Getenv("TCPCNI_KIND_LAB") == "" {
		fmt.Println("skipped: runs inside of make e2e-kind only")
		return
	}
	os.Exit(m.Run())
}

// onlyTCPCNI skips what says nothing about a cluster on the kernel's TCP.
func onlyTCPCNI(t *testing.T) {
	t.Helper()
	if onBridge {
		t.Skip("says something about tcpcni only")
	}
}

// try runs a program and returns what it printed.
func try(stdin, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), hang)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.WaitDelay = time.Second
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out)), err
}

// must is try for what has to succeed.
func must(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := try("", name, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// eventually repeats f until it succeeds.
func eventually(t *testing.T, what string, f func() error) {
	t.Helper()
	within(t, hang, what, f)
}

func within(t *testing.T, limit time.Duration, what string, f func() error) {
	t.Helper()
	for deadline := time.Now().Add(limit); ; time.Sleep(100 * time.Millisecond) {
		err := f()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v: %v", what, limit, err)
		}
	}
}

// A space is a test's Kubernetes namespace.
type space struct {
	t    *testing.T
	name string
}

// newSpace makes the namespace of a test. It is deleted in the end, and
// described before when the test failed.
func newSpace(t *testing.T) *space {
	t.Helper()
	// The time tells namespaces of several runs on one cluster apart.
	name := strings.ToLower(strings.NewReplacer("/", "-", "_", "-").Replace(strings.TrimPrefix(t.Name(), "Test")))
	s := &space{t: t, name: fmt.Sprintf("%.40s-%x", name, time.Now().UnixMilli()&0xffffff)}
	must(t, "kubectl", "create", "namespace", s.name)
	t.Cleanup(func() {
		if t.Failed() {
			s.describe()
		}
		if _, err := try("", "kubectl", "delete", "namespace", s.name, "--wait=false"); err != nil {
			t.Error(err)
		}
	})
	// Pods are refused until the namespace has its service account.
	eventually(t, "service account", func() error {
		_, err := try("", "kubectl", "-n", s.name, "get", "serviceaccount", "default")
		return err
	})
	return s
}

// describe logs what explains most failures.
func (s *space) describe() {
	for _, args := range [][]string{
		{"get", "pods", "-o", "wide"},
		{"get", "events", "--sort-by=.lastTimestamp", "-o", "custom-columns=OBJECT:.involvedObject.name,REASON:.reason,MESSAGE:.message"},
	} {
		out, _ := try("", "kubectl", append([]string{"-n", s.name}, args...)...)
		lines := strings.Split(out, "\n")
		s.t.Log(strings.Join(lines[max(0, len(lines)-25):], "\n"))
	}
}

// kubectl runs kubectl in the namespace.
func (s *space) kubectl(args ...string) string {
	s.t.Helper()
	return must(s.t, "kubectl", append([]string{"-n", s.name}, args...)...)
}

// apply creates objects from YAML.
func (s *space) apply(yaml string) {
	s.t.Helper()
	if _, err := try(yaml, "kubectl", "-n", s.name, "apply", "-f", "-"); err != nil {
		s.t.Fatal(err)
	}
}

// exec runs a command in the first container of a pod.
func (s *space) exec(pod string, command ...string) string {
	s.t.Helper()
	out, err := s.tryExec(pod, command...)
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

func (s *space) tryExec(pod string, command ...string) (string, error) {
	return try("", "kubectl", append([]string{"-n", s.name, "exec", "-q", pod, "--"}, command...)...)
}

// get asks for one field of an object.
func (s *space) get(object, jsonpath string) string {
	s.t.Helper()
	return s.kubectl("get", object, "-o", "jsonpath="+jsonpath)
}

// ready waits for pods to be ready.
func (s *space) ready(pods ...string) {
	s.t.Helper()
	for _, p := range pods {
		s.kubectl("wait", "--for=condition=Ready", "pod/"+p, "--timeout="+(hang*3/4).String())
	}
}

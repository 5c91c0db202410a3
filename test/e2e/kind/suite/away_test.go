package suite

// What holds while the NRI plugin is away: a pod that is its own does not start,
// and a container that comes without a filter has no network.

import (
	"fmt"
	"strings"
	"testing"
)

// withoutNRI takes the DaemonSet's pods off all nodes, and returns what brings
// them back.
func withoutNRI(t *testing.T) (back func()) {
	t.Helper()
	selector := func(value string) {
		t.Helper()
		must(t, "kubectl", "-n", "kube-system", "patch", "daemonset", "tcpcni", "--type=merge", "-p",
			`{"spec":{"template":{"spec":{"nodeSelector":{"tcpcni.dev/none":`+value+`}}}}}`)
	}
	there := true
	back = func() {
		if there {
			return
		}
		there = true
		selector("null")
		must(t, "kubectl", "-n", "kube-system", "rollout", "status", "daemonset/tcpcni", "--timeout="+hang.String())
	}
	t.Cleanup(back)
	there = false
	selector(`"true"`)
	must(t, "kubectl", "-n", "kube-system", "wait", "--for=delete", "pod", "-l", "app=tcpcni", "--timeout="+hang.String())
	return back
}

// mode is the mode of seccomp of a pod's first process: 0 for no filter.
func (s *space) mode(pod string) (string, error) {
	out, err := s.tryExec(pod, "grep", "Seccomp:", "/proc/1/status")
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(strings.TrimPrefix(out, "Seccomp:")), nil
}

// hasNoNetwork fails the test unless a pod reaches nobody, nobody reaches it, and
// both hear so at once.
func (s *space) hasNoNetwork(pod, other string) {
	s.t.Helper()
	for _, c := range []struct{ from, to string }{{pod, other}, {other, pod}} {
		out, err := s.tryExec(c.from, "probe", "get", "http://"+s.ip(c.to)+":8080/")
		if err == nil || !strings.Contains(out, "connection refused") {
			s.t.Errorf("from %s to %s: %s, %v", c.from, c.to, out, err)
		}
	}
}

func TestNRIAway(t *testing.T) {
	onlyTCPCNI(t)
	nri := ways[2]
	s := newSpace(t)
	s.start(nri.intercepted(server("web", worker)), nri.intercepted(server("again", worker)), server("plain", controlPlane))
	back := withoutNRI(t)

	// What runs, runs on, and kubelet reaches it.
	for from, to := range map[string]string{"plain": "web", "web": "plain"} {
		if err := s.answers(from, "http://"+s.ip(to)+":8080/", to); err != nil {
			t.Error(err)
		}
	}
	s.filtered("web")
	if got := s.fetch("web", "http://127.0.0.1:8080/"); got != "web" {
		t.Errorf("exec in the filter: %q", got)
	}
	if err := outside("http://"+s.portForward("web", 8080)+"/", "web"); err != nil {
		t.Error("port-forward:", err)
	}
	if got := s.get("pod/web", `{.status.conditions[?(@.type=="Ready")].status}`); got != "True" {
		t.Errorf("web is ready: %s", got)
	}

	// A new pod waits. One that goes by another way does not.
	s.apply(nri.intercepted(server("late", worker)).yaml())
	deep := ways[0].intercepted(server("deep", worker))
	deep.annotations = append(deep.annotations, `tcpcni.dev/intercept: "required"`)
	s.start(deep)
	s.filtered("deep")
	if err := s.answers("plain", "http://"+s.ip("deep")+":8080/", "deep"); err != nil {
		t.Error(err)
	}
	eventually(t, "late is told why", func() error {
		if out := s.kubectl("get", "events", "--field-selector=involvedObject.name=late", "-o", "jsonpath={.items[*].message}"); !strings.Contains(out, "the NRI plugin, which is away") {
			return fmt.Errorf("events: %s", out)
		}
		return nil
	})
	if phase := s.get("pod/late", "{.status.phase}"); phase != "Pending" {
		t.Errorf("late is %s", phase)
	}

	// One that says it is intercepted, and forgot the way.
	bare := server("bare", worker)
	bare.port = 0
	bare.annotations = append(bare.annotations, `tcpcni.dev/intercept: "required"`)
	s.start(bare)
	s.hasNoNetwork("bare", "plain")

	// A container that is made again has no filter, and no network.
	_, _ = s.tryExec("again", "sh", "-c", "kill 1") // it ends the exec as well
	eventually(t, "the container is made again", func() error {
		if n := s.get("pod/again", "{.status.containerStatuses[0].restartCount}"); n == "0" {
			return fmt.Errorf("not yet")
		}
		mode, err := s.mode("again")
		if err == nil && mode != "0" {
			t.Fatalf("it has a filter: %s", mode)
		}
		return err
	})
	s.hasNoNetwork("again", "plain")
	if log := s.onNode(worker, "cat", "/run/tcpcni/sandboxes/"+s.sandbox("again", worker)+"-eth0/engine.log"); !strings.Contains(log, "was refused the network") {
		t.Errorf("engine.log: %s", log)
	}
	s.kubectl("wait", "--for=condition=Ready=false", "pod/again", "--timeout="+hang.String())

	// The plugin is back: what waited starts, what has no filter is made anew.
	back()
	s.ready("late", "again")
	for _, name := range []string{"late", "again"} {
		s.filtered(name)
		if err := s.answers("plain", "http://"+s.ip(name)+":8080/", name); err != nil {
			t.Error(err)
		}
		if err := s.answers(name, "http://"+s.ip("plain")+":8080/", "plain"); err != nil {
			t.Error(err)
		}
	}
	// Nothing was done to those that had theirs.
	for _, name := range []string{"web", "deep", "bare"} {
		if n := s.get("pod/"+name, "{.status.containerStatuses[0].restartCount}"); n != "0" {
			t.Errorf("%s was restarted %s times", name, n)
		}
	}
}

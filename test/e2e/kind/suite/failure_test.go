package suite

// What dies on a node and what has to go on: an engine, the agent, the node.

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestEngineKilled takes the engine from under a plain and an intercepted pod.
// The connection that it had is lost; the pod is not, and serves again.
func TestEngineKilled(t *testing.T) {
	onlyTCPCNI(t)
	for _, w := range workloadWays {
		t.Run(w.name, func(t *testing.T) {
			s := newSpace(t)
			s.start(w.intercepted(server("web", worker)), client("c", controlPlane))
			s.service("web", "NodePort", 80, 8080)
			url := "http://" + nodeIP(t, worker) + ":" + s.get("service/web", "{.spec.ports[0].nodePort}") + "/"
			eventually(t, "the service", func() error { return outside(url, "web") })

			engine := s.engine("web", worker)
			s.onNode(worker, "kill", "-KILL", engine)
			killed := time.Now()
			eventually(t, "the pod serves again", func() error { return outside(url, "web") })
			t.Logf("served again after %v", time.Since(killed).Round(time.Millisecond))
			if again := s.engine("web", worker); again == engine {
				t.Errorf("engine %s was killed and is still there", again)
			}
			// Out of the pod as well: names, addresses, the other node.
			if err := s.answers("web", "http://web."+s.name+"/", "web"); err != nil {
				t.Error(err)
			}
			if n := s.get("pod/web", "{.status.containerStatuses[0].restartCount}"); n != "0" {
				t.Errorf("the pod was restarted %s times", n)
			}
		})
	}
}

// engine is the process of a pod's engine on its node, once it answers.
func (s *space) engine(pod, node string) string {
	s.t.Helper()
	name, engine := s.sandbox(pod, node), ""
	eventually(s.t, "an engine of "+pod, func() error {
		for line := range strings.Lines(s.onNode(node, "/opt/cni/bin/tcpcni", "list")) {
			if f := strings.Fields(line); len(f) > 4 && f[0] == name && strings.Trim(f[4], "0123456789") == "" {
				engine = f[4]
				return nil
			}
		}
		return fmt.Errorf("sandbox %s: no engine that answers", name)
	})
	return engine
}

// TestAgentKilled takes the agent's pod away: running pods do not notice, new
// ones start, if need be when its successor is there.
func TestAgentKilled(t *testing.T) {
	onlyTCPCNI(t)
	s := newSpace(t)
	s.start(server("web", worker), ways[0].intercepted(server("deep", worker)), client("c", controlPlane))
	address := map[string]string{"web": s.ip("web"), "deep": s.ip("deep")}
	agent := must(t, "kubectl", "-n", "kube-system", "get", "pods", "-l", "app=tcpcni", "--field-selector", "spec.nodeName="+worker, "-o", "name")
	must(t, "kubectl", "-n", "kube-system", "delete", agent, "--grace-period=0", "--force")
	for range 5 {
		for name, ip := range address {
			if err := s.answers("c", "http://"+ip+":8080/", name); err != nil {
				t.Error("without the agent:", err)
			}
		}
	}
	var names []string
	for _, w := range append([]way{{"inline", func(*pod) {}}}, ways...) {
		p := w.intercepted(server("by-"+strings.ToLower(w.name), worker))
		names = append(names, p.name)
		s.apply(p.yaml())
	}
	s.ready(names...)
	for _, n := range names {
		if err := s.answers("c", "http://"+s.ip(n)+":8080/", n); err != nil {
			t.Error("started meanwhile:", err)
		}
		if n != "by-inline" {
			s.filtered(n)
		}
	}
	must(t, "kubectl", "-n", "kube-system", "rollout", "status", "daemonset/tcpcni", "--timeout="+hang.String())
	for _, n := range append(names, "web", "deep") {
		if r := s.get("pod/"+n, "{.status.containerStatuses[0].restartCount}"); r != "0" {
			t.Errorf("%s was restarted %s times", n, r)
		}
	}
}

// TestNodeRestarted restarts a node as a machine restarts: every process, /run
// and the namespaces are gone, the disk stays.
func TestNodeRestarted(t *testing.T) {
	s := newSpace(t)
	pods := []pod{server("web", worker)}
	if !onBridge {
		for _, w := range ways {
			pods = append(pods, w.intercepted(server("by-"+strings.ToLower(w.name), worker)))
		}
	}
	for i := range pods {
		s.start(pods[i])
		s.service(pods[i].name, "ClusterIP", 80, 8080)
	}
	s.start(client("c", controlPlane))
	must(t, "docker", "restart", "--time=1", worker)
	for _, p := range pods {
		eventually(t, p.name+" was started again", func() error {
			if n := s.get("pod/"+p.name, "{.status.containerStatuses[0].restartCount}"); n == "0" {
				return fmt.Errorf("not yet")
			}
			return nil
		})
		s.ready(p.name)
		eventually(t, p.name+" serves again", func() error { return s.answers("c", "http://"+p.name+"/", p.name) })
		if p.name != "web" {
			s.filtered(p.name)
		}
	}
	must(t, "kubectl", "wait", "--for=condition=Ready", "node", worker, "--timeout="+hang.String())
	s.start(server("fresh", worker))
	if err := s.answers("c", "http://"+s.ip("fresh")+":8080/", "fresh"); err != nil {
		t.Error(err)
	}
}

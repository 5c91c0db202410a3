package suite

// Pods whose socket calls are intercepted, by each of the three ways, and the
// proof that they are.

import (
	"fmt"
	"strings"
	"testing"
)

// A way puts a pod under its sandbox's filter.
type way struct {
	name string
	ask  func(p *pod)
}

var ways = []way{
	{"RuntimeClass", func(p *pod) { p.spec = append(p.spec, "runtimeClassName: tcpcni") }},
	{"Localhost", func(p *pod) {
		p.spec = append(p.spec, "securityContext: {seccompProfile: {type: Localhost, localhostProfile: tcpcni.json}}")
	}},
	{"NRI", func(p *pod) {
		p.annotations = append(p.annotations, `tcpcni.dev/intercept: "true"`)
	}},
}

// intercepted is a pod that goes this way.
func (w way) intercepted(p pod) pod {
	w.ask(&p)
	return p
}

// eachWay runs a test for every way.
func eachWay(t *testing.T, f func(t *testing.T, w way)) {
	onlyTCPCNI(t)
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) { f(t, w) })
	}
}

// kernelSockets lists the TCP sockets of the kernel that a pod's server has
// while it answers.
func (s *space) kernelSockets(from, pod string) []string {
	s.t.Helper()
	return strings.Split(s.fetch(from, "http://"+s.ip(pod)+":8080/tcp"), "\n")
}

// filtered fails the test unless a pod's first process is under a filter.
func (s *space) filtered(pod string) {
	s.t.Helper()
	if mode := s.exec(pod, "grep", "Seccomp:", "/proc/1/status"); strings.Fields(mode)[1] != "2" {
		s.t.Errorf("%s runs without a filter: %s", pod, mode)
	}
}

// TestInlineUsesTheKernel is the other half of the proof: the same question to
// a plain pod finds the kernel's sockets.
func TestInlineUsesTheKernel(t *testing.T) {
	s := newSpace(t)
	s.start(server("web", worker), client("c", controlPlane))
	if found := s.kernelSockets("c", "web"); len(found) < 2 {
		t.Errorf("a plain server has a listener and a connection in its kernel, found %q", found)
	}
	if mode := s.exec("web", "grep", "Seccomp:", "/proc/1/status"); strings.Fields(mode)[1] != "0" {
		t.Errorf("a plain pod has a filter: %s", mode)
	}
}

func TestIntercepted(t *testing.T) {
	eachWay(t, func(t *testing.T, w way) {
		s := newSpace(t)
		s.start(w.intercepted(server("web", worker)), w.intercepted(client("near", worker)),
			w.intercepted(client("far", controlPlane)), client("plain", controlPlane), server("kernel", controlPlane))
		s.service("web", "NodePort", 80, 8080)
		s.service("kernel", "ClusterIP", 80, 8080)

		if found := s.kernelSockets("plain", "web"); found[0] != "" {
			t.Errorf("the server has sockets of the kernel: %q", found)
		}
		s.filtered("web")
		listens := s.socketsOf("web", worker)
		if !strings.Contains(listens, ":8080") || !strings.Contains(listens, "LISTEN") {
			t.Errorf("the engine does not list the server's socket:\n%s", listens)
		}

		for _, from := range []string{"near", "far", "plain"} {
			eventually(t, "the service from "+from, func() error { return s.answers(from, "http://web/", "web") })
			if err := s.answers(from, "http://"+s.ip("web")+":8080/", "web"); err != nil {
				t.Error(err)
			}
			eventually(t, "a plain server from "+from, func() error { return s.answers(from, "http://kernel/", "kernel") })
		}
		port := s.get("service/web", "{.spec.ports[0].nodePort}")
		for _, node := range []string{controlPlane, worker} {
			eventually(t, "NodePort of "+node, func() error {
				return outside("http://"+nodeIP(t, node)+":"+port+"/", "web")
			})
		}
		if got := s.exec("far", "probe", "api", "/version"); got != "200 OK" {
			t.Errorf("the API server answered %q", got)
		}
		if n := s.get("pod/web", "{.status.containerStatuses[0].restartCount}"); n != "0" {
			t.Errorf("restarted %s times", n)
		}
	})
}

// TestContainersShareTheStack has one pod with an init container, a side-car,
// two containers, an ephemeral container and an exec: all are under the filter
// and meet on the loopback of one engine.
func TestContainersShareTheStack(t *testing.T) {
	eachWay(t, func(t *testing.T, w way) {
		s := newSpace(t)
		s.start(server("outside", controlPlane))
		check := "grep -q 'Seccomp:.2' /proc/self/status && probe get http://"
		p := w.intercepted(server("web", worker))
		p.spec = append(p.spec, fmt.Sprintf(`initContainers:
  - {name: init, image: "localhost/box:1", imagePullPolicy: Never, command: [sh, -ec, "%s%s:8080/"]}
  - {name: side, image: "localhost/box:1", imagePullPolicy: Never, restartPolicy: Always, args: [serve, "127.0.0.1:9090"],
     startupProbe: {exec: {command: [probe, get, "http://127.0.0.1:9090/"]}, periodSeconds: 1}}`, check, s.ip("outside")))
		p.container = append(p.container, `- {name: d, image: "localhost/box:1", imagePullPolicy: Never, command: [sleep, infinity]}`)
		// The last line begins a container of its own.
		yaml := strings.Replace(p.yaml(), "    - {name: d,", "  - {name: d,", 1)
		s.apply(yaml)
		s.ready("web")
		if got := s.kubectl("logs", "web", "-c", "init"); got != "outside" {
			t.Errorf("the init container heard %q", got)
		}
		for _, c := range []string{"c", "d", "side"} {
			for _, address := range []string{"127.0.0.1:8080/", "127.0.0.1:9090/", s.ip("web") + ":8080/"} {
				if got := s.kubectl("exec", "-q", "web", "-c", c, "--", "sh", "-ec", check+address); got != "web" {
					t.Errorf("exec in %s heard %q from %s", c, got, address)
				}
			}
		}
		// One stack, so one port has one owner.
		out, err := try("", "kubectl", "-n", s.name, "exec", "-q", "web", "-c", "d", "--", "probe", "serve", ":8080")
		if err == nil || !strings.Contains(out, "address already in use") {
			t.Errorf("a second server on port 8080: %v %s", err, out)
		}
		s.kubectl("debug", "web", "--image=localhost/box:1", "--image-pull-policy=Never", "--container=debugger", "--profile=general",
			"--", "sh", "-ec", check+"127.0.0.1:8080/")
		eventually(t, "the ephemeral container", func() error {
			got, err := try("", "kubectl", "-n", s.name, "logs", "web", "-c", "debugger")
			if err == nil && got != "web" {
				err = fmt.Errorf("heard %q", got)
			}
			return err
		})
	})
}

func TestLogsExecPortForward(t *testing.T) {
	all := append([]way{{"inline", func(*pod) {}}}, ways...)
	if onBridge {
		all = all[:1]
	}
	for _, w := range all {
		t.Run(w.name, func(t *testing.T) {
			s := newSpace(t)
			p := w.intercepted(server("web", worker))
			s.start(p)
			if got := s.kubectl("logs", "web"); !strings.Contains(got, "serves :8080") {
				t.Errorf("logs: %q", got)
			}
			if got := s.exec("web", "hostname"); got != "web" {
				t.Errorf("exec: %q", got)
			}
			if got, err := try("to standard input", "kubectl", "-n", s.name, "exec", "-q", "-i", "web", "--", "cat"); err != nil || got != "to standard input" {
				t.Errorf("exec -i: %q, %v", got, err)
			}
			for range 3 { // several connections through one forwarding, and several forwardings
				address := s.portForward("web", 8080)
				for range 3 {
					if err := outside("http://"+address+"/", "web"); err != nil {
						t.Fatal("port-forward:", err)
					}
				}
			}
		})
	}
}

// TestCongestionByAnnotation has the pod's default, and what its sockets use,
// follow the pod's annotation.
func TestCongestionByAnnotation(t *testing.T) {
	onlyTCPCNI(t)
	s := newSpace(t)
	reno := []string{"tcpcni.dev/congestion: reno"}
	web, hold := server("web", worker), client("inline", worker)
	hold.annotations = reno
	pods := []pod{web, hold}
	for _, w := range ways {
		p := w.intercepted(server(strings.ToLower(w.name), worker))
		p.annotations = append(p.annotations, reno...)
		pods = append(pods, p)
	}
	pods = append(pods, ways[0].intercepted(client("default", worker)))
	s.start(pods...)
	address := s.ip("web") + ":8080"
	for _, w := range ways {
		name := strings.ToLower(w.name)
		if got := s.exec(name, "probe", "congestion", address); got != "reno" {
			t.Errorf("%s, connecting: %q", name, got)
		}
		if got := s.fetch("web", "http://"+s.ip(name)+":8080/congestion"); got != "reno" {
			t.Errorf("%s, accepting: %q", name, got)
		}
	}
	if got := s.exec("default", "probe", "congestion", address); got != "cubic" {
		t.Errorf("without the annotation: %q", got)
	}
	// A plain program's kernel decides for itself; what goes over the wire is
	// the engine's connection.
	stop := s.background("kubectl", "-n", s.name, "exec", "-q", "inline", "--", "probe", "hold", address)
	defer stop()
	eventually(t, "the inline connection uses reno", func() error {
		out := s.socketsOf("inline", worker, "-i")
		if !strings.Contains(out, "reno") || strings.Contains(out, "cubic") {
			return fmt.Errorf("ss -i:\n%s", out)
		}
		return nil
	})
}

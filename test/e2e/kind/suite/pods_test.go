package suite

import (
	"bufio"
	"fmt"
	"os/exec"
	"slices"
	"strings"
)

const (
	controlPlane = "e2e-control-plane"
	worker       = "e2e-worker"
)

// A pod is what the tests need of a pod's specification.
type pod struct {
	name        string
	node        string // "" leaves it to the scheduler
	image       string // "" is localhost/box:1
	args        []string
	port        int      // what readiness asks, and services send to; 0 for none
	spec        []string // further lines of the pod's spec
	container   []string // further lines of the first container
	annotations []string // "key: value"
}

// server is a pod that serves HTTP on port 8080 by the probe, a Go program.
func server(name, node string) pod {
	return pod{name: name, node: node, args: []string{"serve", ":8080"}, port: 8080}
}

// client is a pod to run commands in.
func client(name, node string) pod {
	return pod{name: name, node: node, container: []string{"command: [sleep, infinity]"}}
}

func (p pod) yaml() string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("apiVersion: v1\nkind: Pod\nmetadata:\n  name: %s\n  labels: {app: %s}", p.name, p.name)
	if len(p.annotations) > 0 {
		line("  annotations:")
		for _, a := range p.annotations {
			line("    %s", a)
		}
	}
	line("spec:\n  terminationGracePeriodSeconds: 0")
	if p.node != "" {
		line("  nodeName: %s", p.node)
	}
	for _, l := range p.spec {
		line("  %s", l)
	}
	image := p.image
	if image == "" {
		image = "localhost/box:1"
	}
	line("  containers:\n  - name: c\n    image: %s\n    imagePullPolicy: Never", image)
	if len(p.args) > 0 {
		line("    args: [%s]", quote(p.args))
	}
	if p.port != 0 {
		line("    readinessProbe: {tcpSocket: {port: %d}, periodSeconds: 1}", p.port)
	}
	for _, l := range p.container {
		line("    %s", l)
	}
	return b.String()
}

func quote(args []string) string {
	q := slices.Clone(args)
	for i := range q {
		q[i] = fmt.Sprintf("%q", q[i])
	}
	return strings.Join(q, ", ")
}

// start creates pods and waits until they are ready.
func (s *space) start(pods ...pod) {
	s.t.Helper()
	var docs, names []string
	for _, p := range pods {
		docs, names = append(docs, p.yaml()), append(names, p.name)
	}
	s.apply(strings.Join(docs, "---\n"))
	s.ready(names...)
}

// ip is a pod's address.
func (s *space) ip(pod string) string {
	s.t.Helper()
	return s.get("pod/"+pod, "{.status.podIP}")
}

// fetch asks a URL from within a pod.
func (s *space) fetch(pod, url string) string {
	s.t.Helper()
	return s.exec(pod, "probe", "get", url)
}

// service makes a service of a type for the pods of one name.
func (s *space) service(name, kind string, port, target int) {
	s.t.Helper()
	s.apply(fmt.Sprintf("apiVersion: v1\nkind: Service\nmetadata: {name: %s}\nspec: {type: %s, selector: {app: %s}, ports: [{port: %d, targetPort: %d}]}",
		name, kind, name, port, target))
}

// onNode runs a command on a node.
func (s *space) onNode(node string, command ...string) string {
	s.t.Helper()
	return must(s.t, "docker", append([]string{"exec", node}, command...)...)
}

// sandbox is the name that tcpcni has for a pod: its runtime's identifier.
func (s *space) sandbox(pod, node string) string {
	s.t.Helper()
	ip := s.ip(pod)
	for line := range strings.Lines(s.onNode(node, "/opt/cni/bin/tcpcni", "list")) {
		if f := strings.Fields(line); len(f) > 1 && slices.Contains(strings.Split(f[1], ","), ip) {
			return f[0]
		}
	}
	s.t.Fatalf("no sandbox of %s has the address %s", node, ip)
	return ""
}

// socketsOf is tcpcni ss for a pod.
func (s *space) socketsOf(pod, node string, flags ...string) string {
	s.t.Helper()
	return s.onNode(node, append(append([]string{"/opt/cni/bin/tcpcni", "ss"}, flags...), s.sandbox(pod, node))...)
}

// background starts a program and returns what ends it.
func (s *space) background(name string, args ...string) (stop func()) {
	s.t.Helper()
	cmd := exec.Command(name, args...)
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	return func() {
		cmd.Process.Kill()
		cmd.Wait()
	}
}

// portForward forwards a free port of the laboratory to a pod's until the test
// ends, and returns its address.
func (s *space) portForward(pod string, port int) string {
	s.t.Helper()
	cmd := exec.Command("kubectl", "-n", s.name, "port-forward", "--address=127.0.0.1", "pod/"+pod, fmt.Sprintf(":%d", port))
	out, err := cmd.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	f := strings.Fields(line) // Forwarding from ADDRESS -> PORT
	if err != nil || len(f) < 3 {
		s.t.Fatalf("kubectl port-forward said %q, %v", line, err)
	}
	return f[2]
}

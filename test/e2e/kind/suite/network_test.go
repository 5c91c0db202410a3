package suite

// What every pod of a cluster expects of its network, with the ordinary
// runtime: here on the inline path.

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestNodesAreReady(t *testing.T) {
	out := must(t, "kubectl", "get", "nodes", "-o", `jsonpath={range .items[*]}{.metadata.name}={.status.conditions[?(@.type=="Ready")].status} {end}`)
	if out != controlPlane+"=True "+worker+"=True" {
		t.Fatal(out)
	}
}

func TestPodsReachEachOther(t *testing.T) {
	s := newSpace(t)
	names := []string{"a", "b", "c"}
	s.start(server("a", controlPlane), server("b", worker), server("c", worker))
	for _, from := range names {
		for _, to := range names {
			if got := s.fetch(from, "http://"+s.ip(to)+":8080/"); got != to {
				t.Errorf("%s asked %s and heard %q", from, to, got)
			}
		}
	}
	if t.Failed() {
		return
	}
	// The address that a server sees is the pod's own, no translation.
	peer, _, _ := strings.Cut(s.fetch("a", "http://"+s.ip("b")+":8080/peer"), ":")
	if peer != s.ip("a") {
		t.Errorf("the peer is %s, want %s", peer, s.ip("a"))
	}
	for _, to := range names {
		s.exec("a", "ping", "-c", "1", "-W", "10", s.ip(to))
	}
}

func TestServices(t *testing.T) {
	s := newSpace(t)
	s.start(server("web", worker), client("near", worker), client("far", controlPlane))
	s.service("web", "NodePort", 80, 8080)
	ip := s.get("service/web", "{.spec.clusterIP}")
	port := s.get("service/web", "{.spec.ports[0].nodePort}")

	for _, from := range []string{"near", "far"} {
		// kube-proxy may need a moment after the service was made.
		eventually(t, "ClusterIP from "+from, func() error {
			return s.answers(from, "http://"+ip+"/", "web")
		})
		for _, name := range []string{"web", "web." + s.name, "web." + s.name + ".svc.cluster.local"} {
			if got := s.fetch(from, "http://"+name+"/"); got != "web" {
				t.Errorf("%s asked %s and heard %q", from, name, got)
			}
		}
	}
	// A pod that reaches itself through its service needs hairpin.
	if got := s.fetch("web", "http://"+ip+"/"); got != "web" {
		t.Errorf("the pod itself heard %q", got)
	}
	// NodePort, from outside of both nodes, at the one with the pod and at the other.
	for _, node := range []string{controlPlane, worker} {
		eventually(t, "NodePort of "+node, func() error {
			return outside("http://"+nodeIP(t, node)+":"+port+"/", "web")
		})
	}
}

func TestAPIServerFromPod(t *testing.T) {
	s := newSpace(t)
	s.start(client("near", controlPlane), client("far", worker))
	for _, c := range []string{"near", "far"} {
		if got := s.exec(c, "probe", "api", "/version"); got != "200 OK" {
			t.Errorf("%s: the API server answered %q", c, got)
		}
		// Authorised by name, so the token arrived.
		if got := s.exec(c, "probe", "api", "/api/v1/nodes"); got != "403 Forbidden" {
			t.Errorf("%s: the API server answered %q", c, got)
		}
	}
}

func TestHostPort(t *testing.T) {
	s := newSpace(t)
	p := server("web", worker)
	p.container = append(p.container, "ports: [{containerPort: 8080, hostPort: 18080}]")
	s.start(p, client("c", controlPlane))
	url := "http://" + nodeIP(t, worker) + ":18080/"
	if err := outside(url, "web"); err != nil {
		t.Error("from outside:", err)
	}
	if err := s.answers("c", url, "web"); err != nil {
		t.Error("from a pod of the other node:", err)
	}
	s.kubectl("delete", "pod", "web", "--wait=true")
	eventually(t, "the port is free again", func() error {
		if err := outside(url, "web"); err == nil {
			return fmt.Errorf("somebody answers")
		}
		return nil
	})
}

func TestProbes(t *testing.T) {
	s := newSpace(t)
	p := server("web", worker)
	p.container = append(p.container, "livenessProbe: {httpGet: {port: 8080, path: /}, periodSeconds: 1, failureThreshold: 1}")
	deaf := server("deaf", worker)
	deaf.args = []string{"serve", ":8081"} // readiness asks 8080
	sick := server("sick", worker)
	sick.container = append(sick.container, "livenessProbe: {httpGet: {port: 8082, path: /}, periodSeconds: 1, failureThreshold: 1}")
	s.apply(p.yaml() + "---\n" + deaf.yaml() + "---\n" + sick.yaml())
	s.ready("web")
	eventually(t, "the liveness probe restarts a pod that refuses", func() error {
		if n := s.get("pod/sick", "{.status.containerStatuses[0].restartCount}"); n == "0" || n == "" {
			return fmt.Errorf("restarted %q times", n)
		}
		return nil
	})
	// By now every probe ran several times.
	if n := s.get("pod/web", "{.status.containerStatuses[0].restartCount}"); n != "0" {
		t.Errorf("the healthy pod was restarted %s times", n)
	}
	if r := s.get("pod/deaf", `{.status.conditions[?(@.type=="Ready")].status}`); r != "False" {
		t.Errorf("the pod that does not listen is ready: %s", r)
	}
}

func TestDNSDefaultPolicy(t *testing.T) {
	s := newSpace(t)
	p := client("c", worker)
	p.spec = []string{"dnsPolicy: Default"}
	s.start(p)
	// The node's resolver knows the other node by its name.
	if out := s.exec("c", "nslookup", controlPlane); !strings.Contains(out, nodeIP(t, controlPlane)) {
		t.Errorf("nslookup: %s", out)
	}
}

// answers says whether a pod hears want from a URL.
func (s *space) answers(pod, url, want string) error {
	got, err := s.tryExec(pod, "probe", "get", url)
	if err == nil && got != want {
		err = fmt.Errorf("%s answered %q", url, got)
	}
	return err
}

// outside says whether a host that is no node hears want from a URL.
func outside(url, want string) error {
	client := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	r, err := client.Get(url)
	if err != nil {
		return err
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err == nil && strings.TrimSpace(string(b)) != want {
		err = fmt.Errorf("%s answered %q", url, b)
	}
	return err
}

// nodeIP is a node's address on the network of the nodes.
func nodeIP(t *testing.T, node string) string {
	t.Helper()
	return must(t, "kubectl", "get", "node", node, "-o", `jsonpath={.status.addresses[?(@.type=="InternalIP")].address}`)
}

package suite

// Servers that everybody knows, from Debian's packages, with a client in
// another pod of the other node.

import (
	"fmt"
	"strings"
	"testing"
)

// workloadWays are the ordinary runtime and one that intercepts; the others
// make the same filter.
var workloadWays = []way{{"inline", func(*pod) {}}, ways[0]}

func eachWorkloadWay(t *testing.T, f func(t *testing.T, w way)) {
	for _, w := range workloadWays {
		if onBridge && w.name != "inline" {
			continue
		}
		t.Run(w.name, func(t *testing.T) { f(t, w) })
	}
}

func TestNginx(t *testing.T) {
	eachWorkloadWay(t, func(t *testing.T, w way) {
		s := newSpace(t)
		s.start(w.intercepted(pod{name: "nginx", image: "localhost/nginx:1", port: 80, node: worker}), w.intercepted(client("c", controlPlane)))
		s.service("nginx", "NodePort", 80, 80)
		eventually(t, "nginx by its service", func() error {
			return s.answers("c", "http://nginx/", "hello from nginx")
		})
		// More than any buffer on the way holds, there and back unchanged.
		s.exec("nginx", "sh", "-ec", "seq 1 4000000 >/www/large")
		sum := s.exec("nginx", "sh", "-ec", "sha256sum </www/large")
		if got := s.exec("c", "sh", "-ec", "probe get http://nginx/large | sha256sum"); got != sum {
			t.Errorf("a large file arrived as %s, want %s", got, sum)
		}
		address := nodeIP(t, controlPlane) + ":" + s.get("service/nginx", "{.spec.ports[0].nodePort}")
		for range 100 {
			if err := outside("http://"+address+"/", "hello from nginx"); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestRedis(t *testing.T) {
	eachWorkloadWay(t, func(t *testing.T, w way) {
		s := newSpace(t)
		c := client("c", controlPlane)
		c.image = "localhost/redis:1"
		s.start(w.intercepted(pod{name: "redis", image: "localhost/redis:1", port: 6379, node: worker}), w.intercepted(c))
		s.service("redis", "ClusterIP", 6379, 6379)
		eventually(t, "redis by its service", func() error {
			// A connection that was begun before kube-proxy knew the service
			// leads nowhere, and redis-cli waits for it for two minutes.
			got, err := s.tryExec("c", "timeout", "10", "redis-cli", "-h", "redis", "set", "key", "value")
			if err == nil && got != "OK" {
				err = fmt.Errorf("set: %s", got)
			}
			return err
		})
		if got := s.exec("c", "redis-cli", "-h", "redis", "get", "key"); got != "value" {
			t.Errorf("get: %q", got)
		}
		out := s.exec("c", "redis-benchmark", "-h", "redis", "-q", "-n", "2000", "-d", "5000", "-t", "set,get", "-c", "20")
		if !strings.Contains(out, "GET") || !strings.Contains(out, "requests per second") {
			t.Errorf("redis-benchmark: %s", out)
		}
	})
}

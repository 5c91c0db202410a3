package suite

// Thirty pods come and go, and the node is as it was before.

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// traces are what pods leave on a node when somebody forgets them: one command
// that prints a line for each.
var traces = map[string]string{
	"processes":        "ps -e -o args | grep -E '[t]cpcni (holder|engine)|[t]cpcni-keeper' || true",
	"shims":            "ps -e -o args | grep '[c]ontainerd-shim' || true",
	"links":            "ip -o link | cut -d: -f2 | cut -d@ -f1",
	"addresses":        "ip -o addr | tr -s ' ' | cut -d' ' -f2-4",
	"routes":           "ip route",
	"sandboxes":        "ls /run/tcpcni/sandboxes 2>/dev/null || true",
	"locks":            "ls /run/tcpcni/locks 2>/dev/null || true",
	"leases":           "find /var/lib/cni /run/tcpcni/ipam -type f -name '*.*.*.*' 2>/dev/null || true",
	"namespaces":       "ls /run/netns 2>/dev/null || true",
	"mounts of them":   "grep netns /proc/mounts | cut -d' ' -f2 || true",
	"control groups":   "find /sys/fs/cgroup -type d | grep -E 'pod|tcpcni' || true",
	"iptables":         "iptables-save | grep '^-A' | grep -v KUBE- || true",
	"port mappings":    "iptables-save -t nat | grep -E 'CNI-(DN|SN)' | grep -v -E '^:|HOSTPORT' || true",
	"listening socket": "cat /proc/net/unix | awk '$8 ~ /tcpcni/ {print $8}' | sort -u",
}

func leftovers(s *space, node string) map[string][]string {
	found := map[string][]string{}
	for what, script := range traces {
		found[what] = strings.FieldsFunc(s.onNode(node, "sh", "-c", script), func(r rune) bool { return r == '\n' })
	}
	return found
}

func TestNothingLeaks(t *testing.T) {
	// What other tests left in deletion would go away meanwhile.
	eventually(t, "other tests' pods are gone", func() error {
		out, err := try("", "kubectl", "get", "pods", "-A", "--field-selector", "spec.nodeName="+worker, "-o", "name", "--no-headers")
		if err == nil && slices.ContainsFunc(strings.Split(out, "\n"), func(l string) bool {
			return !strings.Contains(l, "kube-proxy") && !strings.Contains(l, "tcpcni") && !strings.Contains(l, "coredns")
		}) {
			err = fmt.Errorf("still there:\n%s", out)
		}
		return err
	})
	s := newSpace(t)
	all := append([]way{{"inline", func(*pod) {}}}, ways...)
	if onBridge {
		all = all[:1]
	}
	round := func(n int) {
		var names, docs []string
		for i := range 10 {
			p := all[i%len(all)].intercepted(server(fmt.Sprintf("p%d-%d", n, i), worker))
			if i == 0 {
				p.container = append(p.container, "ports: [{containerPort: 8080, hostPort: 18081}]")
			}
			names, docs = append(names, p.name), append(docs, p.yaml())
		}
		s.apply(strings.Join(docs, "---\n"))
		s.ready(names...)
		s.kubectl(append([]string{"delete", "pods", "--wait=true"}, names...)...)
	}
	// A first pod makes what stays for good, such as chains of the portmap plugin.
	first := server("first", worker)
	first.container = append(first.container, "ports: [{containerPort: 8080, hostPort: 18081}]")
	s.start(first)
	s.kubectl("delete", "pod", "first", "--wait=true")

	before := leftovers(s, worker)
	settle := func(what string) {
		eventually(t, what, func() error {
			now := leftovers(s, worker)
			for what, lines := range now {
				for _, l := range lines {
					if !slices.Contains(before[what], l) {
						return fmt.Errorf("%s: %q is new", what, l)
					}
				}
			}
			return nil
		})
	}
	for n := range 3 {
		round(n)
	}
	settle("thirty pods later the node is as before")
	// Each address is free again: as many pods as before get one.
	if len(before["leases"]) > 8 {
		t.Errorf("leases of pods that are gone: %q", before["leases"])
	}
}

package main

// How pods get their network: by the project's own DaemonSet, as on any
// cluster. With E2E_KIND_CNI=bridge the plugins bridge and host-local of the
// CNI project do it with the kernel's TCP: what fails then is a fault of the
// test.

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
)

const (
	projectImage = "bin/tcpcni-image.tar"
	manifests    = "deploy/overlays/kind"
)

func install(dir string) error {
	var err error
	switch cni := os.Getenv("E2E_KIND_CNI"); cni {
	case "", "tcpcni":
		err = installProject()
	case "bridge":
		err = installBridge()
	default:
		return fmt.Errorf("E2E_KIND_CNI is %q, accepted are tcpcni and bridge", cni)
	}
	if err != nil {
		return err
	}
	if err := command("kubectl", "wait", "--for=condition=Ready", "nodes", "--all", "--timeout=120s"); err != nil {
		return err
	}
	return command("kubectl", "-n", "kube-system", "rollout", "status", "deployment/coredns", "--timeout=120s")
}

func installProject() error {
	if err := command("kind", "load", "image-archive", projectImage, "--name", "e2e"); err != nil {
		return err
	}
	say("tcpcni's image is loaded")
	if err := command("kubectl", "apply", "-k", manifests); err != nil {
		return err
	}
	return command("kubectl", "-n", "kube-system", "rollout", "status", "daemonset/tcpcni", "--timeout=120s")
}

// installBridge gives every node a bridge with its part of the pods' network,
// and a route to the other nodes' parts.
func installBridge() error {
	list, err := output("kubectl", "get", "nodes", "-o",
		`jsonpath={range .items[*]}{.metadata.name} {.spec.podCIDR} {.status.addresses[?(@.type=="InternalIP")].address}{"\n"}{end}`)
	if err != nil {
		return err
	}
	nodes := strings.Split(strings.TrimSpace(list), "\n")
	for _, line := range nodes {
		f := strings.Fields(line)
		if len(f) != 3 {
			return fmt.Errorf("node without a part of the pods' network: %q", line)
		}
		var script strings.Builder
		script.WriteString("cp /kind/bin/cni/* /opt/cni/bin/\n")
		for _, other := range nodes {
			if o := strings.Fields(other); other != line && len(o) == 3 {
				fmt.Fprintf(&script, "ip route replace %s via %s\n", o[1], o[2])
			}
		}
		fmt.Fprintf(&script, "cat >/etc/cni/net.d/10-bridge.conflist <<'END'\n"+bridgeConfig+"\nEND\n", f[1])
		cmd := exec.Command("docker", "exec", "-i", f[0], "sh", "-e")
		cmd.Stdin = strings.NewReader(script.String())
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", f[0], err, out)
		}
	}
	return nil
}

const bridgeConfig = `{"cniVersion": "1.0.0", "name": "pods", "plugins": [
{"type": "bridge", "bridge": "cni0", "isGateway": true, "hairpinMode": true,
 "ipam": {"type": "host-local", "ranges": [[{"subnet": "%s"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
{"type": "portmap", "capabilities": {"portMappings": true}}]}`

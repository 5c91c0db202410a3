package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// logFolder keeps the nodes' logs of the last failure.
const logFolder = "bin/e2e-kind-logs"

// logs keeps what the nodes logged and prints what most often says why. It
// returns the error that it was given.
func logs(err error) error {
	say("failed: %s", strings.SplitN(err.Error(), "\n", 2)[0])
	os.RemoveAll(logFolder)
	if e := os.MkdirAll(logFolder, 0o755); e != nil {
		fmt.Fprintln(os.Stderr, e)
		return err
	}
	keep := func(name, program string, args ...string) string {
		out, _ := exec.Command("timeout", append([]string{"60", program}, args...)...).CombinedOutput()
		os.WriteFile(filepath.Join(logFolder, name), out, 0o644)
		return string(out)
	}
	fmt.Println(tail(keep("pods", "kubectl", "get", "pods", "-A", "-o", "wide"), 60))
	keep("describe", "kubectl", "describe", "nodes,pods", "-A")
	keep("events", "kubectl", "get", "events", "-A", "--sort-by=.lastTimestamp")
	keep("agent", "kubectl", "-n", "kube-system", "logs", "-l", "app.kubernetes.io/name=tcpcni", "--all-containers", "--prefix", "--tail=-1")
	names, _ := exec.Command("docker", "ps", "-a", "--format", "{{.Names}}").Output()
	for _, n := range strings.Fields(string(names)) {
		keep(n+"-console", "docker", "logs", n)
		keep(n+"-state", "docker", "exec", n, "sh", "-c",
			"ps -ef; ip addr; ip route; iptables-save; for f in /run/tcpcni/sandboxes/*/engine.log; do echo \"== $f\"; cat $f; done")
		for _, log := range []string{"containerd", "kubelet"} {
			text := keep(n+"-"+log, "docker", "exec", n, "cat", "/var/log/"+log+".log")
			var lines []string
			for line := range strings.Lines(text) {
				line = line[:min(len(line), 300)]
				if strings.Contains(line, "level=error") || strings.Contains(line, "level=fatal") || strings.HasPrefix(line, "E") || strings.HasPrefix(line, "F") {
					lines = append(lines, strings.TrimSpace(line))
				}
			}
			fmt.Printf("%s, %s:\n%s\n", n, log, tail(strings.Join(lines, "\n"), 4))
		}
	}
	if b, e := os.ReadFile(filepath.Join(os.Getenv(labVariable), "dockerd.log")); e == nil {
		os.WriteFile(filepath.Join(logFolder, "dockerd"), b, 0o644)
	}
	fmt.Println("more in", logFolder)
	return err
}

package main

// Inside the namespaces: dockerd, the cluster, tcpcni, and the command that
// uses them.

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"text/template"
	"time"
)

// patience ends a step that hangs; no step needs a tenth of it.
const patience = 5 * time.Minute

func cluster(args []string) error {
	dir := os.Getenv(labVariable)
	bin, err := filepath.EvalSymlinks(filepath.Join(dir, "bin"))
	if err != nil {
		return err
	}
	for name, value := range map[string]string{
		"PATH":        bin + ":/usr/sbin:/usr/bin:/sbin:/bin",
		"KUBECONFIG":  filepath.Join(dir, "kubeconfig"),
		"DOCKER_HOST": "unix://" + filepath.Join(dir, "docker.sock"),
		"HOME":        dir,
	} {
		if err := os.Setenv(name, value); err != nil {
			return err
		}
	}
	if err := dockerd(dir); err != nil {
		return err
	}
	say("dockerd serves")
	if err := create(dir, filepath.Dir(bin)); err != nil {
		return logs(err)
	}
	say("the cluster is up, without a network for pods")
	if err := install(dir); err != nil {
		return logs(err)
	}
	say("nodes are ready")
	if len(args) == 0 {
		args = []string{filepath.Join(dir, "suite"), "-test.v", "-test.timeout=40m", "-test.failfast=false"}
		if r := os.Getenv("RUN"); r != "" {
			args = append(args, "-test.run="+r)
		}
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return logs(err)
	}
	say("done")
	return nil
}

// dockerd starts the daemon, with every file of its own in dir.
func dockerd(dir string) error {
	config, err := json.Marshal(map[string]any{
		"data-root":           filepath.Join(dir, "docker"),
		"exec-root":           filepath.Join(dir, "exec"),
		"pidfile":             filepath.Join(dir, "docker.pid"),
		"hosts":               []string{os.Getenv("DOCKER_HOST")},
		"deprecated-key-path": filepath.Join(dir, "key.json"),
		"cgroup-parent":       cgroupParent(dir),
		"storage-driver":      "overlay2",
		"default-runtime":     "lab",
		"runtimes": map[string]any{
			"lab": map[string]any{"path": filepath.Join(dir, "lab"), "runtimeArgs": []string{"runc"}},
		},
	})
	if err != nil {
		return err
	}
	file := filepath.Join(dir, "daemon.json")
	if err := os.WriteFile(file, config, 0o600); err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(dir, "dockerd.log"))
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command("dockerd", "--config-file", file)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return err
	}
	gone := make(chan error, 1)
	go func() { gone <- cmd.Wait() }()
	for deadline := time.Now().Add(patience); ; {
		err := exec.Command("docker", "version").Run()
		if err == nil {
			return nil
		}
		select {
		case err = <-gone:
			err = fmt.Errorf("dockerd ended: %v", err)
		case <-time.After(100 * time.Millisecond):
			if time.Now().Before(deadline) {
				continue
			}
		}
		text, _ := os.ReadFile(log.Name())
		return fmt.Errorf("%w\n%s", err, tail(string(text), 20))
	}
}

// create makes the cluster: two nodes that are not ready, because pods have no
// network yet.
func create(dir, cache string) error {
	if err := command("docker", "load", "-q", "-i", filepath.Join(cache, "node.tar")); err != nil {
		return err
	}
	say("the nodes' image is loaded")
	config := filepath.Join(dir, "cluster.yaml")
	f, err := os.Create(config)
	if err != nil {
		return err
	}
	err = template.Must(template.New("").Parse(clusterConfig)).Execute(f, map[string]string{
		"Image": nodeImage, "Cache": cache, "Lab": filepath.Join(dir, "lab"), "Etcd": etcdVersion, "CoreDNS": corednsVersion,
	})
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := command("kind", "create", "cluster", "--config", config, "--retain", "--wait", "0s", "-v", "1"); err != nil {
		return err
	}
	// Pods of the tests go to both nodes; one CoreDNS is enough.
	if err := command("kubectl", "taint", "nodes", "-l", "node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/control-plane-"); err != nil {
		return err
	}
	return command("kubectl", "-n", "kube-system", "scale", "deployment", "coredns", "--replicas=1")
}

// command runs a program; its output is the error's text.
func command(name string, args ...string) error {
	_, err := output(name, args...)
	return err
}

func output(name string, args ...string) (string, error) {
	out, err := exec.Command("timeout", append([]string{fmt.Sprint(int(patience.Seconds())), name}, args...)...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, tail(string(out), 60))
	}
	return string(out), nil
}

// tail is the last n lines of a text.
func tail(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

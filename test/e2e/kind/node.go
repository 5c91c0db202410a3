package main

// The first process of a node. Nodes of kind run systemd; this one is all that
// a node of the tests needs: it prepares the namespace and keeps containerd,
// the kubelet and a resolver running.

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// held are kernel settings that the kubelet insists on and writes when they
// differ. They belong to the machine, so the node shows files that hold the
// wanted values in their place.
var held = map[string]string{
	"vm/overcommit_memory": "1", "vm/panic_on_oom": "0",
	"kernel/panic": "10", "kernel/panic_on_oops": "1",
	"kernel/keys/root_maxkeys": "1000000", "kernel/keys/root_maxbytes": "25000000",
}

func node([]string) error {
	if err := errors.Join(nodeMounts(), nodeCgroups(), nodeResolver()); err != nil {
		return err
	}
	go keep("containerd", "exec containerd")
	// kubeadm writes these files; the kubelet starts with them.
	go keep("kubelet", `until [ -f /var/lib/kubelet/config.yaml ]; do sleep 0.2; done
		. /var/lib/kubelet/kubeadm-flags.env
		exec kubelet --config=/var/lib/kubelet/config.yaml --kubeconfig=/etc/kubernetes/kubelet.conf \
			--bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf $KUBELET_KUBEADM_ARGS`)
	go keep("resolver", "exec coredns -conf /run/Corefile")
	if err := importImages(); err != nil {
		return err
	}
	fmt.Println("detected cgroup v1") // the line that kind waits for
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT, syscall.Signal(37)) // 37: RTMIN+3, systemd's word for halt
	<-stop
	return nil
}

// nodeMounts prepares mounts and the sysctls of the node's own namespace.
func nodeMounts() error {
	if err := unix.Mount("none", "/", "", unix.MS_REC|unix.MS_SHARED, ""); err != nil {
		return fmt.Errorf("sharing mounts: %w", err)
	}
	if err := os.MkdirAll("/run/sysctl", 0o755); err != nil {
		return err
	}
	for name, value := range held {
		setting := "/proc/sys/" + name
		if _, err := os.Stat(setting); err != nil {
			continue
		}
		file := "/run/sysctl/" + strings.ReplaceAll(name, "/", ".")
		if err := os.WriteFile(file, []byte(value+"\n"), 0o644); err != nil {
			return err
		}
		if err := unix.Mount(file, setting, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("%s: %w", setting, err)
		}
	}
	return os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0)
}

// nodeCgroups makes the control group that kind's kubelet has as its root.
func nodeCgroups() error {
	if err := unix.Mount("", "/sys/fs/cgroup", "", unix.MS_REMOUNT|unix.MS_BIND, ""); err != nil && !errors.Is(err, unix.EINVAL) {
		return fmt.Errorf("/sys/fs/cgroup: %w", err)
	}
	dirs, err := filepath.Glob("/sys/fs/cgroup/*/cgroup.procs")
	if err != nil {
		return err
	}
	for _, procs := range dirs {
		dir := filepath.Dir(procs)
		if err := os.Mkdir(dir+"/kubelet", 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		// A group of cpuset is unusable until both are set.
		for _, f := range []string{"cpuset.cpus", "cpuset.mems"} {
			b, err := os.ReadFile(filepath.Join(dir, f))
			if err != nil {
				continue
			}
			if err := os.WriteFile(filepath.Join(dir, "kubelet", f), b, 0); err != nil {
				return err
			}
		}
	}
	return nil
}

// nodeResolver configures a resolver at the node's address. Docker's own
// answers at 127.0.0.11, which is the node's alone; pods with dnsPolicy Default
// need one that they reach.
func nodeResolver() error {
	address, err := nodeAddress()
	if err != nil {
		return err
	}
	corefile := fmt.Sprintf(". {\n\tbind %s\n\terrors\n\tforward . 127.0.0.11\n}\n", address)
	return errors.Join(
		os.WriteFile("/run/Corefile", []byte(corefile), 0o644),
		os.WriteFile("/etc/kind-resolv.conf", []byte("nameserver "+address+"\noptions ndots:0\n"), 0o644))
}

// nodeAddress is the node's address on Docker's network.
func nodeAddress() (string, error) {
	eth0, err := net.InterfaceByName("eth0")
	if err != nil {
		return "", err
	}
	addrs, err := eth0.Addrs()
	if err != nil {
		return "", err
	}
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil {
			return n.IP.String(), nil
		}
	}
	return "", errors.New("eth0 has no IPv4 address")
}

// keep runs a script in a shell, again whenever it ends.
func keep(name, script string) {
	for {
		log, err := os.OpenFile("/var/log/"+name+".log", os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
		if err == nil {
			cmd := exec.Command("/bin/sh", "-c", script)
			cmd.Stdout, cmd.Stderr = log, log
			err = cmd.Run()
			fmt.Fprintf(log, "%s ended: %v\n", name, err)
			log.Close()
		}
		time.Sleep(200 * time.Millisecond) // not in a busy loop when it cannot start
	}
}

// importImages hands containerd, once it serves, the images that it does not
// have yet.
func importImages() error {
	for deadline := time.Now().Add(time.Minute); exec.Command("ctr", "version").Run() != nil; {
		if time.Now().After(deadline) {
			return errors.New("containerd does not serve, see /var/log/containerd.log")
		}
		time.Sleep(50 * time.Millisecond)
	}
	if _, err := os.Stat("/var/lib/containerd/imported"); err == nil {
		return nil // a restart
	}
	folders := []string{"node"}
	if host, _ := os.Hostname(); strings.Contains(host, "control-plane") {
		folders = append(folders, "control")
	}
	for _, f := range folders {
		archives, err := filepath.Glob("/kind/images/" + f + "/*.tar")
		if err != nil {
			return err
		}
		for _, a := range archives {
			if out, err := exec.Command("ctr", "-n", "k8s.io", "images", "import", a).CombinedOutput(); err != nil {
				return fmt.Errorf("import %s: %w: %s", a, err, out)
			}
		}
	}
	return os.WriteFile("/var/lib/containerd/imported", nil, 0o644)
}

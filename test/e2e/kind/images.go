package main

// The images: of a node, of Kubernetes' own pods, and of the tests' workloads.
// They are made from programs of the cache and files of Debian packages that
// are installed on the machine, and are made again when one of those changes.

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

const nodeImage = "localhost/node:" + kubeVersion

// An image is what archive needs, and where in the cache it goes. Every node
// imports images/node, the control plane images/control as well.
type image struct {
	file       string
	name       string
	entrypoint []string
	env        []string
	root       tree
}

// imageList puts the images together; nothing is written yet.
func imageList(cache string) ([]image, error) {
	bin := func(name string) string { return filepath.Join(cache, "bin", name) }
	images := []image{
		single("images/control", "kube-apiserver:"+kubeVersion, bin("kube-apiserver")),
		single("images/control", "kube-controller-manager:"+kubeVersion, bin("kube-controller-manager")),
		single("images/control", "kube-scheduler:"+kubeVersion, bin("kube-scheduler")),
		single("images/control", "etcd:"+etcdVersion, bin("etcd")),
		single("images/node", "coredns:"+corednsVersion, bin("coredns")),
		single("images/node", "pause:1", bin("pause")),
	}
	for _, make := range []func(func(string) string) (image, error){nodeRoot, kubeProxy, box, nginx, redis} {
		img, err := make(bin)
		if err != nil {
			return nil, err
		}
		images = append(images, img)
	}
	return images, nil
}

// single is an image of one static program.
func single(folder, name, program string) image {
	base := filepath.Base(program)
	t := tree{}
	t.program(base, program)
	t.dir("tmp", 0o777)
	// Static pods name their program without a path.
	return image{file: folder + "/" + base + ".tar", name: "localhost/" + name,
		entrypoint: []string{"/" + base}, env: []string{"PATH=/"}, root: t}
}

// nodeRoot is a node: a small Debian. Programs of Kubernetes and the images
// are mounted into it from the cache, so nothing large is copied.
func nodeRoot(bin func(string) string) (image, error) {
	t := tree{}
	err := t.debian("base-files", "bash", "dash", "coreutils", "grep", "sed", "mawk", "findutils", "tar", "gzip",
		"mount", "util-linux", "procps", "hostname", "iproute2", "iptables", "netbase", "libc-bin", "libseccomp2")
	t.iptables()
	t.program("opt/cni/bin/loopback", bin("cni/loopback"))
	for _, d := range []string{"etc/cni/net.d", "etc/kubernetes/manifests", "var/lib/kubelet", "var/lib/containerd", "var/log", "proc", "sys", "run", "dev", "kind/bin", "kind/images"} {
		t.dir(d, 0o755)
	}
	t.symlink("var/run", "/run")
	t.text("kind/version", kubeVersion)
	t.text("etc/containerd/config.toml", containerdConfig)
	// kind installs a storage class from here and fails without one.
	t.text("kind/manifests/default-storage.yaml", "apiVersion: storage.k8s.io/v1\nkind: StorageClass\nmetadata: {name: standard}\nprovisioner: kubernetes.io/no-provisioner\n")
	return image{file: "node.tar", name: nodeImage, entrypoint: []string{"/kind/lab", "node"},
		env: []string{"PATH=/kind/bin:/usr/sbin:/usr/bin", "container=docker"}, root: t}, err
}

func kubeProxy(bin func(string) string) (image, error) {
	t := tree{}
	err := t.debian("iptables")
	t.iptables()
	t.dir("run", 0o755)
	t.program("usr/local/bin/kube-proxy", bin("kube-proxy"))
	return image{file: "images/node/kube-proxy.tar", name: "localhost/kube-proxy:" + kubeVersion,
		entrypoint: []string{"/usr/local/bin/kube-proxy"}, env: []string{"PATH=/usr/sbin:/usr/bin:/usr/local/bin"}, root: t}, err
}

// iptables links the names that Debian's alternatives would.
func (t tree) iptables() {
	for _, n := range []string{"iptables", "iptables-save", "iptables-restore", "ip6tables", "ip6tables-save", "ip6tables-restore"} {
		t.symlink("usr/sbin/"+n, "xtables-nft-multi")
	}
}

// box is the workload of most tests: a shell, and the probe.
func box(bin func(string) string) (image, error) {
	t := tree{}
	t.program("bin/busybox", "/bin/busybox")
	names, err := exec.Command("/bin/busybox", "--list").Output()
	for n := range strings.Lines(string(names)) {
		if n = strings.TrimSpace(n); n != "busybox" {
			t.symlink("bin/"+n, "busybox")
		}
	}
	t.program("bin/probe", bin("probe"))
	t.text("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n")
	t.dir("tmp", 0o777)
	t.dir("root", 0o700)
	return image{file: "images/node/box.tar", name: "localhost/box:1", entrypoint: []string{"/bin/probe"}, env: []string{"PATH=/bin"}, root: t}, err
}

func nginx(func(string) string) (image, error) {
	t := tree{}
	err := t.debian("nginx", "nginx-common", "dash", "coreutils")
	for _, d := range []string{"var/log/nginx", "var/lib/nginx", "run"} {
		t.dir(d, 0o755)
	}
	t.text("etc/nginx/nginx.conf", nginxConfig)
	t.text("www/index.html", "hello from nginx\n")
	return image{file: "images/node/nginx.tar", name: "localhost/nginx:1",
		entrypoint: []string{"/usr/sbin/nginx", "-c", "/etc/nginx/nginx.conf"}, env: []string{"PATH=/usr/sbin:/usr/bin"}, root: t}, err
}

func redis(func(string) string) (image, error) {
	t := tree{}
	err := t.debian("redis-server", "redis-tools", "dash", "coreutils")
	return image{file: "images/node/redis.tar", name: "localhost/redis:1",
		entrypoint: []string{"/usr/bin/redis-server", "--save", "", "--protected-mode", "no"}, env: []string{"PATH=/usr/bin"}, root: t}, err
}

// makeImages writes the images whose contents are not those of last time.
func makeImages(cache string) error {
	for name, pkg := range map[string]string{"pause": "./test/e2e/kind/pause", "probe": "./test/e2e/kind/probe"} {
		if err := small(filepath.Join(cache, "bin", name), pkg); err != nil {
			return err
		}
	}
	images, err := imageList(cache)
	if err != nil {
		return err
	}
	for _, img := range images {
		out := filepath.Join(cache, img.file)
		if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
			return err
		}
		key, err := img.key()
		if err != nil {
			return err
		}
		if have, err := os.ReadFile(out + ".key"); err == nil && string(have) == key {
			continue
		}
		if err := archive(out, img.name, img.entrypoint, img.env, img.root); err != nil {
			return fmt.Errorf("image %s: %w", img.name, err)
		}
		if err := os.WriteFile(out+".key", []byte(key), 0o644); err != nil {
			return err
		}
		say("made image %s", img.name)
	}
	return nil
}

// small builds a static program of this module. An unchanged one keeps its
// file, and with it the images that it is in.
func small(out, pkg string) error {
	next := out + ".next"
	if err := goBuild("", next, pkg, []string{"CGO_ENABLED=0"}, "-buildvcs=false", "-ldflags", "-s -w"); err != nil {
		return err
	}
	b, err := os.ReadFile(next)
	if err != nil {
		return err
	}
	if old, err := os.ReadFile(out); err == nil && bytes.Equal(old, b) {
		return os.Remove(next)
	}
	return os.Rename(next, out)
}

// key changes with everything that goes into the image.
func (img image) key() (string, error) {
	sum := sha256.New()
	fmt.Fprintln(sum, img.name, img.entrypoint, img.env)
	for _, name := range slices.Sorted(maps.Keys(img.root)) {
		e := img.root[name]
		fmt.Fprintf(sum, "%s %v %q %q %s", name, e.mode, e.link, e.data, e.src)
		if e.src != "" {
			fi, err := os.Stat(e.src)
			if err != nil {
				return "", err
			}
			fmt.Fprint(sum, fi.Size(), fi.ModTime().UnixNano())
		}
		fmt.Fprintln(sum)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

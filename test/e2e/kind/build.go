package main

// The programs of a cluster, built from the Go module proxy. Every folder of
// build/ is a module whose go.mod and go.sum fix the versions; the cache is
// keyed by their contents, so a new version is built once and an old one stays
// for other branches.

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// modules holds one folder per module, seen from the top of the clone.
var modules = os.DirFS("test/e2e/kind/build")

// Versions that the images and the cluster's configuration name. build/ has to
// require the same, which build checks.
const (
	kubeVersion       = "v1.34.1"
	etcdVersion       = "v3.6.4"
	containerdVersion = "v2.2.0"
	runcVersion       = "v1.3.3"
	cniVersion        = "v1.8.0"
	corednsVersion    = "v1.12.1"
	kindVersion       = "v0.30.0"
)

// A recipe is one module of build/ and the programs that come out of it.
type recipe struct {
	dir      string // below build/
	requires string // module and version that its go.mod must name
	cgo      bool
	tags     string
	ldflags  string
	programs map[string]string // path below the cache's bin: package
}

const (
	containerdModule = "github.com/containerd/containerd/v2"
	pluginsModule    = "github.com/containernetworking/plugins"
	versionPackage   = "k8s.io/component-base/version"
)

var recipes = []recipe{
	{dir: "kind", requires: "sigs.k8s.io/kind " + kindVersion, programs: map[string]string{
		"kind": "sigs.k8s.io/kind",
	}},
	{dir: "etcd", requires: "go.etcd.io/etcd/server/v3 " + etcdVersion, programs: map[string]string{
		"etcd": "go.etcd.io/etcd/server/v3",
	}},
	{dir: "runc", requires: "github.com/opencontainers/runc " + runcVersion, cgo: true, tags: "seccomp",
		ldflags:  "-X main.version=" + strings.TrimPrefix(runcVersion, "v"),
		programs: map[string]string{"runc": "github.com/opencontainers/runc"}},
	{dir: "containerd", requires: containerdModule + " " + containerdVersion,
		tags:    "no_btrfs no_zfs no_devmapper no_aufs",
		ldflags: "-X " + containerdModule + "/version.Version=" + containerdVersion,
		programs: map[string]string{
			"containerd":              containerdModule + "/cmd/containerd",
			"containerd-shim-runc-v2": containerdModule + "/cmd/containerd-shim-runc-v2",
			"ctr":                     containerdModule + "/cmd/ctr",
		}},
	{dir: "cni", requires: pluginsModule + " " + cniVersion, programs: map[string]string{
		"cni/loopback":   pluginsModule + "/plugins/main/loopback",
		"cni/bridge":     pluginsModule + "/plugins/main/bridge",
		"cni/host-local": pluginsModule + "/plugins/ipam/host-local",
		"cni/portmap":    pluginsModule + "/plugins/meta/portmap",
	}},
	{dir: "coredns", requires: "github.com/coredns/coredns " + corednsVersion, programs: map[string]string{
		"coredns": ".",
	}},
	{dir: "kube", requires: "k8s.io/kubernetes " + kubeVersion,
		ldflags: strings.Join([]string{
			"-X " + versionPackage + ".gitVersion=" + kubeVersion,
			"-X " + versionPackage + ".gitMajor=1",
			"-X " + versionPackage + ".gitMinor=" + strings.Split(kubeVersion, ".")[1],
			"-X " + versionPackage + ".gitTreeState=clean",
			"-X " + versionPackage + ".gitCommit=module",
			"-X k8s.io/client-go/pkg/version.gitVersion=" + kubeVersion,
		}, " "),
		programs: map[string]string{
			"kube-apiserver":          "k8s.io/kubernetes/cmd/kube-apiserver",
			"kube-controller-manager": "k8s.io/kubernetes/cmd/kube-controller-manager",
			"kube-scheduler":          "k8s.io/kubernetes/cmd/kube-scheduler",
			"kubelet":                 "k8s.io/kubernetes/cmd/kubelet",
			"kube-proxy":              "k8s.io/kubernetes/cmd/kube-proxy",
			"kubectl":                 "k8s.io/kubernetes/cmd/kubectl",
			"kubeadm":                 "k8s.io/kubernetes/cmd/kubeadm",
		}},
}

// cacheDir is where programs and images of these versions are kept.
func cacheDir() (string, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	fmt.Fprintf(sum, "%s %v\n", runtime.Version(), recipes)
	err = fs.WalkDir(modules, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := fs.ReadFile(modules, path)
		fmt.Fprintf(sum, "%s %d\n%s", path, len(b), b)
		return err
	})
	if err != nil {
		return "", err
	}
	return filepath.Join(base, "tcpcni", "kind", hex.EncodeToString(sum.Sum(nil))[:16]), nil
}

// build fills the cache with what is missing.
func build() error {
	cache, err := cacheDir()
	if err != nil {
		return err
	}
	for _, r := range recipes {
		if err := r.build(cache); err != nil {
			return err
		}
	}
	return makeImages(cache)
}

func (r recipe) build(cache string) error {
	gomod, err := fs.ReadFile(modules, r.dir+"/go.mod")
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(strings.Split(string(gomod), "\n"), func(line string) bool {
		line, _, _ = strings.Cut(line, "//")
		return strings.TrimSpace(strings.TrimPrefix(line, "require ")) == r.requires
	}) {
		return fmt.Errorf("build/%s/go.mod does not require %s", r.dir, r.requires)
	}
	missing := make([]string, 0, len(r.programs))
	for name := range r.programs {
		if _, err := os.Stat(filepath.Join(cache, "bin", name)); err != nil {
			missing = append(missing, name)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	// The module is built outside of the clone: the tree may be read-only, and
	// a go.work above it has no say.
	dir, err := os.MkdirTemp("", "kind-build-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	files, err := fs.Sub(modules, r.dir)
	if err != nil {
		return err
	}
	if err := os.CopyFS(dir, files); err != nil {
		return err
	}
	slices.Sort(missing)
	for _, name := range missing {
		if err := r.program(dir, filepath.Join(cache, "bin", name), r.programs[name]); err != nil {
			return fmt.Errorf("building %s: %w", name, err)
		}
		say("built %s", name)
	}
	return nil
}

// program builds one program and puts it in place by rename.
func (r recipe) program(dir, out, pkg string) error {
	if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
		return err
	}
	cgo := "0"
	if r.cgo {
		cgo = "1"
	}
	return goBuild(dir, out, pkg, []string{"CGO_ENABLED=" + cgo, "GOWORK=off", "GOFLAGS="},
		"-tags", r.tags, "-buildvcs=false", "-ldflags", strings.TrimSpace("-s -w "+r.ldflags))
}

// goBuild runs go build -trimpath and puts the result in place by rename.
func goBuild(dir, out, pkg string, env []string, flags ...string) error {
	tmp := out + ".new"
	args := append([]string{"build", "-trimpath", "-o", tmp}, flags...)
	cmd := exec.Command("go", append(args, pkg)...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, text)
	}
	return os.Rename(tmp, out)
}

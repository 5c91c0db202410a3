package main

// The packages, from Debian by apt-get(8), unpacked into the cache under names
// that carry their versions. Nothing of them runs on the machine.

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// kernelPackage depends on the package that holds the newest kernel.
const kernelPackage = "linux-image-amd64"

// addedPackages are seen by the guest as if they were installed. They are not
// installed on the machine: podman would prefer this crun to runc there.
var addedPackages = []string{"crun", "libyajl2"}

// A platform is what the guest is made of, as files in the cache.
type platform struct {
	release string // uname -r
	kernel  string // the image to boot
	modules string // the folder that /lib/modules/RELEASE is
	added   string // a tree with the files of addedPackages
}

// fetch returns the platform, downloaded and unpacked unless it is there.
func fetch() (*platform, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		return nil, err
	}
	base = filepath.Join(base, "tcpcni", "vm")
	if err := os.MkdirAll(base, 0o755); err != nil {
		return nil, err
	}
	image, release, err := newestKernel()
	if err != nil { // the package lists of an image are often gone
		if err = refresh(); err == nil {
			image, release, err = newestKernel()
		}
	}
	if err != nil {
		return nil, err
	}
	kernel, err := unpacked(base, []string{image})
	if err != nil {
		return nil, err
	}
	added, err := unpacked(base, addedPackages)
	if err != nil {
		return nil, err
	}
	p := &platform{
		release: release, added: added,
		kernel:  filepath.Join(kernel, "boot", "vmlinuz-"+release),
		modules: filepath.Join(kernel, "usr/lib/modules", release),
	}
	// modules.dep is made by the package's installation; depmod writes below its -b.
	if _, err := os.Stat(filepath.Join(p.modules, "modules.dep")); err != nil {
		if out, err := exec.Command("depmod", "-b", filepath.Join(kernel, "usr"), release).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("depmod: %w\n%s", err, out)
		}
	}
	return p, nil
}

// newestKernel names the package of the newest kernel and its release.
func newestKernel() (image, release string, err error) {
	out, err := exec.Command("apt-cache", "show", "--no-all-versions", kernelPackage).Output()
	if err != nil {
		return "", "", fmt.Errorf("apt-cache show %s: %w", kernelPackage, err)
	}
	m := regexp.MustCompile(`(?m)^Depends:.*\b(linux-image-([0-9][^ ,]*))`).FindStringSubmatch(string(out))
	if m == nil {
		return "", "", fmt.Errorf("%s depends on no linux-image-VERSION:\n%s", kernelPackage, out)
	}
	return m[1], m[2], nil
}

func refresh() error {
	if out, err := exec.Command("apt-get", "update").CombinedOutput(); err != nil {
		return fmt.Errorf("apt-get update: %w\n%s", err, out)
	}
	return nil
}

// unpacked returns a folder of the cache with the files of the packages, put in
// place by rename.
func unpacked(base string, packages []string) (string, error) {
	name, err := versions(packages)
	if err != nil {
		return "", err
	}
	dir := filepath.Join(base, name)
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	tmp, err := os.MkdirTemp(base, ".new-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(tmp)
	if err := download(tmp, packages); err != nil {
		if err := errors.Join(refresh(), download(tmp, packages)); err != nil {
			return "", err
		}
		if name, err = versions(packages); err != nil {
			return "", err
		}
		dir = filepath.Join(base, name)
	}
	archives, err := filepath.Glob(filepath.Join(tmp, "*.deb"))
	if err != nil {
		return "", err
	}
	tree := filepath.Join(tmp, "tree")
	for _, a := range archives {
		if out, err := exec.Command("dpkg-deb", "-x", a, tree).CombinedOutput(); err != nil {
			return "", fmt.Errorf("dpkg-deb -x %s: %w\n%s", a, err, out)
		}
	}
	if err := mergeUsr(tree); err != nil {
		return "", err
	}
	if err := os.Chmod(tree, 0o755); err != nil {
		return "", err
	}
	if err := os.Rename(tree, dir); err != nil && !errors.Is(err, os.ErrExist) {
		return "", err
	}
	say("unpacked %s", name)
	return dir, nil
}

// versions names packages with the versions that apt would install.
func versions(packages []string) (string, error) {
	names := slices.Clone(packages)
	for i, p := range packages {
		out, err := exec.Command("apt-cache", "show", "--no-all-versions", p).Output()
		if err != nil {
			return "", fmt.Errorf("apt-cache show %s: %w", p, err)
		}
		m := regexp.MustCompile(`(?m)^Version: (\S+)`).FindSubmatch(out)
		if m == nil {
			return "", fmt.Errorf("package %s has no version:\n%s", p, out)
		}
		names[i] = p + "_" + string(m[1])
	}
	return strings.NewReplacer(":", "-", "/", "-").Replace(strings.Join(names, "+")), nil
}

func download(dir string, packages []string) error {
	var said bytes.Buffer
	cmd := exec.Command("apt-get", append([]string{"download"}, packages...)...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &said, &said
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("apt-get download %v: %w\n%s", packages, err, said.String())
	}
	return nil
}

// mergeUsr moves what is in /lib into /usr/lib, and so on, as on a machine
// where the former is a link to the latter.
func mergeUsr(tree string) error {
	for _, dir := range []string{"bin", "sbin", "lib"} {
		from := filepath.Join(tree, dir)
		if _, err := os.Stat(from); err != nil {
			continue
		}
		to := filepath.Join(tree, "usr", dir)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		if out, err := exec.Command("cp", "-al", from, filepath.Dir(to)).CombinedOutput(); err != nil {
			return fmt.Errorf("%w\n%s", err, out)
		}
		if err := os.RemoveAll(from); err != nil {
			return err
		}
	}
	return nil
}

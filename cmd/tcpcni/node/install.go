package node

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Defaults of Options: where container runtimes look unless told otherwise.
const (
	DefaultBinDir  = "/opt/cni/bin"
	DefaultConfDir = "/etc/cni/net.d"
	DefaultName    = "10-tcpcni.conflist"
)

// runcName is the name under which the binary is the OCI runtime wrapper.
const runcName = "tcpcni-runc"

// binaries are what a node may get, in the order of installation: whatever is
// started by another comes before it.
var binaries = []string{"host-local", "static", "portmap", "tcpcni"}

// required are those that every node gets.
var required = []string{"tcpcni"}

// Options say what is installed and where.
type Options struct {
	Source  string // directory of the binaries to install
	BinDir  string // of CNI plugins
	ConfDir string // of network configurations
	Name    string // of the configuration in ConfDir
	Conf    []byte // the configuration list; nil: none is installed
}

// conflistSuffix is what runtimes take for a configuration list.
const conflistSuffix = ".conflist"

func (o *Options) check() error {
	for _, d := range []struct{ flag, path string }{
		{"--source", o.Source}, {"--bin-dir", o.BinDir}, {"--conf-dir", o.ConfDir},
	} {
		st, err := os.Stat(d.path)
		if err != nil {
			return fmt.Errorf("%s: %q: %w: accepted: a directory", d.flag, d.path, errors.Unwrap(err))
		}
		if !st.IsDir() {
			return fmt.Errorf("%s: %q: accepted: a directory", d.flag, d.path)
		}
	}
	if filepath.Base(o.Name) != o.Name || !strings.HasSuffix(o.Name, conflistSuffix) || strings.HasPrefix(o.Name, ".") {
		return fmt.Errorf("--name: %q: accepted: a file name that ends in %s", o.Name, conflistSuffix)
	}
	return nil
}

// Install puts tcpcni on the node. Everything is checked before the first file
// is touched; what is there already and equal is left alone.
func Install(o Options) error {
	if err := o.check(); err != nil {
		return err
	}
	here, err := o.found()
	if err != nil {
		return err
	}
	if o.Conf != nil {
		if err := CheckList(o.Conf, func(plugin string) bool { return o.willHave(here, plugin) }); err != nil {
			return err
		}
	}
	if err := errors.Join(sweep(o.BinDir), sweep(o.ConfDir)); err != nil {
		return err
	}
	for _, name := range here {
		if err := o.installBinary(name); err != nil {
			return err
		}
	}
	if err := report(filepath.Join(o.BinDir, runcName), "installed")(replaceLink(filepath.Join(o.BinDir, runcName), "tcpcni")); err != nil {
		return err
	}
	if o.Conf == nil {
		return nil
	}
	path := filepath.Join(o.ConfDir, o.Name)
	if err := report(path, "installed")(replaceFile(path, bytes.NewReader(o.Conf), 0o600)); err != nil {
		return err
	}
	o.warnOfOthers()
	return nil
}

// found lists the binaries that the source directory has.
func (o *Options) found() ([]string, error) {
	var here []string
	for _, name := range binaries {
		st, err := os.Stat(filepath.Join(o.Source, name))
		if err == nil && st.Mode().IsRegular() && st.Mode().Perm()&0o111 != 0 {
			here = append(here, name)
		} else if slices.Contains(required, name) {
			return nil, fmt.Errorf("--source: %q: accepted: a directory with the program %s", o.Source, name)
		}
	}
	return here, nil
}

// willHave reports whether a plugin will be there once here is installed.
func (o *Options) willHave(here []string, plugin string) bool {
	if slices.Contains(here, plugin) {
		return true
	}
	st, err := os.Stat(filepath.Join(o.BinDir, plugin))
	return err == nil && st.Mode().IsRegular() && st.Mode().Perm()&0o111 != 0
}

func (o *Options) installBinary(name string) error {
	src, err := os.Open(filepath.Join(o.Source, name))
	if err != nil {
		return err
	}
	defer func() { _ = src.Close() }()
	path := filepath.Join(o.BinDir, name)
	return report(path, "installed")(replaceFile(path, src, 0o755))
}

// warnOfOthers says which configuration a runtime would prefer to ours: the
// first by name.
func (o *Options) warnOfOthers() {
	list, err := os.ReadDir(o.ConfDir)
	if err != nil {
		return
	}
	for _, e := range list {
		switch filepath.Ext(e.Name()) {
		case ".conf", conflistSuffix, ".json":
		default:
			continue
		}
		if !strings.HasPrefix(e.Name(), ".") && e.Name() < o.Name {
			slog.Warn("runtimes take the first configuration by name, which is another one", "first", e.Name(), "ours", o.Name)
			return
		}
	}
}

// Uninstall takes tcpcni off the node, the configuration first. IPAM plugins
// stay, since others may use them; so does everything of running sandboxes,
// whose DEL needs the plugin: with keepBinaries only the configuration goes.
func Uninstall(o Options, keepBinaries bool) error {
	conf := filepath.Join(o.ConfDir, o.Name)
	if err := report(conf, "removed")(remove(conf)); err != nil {
		return err
	}
	if keepBinaries {
		return nil
	}
	var err error
	for _, name := range []string{runcName, "tcpcni"} {
		path := filepath.Join(o.BinDir, name)
		err = errors.Join(err, report(path, "removed")(remove(path)))
	}
	return err
}

// report logs what was done to path.
func report(path, what string) func(changed bool, err error) error {
	return func(changed bool, err error) error {
		if err == nil && changed {
			slog.Info(what, "file", path)
		}
		return err
	}
}

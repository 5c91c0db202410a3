package main

// The configuration of an OCI bundle: what of it the wrapper reads and changes.

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/tcpcni/tcpcni/cmd/tcpcni/oci"
	"github.com/tcpcni/tcpcni/hostlink/process"
	"github.com/tcpcni/tcpcni/plugin"
)

// An object is JSON whose unknown fields survive a change of the known ones.
type object map[string]json.RawMessage

// field reads a field. One that differs only in case would be the same to the
// runtimes, and which of the two they take is theirs to know.
func (o object) field(name string, into any) error {
	for k := range o {
		if k != name && strings.EqualFold(k, name) {
			return fmt.Errorf("%s: accepted: %s", k, name)
		}
	}
	text, ok := o[name]
	if !ok {
		return nil
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

func (o object) set(name string, v any) (err error) {
	o[name], err = json.Marshal(v)
	return err
}

// A bundle is what a container is made of.
type bundle struct {
	path        string // of config.json
	stat        os.FileInfo
	config      object
	linux       object
	annotations map[string]string
	seccomp     *specs.LinuxSeccomp // nil when there is none
	hasNetNS    bool                // a network namespace that is not the host's
	netNS       string              // its path; "" when the runtime makes one
}

// maxConfig bounds config.json, in bytes.
const maxConfig = 16 << 20

func readBundle(dir string) (*bundle, error) {
	b := &bundle{path: filepath.Join(dir, "config.json"), config: object{}, linux: object{}}
	var err error
	if b.stat, err = os.Stat(b.path); err != nil {
		return nil, fmt.Errorf("bundle: %w", err)
	}
	if b.stat.Size() > maxConfig {
		return nil, fmt.Errorf("%s: %d bytes: accepted: up to %d", b.path, b.stat.Size(), maxConfig)
	}
	text, err := os.ReadFile(b.path)
	if err != nil {
		return nil, fmt.Errorf("bundle: %w", err)
	}
	if err := json.Unmarshal(text, &b.config); err != nil {
		return nil, fmt.Errorf("%s: %w", b.path, err)
	}
	if err := b.parse(); err != nil {
		return nil, fmt.Errorf("%s: %w", b.path, err)
	}
	return b, nil
}

func (b *bundle) parse() error {
	if err := errors.Join(b.config.field("linux", &b.linux), b.config.field("annotations", &b.annotations)); err != nil {
		return err
	}
	var text json.RawMessage
	if err := b.linux.field("seccomp", &text); err != nil {
		return err
	}
	if len(text) > 0 && string(text) != "null" {
		p, err := oci.Parse(text)
		if err != nil {
			return err
		}
		b.seccomp = p
	}
	var namespaces []specs.LinuxNamespace
	if err := b.linux.field("namespaces", &namespaces); err != nil {
		return err
	}
	for _, n := range namespaces {
		if n.Type == specs.NetworkNamespace {
			b.hasNetNS, b.netNS = true, n.Path
		}
	}
	return nil
}

// write replaces config.json at once or not at all. It stays so: the bundle is
// the container's own, and what is created again from it needs the same.
func (b *bundle) write() error {
	if err := b.linux.set("seccomp", b.seccomp); err != nil {
		return err
	}
	if err := b.config.set("linux", b.linux); err != nil {
		return err
	}
	text, err := json.Marshal(b.config)
	if err != nil {
		return err
	}
	if err := process.WriteFile(b.path, text, b.stat.Mode().Perm()); err != nil {
		return err
	}
	if st, ok := b.stat.Sys().(*syscall.Stat_t); ok && int(st.Uid) != os.Geteuid() {
		return os.Chown(b.path, int(st.Uid), int(st.Gid))
	}
	return nil
}

// podSandbox are the annotations by which runtimes of Kubernetes mark the
// container that only holds a pod's namespaces.
var podSandbox = map[string]string{
	"io.kubernetes.cri.container-type":  "sandbox", // containerd
	"io.kubernetes.cri-o.ContainerType": "sandbox", // CRI-O
}

// isPodSandbox believes the manager that has made the bundle: all of the marks
// that are there say so. One that is not the manager's own may have come from a
// user's annotations.
func (b *bundle) isPodSandbox() bool {
	marked := false
	for name, value := range podSandbox {
		switch given, ok := b.annotations[name]; {
		case !ok:
		case given != value:
			return false
		default:
			marked = true
		}
	}
	return marked
}

// prepareContainer puts the sandbox's filter into the configuration of a
// container that is about to be made.
func prepareContainer(l *runtimeLine, set *settings) error {
	if l.command == "start" {
		return prepareStart(l, set)
	}
	if !l.starts() {
		return nil
	}
	b, err := readBundle(l.bundle)
	if err != nil {
		return err
	}
	if b.isPodSandbox() {
		return nil
	}
	listener, own, err := b.join(l, set)
	if err != nil {
		return err
	}
	b.seccomp, err = oci.Merge(b.seccomp, oci.Options{
		Listener: listener, Metadata: "tcpcni", Own: append(own, plugin.ListenerAt(set.StateDir), placeOf(set.StateDir, l.id).listener()),
	})
	if err != nil {
		return fmt.Errorf("%s: linux.%w", b.path, err)
	}
	return b.write()
}

// join finds the socket that takes the container's listener, and makes sure that
// there is a sandbox: now, or by a hook when the namespace is filled only while
// the container is being created. own are sockets of the sandbox that the
// profile may name already.
func (b *bundle) join(l *runtimeLine, set *settings) (listener string, own []string, err error) {
	if !b.hasNetNS {
		return "", nil, errors.New("it uses the host's network, which has no engine: start it with another runtime, or give it a network of the tcpcni plugin")
	}
	if b.netNS != "" {
		s, err := plugin.FindByNetNS(set.StateDir, b.netNS)
		switch {
		case err == nil:
			listener, err = s.Listener()
			return listener, []string{s.ListenerPath()}, err
		case !errors.Is(err, plugin.ErrNoSandbox):
			return "", nil, err
		case !set.Attach:
			return "", nil, fmt.Errorf("%w: attach it with the tcpcni CNI plugin first (sandboxes are looked for in %s), or see \"attach\" in %s", err, set.StateDir, settingsFile)
		}
	}
	if set.Attach {
		place := placeOf(set.StateDir, l.id)
		return place.listener(), nil, b.addHooks(set, l.command == "create")
	}
	broker := plugin.ListenerAt(set.StateDir) // finds the sandbox, whoever makes it
	if st, err := os.Stat(broker); err != nil || st.Mode()&os.ModeSocket == 0 {
		return "", nil, fmt.Errorf("its network namespace does not exist yet: give it a namespace with an attachment of the tcpcni plugin, start \"tcpcni broker\" when the network is one of that plugin, or see \"attach\" in %s", settingsFile)
	}
	return broker, nil, b.addHooks(set, false)
}

package plugin

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/tcpcni/tcpcni/hostlink"
)

// ErrNoSandbox says that no attachment is in a network namespace.
var ErrNoSandbox = errors.New("no sandbox in this network namespace")

// ListenerPath is where the sandbox takes seccomp listeners from OCI runtimes.
func (s Sandbox) ListenerPath() string { return ListenerAt(s.Dir) }

// ListenerAt is the listener's path in a directory: of a sandbox, or the state
// directory, where the broker of all sandboxes listens.
func ListenerAt(dir string) string { return filepath.Join(dir, "listener.sock") }

// Listener returns the socket that takes seccomp listeners for this sandbox now:
// its own, or else the broker's. It is an error when nobody listens or the
// engine does not answer.
func (s Sandbox) Listener() (path string, err error) {
	if _, err := s.Status(); err != nil {
		return "", fmt.Errorf("the engine of sandbox %s does not answer: %w: delete the pod or the attachment and make it again", s.ContainerID, err)
	}
	for _, path := range []string{s.ListenerPath(), ListenerAt(s.stateDir())} {
		if st, err := os.Stat(path); err == nil && st.Mode()&os.ModeSocket != 0 {
			return path, nil
		}
	}
	return "", fmt.Errorf("nobody listens at %s: start \"tcpcni broker\", or make the sandbox again", s.ListenerPath())
}

// FindByNetNS finds the sandbox of a network namespace, which path names as a
// file: one that a runtime keeps, or /proc/PID/ns/net. With several attachments
// in it, that of eth0 is taken, or else the first by name: a socket belongs to
// one stack. The error wraps ErrNoSandbox when there is none.
func FindByNetNS(stateDir, path string) (Sandbox, error) {
	if _, err := hostlink.SameNetNS(path, ""); err != nil {
		return Sandbox{}, err
	}
	all, err := Sandboxes(stateDir)
	if err != nil {
		return Sandbox{}, err
	}
	var found *Sandbox
	for i := range all {
		r, err := all[i].Record()
		if err != nil {
			continue // DEL was faster
		}
		// A namespace that is gone is not this one.
		same, err := hostlink.SameNetNS(r.NetNS, path)
		if err != nil || !same {
			continue
		}
		if found == nil || all[i].IfName == "eth0" {
			found = &all[i]
		}
	}
	if found == nil {
		return Sandbox{}, fmt.Errorf("%s: %w", path, ErrNoSandbox)
	}
	return *found, nil
}

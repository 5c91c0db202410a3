package node

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/tcpcni/tcpcni/cmd/tcpcni/oci"
)

// ProfileName is the file of the seccomp profile for pods: what a pod names by
// securityContext.seccompProfile.localhostProfile.
const ProfileName = "tcpcni.json"

// InstallProfile writes the profile whose socket calls go to the broker that
// listens at listener into dir, the kubelet's seccomp directory. Other calls are
// as in the runtimes' own profile.
func InstallProfile(dir, listener string) error {
	p, err := oci.Merge(oci.Default(), oci.Options{Listener: listener})
	if err != nil {
		return err
	}
	text, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return err
	}
	if st, err := os.Stat(dir); err != nil || !st.IsDir() {
		return fmt.Errorf("%q: accepted: a directory, as the kubelet's /var/lib/kubelet/seccomp", dir)
	}
	if err := sweep(dir); err != nil {
		return err
	}
	path := filepath.Join(dir, ProfileName)
	return report(path, "installed")(replaceFile(path, bytes.NewReader(append(text, '\n')), 0o644))
}

// RemoveProfile takes the profile away. Pods that name it do not start any more.
func RemoveProfile(dir string) error {
	path := filepath.Join(dir, ProfileName)
	changed, err := remove(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // nor is the directory there
	}
	return report(path, "removed")(changed, err)
}

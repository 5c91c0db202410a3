package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/spf13/cobra"

	"github.com/tcpcni/tcpcni/cmd/tcpcni/oci"
	"github.com/tcpcni/tcpcni/plugin"
)

func profileCommand() *cobra.Command {
	var base, listener string
	cmd := &cobra.Command{
		Use:   "seccomp-profile [--base FILE] [--listener PATH]",
		Short: "Print a seccomp profile whose socket calls go to the broker",
		Long: `Print a seccomp profile whose socket calls go to the broker, for Kubernetes'
Localhost profiles (/var/lib/kubelet/seccomp/) and for "docker run --security-opt
seccomp=FILE". With --base, the sandbox's rules are merged into a profile of the
OCI form; without, all other calls are allowed.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var p *specs.LinuxSeccomp
			if base != "" {
				text, err := os.ReadFile(base)
				if err != nil {
					return fmt.Errorf("--base: %w", err)
				}
				if p, err = parseProfile(text); err != nil {
					return fmt.Errorf("--base: %s: %w", base, err)
				}
			}
			if listener == "" {
				dir, err := plugin.StateDir()
				if err != nil {
					return err
				}
				listener = plugin.ListenerAt(dir)
			}
			if !filepath.IsAbs(listener) {
				return fmt.Errorf("--listener: %q: accepted: an absolute path", listener)
			}
			merged, err := oci.Merge(p, oci.Options{Listener: listener})
			if err != nil {
				return fmt.Errorf("--base: %w", err)
			}
			out, err := json.MarshalIndent(merged, "", "  ")
			if err != nil {
				return err
			}
			_, err = cmd.OutOrStdout().Write(append(out, '\n'))
			return err
		},
	}
	cmd.Flags().StringVar(&base, "base", "", "profile to merge into, as runtimes take it")
	cmd.Flags().StringVar(&listener, "listener", "", "the broker's socket (default: listener.sock in the state directory)")
	return cmd
}

// parseProfile reads the seccomp object of an OCI configuration. A field that
// this program does not know might allow what it cannot judge.
func parseProfile(text []byte) (*specs.LinuxSeccomp, error) {
	p := new(specs.LinuxSeccomp)
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(p); err != nil {
		return nil, fmt.Errorf("seccomp profile: %w: accepted: the seccomp object of the OCI runtime specification", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("seccomp profile: more than one object: accepted: one")
	}
	return p, nil
}

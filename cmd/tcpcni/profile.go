package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/tcpcni/tcpcni/cmd/tcpcni/oci"
	"github.com/tcpcni/tcpcni/plugin"
)

func profileCommand() *cobra.Command {
	var base, listener string
	cmd := &cobra.Command{
		Use:   "seccomp-profile [--base FILE|default|unconfined] [--listener PATH]",
		Short: "Print a seccomp profile whose socket calls go to the broker",
		Long: `Print a seccomp profile whose socket calls go to the broker, for Kubernetes'
Localhost profiles (/var/lib/kubelet/seccomp/) and for "docker run --security-opt
seccomp=FILE". The sandbox's rules are merged into the base: a file with a profile of
the OCI form, "default" for the one that runtimes use of themselves, or
"unconfined", by which all other calls are allowed.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := oci.ReadBase(base)
			if err != nil {
				return fmt.Errorf("--base: %w", err)
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
	cmd.Flags().StringVar(&base, "base", "unconfined", "profile to merge into: a file, default, or unconfined")
	cmd.Flags().StringVar(&listener, "listener", "", "the broker's socket (default: listener.sock in the state directory)")
	return cmd
}

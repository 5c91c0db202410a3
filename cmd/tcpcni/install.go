package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/tcpcni/tcpcni/cmd/tcpcni/node"
)

func installCommand() *cobra.Command {
	var o node.Options
	var conf string
	cmd := &cobra.Command{
		Use:   "install [--conf FILE]",
		Short: "Put the CNI plugin, and a configuration, where container runtimes look",
		Long: `Put the CNI plugin and the IPAM plugins that are beside it into the runtime's
directory, and a configuration list with --conf. Each file appears complete, the
configuration last. Running sandboxes do not notice.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if err := needRoot("install"); err != nil {
				return err
			}
			if o.Source == "" {
				self, err := os.Executable()
				if err != nil {
					return err
				}
				o.Source = filepath.Dir(self)
			}
			if conf != "" {
				b, err := os.ReadFile(conf)
				if err != nil {
					return fmt.Errorf("--conf: %w", err)
				}
				o.Conf = b
			}
			return node.Install(o)
		},
	}
	placeFlags(cmd, &o)
	cmd.Flags().StringVar(&o.Source, "source", "", "directory of the binaries (default: this program's)")
	cmd.Flags().StringVar(&conf, "conf", "", "configuration list to install")
	return cmd
}

func uninstallCommand() *cobra.Command {
	var o node.Options
	var keep bool
	cmd := &cobra.Command{
		Use:   "uninstall",
		Short: "Take away what install has put there, the configuration first",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if err := needRoot("uninstall"); err != nil {
				return err
			}
			return node.Uninstall(o, keep)
		},
	}
	placeFlags(cmd, &o)
	cmd.Flags().BoolVar(&keep, "keep-binaries", false, "leave the plugin: sandboxes that still run need it for their end")
	return cmd
}

// placeFlags are where things go.
func placeFlags(cmd *cobra.Command, o *node.Options) {
	f := cmd.Flags()
	f.StringVar(&o.BinDir, "bin-dir", node.DefaultBinDir, "directory of CNI plugins")
	f.StringVar(&o.ConfDir, "conf-dir", node.DefaultConfDir, "directory of CNI configurations")
	f.StringVar(&o.Name, "name", node.DefaultName, "file name of the configuration")
}

package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/tcpcni/tcpcni/cmd/tcpcni/holder"
	"github.com/tcpcni/tcpcni/plugin"
)

func holderCommand() *cobra.Command {
	var config string
	var readyFD int
	cmd := &cobra.Command{
		Use:    "holder --config FILE",
		Short:  "Stand behind the engine of one sandbox (started by the CNI plugin)",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if readyFD >= 0 {
				unix.CloseOnExec(readyFD)
			}
			return holder.Run(config, func() error { return sayReady(readyFD) })
		},
	}
	cmd.Flags().StringVar(&config, "config", "", "the engine's configuration")
	cmd.Flags().IntVar(&readyFD, "ready-fd", -1, "descriptor to write to when the sandbox is served")
	_ = cmd.MarkFlagRequired("config")
	return cmd
}

// sayReady tells the plugin, once, that the sandbox is served.
func sayReady(fd int) error {
	if fd < 0 {
		return nil
	}
	f := os.NewFile(uintptr(fd), "ready")
	defer func() { _ = f.Close() }()
	if _, err := f.WriteString(plugin.Ready); err != nil {
		return fmt.Errorf("ready: %w", err)
	}
	return nil
}

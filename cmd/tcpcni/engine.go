package main

import (
	"fmt"
	"log/slog"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/tcpcni/tcpcni/engine"
	"github.com/tcpcni/tcpcni/plugin"
)

func engineCommand() *cobra.Command {
	var config string
	var readyFD int
	cmd := &cobra.Command{
		Use:    "engine --config FILE",
		Short:  "Serve one sandbox (started by the CNI plugin)",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			cfg, err := engine.LoadConfig(config)
			if err != nil {
				return fmt.Errorf("--config: %w", err)
			}
			if readyFD >= 0 {
				unix.CloseOnExec(readyFD)
			}
			return engine.Run(cfg, func() { sayReady(readyFD) })
		},
	}
	cmd.Flags().StringVar(&config, "config", "", "the engine's configuration")
	cmd.Flags().IntVar(&readyFD, "ready-fd", -1, "descriptor to write to when the sandbox is served")
	_ = cmd.MarkFlagRequired("config")
	return cmd
}

// sayReady tells the plugin, once, that the sandbox is served. A plugin that is
// gone, killed in the middle of ADD, takes the engine along: nobody else may
// know of it.
func sayReady(fd int) {
	if fd < 0 {
		return
	}
	f := os.NewFile(uintptr(fd), "ready")
	if _, err := f.WriteString(plugin.Ready); err != nil {
		slog.Error("the plugin that started this engine is gone", "error", err)
		os.Exit(exitPlainFailed)
	}
	_ = f.Close()
}

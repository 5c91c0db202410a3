package main

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/tcpcni/tcpcni/engine"
)

func engineCommand() *cobra.Command {
	var config int
	var from engine.Inherited
	cmd := &cobra.Command{
		Use:    "engine --config-fd N --holder-fd N ...",
		Short:  "Serve one sandbox (started by its holder)",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			f := os.NewFile(uintptr(config), "--config-fd")
			cfg, err := engine.ReadConfig(f, f.Name())
			_ = f.Close()
			if err != nil {
				return err
			}
			return engine.RunHeld(cfg, from)
		},
	}
	for _, d := range []struct {
		name     string
		to       *int
		required bool
		use      string
	}{
		{"config-fd", &config, true, "descriptor to read the configuration from"},
		{"holder-fd", &from.Holder, true, "descriptor to ask the holder on"},
		{"control-fd", &from.Control, true, "descriptor that listens for clients"},
		{"uplink-fd", &from.Uplink, true, "descriptor of the uplink"},
		{"inner-fd", &from.Inner, false, "descriptor of the interface in the sandbox"},
		{"uptime-fd", &from.Uptime, false, "descriptor that says how idle the machine is"},
		{"pcap-fd", &from.Pcap, false, "descriptor of the capture file"},
	} {
		cmd.Flags().IntVar(d.to, d.name, -1, d.use)
		if d.required {
			_ = cmd.MarkFlagRequired(d.name)
		}
	}
	cmd.Flags().IntSliceVar(&from.Queues, "queue-fd", nil, "descriptor of a further queue of the uplink, for a shard")
	return cmd
}

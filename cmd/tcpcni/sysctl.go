package main

// Tunables of a sandbox that runs, as sysctl(8) shows and sets a machine's.

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tcpcni/tcpcni/engine"
)

func sysctlCommand() *cobra.Command {
	var all, values bool
	var ifname string
	cmd := &cobra.Command{
		Use:   "sysctl [flags] NAME [KEY[=VALUE]...]",
		Short: "Show or set tunables of a sandbox's stack",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := needRoot("sysctl"); err != nil {
				return err
			}
			set, get, err := sysctlKeys(args[1:])
			if err != nil {
				return err
			}
			var list []engine.TunableValue
			err = withEngine(args[0], ifname, func(c *engine.Client) (err error) {
				if len(get) == 0 {
					list, err = c.AllTunables(all)
				} else {
					list, err = c.Tunables(set, get)
				}
				return err
			})
			if err != nil {
				return err
			}
			return printTunables(cmd.OutOrStdout(), list, values)
		},
	}
	cmd.Flags().BoolVarP(&all, "all", "a", false, "without KEY: also the names that other systems have")
	cmd.Flags().BoolVarP(&values, "values", "n", false, "print values without names")
	cmd.Flags().StringVar(&ifname, "ifname", "", "interface of the sandbox, when it has several")
	return cmd
}

// sysctlKeys reads KEY and KEY=VALUE. What is set is shown, too.
func sysctlKeys(args []string) (set map[string]string, get []string, err error) {
	set = make(map[string]string)
	for _, arg := range args {
		key, value, assign := strings.Cut(arg, "=")
		key = strings.TrimSpace(key)
		if key == "" {
			return nil, nil, fmt.Errorf("%q: accepted: KEY or KEY=VALUE", arg)
		}
		if _, twice := set[key]; assign && twice {
			return nil, nil, fmt.Errorf("%q: %s is set twice: accepted: once", arg, key)
		}
		if assign {
			set[key] = strings.TrimSpace(value)
		}
		get = append(get, key)
	}
	return set, get, nil
}

func printTunables(out io.Writer, list []engine.TunableValue, values bool) error {
	for _, t := range list {
		line := t.Name + " = " + t.Value
		if values {
			line = t.Value
		}
		if _, err := fmt.Fprintln(out, line); err != nil {
			return err
		}
	}
	return nil
}

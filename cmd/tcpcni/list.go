package main

import (
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/tcpcni/tcpcni/engine"
	"github.com/tcpcni/tcpcni/plugin"
)

func listCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the sandboxes",
		Long: `List the sandboxes of the state directory: those of "tcpcni run" and those of
container runtimes, which have no program here. PID is the program's, ENGINE the
engine's process; silent when it does not answer, as while it is started again,
dead when nobody will start it.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := needRoot("list"); err != nil {
				return err
			}
			stateDir, err := plugin.StateDir()
			if err != nil {
				return err
			}
			collectDead(stateDir)
			all, err := allTargets(stateDir)
			if err != nil {
				return err
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "NAME\tADDRESSES\tPID\tPROFILE\tENGINE\tPROGRAM")
			for _, t := range all {
				fmt.Fprintln(w, strings.Join(t.row(), "\t"))
			}
			return w.Flush()
		},
	}
}

func (t *target) row() []string {
	addrs := make([]string, 0, len(t.rec.Addrs))
	for _, a := range t.rec.Addrs {
		addrs = append(addrs, a.Addr().String())
	}
	pid, program := "-", "-"
	if t.run != nil {
		program = programLine(t.run.Argv)
		if t.run.Program.PID != 0 {
			pid = strconv.Itoa(t.run.Program.PID)
		}
	}
	state := "dead"
	if st, err := t.sandbox.Status(); err == nil {
		state = strconv.Itoa(st.PID)
	} else if id, err := t.sandbox.Engine(); err == nil && id.Alive() {
		state = "silent"
	}
	return []string{t.name, strings.Join(addrs, ","), pid, t.rec.Profile, state, program}
}

// programLine is a command line that stays on its line, whatever is in it.
func programLine(argv []string) string { return engine.Printable(strings.Join(argv, " ")) }

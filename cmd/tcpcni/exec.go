package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/tcpcni/tcpcni/plugin"
)

func execCommand() *cobra.Command {
	var ifname string
	cmd := &cobra.Command{
		Use:   "exec [flags] NAME [--] PROGRAM [ARGS...]",
		Short: "Run another program in a sandbox that runs",
		Long: `Run another program in a sandbox that runs, as a second container of a pod: it
shares the addresses, the ports and the loopback of the first. NAME is a name of
"tcpcni list". The exit status is as with run.`,
		Args:        needProgram(1),
		Annotations: map[string]string{runsProgram: "yes"},
		RunE: func(_ *cobra.Command, args []string) error {
			argv := args[1:]
			if argv[0] == "--" {
				argv = argv[1:]
			}
			if len(argv) == 0 {
				return fmt.Errorf("PROGRAM: missing: accepted: tcpcni exec NAME -- PROGRAM [ARGS...]")
			}
			return execIn(args[0], ifname, argv)
		},
	}
	cmd.Flags().SetInterspersed(false)
	cmd.Flags().StringVar(&ifname, "ifname", "", "interface of the sandbox, when it has several")
	return cmd
}

func execIn(name, ifname string, argv []string) error {
	if err := needRoot("exec"); err != nil {
		return err
	}
	stateDir, err := plugin.StateDir()
	if err != nil {
		return err
	}
	t, err := findTarget(stateDir, name, ifname)
	if err != nil {
		return err
	}
	if err := checkStandard(0, 1, 2); err != nil {
		return err
	}
	program, err := lookProgram(argv[0])
	if err != nil {
		return err
	}
	netNS, mountNS, err := t.open()
	if err != nil {
		return err
	}
	defer closeAll(netNS)
	if mountNS != nil {
		defer closeAll(mountNS)
	}
	dir, err := os.Getwd()
	if err != nil {
		dir = "/"
	}
	signals := catchSignals()
	c, err := launch(launchSpec{Program: program, Argv: argv, Dir: dir}, netNS, mountNS, t.sandbox.ControlPath(), nil)
	if err != nil {
		return err
	}
	code, err := superviseProgram(c, signals)
	if err != nil {
		return err
	}
	if code != 0 {
		return &exitError{code: code}
	}
	return nil
}

// Command tcpcni gives programs and pods a TCP/IP stack of their own in user
// space. It is a CNI plugin when the environment names a CNI_COMMAND, and a
// runtime for single programs otherwise.
package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/tcpcni/tcpcni/plugin"
)

// Version is set by the linker.
var Version = "devel"

// Exit codes of failures that are tcpcni's own and not the program's, as env(1)
// and container runtimes have them.
const (
	exitOwn         = 125 // tcpcni failed
	exitCannotRun   = 126 // the program exists and cannot be executed
	exitNotFound    = 127 // there is no such program
	exitSignalled   = 128 // plus the signal's number
	exitPlainFailed = 1   // of the commands that run no program
)

// An exitError ends the process with a code. Without an error there is nothing
// to say: the program has said it.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit status %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// Signals on a parent's death, namespaces and capabilities are properties of
// threads: main stays on the one that the process started with.
func init() { runtime.LockOSThread() }

func main() {
	if isRuntimeName(os.Args[0]) {
		os.Exit(runtimeMain(os.Args[1:]))
	}
	if os.Getenv("CNI_COMMAND") != "" && len(os.Args) == 1 {
		plugin.Main("tcpcni " + Version + ", CNI plugin")
		return
	}
	level := new(slog.LevelVar)
	level.Set(slog.LevelWarn)
	slog.SetDefault(slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level})))
	os.Exit(execute(rootCommand(level)))
}

// execute runs the command line and returns the exit code.
func execute(root *cobra.Command) int {
	cmd, err := root.ExecuteC()
	if err == nil {
		return 0
	}
	e := &exitError{code: exitPlainFailed, err: err}
	if cmd.Annotations[runsProgram] != "" {
		e.code = exitOwn
	}
	_ = errors.As(err, &e)
	if e.err != nil {
		fmt.Fprintf(os.Stderr, "tcpcni: %v\n", e.err)
	}
	return e.code
}

// runsProgram marks commands whose exit code is the program's.
const runsProgram = "runs-program"

func rootCommand(level *slog.LevelVar) *cobra.Command {
	root := &cobra.Command{
		Use:           "tcpcni",
		Short:         "A TCP/IP stack in user space for programs that know nothing of it",
		Version:       Version,
		SilenceErrors: true,
		SilenceUsage:  true,
		CompletionOptions: cobra.CompletionOptions{
			DisableDefaultCmd: true,
		},
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return fmt.Errorf("%w: accepted: the flags of \"%s --help\"", err, cmd.CommandPath())
	})
	verbose := root.PersistentFlags().BoolP("verbose", "v", false, "log what is done")
	root.PersistentPreRun = func(*cobra.Command, []string) {
		if *verbose {
			level.Set(slog.LevelDebug)
		}
	}
	root.AddCommand(
		runCommand(), execCommand(), ssCommand(), listCommand(), sysctlCommand(), tcpkeyCommand(),
		holderCommand(), engineCommand(), shimCommand(), versionCommand(),
		installCommand(), uninstallCommand(),
		runcCommand(), hookCommand(), brokerCommand(), profileCommand(),
	)
	return root
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		Run: func(cmd *cobra.Command, _ []string) {
			fmt.Fprintf(cmd.OutOrStdout(), "tcpcni %s\nCNI %v\n", Version, plugin.Versions.SupportedVersions())
		},
	}
}

// needRoot says early and plainly what would fail somewhere later.
func needRoot(command string) error {
	if uid := os.Geteuid(); uid != 0 {
		return fmt.Errorf("%s needs root: effective user %d: accepted: 0", command, uid)
	}
	return nil
}

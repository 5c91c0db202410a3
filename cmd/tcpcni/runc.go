package main

// An OCI runtime that is another one with a filter added: the command line of
// runc or crun comes in, the bundle's configuration is completed, and the
// process becomes the real runtime. Whatever cannot be understood is refused:
// a container that started without the filter would use the kernel's sockets.

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

func runcCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "runc [--tcpcni-FLAG=VALUE...] [RUNTIME'S ARGUMENTS...]",
		Short: "Be an OCI runtime whose containers use their sandbox's engine",
		Long: `Be an OCI runtime whose containers use their sandbox's engine: runc or crun, with
the filter of socket calls added to the configuration of what it creates. A
program of another name that ends in "-runc", such as a link tcpcni-runc to this
one, is the same, for managers that take a path only.

  --tcpcni-runtime=PATH  the real runtime (default: $TCPCNI_RUNTIME, "runtime" in
                         ` + settingsFile + `, runc or crun next to this
                         program, runc or crun in PATH)
  --tcpcni-attach        put an engine behind the interface that the manager's
                         own network gives a container, as docker's bridge does

A container without a sandbox in its network namespace does not start.`,
		DisableFlagParsing: true,
		RunE:               func(_ *cobra.Command, args []string) error { return beRuntime(args) },
	}
}

// isRuntimeName tells whether this program was called as a runtime.
func isRuntimeName(argv0 string) bool { return strings.HasSuffix(filepath.Base(argv0), "-runc") }

// runtimeMain is main for a program that is called as a runtime. It returns only
// when it could not become the real one.
func runtimeMain(args []string) int {
	fmt.Fprintf(os.Stderr, "tcpcni runc: %v\n", beRuntime(args))
	return exitPlainFailed
}

// beRuntime returns only with an error.
func beRuntime(args []string) error {
	args, own, err := ownFlags(args)
	if err != nil {
		return err
	}
	set, err := readSettings(settingsFile)
	if err != nil {
		return err
	}
	if _, ok := own["attach"]; ok {
		set.Attach = true
	}
	runtime, err := findRuntime(own["runtime"], set.Runtime)
	if err != nil {
		return err
	}
	line, err := parseRuntimeLine(args)
	if err != nil {
		return err
	}
	if err := prepareContainer(line, set); err != nil {
		err = fmt.Errorf("container %q is not started: %w", line.id, err)
		line.log(err)
		if line.command == "start" {
			err = errors.Join(err, endContainer(runtime, args, line.id))
		}
		return err
	}
	return fmt.Errorf("%s: %w", runtime, syscall.Exec(runtime, append([]string{runtime}, args...), os.Environ()))
}

// endContainer kills a created container whose start was refused. Managers of
// containers expect that of a start that fails, and would leave it there.
func endContainer(runtime string, args []string, id string) error {
	_, rest, err := splitFlags(args, globalFlags, true)
	if err != nil {
		return err
	}
	globals := args[:len(args)-len(rest)]
	out, err := exec.Command(runtime, append(slices.Clone(globals), "kill", id, "KILL")...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s kill: %w: %s", runtime, err, strings.TrimSpace(string(out)))
	}
	return nil
}

// ownFlags takes the wrapper's own flags from the front.
func ownFlags(args []string) (rest []string, own map[string]string, err error) {
	const prefix = "--tcpcni-"
	own = map[string]string{}
	for len(args) > 0 && strings.HasPrefix(args[0], prefix) {
		name, value, ok := strings.Cut(strings.TrimPrefix(args[0], prefix), "=")
		switch {
		case name == "runtime" && value != "":
		case name == "attach" && !ok:
		default:
			return nil, nil, fmt.Errorf("%s: accepted: --tcpcni-runtime=PATH, --tcpcni-attach", args[0])
		}
		own[name] = value
		args = args[1:]
	}
	return args, own, nil
}

// findRuntime finds the real runtime.
func findRuntime(flag, setting string) (string, error) {
	for _, named := range []struct{ where, path string }{
		{"--tcpcni-runtime", flag}, {"TCPCNI_RUNTIME", os.Getenv("TCPCNI_RUNTIME")}, {settingsFile + ": runtime", setting},
	} {
		if named.path == "" {
			continue
		}
		path, err := exec.LookPath(named.path)
		if err == nil && isSelf(path) {
			err = errors.New("this is tcpcni itself")
		}
		if err != nil {
			return "", fmt.Errorf("%s: %q: %w: accepted: the real runc or crun", named.where, named.path, err)
		}
		return path, nil
	}
	var dirs []string
	if self, err := os.Executable(); err == nil {
		dirs = append(dirs, filepath.Dir(self))
	}
	dirs = append(dirs, filepath.SplitList(os.Getenv("PATH"))...)
	// Managers start runtimes with an environment of their own, often an empty one.
	dirs = append(dirs, "/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
	for _, name := range []string{"runc", "crun"} {
		for _, dir := range dirs {
			if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil && filepath.IsAbs(path) && !isSelf(path) {
				return path, nil
			}
		}
	}
	return "", fmt.Errorf("no runc or crun next to this program or in PATH: accepted: --tcpcni-runtime=PATH, TCPCNI_RUNTIME, or runtime in %s", settingsFile)
}

// isSelf reports whether path is this program, by whatever name.
func isSelf(path string) bool {
	a, errA := os.Stat(path)
	b, errB := os.Stat("/proc/self/exe")
	return errA == nil && errB == nil && os.SameFile(a, b)
}

// A runtimeLine is what the wrapper needs to know of a command line.
type runtimeLine struct {
	command string
	id      string // of commands that take one
	bundle  string
	logFile string
	logJSON bool
}

// starts reports whether the command makes a container from a bundle.
func (l *runtimeLine) starts() bool { return l.command == "create" || l.command == "run" }

// Flags of runc and crun, true for those with a value. A flag that is not here
// might have one, and then what follows would be misread.
var (
	globalFlags = map[string]bool{
		"log": true, "log-format": true, "log-level": true, "root": true, "criu": true, "rootless": true,
		"cgroup-manager": true,
		"debug":          false, "systemd-cgroup": false, "help": false, "h": false, "version": false, "v": false, "V": false,
	}
	startFlags = map[string]bool{
		"bundle": true, "b": true, "console-socket": true, "pidfd-socket": true, "pid-file": true, "preserve-fds": true,
		"detach": false, "d": false, "keep": false, "no-subreaper": false, "no-pivot": false, "no-new-keyring": false,
		"help": false, "h": false,
	}
	// harmlessCommands start nothing from a bundle. exec puts its process under
	// the filter that the container was created with.
	harmlessCommands = []string{
		"", "delete", "events", "exec", "features", "help", "kill", "list", "pause", "ps", "resume", "spec", "state",
		"update",
	}
	// refusedCommands are those that the real runtimes have and containers with an
	// engine cannot, with the reason.
	refusedCommands = map[string]string{
		"checkpoint": "an engine's sockets cannot be saved",
		"restore":    "an engine's sockets cannot be brought back",
	}
)

func parseRuntimeLine(args []string) (*runtimeLine, error) {
	l := new(runtimeLine)
	global, rest, err := splitFlags(args, globalFlags, true)
	if err != nil {
		return nil, err
	}
	l.logFile, l.logJSON = global["log"], global["log-format"] == "json"
	if len(rest) == 0 {
		return l, nil
	}
	l.command = rest[0]
	if slices.Contains(harmlessCommands, l.command) {
		return l, nil
	}
	if !l.starts() && l.command != "start" {
		reason := ""
		if text, ok := refusedCommands[l.command]; ok {
			reason = ": " + text
		}
		return nil, fmt.Errorf("command %q%s: accepted: create, run, start%s", l.command, reason, strings.Join(harmlessCommands, ", "))
	}
	flags, names, err := splitFlags(rest[1:], startFlags, false)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", l.command, err)
	}
	// Alone it asks for help, and nothing is started; "--help=false" says nothing.
	if value, ok := flags["help"]; ok && value == "" {
		l.command = ""
		return l, nil
	}
	if len(names) != 1 {
		return nil, fmt.Errorf("%s: %q: accepted: one container ID", l.command, names)
	}
	l.id, l.bundle = names[0], flags["bundle"]
	if l.bundle == "" && l.starts() {
		l.bundle = "."
	}
	return l, nil
}

// longNames of flags that have a short one.
var longNames = map[string]string{"b": "bundle", "h": "help"}

// splitFlags separates flags from the rest, which with first ends the flags.
// Flags may have one dash or two.
func splitFlags(args []string, known map[string]bool, first bool) (flags map[string]string, rest []string, err error) {
	flags = map[string]string{}
	for i := 0; i < len(args); i++ {
		a := args[i]
		switch {
		case a == "--":
			return flags, append(rest, args[i+1:]...), nil
		case len(a) < 2 || a[0] != '-':
			if first {
				return flags, args[i:], nil
			}
			rest = append(rest, a)
			continue
		}
		name, value, has := strings.Cut(strings.TrimPrefix(a[1:], "-"), "=")
		takes, ok := known[name]
		if !ok {
			return nil, nil, fmt.Errorf("flag %q: accepted: the flags that runc and crun share", a)
		}
		if takes && !has {
			if i++; i == len(args) {
				return nil, nil, fmt.Errorf("flag %q: no value", a)
			}
			value = args[i]
		}
		if long, ok := longNames[name]; ok {
			name = long
		}
		flags[name] = value
	}
	return flags, rest, nil
}

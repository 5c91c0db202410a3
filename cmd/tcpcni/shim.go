package main

// The last thing that runs before a sandboxed program: launch.go has the
// parent's half and the conversation.

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/tcpcni/tcpcni/hostlink"
	"github.com/tcpcni/tcpcni/hostlink/process"
)

func shimCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "shim",
		Short:  "Become a sandboxed program (used by run and exec)",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			err := becomeProgram()
			code := exitOwn
			if e := new(exitError); errors.As(err, &e) {
				code = e.code
			}
			// The parent prints it: it knows what to take back first.
			_ = say(fmt.Sprintf("error %d %s\n", code, strings.ReplaceAll(err.Error(), "\n", ": ")))
			return &exitError{code: code}
		},
	}
}

// say answers the parent by a bare write(2): once the filter is installed,
// nothing that the engine would be asked about may be called before the engine
// listens.
func say(line string) error {
	_, err := unix.Write(fdStatus, []byte(line))
	return os.NewSyscallError("write", err)
}

// becomeProgram returns only with an error. Everything happens on the main
// thread, the one that execve keeps.
func becomeProgram() error {
	spec, err := readSpec()
	if err != nil {
		return err
	}
	if err := dieWith(spec.Parent); err != nil {
		return err
	}
	if err := unix.Setns(fdNetNS, unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter the sandbox's network namespace: %w", err)
	}
	if err := enterMounts(spec); err != nil {
		return err
	}
	env := os.Environ()
	// The program gets standard input, output and error, nothing else: a kernel
	// socket among the rest would be a way around the engine.
	if err := process.CloseOnExecFrom(3); err != nil {
		return err
	}

	var more []hostlink.Rule
	if spec.Poll {
		more = hostlink.PollRules
	}
	listener, err := hostlink.InstallFilter(more...)
	if err != nil {
		return fmt.Errorf("install the filter of socket calls: %w", err)
	}
	if err := say("listener " + strconv.Itoa(listener) + "\n"); err != nil {
		return err
	}
	if n, err := unix.Read(fdGo, make([]byte, 1)); err != nil || n != 1 {
		return errors.New("no go-ahead")
	}

	if err := confine(programCaps); err != nil {
		return err
	}
	// The change of credentials took the signal back.
	if err := dieWith(spec.Parent); err != nil {
		return err
	}
	return execError(spec.Argv[0], syscall.Exec(spec.Program, spec.Argv, env))
}

func readSpec() (*launchSpec, error) {
	f := os.NewFile(fdSpec, "launch specification")
	defer func() { _ = f.Close() }()
	spec := new(launchSpec)
	if err := json.NewDecoder(f).Decode(spec); err != nil {
		return nil, fmt.Errorf("shim: %w: accepted: to be started by run or exec", err)
	}
	if spec.Program == "" || len(spec.Argv) == 0 {
		return nil, errors.New("shim: no program")
	}
	return spec, nil
}

// dieWith has this process killed when parent dies, also when it has died
// already.
func dieWith(parent int) error {
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0); err != nil {
		return os.NewSyscallError("PR_SET_PDEATHSIG", err)
	}
	if os.Getppid() != parent {
		return errors.New("the process that started the sandbox is gone")
	}
	return nil
}

// enterMounts gives the program the view of files that the sandbox has.
func enterMounts(spec *launchSpec) error {
	switch {
	case spec.MountNS:
		// A process whose threads share root and working directory may not change
		// mount namespaces: setns(2).
		if err := unix.Unshare(unix.CLONE_FS); err != nil {
			return os.NewSyscallError("unshare", err)
		}
		if err := unix.Setns(fdMountNS, unix.CLONE_NEWNS); err != nil {
			return fmt.Errorf("enter the sandbox's mount namespace: %w", err)
		}
		// setns went to the root directory.
		if err := os.Chdir(spec.Dir); err != nil {
			return fmt.Errorf("working directory: %w", err)
		}
	case spec.Resolv != "":
		if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
			return fmt.Errorf("new mount namespace: %w", err)
		}
		// What the host mounts later is seen, what is mounted here stays here.
		if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, ""); err != nil {
			return fmt.Errorf("private mounts: %w", err)
		}
		if err := unix.Mount(spec.Resolv, resolvConf, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("mount %s: %w", resolvConf, err)
		}
	}
	return nil
}

// execError gives a failed execve the exit code that env(1) has for it.
func execError(name string, err error) error {
	code := exitCannotRun
	if errors.Is(err, fs.ErrNotExist) {
		code = exitNotFound
	}
	return &exitError{code, fmt.Errorf("%s: %w", name, err)}
}

package main

// The listener of all sandboxes: for runtimes that read a profile with a fixed
// listenerPath, such as a Localhost profile of Kubernetes.

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/spf13/cobra"

	"github.com/tcpcni/tcpcni/cmd/tcpcni/ocilisten"
	"github.com/tcpcni/tcpcni/engine"
	"github.com/tcpcni/tcpcni/hostlink/process"
	"github.com/tcpcni/tcpcni/plugin"
)

func brokerCommand() *cobra.Command {
	var listen string
	cmd := &cobra.Command{
		Use:   "broker [--listen PATH]",
		Short: "Pass seccomp listeners of containers on to the engines of their sandboxes",
		Long: `Pass seccomp listeners of containers on to the engines of their sandboxes.

OCI runtimes connect to the socket named by listenerPath in a container's seccomp
profile. The broker finds the sandbox by the network namespace of the process
that the listener belongs to. When there is none, the listener is closed and the
process's socket calls fail with ENOSYS.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if err := needRoot("broker"); err != nil {
				return err
			}
			stateDir, err := plugin.StateDir()
			if err != nil {
				return err
			}
			if listen == "" {
				listen = plugin.ListenerAt(stateDir)
			}
			return broker(stateDir, listen)
		},
	}
	cmd.Flags().StringVar(&listen, "listen", "", "the socket, an absolute path (default: listener.sock in the state directory)")
	return cmd
}

func broker(stateDir, listen string) error {
	if err := os.MkdirAll(filepath.Dir(listen), 0o755); err != nil {
		return err
	}
	// A second broker would take the socket away from the first.
	lock, err := process.TryLock(listen + ".lock")
	if err != nil {
		return fmt.Errorf("--listen: %q: another broker serves it: %w: accepted: one broker for each socket", listen, err)
	}
	defer func() { _ = lock.Remove() }()
	l, err := ocilisten.Listen(listen)
	if err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	slog.Info("broker", "listens", listen)
	return l.Serve(ctx, func(state *specs.ContainerProcessState, listener *os.File) error {
		s, err := passOn(stateDir, state, listener)
		if err == nil {
			slog.Info("broker", "container", state.State.ID, "process", state.Pid, "sandbox", s.ContainerID)
		}
		return err
	})
}

// passOn hands a listener to the engine whose sandbox the process is in.
func passOn(stateDir string, state *specs.ContainerProcessState, listener *os.File) (plugin.Sandbox, error) {
	if state.Pid <= 0 {
		return plugin.Sandbox{}, fmt.Errorf("container process state: pid: %d: accepted: a process", state.Pid)
	}
	s, err := plugin.FindByNetNS(stateDir, fmt.Sprintf("/proc/%d/ns/net", state.Pid))
	if err != nil {
		return s, err
	}
	c, err := engine.Dial(s.ControlPath())
	if err != nil {
		return s, err
	}
	defer func() { _ = c.Close() }()
	return s, c.Attach(listener)
}

// Command tcpcni-agent is tcpcni's part of every Kubernetes node, run by the
// DaemonSet of deploy/. It installs the CNI plugin with a configuration that
// has the node's own subnets, and keeps what pods need beyond their own node:
// routes to the pods of other nodes, and masquerading of what leaves the
// cluster.
//
// No pod depends on it once it runs: sandboxes have their own processes, and
// routes and rules stay when the agent ends. Whoever wants them gone runs it
// with --cleanup.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/tcpcni/tcpcni/cmd/tcpcni/node"
)

func main() {
	slog.SetDefault(slog.New(slog.NewTextHandler(os.Stderr, nil)))
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := command().ExecuteContext(ctx); err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintf(os.Stderr, "tcpcni-agent: %v\n", err)
		os.Exit(1)
	}
}

// settings are the command line.
type settings struct {
	node.Options
	nodeName   string
	kubeconfig string
	template   string
	routes     bool
	masquerade bool
	cleanup    bool
	keep       bool
	healthz    string
	seccompDir string
	listener   string
}

func command() *cobra.Command {
	s := new(settings)
	cmd := &cobra.Command{
		Use:           "tcpcni-agent --node NAME --conf-template FILE",
		Short:         "Install tcpcni on a Kubernetes node and keep its pods connected",
		Args:          cobra.NoArgs,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE:          func(cmd *cobra.Command, _ []string) error { return s.run(cmd.Context()) },
	}
	f := cmd.Flags()
	f.StringVar(&s.nodeName, "node", os.Getenv("NODE_NAME"), "name of this node's Node object; $NODE_NAME")
	f.StringVar(&s.kubeconfig, "kubeconfig", "", "how to reach the API server; empty: as a pod does")
	f.StringVar(&s.template, "conf-template", "/etc/tcpcni/conflist.json", `configuration list; "ranges":"podCIDRs" and "routes":"default" are filled in`)
	f.StringVar(&s.Source, "source", "/usr/local/bin", "directory of the binaries to install")
	f.StringVar(&s.BinDir, "bin-dir", "/host"+node.DefaultBinDir, "directory of the runtime's CNI plugins")
	f.StringVar(&s.ConfDir, "conf-dir", "/host"+node.DefaultConfDir, "directory of the runtime's CNI configurations")
	f.StringVar(&s.Name, "name", node.DefaultName, "file name of the configuration")
	f.StringVar(&s.seccompDir, "seccomp-dir", "/host/var/lib/kubelet/seccomp", "directory that gets the seccomp profile tcpcni.json; empty: none")
	f.StringVar(&s.listener, "listener", "/run/tcpcni/listener.sock", "the broker's socket on the node, for the profile")
	f.BoolVar(&s.routes, "routes", true, "keep routes to the pods of other nodes; they need nodes that are neighbours on one link")
	f.BoolVar(&s.masquerade, "masquerade", true, "give what leaves the cluster this node's address; pods, nodes and services keep seeing pods' own addresses")
	f.StringVar(&s.healthz, "healthz", "127.0.0.1:9798", "address that answers /healthz; empty: none")
	f.BoolVar(&s.cleanup, "cleanup", false, "take away configuration, routes and rules, then the binaries, and wait to be ended")
	f.BoolVar(&s.keep, "keep-binaries", false, "with --cleanup: leave the plugin, which pods that still run need for their end")
	return cmd
}

func (s *settings) run(ctx context.Context) error {
	if s.cleanup {
		return s.takeAway(ctx)
	}
	if s.nodeName == "" {
		return errors.New("--node: empty: accepted: the name of this node")
	}
	template, err := os.ReadFile(s.template)
	if err != nil {
		return fmt.Errorf("--conf-template: %w", err)
	}
	if err := answerHealth(ctx, s.healthz); err != nil {
		return fmt.Errorf("--healthz: %w", err)
	}
	w, err := watchNodes(ctx, s.kubeconfig)
	if err != nil {
		return err
	}
	a := &agent{settings: s, template: template}
	return w.each(ctx, a.update)
}

// takeAway undoes everything and then waits: a DaemonSet would start it again.
func (s *settings) takeAway(ctx context.Context) error {
	err := errors.Join(node.Uninstall(s.Options, s.keep), syncRoutes(nil), removeMasquerading())
	if s.seccompDir != "" {
		err = errors.Join(err, node.RemoveProfile(s.seccompDir))
	}
	if err != nil {
		return err
	}
	slog.Info("tcpcni is off this node")
	<-ctx.Done()
	return nil
}

// Command tcpcni-nri is an NRI plugin (github.com/containerd/nri) for container
// runtimes that speak it, containerd 2.x first of all: containers of chosen pods
// are put under the filter of their sandbox, and so use its engine, without a
// change of the runtime's configuration.
//
// It is a program of its own to keep the engine's small.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"regexp"
	"sync"
	"syscall"
	"time"

	"github.com/containerd/nri/pkg/api"
	"github.com/containerd/nri/pkg/stub"
	"github.com/spf13/cobra"

	"github.com/tcpcni/tcpcni/cmd/tcpcni/oci"
	"github.com/tcpcni/tcpcni/hostlink/process"
	"github.com/tcpcni/tcpcni/plugin"
)

func main() {
	slog.SetDefault(slog.New(slog.NewTextHandler(os.Stderr, nil)))
	if err := command().Execute(); err != nil {
		fmt.Fprintf(os.Stderr, "tcpcni-nri: %v\n", err)
		os.Exit(1)
	}
}

func command() *cobra.Command {
	var socket, index, base string
	var namespaces []string
	cmd := &cobra.Command{
		Use:   "tcpcni-nri [flags]",
		Short: "NRI plugin: containers of chosen pods use their sandbox's engine",
		Long: `NRI plugin: containers of chosen pods use their sandbox's engine.

A pod is chosen by the annotation ` + plugin.InterceptAnnotation + `: "true", or by its
namespace, which the key "intercept" of the network configuration names, or
--namespaces; "false" keeps it out as far as the network configuration allows
that. A container of a chosen pod whose sandbox has no engine is not created.
While this program is not registered, the CNI plugin attaches no chosen pod, and
in those that are attached programs without a filter are refused the network.`,
		Args:          cobra.NoArgs,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE: func(*cobra.Command, []string) error {
			if !regexp.MustCompile(`^[0-9][0-9]$`).MatchString(index) {
				return fmt.Errorf("--index: %q: accepted: two digits", index)
			}
			profile, err := oci.ReadBase(base)
			if err != nil {
				return fmt.Errorf("--base: %w", err)
			}
			stateDir, err := plugin.StateDir()
			if err != nil {
				return err
			}
			ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			return serve(ctx, &interceptor{stateDir: stateDir, namespaces: namespaces, base: profile}, socket, index)
		},
	}
	cmd.Flags().StringVar(&socket, "socket", api.DefaultSocketPath, "the runtime's NRI socket")
	cmd.Flags().StringVar(&index, "index", "90", "order among the runtime's NRI plugins, two digits; a late one merges what others set")
	cmd.Flags().StringVar(&base, "base", "default", "seccomp profile to merge into when the runtime does not tell the container's own: a file, default, unconfined")
	cmd.Flags().StringSliceVar(&namespaces, "namespaces", nil, "more Kubernetes namespaces whose pods are chosen; of those in the key \"intercept\" of the network configuration the CNI plugin knows before this program has been started once")
	return cmd
}

// serve keeps the plugin registered until the context is over. The runtime goes
// away and comes back when it is restarted or upgraded.
func serve(ctx context.Context, p *interceptor, socket, index string) error {
	const shortest, longest = 100 * time.Millisecond, 10 * time.Second
	wait := shortest
	for {
		began := time.Now()
		err := session(ctx, p, socket, index)
		if ctx.Err() != nil {
			return nil
		}
		if time.Since(began) > longest {
			wait = shortest
		}
		slog.Warn("not connected to the runtime", "socket", socket, "error", err, "again in", wait)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
		wait = min(2*wait, longest)
	}
}

// session returns when the connection is lost. The stub's own Run does not, when
// the runtime hangs up.
func session(ctx context.Context, p *interceptor, socket, index string) error {
	r := &registration{interceptor: p, over: make(chan struct{})}
	s, err := stub.New(r, stub.WithPluginName("tcpcni"), stub.WithPluginIdx(index), stub.WithSocketPath(socket),
		stub.WithOnClose(func() { r.end(errClosed) }))
	if err != nil {
		return err
	}
	defer r.end(nil)
	if err := s.Start(ctx); err != nil {
		return err
	}
	defer s.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-r.over:
		return r.why
	}
}

var errClosed = errors.New("the connection is closed")

// A registration is one connection to the runtime. For as long as it stands, the
// lock in the state directory tells the CNI plugin so.
type registration struct {
	*interceptor
	mu   sync.Mutex
	lock *process.FileLock // nil until registered
	over chan struct{}     // closed in the end
	why  error             // valid once over is closed
}

// lockPatience is shorter than the runtime's for an answer (2 s by default).
const lockPatience = time.Second

// Synchronize is the runtime's last question before it asks about containers.
func (r *registration) Synchronize(ctx context.Context, pods []*api.PodSandbox, containers []*api.Container) ([]*api.ContainerUpdate, error) {
	ctx, cancel := context.WithTimeout(ctx, lockPatience)
	defer cancel()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended() || r.lock != nil {
		return nil, nil // an answer that comes too late, or the same question again
	}
	l, err := plugin.HoldNRI(ctx, r.stateDir, r.namespaces)
	if err != nil {
		r.finish(err)
		return nil, err
	}
	r.lock = l
	r.endUnfiltered(pods, containers)
	slog.Info("registered", "pods of namespaces", r.namespaces)
	return nil, nil
}

// ended tells whether end was called. The caller holds mu.
func (r *registration) ended() bool {
	select {
	case <-r.over:
		return true
	default:
		return false
	}
}

// end is finish for those who do not hold mu.
func (r *registration) end(why error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.finish(why)
}

// finish gives the lock back; the first reason counts.
func (r *registration) finish(why error) {
	if r.ended() {
		return
	}
	r.why = why
	close(r.over)
	if r.lock != nil {
		_ = r.lock.Unlock()
	}
}

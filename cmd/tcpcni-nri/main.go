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
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/containerd/nri/pkg/api"
	"github.com/containerd/nri/pkg/stub"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/spf13/cobra"

	"github.com/tcpcni/tcpcni/cmd/tcpcni/oci"
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

A pod is chosen by the annotation ` + annotation + `: "true", or by its namespace;
"false" keeps it out of a namespace that is chosen. A container of a chosen pod
whose sandbox has no engine is not created.`,
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
	cmd.Flags().StringSliceVar(&namespaces, "namespaces", nil, "Kubernetes namespaces whose pods are chosen without an annotation")
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
	closed := make(chan struct{})
	var once sync.Once
	s, err := stub.New(p, stub.WithPluginName("tcpcni"), stub.WithPluginIdx(index), stub.WithSocketPath(socket),
		stub.WithOnClose(func() { once.Do(func() { close(closed) }) }))
	if err != nil {
		return err
	}
	if err := s.Start(ctx); err != nil {
		return err
	}
	defer s.Stop()
	select {
	case <-ctx.Done():
	case <-closed:
	}
	return errors.New("the connection is closed")
}

// annotation chooses a pod: "true" or "false".
const annotation = "tcpcni.dev/intercept"

// An interceptor answers the runtime's events.
type interceptor struct {
	stateDir   string
	namespaces []string
	base       *specs.LinuxSeccomp // for runtimes that do not tell the container's profile
}

// chosen tells whether the pod's containers use the engine.
func (p *interceptor) chosen(pod *api.PodSandbox) (bool, error) {
	switch value, ok := pod.GetAnnotations()[annotation]; {
	case !ok:
		return slices.Contains(p.namespaces, pod.GetNamespace()), nil
	case value == "true":
		return true, nil
	case value == "false":
		return false, nil
	default:
		return false, fmt.Errorf("annotation %s: %q: accepted: true, false", annotation, value)
	}
}

// CreateContainer gives the containers of chosen pods the sandbox's filter. An
// error keeps the runtime from creating the container.
func (p *interceptor) CreateContainer(_ context.Context, pod *api.PodSandbox, c *api.Container) (*api.ContainerAdjustment, []*api.ContainerUpdate, error) {
	adjust, err := p.adjust(pod, c)
	if err != nil {
		err = fmt.Errorf("tcpcni: pod %s/%s: container %s: %w", pod.GetNamespace(), pod.GetName(), c.GetName(), err)
		slog.Error("container refused", "error", err)
	}
	return adjust, nil, err
}

func (p *interceptor) adjust(pod *api.PodSandbox, c *api.Container) (*api.ContainerAdjustment, error) {
	if yes, err := p.chosen(pod); err != nil || !yes {
		return nil, err
	}
	listener, own, err := p.listener(pod)
	if err != nil {
		return nil, err
	}
	base, err := p.profile(c)
	if err != nil {
		return nil, err
	}
	merged, err := oci.Merge(base, oci.Options{Listener: listener, Metadata: "tcpcni", Own: own})
	if err != nil {
		return nil, err
	}
	adjust := new(api.ContainerAdjustment)
	adjust.SetLinuxSeccompPolicy(api.FromOCILinuxSeccomp(oci.WithoutErrnos(merged)))
	slog.Info("container uses the engine", "pod", pod.GetNamespace()+"/"+pod.GetName(), "container", c.GetName(), "listener", listener)
	return adjust, nil
}

// listener finds the socket that takes the container's listener. own are those
// that a profile may name already.
func (p *interceptor) listener(pod *api.PodSandbox) (path string, own []string, err error) {
	netNS := ""
	for _, n := range pod.GetLinux().GetNamespaces() {
		if n.GetType() == string(specs.NetworkNamespace) {
			netNS = n.GetPath()
		}
	}
	if netNS == "" {
		return "", nil, errors.New("it uses the host's network, which has no engine: take the annotation away, or hostNetwork")
	}
	s, err := plugin.FindByNetNS(p.stateDir, netNS)
	if err != nil {
		return "", nil, fmt.Errorf("%w: accepted: a pod of the tcpcni plugin's network", err)
	}
	path, err = s.Listener()
	return path, []string{s.ListenerPath(), plugin.ListenerAt(p.stateDir)}, err
}

// profile is the container's own seccomp profile, as far as the runtime tells:
// containerd up to 2.2 says nothing about it.
func (p *interceptor) profile(c *api.Container) (*specs.LinuxSeccomp, error) {
	if own := c.GetLinux().GetSeccompPolicy(); own != nil {
		return fromNRI(own), nil
	}
	switch own := c.GetLinux().GetSeccompProfile(); {
	case own == nil:
		return p.base, nil
	case own.GetProfileType() == api.SecurityProfile_RUNTIME_DEFAULT:
		return oci.Default(), nil
	case own.GetProfileType() == api.SecurityProfile_UNCONFINED:
		return nil, nil
	default:
		return nil, fmt.Errorf("seccompProfile: %s %s: its rules are not known here: accepted: RuntimeDefault, Unconfined", own.GetProfileType(), strings.TrimSpace(own.GetLocalhostRef()))
	}
}

// fromNRI is the inverse of api.FromOCILinuxSeccomp.
func fromNRI(l *api.LinuxSeccomp) *specs.LinuxSeccomp {
	p := &specs.LinuxSeccomp{
		DefaultAction: specs.LinuxSeccompAction(l.GetDefaultAction()),
		ListenerPath:  l.GetListenerPath(), ListenerMetadata: l.GetListenerMetadata(),
	}
	// Not by api.ToOCILinuxSyscalls, see oci.WithoutErrnos.
	for _, c := range l.GetSyscalls() {
		r := specs.LinuxSyscall{Names: c.GetNames(), Action: specs.LinuxSeccompAction(c.GetAction()), Args: api.ToOCILinuxSeccompArgs(c.GetArgs())}
		if e := c.GetErrnoRet(); e != nil {
			v := uint(e.GetValue())
			r.ErrnoRet = &v
		}
		p.Syscalls = append(p.Syscalls, r)
	}
	if e := l.GetDefaultErrno(); e != nil {
		v := uint(e.GetValue())
		p.DefaultErrnoRet = &v
	}
	for _, f := range l.GetFlags() {
		p.Flags = append(p.Flags, specs.LinuxSeccompFlag(f))
	}
	return p
}

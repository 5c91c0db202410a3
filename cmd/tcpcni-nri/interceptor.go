package main

// What a container of a pod gets: nothing, a filter, or an error that keeps the
// runtime from creating it.

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/containerd/nri/pkg/api"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/tcpcni/tcpcni/cmd/tcpcni/oci"
	"github.com/tcpcni/tcpcni/plugin"
)

// An interceptor answers the runtime's events.
type interceptor struct {
	stateDir   string
	namespaces []string
	base       *specs.LinuxSeccomp // for runtimes that do not tell the container's profile
}

// chosen tells whether the pod's containers use the engine. What ADD has decided
// holds; the pod's own word counts where ADD was not shown it.
func (p *interceptor) chosen(pod *api.PodSandbox) (bool, error) {
	value, there := pod.GetAnnotations()[plugin.InterceptAnnotation]
	switch {
	case there && !slices.Contains(plugin.InterceptValues, value):
		return false, fmt.Errorf("annotation %s: %q: accepted: %s", plugin.InterceptAnnotation, value, strings.Join(plugin.InterceptValues, ", "))
	case p.decided(pod) == plugin.InterceptNRI, value == plugin.AnnotationTrue:
		return true, nil
	}
	return value != plugin.AnnotationFalse && slices.Contains(p.namespaces, pod.GetNamespace()), nil
}

// decided is what ADD has noted of the pod; a pod of another network has nothing.
func (p *interceptor) decided(pod *api.PodSandbox) string {
	_, rec := p.sandboxOf(pod)
	if rec == nil {
		return plugin.InterceptNone
	}
	if rec.Intercept == plugin.InterceptNone && pod.GetAnnotations()[plugin.InterceptAnnotation] == plugin.AnnotationTrue {
		slog.Warn("the pod's sandbox has an inline path: a container that is made while this plugin is away is not intercepted. Let the network configuration have the capability io.kubernetes.cri.pod-annotations, and make the pod again",
			"pod", pod.GetNamespace()+"/"+pod.GetName())
	}
	return rec.Intercept
}

// sandboxOf finds the pod's sandbox and its record; the record is nil when there
// is none.
func (p *interceptor) sandboxOf(pod *api.PodSandbox) (plugin.Sandbox, *plugin.Record) {
	path := netNSOf(pod)
	if path == "" {
		return plugin.Sandbox{}, nil
	}
	s, err := plugin.FindByNetNS(p.stateDir, path)
	if err != nil {
		return s, nil
	}
	rec, err := s.Record()
	if err != nil {
		return s, nil
	}
	return s, rec
}

func netNSOf(pod *api.PodSandbox) (path string) {
	for _, n := range pod.GetLinux().GetNamespaces() {
		if n.GetType() == string(specs.NetworkNamespace) {
			path = n.GetPath()
		}
	}
	return path
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

// RemoveContainer forgets what was written down of a container.
func (p *interceptor) RemoveContainer(_ context.Context, pod *api.PodSandbox, c *api.Container) error {
	if s, rec := p.sandboxOf(pod); rec != nil {
		return unmark(s, c)
	}
	return nil
}

func (p *interceptor) adjust(pod *api.PodSandbox, c *api.Container) (*api.ContainerAdjustment, error) {
	if yes, err := p.chosen(pod); err != nil || !yes {
		return nil, err
	}
	s, listener, own, err := p.listener(pod)
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
	if err := mark(s, c); err != nil {
		return nil, err
	}
	adjust := new(api.ContainerAdjustment)
	adjust.SetLinuxSeccompPolicy(api.FromOCILinuxSeccomp(oci.WithoutErrnos(merged)))
	slog.Info("container uses the engine", "pod", pod.GetNamespace()+"/"+pod.GetName(), "container", c.GetName(), "listener", listener)
	return adjust, nil
}

// listener finds the socket that takes the container's listener. own are those
// that a profile may name already.
func (p *interceptor) listener(pod *api.PodSandbox) (s plugin.Sandbox, path string, own []string, err error) {
	netNS := netNSOf(pod)
	if netNS == "" {
		return s, "", nil, errors.New("it uses the host's network, which has no engine: take the annotation away, or hostNetwork")
	}
	s, err = plugin.FindByNetNS(p.stateDir, netNS)
	if err != nil {
		return s, "", nil, fmt.Errorf("%w: accepted: a pod of the tcpcni plugin's network", err)
	}
	path, err = s.Listener()
	return s, path, []string{s.ListenerPath(), plugin.ListenerAt(p.stateDir)}, err
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

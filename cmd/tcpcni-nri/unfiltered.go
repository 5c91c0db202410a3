package main

// Containers that were created while this plugin was away, in pods that are its
// own. Their sandbox refuses them the network, and nothing would change that:
// kubelet does not know. So when the plugin is back it ends them, and kubelet
// makes them anew, with the filter. Which containers have one is written down in
// the sandbox's directory before the runtime creates them.

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"

	"github.com/containerd/nri/pkg/api"

	"github.com/tcpcni/tcpcni/hostlink"
	"github.com/tcpcni/tcpcni/hostlink/process"
	"github.com/tcpcni/tcpcni/plugin"
)

// marks is the directory of the containers of a sandbox that have a filter: one
// empty file for each.
func marks(s plugin.Sandbox) string { return filepath.Join(s.Dir, "filtered") }

// markPath refuses what is no name of a file.
func markPath(s plugin.Sandbox, c *api.Container) (string, error) {
	id := c.GetId()
	if id == "" || !filepath.IsLocal(id) || filepath.Base(id) != id {
		return "", fmt.Errorf("container ID %q: accepted: the name of a file", id)
	}
	return filepath.Join(marks(s), id), nil
}

// mark notes that a container will have the filter.
func mark(s plugin.Sandbox, c *api.Container) error {
	path, err := markPath(s, c)
	if err != nil {
		return err
	}
	if err := os.Mkdir(marks(s), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return process.WriteFile(path, nil, 0o600)
}

// unmark forgets a container that is gone.
func unmark(s plugin.Sandbox, c *api.Container) error {
	path, err := markPath(s, c)
	if err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// marked tells whether a container has the filter. What cannot be told has it:
// nothing is ended on a doubt.
func marked(s plugin.Sandbox, c *api.Container) bool {
	path, err := markPath(s, c)
	if err != nil {
		return true
	}
	_, err = os.Stat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

// prune forgets the containers that were removed while the plugin was away.
func prune(s plugin.Sandbox, there map[string]bool) {
	files, err := os.ReadDir(marks(s))
	if err != nil {
		return
	}
	for _, f := range files {
		if !there[f.Name()] {
			_ = os.Remove(filepath.Join(marks(s), f.Name()))
		}
	}
}

// endUnfiltered ends the containers without a filter of the pods that ADD has
// given to this plugin. Those of other pods, and of pods that were made when ADD
// decided nothing, are left alone.
func (p *interceptor) endUnfiltered(pods []*api.PodSandbox, containers []*api.Container) {
	there := make(map[string]bool, len(containers))
	for _, c := range containers {
		there[c.GetId()] = true
	}
	own := make(map[string]plugin.Sandbox)
	for _, pod := range pods {
		s, rec := p.sandboxOf(pod)
		if rec == nil {
			continue
		}
		prune(s, there)
		if rec.Intercept == plugin.InterceptNRI {
			own[pod.GetId()] = s
		}
	}
	for _, c := range containers {
		s, ok := own[c.GetPodSandboxId()]
		if !ok || c.GetState() == api.ContainerState_CONTAINER_STOPPED || c.GetPid() == 0 || marked(s, c) {
			continue
		}
		err := endContainer(s, int(c.GetPid()))
		slog.Warn("a container was created while this plugin was away and has no filter: it is ended, to be made anew",
			"sandbox", s.ContainerID, "container", c.GetName(), "id", c.GetId(), "pid", c.GetPid(), "error", err)
	}
}

// endContainer kills a container's first process, which takes the others along,
// if the number still is that of a process in the sandbox.
func endContainer(s plugin.Sandbox, pid int) error {
	id, err := process.Identify(pid)
	if err != nil {
		return err
	}
	h, err := process.Open(id)
	if err != nil {
		return err
	}
	defer func() { _ = h.Close() }()
	rec, err := s.Record()
	if err != nil {
		return err
	}
	same, err := hostlink.SameNetNS(rec.NetNS, fmt.Sprintf("/proc/%d/ns/net", pid))
	if err != nil {
		return err
	}
	if !same {
		return fmt.Errorf("process %d is not in the sandbox: accepted: this plugin in the process namespace of the container runtime (hostPID)", pid)
	}
	return h.Signal(syscall.SIGKILL)
}

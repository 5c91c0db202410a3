package plugin

// Pods whose socket calls are to be intercepted: who asks for it, and what holds
// while nobody is there to do it. An OCI runtime installs the filter after ADD, by
// one of three ways (docs/runtimes.md), of which the NRI plugin's is one that the
// runtime does not miss when it is away. So ADD refuses what is that plugin's
// while it is away, and the engine of every pod that is to be intercepted refuses
// programs that are not.

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/containernetworking/cni/pkg/types"

	"github.com/tcpcni/tcpcni/hostlink/process"
)

// What a pod asks for: Record.Intercept.
const (
	InterceptNone     = ""         // nothing: programs that are not intercepted have the inline path
	InterceptRequired = "required" // to be intercepted, by any way: others are refused the network
	InterceptNRI      = "nri"      // the same, by the NRI plugin, without which ADD fails
)

// InterceptAnnotation is a pod's own word, one of the values below.
const InterceptAnnotation = annotationDomain + "intercept"

// Values of InterceptAnnotation.
const (
	AnnotationTrue     = "true"     // by the NRI plugin
	AnnotationRequired = "required" // by any way
	AnnotationFalse    = "false"    // not at all; where that loosens something, "podAnnotations" has to allow it
)

// InterceptValues are the values of InterceptAnnotation.
var InterceptValues = []string{AnnotationTrue, AnnotationRequired, AnnotationFalse}

// An interception is what the operator and the pod say.
type interception struct {
	required   bool     // key intercept.required
	namespaces []string // key intercept.namespaces
	annotation string   // "" when there is none, or the runtime does not show it
	pod        podName
}

// A podName is what a Kubernetes runtime says in CNI_ARGS.
type podName struct{ namespace, name string }

func (p podName) String() string {
	if p.name == "" {
		return "the container"
	}
	return "pod " + p.namespace + "/" + p.name
}

func interceptShape() shape {
	name := strOf(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`, "the name of a Kubernetes namespace")
	return object(`an object with "required", "namespaces"`,
		key{name: "required", def: "false", shape: boolean().is("every program is to be intercepted, by any way: one that is not is refused the network")},
		key{name: "namespaces", shape: listOf("a list of names of Kubernetes namespaces", name).
			is("their pods are intercepted by the NRI plugin, and are not attached while it is away")}).
		is("which pods are to be intercepted")
}

func readIntercept(c *Config, _ string, raw json.RawMessage) error {
	var i struct {
		Required   bool
		Namespaces []string
	}
	err := json.Unmarshal(raw, &i)
	c.interception.required, c.interception.namespaces = i.Required, i.Namespaces
	return err
}

// mode is what all sources together ask for, and which of them does. published is
// the NRI plugin's own list of namespaces, from the file list.
func (i *interception) mode(published []string, list string) (mode, because string) {
	switch {
	case i.annotation == AnnotationTrue:
		return InterceptNRI, fmt.Sprintf("annotation %s: %q", InterceptAnnotation, i.annotation)
	case slices.Contains(i.namespaces, i.pod.namespace):
		return InterceptNRI, fmt.Sprintf("intercept.namespaces: %q", i.pod.namespace)
	case slices.Contains(published, i.pod.namespace):
		return InterceptNRI, fmt.Sprintf("--namespaces of tcpcni-nri (%s): %q", list, i.pod.namespace)
	case i.annotation == AnnotationRequired:
		return InterceptRequired, fmt.Sprintf("annotation %s: %q", InterceptAnnotation, i.annotation)
	case i.required:
		return InterceptRequired, "intercept.required: true"
	}
	return InterceptNone, ""
}

// settleInterception decides what the attachment is, and refuses one that is the
// NRI plugin's while that is away.
func (c *Config) settleInterception(stateDir string) error {
	published, err := publishedNamespaces(stateDir)
	if err != nil {
		return err
	}
	i := &c.interception
	mode, because := i.mode(published, nriList(stateDir))
	if i.annotation == AnnotationFalse {
		if mode != InterceptNone && !c.mayHave("intercept") {
			return invalid(c.forbidden("annotation "+InterceptAnnotation, fmt.Sprintf("%q against %s", i.annotation, because)))
		}
		mode = InterceptNone
	}
	c.Intercept = mode
	if mode != InterceptNRI {
		return nil
	}
	there, err := process.Held(nriLock(stateDir))
	if err != nil || there {
		return err
	}
	return types.NewError(types.ErrTryAgainLater, fmt.Sprintf("%s is to be intercepted by the NRI plugin, which is away", i.pod),
		fmt.Sprintf("%s: accepted: while tcpcni-nri is registered with this node's container runtime; it holds a lock on %s then", because, nriLock(stateDir)))
}

// Files of the NRI plugin in the state directory. The lock is flock(2)'s, which
// the kernel takes back from a process that is killed; the list stays.
func nriLock(stateDir string) string { return filepath.Join(stateDir, "nri.lock") }
func nriList(stateDir string) string { return filepath.Join(stateDir, "nri.json") }

// nriState is the content of the list.
type nriState struct {
	Namespaces []string `json:"namespaces"` // whose pods the plugin intercepts, besides those that the network's configuration names
}

// HoldNRI says for the NRI plugin that it serves, until the lock is given back or
// the process is gone. namespaces are those that it has been told to serve; ADD
// heeds them also when it is away. It waits for another plugin's lock until the
// context is over.
func HoldNRI(ctx context.Context, stateDir string, namespaces []string) (*process.FileLock, error) {
	if err := os.MkdirAll(stateDir, 0o755); err != nil {
		return nil, err
	}
	l, err := process.Lock(ctx, nriLock(stateDir))
	if errors.Is(err, process.ErrLocked) {
		return nil, fmt.Errorf("%w: accepted: one tcpcni-nri for each node", err)
	}
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(nriState{Namespaces: namespaces})
	if err == nil {
		err = process.WriteFile(nriList(stateDir), append(text, '\n'), 0o644)
	}
	if err != nil {
		return nil, errors.Join(err, l.Unlock())
	}
	return l, nil
}

// publishedNamespaces is the NRI plugin's list, of now or of when it was there
// last. One that cannot be read may hold any namespace.
func publishedNamespaces(stateDir string) ([]string, error) {
	text, err := os.ReadFile(nriList(stateDir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var s nriState
	if err == nil {
		err = json.Unmarshal(text, &s)
	}
	if err != nil {
		return nil, types.NewError(types.ErrIOFailure, "the namespaces of the NRI plugin", fmt.Sprintf("%s: %v", nriList(stateDir), err))
	}
	return s.Namespaces, nil
}

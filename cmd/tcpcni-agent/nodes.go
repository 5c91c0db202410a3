package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
)

// retryPause is how long the agent waits after an update that failed; changes
// of nodes are handled at once.
const retryPause = 2 * time.Second

// nodeWatch is a copy of the cluster's nodes that is kept current.
type nodeWatch struct {
	store   cache.Store
	changed chan struct{} // holds one token when something has changed
	synced  func() bool
}

// watchNodes begins to watch the nodes.
func watchNodes(ctx context.Context, kubeconfig string) (*nodeWatch, error) {
	client, err := coreClient(kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("--kubeconfig: %q: %w", kubeconfig, err)
	}
	w := &nodeWatch{changed: make(chan struct{}, 1)}
	store, controller := cache.NewInformerWithOptions(cache.InformerOptions{
		ListerWatcher: cache.NewListWatchFromClient(client, "nodes", "", fields.Everything()),
		ObjectType:    &corev1.Node{},
		Transform:     essence,
		Handler: cache.ResourceEventHandlerFuncs{
			AddFunc:    func(any) { w.notify() },
			UpdateFunc: w.compare,
			DeleteFunc: func(any) { w.notify() },
		},
	})
	w.store, w.synced = store, controller.HasSynced
	go controller.RunWithContext(ctx)
	return w, nil
}

// coreClient speaks the core API and no other: the full client set is five times
// the program.
func coreClient(kubeconfig string) (*rest.RESTClient, error) {
	cfg, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, err
	}
	scheme := runtime.NewScheme()
	if err := corev1.AddToScheme(scheme); err != nil {
		return nil, err
	}
	metav1.AddToGroupVersion(scheme, corev1.SchemeGroupVersion)
	cfg.APIPath, cfg.GroupVersion = "/api", &corev1.SchemeGroupVersion
	cfg.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	return rest.RESTClientFor(cfg)
}

// essence drops what the agent does not look at: nodes are large, and change
// all the time in their conditions.
func essence(obj any) (any, error) {
	n, ok := obj.(*corev1.Node)
	if !ok {
		return obj, nil
	}
	small := &corev1.Node{}
	small.Name, small.ResourceVersion = n.Name, n.ResourceVersion
	small.Spec.PodCIDR, small.Spec.PodCIDRs = n.Spec.PodCIDR, n.Spec.PodCIDRs
	small.Status.Addresses = n.Status.Addresses
	return small, nil
}

func (w *nodeWatch) notify() {
	select {
	case w.changed <- struct{}{}:
	default:
	}
}

func (w *nodeWatch) compare(before, after any) {
	a, ok1 := before.(*corev1.Node)
	b, ok2 := after.(*corev1.Node)
	if ok1 && ok2 && equalNodes(nodeOf(a), nodeOf(b)) {
		return
	}
	w.notify()
}

func equalNodes(a, b clusterNode) bool {
	return slices.Equal(a.addrs, b.addrs) && slices.Equal(a.subnets, b.subnets)
}

// each calls f with all nodes, first when they are known and then at every
// change, until the context is over. After an error of f it is called again.
func (w *nodeWatch) each(ctx context.Context, f func([]clusterNode) error) error {
	if !cache.WaitForCacheSync(ctx.Done(), w.synced) {
		return ctx.Err()
	}
	w.notify()
	var retry <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-w.changed:
		case <-retry:
		}
		retry = nil
		if err := f(w.nodes()); err != nil {
			slog.Error("not in line with the cluster yet", "error", err)
			retry = time.After(retryPause)
		}
	}
}

// nodes lists the nodes by name.
func (w *nodeWatch) nodes() []clusterNode {
	var list []clusterNode
	for _, obj := range w.store.List() {
		if n, ok := obj.(*corev1.Node); ok {
			list = append(list, nodeOf(n))
		}
	}
	slices.SortFunc(list, func(a, b clusterNode) int { return strings.Compare(a.name, b.name) })
	return list
}

// nodeOf reads a node. What is no address or subnet is left out: the API
// server checks both.
func nodeOf(n *corev1.Node) clusterNode {
	c := clusterNode{name: n.Name}
	for _, a := range n.Status.Addresses {
		if ip, err := netip.ParseAddr(a.Address); err == nil && a.Type == corev1.NodeInternalIP {
			c.addrs = append(c.addrs, ip.Unmap())
		}
	}
	cidrs := n.Spec.PodCIDRs
	if len(cidrs) == 0 && n.Spec.PodCIDR != "" {
		cidrs = []string{n.Spec.PodCIDR}
	}
	for _, s := range cidrs {
		if p, err := netip.ParsePrefix(s); err == nil {
			c.subnets = append(c.subnets, p.Masked())
		}
	}
	return c
}

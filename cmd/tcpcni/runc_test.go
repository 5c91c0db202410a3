package main

import "testing"

// TestRuntimeLineStarts reads command lines as runc and crun do: what starts a
// container must not look as if it did not.
func TestRuntimeLineStarts(t *testing.T) {
	for _, c := range []struct {
		args   []string
		starts bool
		bundle string
	}{
		{[]string{"create", "--bundle", "/b", "x"}, true, "/b"},
		{[]string{"--root", "create", "run", "-b=/b", "x"}, true, "/b"},
		{[]string{"create", "x", "--bundle", "/b"}, true, "/b"},
		{[]string{"create", "--help=false", "--bundle", "/b", "x"}, true, "/b"},
		{[]string{"create", "-h=0", "x"}, true, "."},
		{[]string{"create", "--bundle", "--help", "x"}, true, "--help"},
		{[]string{"create", "--help"}, false, ""},
		{[]string{"create", "-h"}, false, ""},
		{[]string{"state", "x"}, false, ""},
		{nil, false, ""},
	} {
		l, err := parseRuntimeLine(c.args)
		if err != nil {
			t.Errorf("%q: %v", c.args, err)
			continue
		}
		if l.starts() != c.starts || l.bundle != c.bundle {
			t.Errorf("%q: starts %v from %q, want %v from %q", c.args, l.starts(), l.bundle, c.starts, c.bundle)
		}
	}
	for _, args := range [][]string{{"restore", "x"}, {"create", "--new-flag", "v", "x"}, {"create"}, {"create", "a", "b"}} {
		if _, err := parseRuntimeLine(args); err == nil {
			t.Errorf("%q: no error", args)
		}
	}
}

// TestPodSandbox tells the container that only holds namespaces from others,
// which a user may have given the annotation of another runtime's.
func TestPodSandbox(t *testing.T) {
	const containerd, crio = "io.kubernetes.cri.container-type", "io.kubernetes.cri-o.ContainerType"
	for _, c := range []struct {
		annotations map[string]string
		want        bool
	}{
		{nil, false},
		{map[string]string{containerd: "sandbox"}, true},
		{map[string]string{crio: "sandbox"}, true},
		{map[string]string{containerd: "container"}, false},
		{map[string]string{containerd: "container", crio: "sandbox"}, false},
		{map[string]string{containerd: "sandbox", crio: "container"}, false},
	} {
		b := &bundle{annotations: c.annotations}
		if got := b.isPodSandbox(); got != c.want {
			t.Errorf("%v: %v, want %v", c.annotations, got, c.want)
		}
	}
}

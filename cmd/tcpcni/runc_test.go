package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Command lines as managers write them.
func TestRuntimeLine(t *testing.T) {
	for _, c := range []struct {
		line string
		want runtimeLine
		says string
	}{
		{"--root /run/containerd/runc/k8s.io --log /l/log.json --log-format json --systemd-cgroup create --bundle /b --pid-file /b/init.pid --console-socket /c id",
			runtimeLine{command: "create", id: "id", bundle: "/b", logFile: "/l/log.json", logJSON: true}, ""},
		{"--log-level=warning --log=x --systemd-cgroup create --bundle /b --no-pivot --pid-file /p id", runtimeLine{command: "create", id: "id", bundle: "/b", logFile: "x"}, ""},
		{"create id -b=/b", runtimeLine{command: "create", id: "id", bundle: "/b"}, ""},
		{"run -d -- id", runtimeLine{command: "run", id: "id", bundle: "."}, ""},
		{"-root run create -bundle run run", runtimeLine{command: "create", id: "run", bundle: "run"}, ""},
		{"create --help", runtimeLine{}, ""},
		{"--version", runtimeLine{}, ""},
		{"", runtimeLine{}, ""},
		{"exec --process p.json --whatever create", runtimeLine{command: "exec"}, ""},
		{"--root r start id", runtimeLine{command: "start", id: "id"}, ""},
		{"start a b", runtimeLine{}, "container ID"},
		{"kill id KILL", runtimeLine{command: "kill"}, ""},
		// What follows an unknown flag might be its value.
		{"--new create delete", runtimeLine{}, "--new"},
		{"create --new /b id", runtimeLine{}, "--new"},
		{"create --bundle", runtimeLine{}, "no value"},
		{"create", runtimeLine{}, "container ID"},
		{"create a b", runtimeLine{}, "container ID"},
		// An engine's sockets are in no image of a process.
		{"checkpoint id", runtimeLine{}, "sockets cannot be saved"},
		{"--root r checkpoint --leave-running id", runtimeLine{}, `"checkpoint": an engine's sockets cannot be saved: accepted: create`},
		{"restore id", runtimeLine{}, "sockets cannot be brought back"},
		{"restored id", runtimeLine{}, `"restored": accepted`},
		{"Create id", runtimeLine{}, "Create"},
	} {
		got, err := parseRuntimeLine(strings.Fields(c.line))
		switch {
		case c.says != "":
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s: %+v %v", c.line, got, err)
			}
		case err != nil:
			t.Errorf("%s: %v", c.line, err)
		case *got != c.want:
			t.Errorf("%s: %+v, want %+v", c.line, *got, c.want)
		}
	}
}

func writeBundle(t *testing.T, text string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(text), 0o640); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Fields that the wrapper does not know survive, and what it cannot judge stops
// it.
func TestBundle(t *testing.T) {
	dir := writeBundle(t, `{"ociVersion":"1.2.0","new":{"a":[1,2]},"hooks":{"prestart":[{"path":"/setkey","args":["setkey"]}],"createRuntime":[{"path":"/first"}]},
"linux":{"newer":true,"namespaces":[{"type":"network"}],"seccomp":{"defaultAction":"SCMP_ACT_ERRNO"}}}`)
	set := &settings{StateDir: "/state", Attach: true}
	for range 2 { // the second time nothing is doubled
		b, err := readBundle(dir)
		if err != nil {
			t.Fatal(err)
		}
		if !b.hasNetNS || b.netNS != "" || b.seccomp == nil {
			t.Errorf("%+v", b)
		}
		if err := b.addHooks(set, true); err != nil {
			t.Fatal(err)
		}
		if err := b.write(); err != nil {
			t.Fatal(err)
		}
	}
	var got struct {
		New   struct{ A []int }
		Hooks map[string][]struct {
			Path string
			Args []string
		}
		Linux struct{ Newer bool }
	}
	text, err := os.ReadFile(filepath.Join(dir, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	create := got.Hooks["createRuntime"]
	if len(got.New.A) != 2 || !got.Linux.Newer || len(got.Hooks["prestart"]) != 1 || len(got.Hooks["poststop"]) != 1 ||
		len(create) != 2 || create[0].Path != "/first" || create[1].Args[2] != hookAttach {
		t.Errorf("%s", text)
	}
	if st, err := os.Stat(filepath.Join(dir, "config.json")); err != nil || st.Mode().Perm() != 0o640 {
		t.Errorf("mode %v, %v", st.Mode(), err)
	}
	for text, says := range map[string]string{
		`{`:                                    "config.json",
		`{"Linux":{}}`:                         "accepted: linux",
		`{"linux":{"Seccomp":{}}}`:             "accepted: seccomp",
		`{"linux":{"seccomp":{"newRules":1}}}`: "newRules",
		`{"linux":{"namespaces":"none"}}`:      "namespaces",
	} {
		if _, err := readBundle(writeBundle(t, text)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestSettings(t *testing.T) {
	t.Setenv("TCPCNI_STATE", "")
	file := filepath.Join(t.TempDir(), "runc.json")
	for text, says := range map[string]string{
		`{"runtime":"runc"}`:                    "runtime",
		`{"stateDir":"here"}`:                   "stateDir",
		`{"colour":"red"}`:                      "colour",
		`{"runtime":"/usr/sbin/runc"}`:          "",
		`{"attach":true,"network":{"mtu":"x"}}`: "",
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := readSettings(file)
		if says == "" && (err != nil || s.StateDir == "") || says != "" && (err == nil || !strings.Contains(err.Error(), says)) {
			t.Errorf("%s: %+v %v", text, s, err)
		}
	}
	if s, err := readSettings(file + "none"); err != nil || s.StateDir != "/run/tcpcni" {
		t.Errorf("no file: %+v %v", s, err)
	}
}

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
	for _, args := range [][]string{{"restore", "x"}, {"checkpoint", "x"}, {"create", "--new-flag", "v", "x"}, {"create"}, {"create", "a", "b"}} {
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

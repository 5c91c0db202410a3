package node

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const goodList = `{"cniVersion":"1.0.0","name":"n","plugins":[
	{"type":"tcpcni","ipam":{"type":"host-local","ranges":[[{"subnet":"10.0.0.0/24"}]]}}]}`

// place makes the directories of an installation, with programs in the source.
func place(t *testing.T, programs map[string]string) Options {
	t.Helper()
	root := t.TempDir()
	o := Options{
		Source: filepath.Join(root, "src"), BinDir: filepath.Join(root, "bin"),
		ConfDir: filepath.Join(root, "conf"), Name: DefaultName, Conf: []byte(goodList),
	}
	for _, d := range []string{o.Source, o.BinDir, o.ConfDir} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range programs {
		if err := os.WriteFile(filepath.Join(o.Source, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return o
}

func names(t *testing.T, dir string) string {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range list {
		out = append(out, e.Name())
	}
	return strings.Join(out, " ")
}

func TestInstallAndUninstall(t *testing.T) {
	o := place(t, map[string]string{"tcpcni": "one", "host-local": "two", "other": "no"})
	// What a killed installation left.
	if err := os.WriteFile(filepath.Join(o.ConfDir, tempMark+"x"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Install(o); err != nil {
		t.Fatal(err)
	}
	if got := names(t, o.BinDir); got != "host-local tcpcni tcpcni-runc" {
		t.Errorf("binaries: %s", got)
	}
	if got := names(t, o.ConfDir); got != DefaultName {
		t.Errorf("configurations: %s", got)
	}
	if b, err := os.ReadFile(filepath.Join(o.BinDir, runcName)); err != nil || string(b) != "one" {
		t.Errorf("wrapper: %q, %v", b, err)
	}
	if err := Uninstall(o, true); err != nil {
		t.Fatal(err)
	}
	if got := names(t, o.ConfDir) + "|" + names(t, o.BinDir); got != "|host-local tcpcni tcpcni-runc" {
		t.Errorf("with keepBinaries: %s", got)
	}
	for range 2 {
		if err := Uninstall(o, false); err != nil {
			t.Fatal(err)
		}
	}
	if got := names(t, o.BinDir); got != "host-local" {
		t.Errorf("after uninstall: %s", got)
	}
}

// A program that runs keeps its file: the new one is another file, not other
// content of the old one. An equal one is not touched.
func TestInstallReplacesFiles(t *testing.T) {
	o := place(t, map[string]string{"tcpcni": "old", "host-local": "same"})
	if err := Install(o); err != nil {
		t.Fatal(err)
	}
	stat := func(name string) os.FileInfo {
		st, err := os.Stat(filepath.Join(o.BinDir, name))
		if err != nil {
			t.Fatal(err)
		}
		return st
	}
	running, err := os.Open(filepath.Join(o.BinDir, "tcpcni"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = running.Close() }()
	before := stat("host-local")
	if err := os.WriteFile(filepath.Join(o.Source, "tcpcni"), []byte("new"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := Install(o); err != nil {
		t.Fatal(err)
	}
	old := make([]byte, 8)
	if n, _ := running.Read(old); string(old[:n]) != "old" {
		t.Errorf("the running program's file says %q", old[:n])
	}
	if b, _ := os.ReadFile(filepath.Join(o.BinDir, "tcpcni")); string(b) != "new" {
		t.Errorf("the installed file says %q", b)
	}
	if !os.SameFile(before, stat("host-local")) {
		t.Error("an equal file was replaced")
	}
}

// A configuration that the plugin would refuse does not touch anything.
func TestInstallRefuses(t *testing.T) {
	for _, test := range []struct{ name, list, want string }{
		{"no list", `{`, "configuration list"},
		{"unknown key", strings.Replace(goodList, `"ipam"`, `"mtuu":1,"ipam"`, 1), "mtuu"},
		{"missing plugin", strings.Replace(goodList, `]}`, `,{"type":"portmap"}]}`, -1), `"portmap"`},
		{"without tcpcni", `{"cniVersion":"1.0.0","name":"n","plugins":[{"type":"host-local"}]}`, "tcpcni"},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := place(t, map[string]string{"tcpcni": "x", "host-local": "y"})
			o.Conf = []byte(test.list)
			err := Install(o)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want one with %q", err, test.want)
			}
			if got := names(t, o.BinDir) + names(t, o.ConfDir); got != "" {
				t.Errorf("left behind: %s", got)
			}
		})
	}
	o := place(t, map[string]string{"host-local": "y"})
	if err := Install(o); err == nil || !strings.Contains(err.Error(), "--source") {
		t.Errorf("without the plugin: %v", err)
	}
}

func TestFill(t *testing.T) {
	template := []byte(`{"cniVersion":"1.0.0","name":"n","plugins":[
		{"type":"tcpcni","mtu":1400,"ipam":{"type":"host-local","ranges":"podCIDRs","routes":"default"}},
		{"type":"portmap","capabilities":{"portMappings":true}}]}`)
	got, err := Fill(template, []netip.Prefix{netip.MustParsePrefix("10.1.2.0/24"), netip.MustParsePrefix("fd01::/64")})
	if err != nil {
		t.Fatal(err)
	}
	flat := strings.Join(strings.Fields(string(got)), "")
	for _, want := range []string{
		`"ranges":[[{"subnet":"10.1.2.0/24"}],[{"subnet":"fd01::/64"}]]`,
		`"routes":[{"dst":"0.0.0.0/0"},{"dst":"::/0"}]`, `"mtu":1400`, `"portMappings":true`,
	} {
		if !strings.Contains(flat, want) {
			t.Errorf("no %s in %s", want, flat)
		}
	}
	if err := CheckList(got, func(string) bool { return true }); err != nil {
		t.Error(err)
	}
	if _, err := Fill(template, nil); err == nil || !strings.Contains(err.Error(), PodCIDRs) {
		t.Errorf("without subnets: %v", err)
	}
}

// The list that deploy/ has is one that the plugin takes.
func TestDeployedList(t *testing.T) {
	template, err := os.ReadFile("../../../deploy/base/conflist.json")
	if err != nil {
		t.Fatal(err)
	}
	list, err := Fill(template, []netip.Prefix{netip.MustParsePrefix("10.1.2.0/24")})
	if err != nil {
		t.Fatal(err)
	}
	if err := CheckList(list, func(string) bool { return true }); err != nil {
		t.Error(err)
	}
}

func TestProfile(t *testing.T) {
	dir := t.TempDir()
	const listener = "/run/somewhere/listener.sock"
	if err := InstallProfile(dir, listener); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(dir, ProfileName))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{listener, "SCMP_ACT_NOTIFY", `"defaultAction": "SCMP_ACT_ERRNO"`} {
		if !strings.Contains(string(b), want) {
			t.Errorf("no %s in the profile", want)
		}
	}
	for range 2 {
		if err := RemoveProfile(dir); err != nil {
			t.Fatal(err)
		}
	}
	if got := names(t, dir); got != "" {
		t.Errorf("left: %s", got)
	}
	if err := RemoveProfile(filepath.Join(dir, "none")); err != nil {
		t.Error(err)
	}
	if err := InstallProfile(filepath.Join(dir, "none"), listener); err == nil {
		t.Error("a profile without a directory")
	}
}

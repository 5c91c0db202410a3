package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/containernetworking/cni/libcni"
)

// The embedded network is the documented one; it masquerades, and programs that
// are not intercepted have no way out of it.
func TestDefaultConflist(t *testing.T) {
	const documented = `{"cniVersion":"1.1.0","name":"demo","plugins":[{"type":"tcpcni","uplink":"ptp","mtu":1500,"profile":"linux","ipMasq":true,"inline":false,
"ipam":{"type":"host-local","ranges":[[{"subnet":"10.87.0.0/24"}],[{"subnet":"fd87::/64"}]],"routes":[{"dst":"0.0.0.0/0"},{"dst":"::/0"}]}}]}`
	var got, want any
	if err := json.Unmarshal(defaultConflist, &got); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(documented), &want); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("embedded: %s", defaultConflist)
	}
	list, err := loadConflist("", "/state", &edits{})
	if err != nil {
		t.Fatal(err)
	}
	if list.Name != "demo" || len(list.Plugins) != 1 || !strings.Contains(string(list.Bytes), `"dataDir":"/state/ipam"`) {
		t.Errorf("loaded: %s", list.Bytes)
	}
}

func TestEditsReachThePlugin(t *testing.T) {
	const list = `{"cniVersion":"1.1.0","name":"n","plugins":[{"type":"other","mtu":1},{"type":"tcpcni","tunables":{"tcp_sack":"0","tcp_fin_timeout":"9"},"ipam":{"type":"x"}}]}`
	e := &edits{profile: "linux", set: []string{"tcp_sack=1"}, pcap: "x.pcap", impair: "loss=0.1"}
	got, err := editConflist([]byte(list), e, func(b []byte) ([]byte, error) { return b, nil })
	if err != nil {
		t.Fatal(err)
	}
	var parsed struct {
		Plugins []struct {
			Type, Profile, Pcap, Impair string
			MTU                         int
			Tunables                    map[string]string
		}
	}
	if err := json.Unmarshal(got, &parsed); err != nil {
		t.Fatal(err)
	}
	p := parsed.Plugins[1]
	switch {
	case p.Profile != "linux" || p.Impair != "loss=0.1" || !filepath.IsAbs(p.Pcap) || filepath.Base(p.Pcap) != "x.pcap",
		p.Tunables["tcp_sack"] != "1" || p.Tunables["tcp_fin_timeout"] != "9",
		parsed.Plugins[0].MTU != 1 || parsed.Plugins[0].Profile != "":
		t.Errorf("edited: %s", got)
	}
}

func TestConflistErrors(t *testing.T) {
	dir := t.TempDir()
	for i, c := range []struct {
		text string
		e    edits
		says []string
	}{
		{`nonsense`, edits{}, []string{"configuration list"}},
		{`{"name":"n"}`, edits{}, []string{"plugins", "configuration list"}},
		{`{"plugins":[]}`, edits{}, []string{"plugins"}},
		{`{"plugins":[7]}`, edits{}, []string{"plugins[0]"}},
		{`{"plugins":[{"type":"ptp"}]}`, edits{}, []string{"plugins", `"ptp"`, "tcpcni"}},
		{`{"cniVersion":"1.1.0","name":"n","plugins":[{"type":"tcpcni","mtu":1,"ipam":{"type":"x"}}]}`, edits{}, []string{"plugins[0].mtu", "1", "576"}},
		{`{"cniVersion":"1.1.0","name":"n","plugins":[{"type":"tcpcni","mtu":1400,"mtu":1,"ipam":{"type":"x"}}]}`, edits{}, []string{"mtu", "once"}},
		{`{"cniVersion":"9.1.0","name":"n","plugins":[{"type":"tcpcni","ipam":{"type":"x"}}]}`, edits{}, []string{"cniVersion", "9.1.0", "1.1.0"}},
		{`{"name":"n","plugins":[{"type":"tcpcni","ipam":{"type":"x"}}]}`, edits{}, []string{"cniVersion", `""`, "1.1.0"}},
		{string(defaultConflist), edits{set: []string{"luck"}}, []string{"--set", "luck", "TUNABLE=VALUE"}},
		{string(defaultConflist), edits{set: []string{"=1"}}, []string{"--set", "=1"}},
		{string(defaultConflist), edits{set: []string{"luck=1"}}, []string{"luck", "tcp_sack"}},
		{string(defaultConflist), edits{profile: "plan9"}, []string{"profile", "plan9", "linux"}},
		{string(defaultConflist), edits{impair: "loss=2"}, []string{"loss", "2"}},
	} {
		path := filepath.Join(dir, "c.conflist")
		if err := os.WriteFile(path, []byte(c.text), 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := loadConflist(path, "/state", &c.e)
		if err == nil {
			t.Errorf("%d: accepted", i)
			continue
		}
		for _, w := range append(c.says, "--conf", path) {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%d: the error does not say %q: %v", i, w, err)
			}
		}
	}
}

// A plugin that is missing is named before anything is made with the others.
func TestFindPlugins(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "tcpcni"), nil, 0o755); err != nil {
		t.Fatal(err)
	}
	for types, says := range map[string]string{`"tcpcni"`: "", `"tcpcni","nosuch"`: `plugins[1].type: "nosuch"`, `"a/b"`: `plugins[0].type: "a/b"`} {
		text := `{"cniVersion":"1.1.0","name":"n","plugins":[{"type":` + strings.ReplaceAll(types, ",", `},{"type":`) + `}]}`
		list, err := libcni.NetworkConfFromBytes([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		err = findPlugins(list, []string{dir})
		if (err == nil) != (says == "") || err != nil && !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", types, err)
		}
	}
}

func FuzzEditConflist(f *testing.F) {
	f.Add(defaultConflist, "tcp_sack=1")
	f.Add([]byte(`{"plugins":[{"type":"tcpcni","tunables":null}]}`), "a=b")
	f.Fuzz(func(t *testing.T, data []byte, set string) {
		got, err := editConflist(data, &edits{set: []string{set}}, func(b []byte) ([]byte, error) { return b, nil })
		if err == nil && !json.Valid(got) {
			t.Fatalf("%q became %q", data, got)
		}
	})
}

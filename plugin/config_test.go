package plugin

import (
	"encoding/json"
	"errors"
	"maps"
	"path/filepath"
	"strings"
	"testing"
)

// conf is a good configuration with members added or, with "", taken away.
func conf(members ...string) string {
	c := map[string]string{
		"cniVersion": `"1.1.0"`, "name": `"demo"`, "type": `"tcpcni"`,
		"uplink": `"ptp"`, "mtu": "1500", "profile": `"linux"`,
		"ipam": `{"type":"host-local","ranges":[[{"subnet":"10.87.0.0/24"}]]}`,
	}
	for i := 0; i+1 < len(members); i += 2 {
		c[members[i]] = members[i+1]
	}
	var parts []string
	for k, v := range maps.All(c) {
		if v != "" {
			parts = append(parts, `"`+k+`":`+v)
		}
	}
	return "{" + strings.Join(parts, ",") + "}"
}

func TestParseConfigDefaults(t *testing.T) {
	c, err := ParseConfig([]byte(conf("uplink", "", "mtu", "", "profile", "")))
	if err != nil {
		t.Fatal(err)
	}
	if c.Uplink != UplinkPTP || c.MTU != 0 || c.profileName() != DefaultProfile || c.IPMasq || c.IPAMType != "host-local" {
		t.Fatalf("defaults: %+v", c)
	}
}

func TestParseConfigTakesEveryKey(t *testing.T) {
	c, err := ParseConfig([]byte(conf(
		"uplink", `"bridge"`, "bridge", `"br0"`, "mtu", "9000",
		"tunables", `{"tcp_fin_timeout":"30","tcp_sack":1,"tcp_timestamps":false,"tcp_abort_on_overflow":true}`,
		"pcap", `"/tmp/x.pcap"`, "impair", `"seed=1,loss=0.02"`, "ipMasq", "true", "ipMasqBackend", `"nftables"`,
		"dns", `{"nameservers":["10.0.0.1"],"search":["a.test"]}`,
		"runtimeConfig", `{"mac":"02:00:00:00:00:07","portMappings":[]}`, "capabilities", `{"mac":true}`,
		"prevResult", `{"cniVersion":"1.1.0"}`, "args", `{}`,
		"cni.dev/valid-attachments", `[{"containerID":"a","ifname":"eth0"}]`,
	)))
	if err != nil {
		t.Fatal(err)
	}
	switch {
	case c.Uplink != UplinkBridge || c.Bridge != "br0" || c.MTU != 9000,
		c.Tunables["tcp_fin_timeout"] != "30" || c.Tunables["tcp_sack"] != "1",
		c.Tunables["tcp_timestamps"] != "0" || c.Tunables["tcp_abort_on_overflow"] != "1",
		c.Pcap != "/tmp/x.pcap" || c.Impair != "seed=1,loss=0.02" || !c.IPMasq || c.IPMasqBackend != "nftables",
		len(c.DNS.Nameservers) != 1 || len(c.DNS.Search) != 1,
		c.MAC.String() != "02:00:00:00:00:07" || c.PrevResult == nil,
		len(c.ValidAttachments) != 1 || c.ValidAttachments[0].ContainerID != "a":
		t.Fatalf("parsed: %+v", c)
	}
}

// Each error has to name the field, the value, and what is accepted.
func TestParseConfigErrors(t *testing.T) {
	for _, c := range []struct {
		what, text string
		says       []string
	}{
		{"uplink of another kind", conf("uplink", `"veth"`), []string{"uplink", "veth", `"ptp"`, `"bridge"`}},
		{"uplink of another type", conf("uplink", `7`), []string{"uplink", "7", `"ptp"`}},
		{"uplink null", conf("uplink", `null`), []string{"uplink", "null", `"ptp"`}},
		{"bridge without a name", conf("uplink", `"bridge"`), []string{"bridge", `""`, "interface name"}},
		{"bridge with a long name", conf("uplink", `"bridge"`, "bridge", `"a-name-of-16-byt"`), []string{"bridge", "a-name-of-16-byt", "15"}},
		{"bridge with a slash", conf("uplink", `"bridge"`, "bridge", `"../x"`), []string{"bridge", "../x"}},
		{"bridge of a ptp uplink", conf("bridge", `"br0"`), []string{"bridge", "br0", "uplink"}},
		{"mtu too small", conf("mtu", "575"), []string{"mtu", "575", "576", "65521"}},
		{"mtu too big", conf("mtu", "65522"), []string{"mtu", "65522", "576", "65521"}},
		{"mtu no integer", conf("mtu", "1500.5"), []string{"mtu", "1500.5", "integer"}},
		{"mtu a string", conf("mtu", `"1500"`), []string{"mtu", `"1500"`, "integer"}},
		{"profile unknown", conf("profile", `"plan9"`), []string{"profile", "plan9", "linux"}},
		{"tunable unknown", conf("tunables", `{"luck":"7"}`), []string{"tunables", "luck", "tcp_fin_timeout"}},
		{"tunable out of range", conf("tunables", `{"tcp_syn_retries":"-1"}`), []string{"tcp_syn_retries", "-1"}},
		{"tunable an object", conf("tunables", `{"tcp_sack":{}}`), []string{"tunables.tcp_sack", "{}", "string"}},
		{"tunables a list", conf("tunables", `[]`), []string{"tunables", "[]", "object"}},
		{"impair unknown", conf("impair", `"luck=1"`), []string{"impair", "luck", "reorder"}},
		{"impair out of range", conf("impair", `"loss=2"`), []string{"impair", "loss", "2"}},
		{"shards beyond the bounds", conf("shards", "65"), []string{"shards", "65", "1 to 64"}},
		{"shards with a capture", conf("shards", "2", "pcap", `"/a.pcap"`), []string{"shards", "2", "1, since", "pcap"}},
		{"shards with an impairment", conf("shards", "2", "impair", `"loss=0.1"`), []string{"shards", "2", "1, since", "impair"}},
		{"shards with a bandwidth", conf("shards", "2", "runtimeConfig", `{"bandwidth":{"ingressRate":8000000,"ingressBurst":80000}}`), []string{"shards", "2", "1, since", "bandwidth"}},
		{"shards with leases", conf("shards", "2", "uplink", `"bridge"`, "bridge", `"br0"`, "ipam", `{"type":"dhcp"}`), []string{"shards", "2", "1, since", "dhcp"}},
		{"shards on a chained uplink", conf("shards", "2", "uplink", `"chained"`, "ipam", "", "mtu", ""), []string{"shards", "2", "ptp"}},
		{"pcap relative", conf("pcap", `"x.pcap"`), []string{"pcap", "x.pcap", "absolute"}},
		{"masquerading backend", conf("ipMasqBackend", `"ebtables"`), []string{"ipMasqBackend", "ebtables", "nftables"}},
		{"a name server by its name", conf("dns", `{"nameservers":["10.0.0.1","x"]}`), []string{"dns.nameservers[1]", `"x"`, "an address such as"}},
		{"ipMasq a string", conf("ipMasq", `"yes"`), []string{"ipMasq", "yes", "true or false"}},
		{"no ipam", conf("ipam", ""), []string{"ipam.type", "host-local"}},
		{"ipam without a type", conf("ipam", "{}"), []string{"ipam.type", "missing", "host-local"}},
		{"ipam a path", conf("ipam", `{"type":"../evil"}`), []string{"ipam.type", "../evil"}},
		{"mac multicast", conf("runtimeConfig", `{"mac":"01:00:00:00:00:07"}`), []string{"runtimeConfig.mac", "01:00", "unicast"}},
		{"a key misspelt", conf("uplinks", `"ptp"`), []string{"uplinks", `"ptp"`, "uplink", "mtu"}},
		{"a key in another case", conf("MTU", "1400"), []string{"MTU", "1400", "mtu"}},
		{"a key twice", `{"name":"a","mtu":1500,"mtu":1400}`, []string{"mtu", "1400", "once"}},
		{"a list", `[]`, []string{"object"}},
		{"two objects", conf() + "{}", []string{"after"}},
		{"nothing", ``, []string{"JSON"}},
	} {
		_, err := ParseConfig([]byte(c.text))
		if err == nil {
			t.Errorf("%s: accepted", c.what)
			continue
		}
		for _, w := range c.says {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: the error does not say %q: %v", c.what, w, err)
			}
		}
	}
}

func TestFieldErrorsCanBeTold(t *testing.T) {
	_, err := ParseConfig([]byte(conf("mtu", "1")))
	var f *FieldError
	if !errors.As(err, &f) || f.Field != "mtu" || f.Value != "1" {
		t.Fatalf("%#v", err)
	}
}

func TestWithLeases(t *testing.T) {
	got, err := WithLeases([]byte(conf()), "/state/ipam")
	if err != nil || !strings.Contains(string(got), `"dataDir":"/state/ipam"`) {
		t.Fatalf("%s, %v", got, err)
	}
	if _, err := ParseConfig(got); err != nil {
		t.Fatal(err)
	}
	own := conf("ipam", `{"type":"host-local","dataDir":"/own"}`)
	got, err = WithLeases([]byte(own), "/state/ipam")
	if err != nil || string(got) != own {
		t.Fatalf("%s, %v", got, err)
	}
}

func TestStateDir(t *testing.T) {
	t.Setenv(StateEnv, "relative")
	if _, err := StateDir(); err == nil || !strings.Contains(err.Error(), "relative") {
		t.Fatalf("a relative path: %v", err)
	}
	t.Setenv(StateEnv, "/a/../b/")
	if dir, err := StateDir(); err != nil || dir != "/b" {
		t.Fatalf("%q, %v", dir, err)
	}
	t.Setenv(StateEnv, "")
	if dir, err := StateDir(); err != nil || dir != defaultStateDir {
		t.Fatalf("%q, %v", dir, err)
	}
}

// Attachments that a naive joining of names would confuse have places, devices
// and addresses of their own.
func TestNamesDoNotCollide(t *testing.T) {
	if a, b := uplinkName("a-b", "c"), uplinkName("a", "b-c"); a == b {
		t.Errorf("both uplinks are %s", a)
	}
	if n := uplinkName("a", "eth0"); len(n) > 15 || !validIfname(n) {
		t.Errorf("uplink %q", n)
	}
	long := strings.Repeat("x", 300)
	a, b := SandboxAt("/s", long+"1", "eth0"), SandboxAt("/s", long+"2", "eth0")
	if a.Dir == b.Dir || len(filepath.Base(a.Dir)) > 250 {
		t.Errorf("%q, %q", a.Dir, b.Dir)
	}
	if err := a.checkControlPath(); err != nil {
		t.Errorf("a long name: %v", err) // its socket's path is short all the same
	}
	if err := SandboxAt("/"+strings.Repeat("s", 100), "a", "eth0").checkControlPath(); err == nil {
		t.Error("a control socket's path that is too long was accepted")
	}
	if m := derivedMAC("a", "eth0"); m[0]&3 != 2 || len(m) != 6 {
		t.Errorf("address %s is not a local unicast address", m)
	}
}

func FuzzParseConfig(f *testing.F) {
	f.Add([]byte(conf()))
	f.Add([]byte(conf("uplink", `"bridge"`, "bridge", `"br0"`, "tunables", `{"tcp_sack":true}`, "prevResult", "null")))
	f.Add([]byte(`{"mtu":1,"mtu":2}`))
	f.Add([]byte(`{"tunables":{"a":"\ud800"}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := ParseConfig(data)
		if err != nil {
			if err.Error() == "" {
				t.Fatal("an error without words")
			}
			return
		}
		// What is accepted is within its bounds and is one JSON object.
		if c.MTU != 0 && c.MTU < minMTU || c.MTU > maxMTU || (c.IPAMType == "") != (c.Uplink == UplinkChained) || !json.Valid(data) {
			t.Fatalf("accepted %q as %+v", data, c)
		}
		if (c.Uplink == UplinkBridge) != (c.Bridge != "") {
			t.Fatalf("accepted %q as %+v", data, c)
		}
		if _, err := WithLeases(data, "/x"); err != nil {
			t.Fatalf("WithLeases: %v", err)
		}
	})
}

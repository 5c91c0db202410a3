package sockopt

import (
	"fmt"
	"strings"
	"testing"
)

// TestExtraPrivPorts: the list is there for illumos and OmniOS only, with the ports of
// NFS, all of it can be given, and while the sandbox runs it changes by one port.
func TestExtraPrivPorts(t *testing.T) {
	const list = "tcp_extra_priv_ports"
	for _, name := range ProfileNames() {
		v, ok := profileOf(t, name).Value(list)
		if want := name == "illumos" || name == "omnios"; ok != want || want && v != "2049,4045" {
			t.Errorf("%s: %q, %v", name, v, ok)
		}
	}
	p := profileOf(t, "illumos")
	for _, c := range []struct{ name, value, reads string }{
		{list + "_add", "6000", "2049,4045,6000"}, {list + "_del", "2049", "4045,6000"}, {list + "_add", " 80 ", "80,4045,6000"},
		{"extra_priv_ports", "9,7,9", "7,9"}, {list + "_del", "7", "9"}, {list + "_del", "9", ""}, {list, "65535", "65535"}, {list, "", ""},
	} {
		if err := p.ChangeTunables(map[string]string{c.name: c.value}); err != nil {
			t.Errorf("%s=%s: %v", c.name, c.value, err)
		}
		if v, _ := p.Value("extra_priv_ports"); v != c.reads {
			t.Errorf("%s=%s: %s, want %s", c.name, c.value, v, c.reads)
		}
	}
	many := "1"
	for port := 2; port <= maxExtraPriv; port++ {
		many += fmt.Sprint(",", port)
	}
	if err := p.ChangeTunables(map[string]string{list: many}); err != nil {
		t.Fatal(err)
	}
	for _, set := range []map[string]string{
		{list + "_add": "1000"}, {list: many + ",1000"}, {list + "_add": "1"}, {list + "_del": "1000"}, {list + "_add": ""}, {list + "_add": "0"},
		{list + "_add": "65536"}, {list + "_del": "1,2"}, {list: "0"}, {list: "1-2"}, {list: "1,"}, {list: "x"}, {list: "+5"}, {list: "9", list + "_add": "10"},
	} {
		if err := p.ChangeTunables(set); err == nil || !strings.Contains(err.Error(), "; accepted: ") {
			t.Errorf("%v: %v", set, err)
		}
		if v, _ := p.Value(list); v != many {
			t.Fatalf("%v changed the list to %s", set, v)
		}
	}
	if _, err := NewTunables(p, map[string]string{list + "_add": "80"}); err == nil || !strings.Contains(err.Error(), "; accepted: none in a configuration") {
		t.Errorf("a configuration: %v", err)
	}
}

// TestPortPrivileged: who may be refused a port, and which ports nobody is given.
func TestPortPrivileged(t *testing.T) {
	p := profileOf(t, "omnios")
	if _, err := NewTunables(p, map[string]string{"extra_priv_ports": "4045,40000,65535"}); err != nil {
		t.Fatal(err)
	}
	withheld := p.Tunables.PortWithheld(32768, 65535)
	for port := range 1 << 16 {
		extra := port == 4045 || port == 40000 || port == 65535
		if got, want := p.Tunables.PortPrivileged(uint16(port)), port != 0 && port < 1024 || extra; got != want {
			t.Errorf("%d: privileged %v", port, got)
		}
		if got := withheld(uint16(port)); got != extra {
			t.Errorf("%d: withheld %v", port, got)
		}
	}
	if p.Tunables.PortWithheld(5000, 6000) != nil || linux(t).Tunables.PortWithheld(1, 65535) != nil || linux(t).Tunables.PortPrivileged(2049) {
		t.Error("ports are withheld that are not named")
	}
}

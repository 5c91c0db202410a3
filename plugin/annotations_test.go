package plugin

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/tcpcni/tcpcni/engine"
)

// annotated is a configuration with annotations of a pod, as pairs, and with
// other members.
func annotated(t *testing.T, pairs []string, more ...string) string {
	t.Helper()
	m := map[string]string{}
	for i := 0; i+1 < len(pairs); i += 2 {
		m[pairs[i]] = pairs[i+1]
	}
	raw, err := json.Marshal(map[string]any{capAnnotations: m})
	if err != nil {
		t.Fatal(err)
	}
	return conf(append([]string{"runtimeConfig", string(raw)}, more...)...)
}

func TestAnnotationsAllowedByDefault(t *testing.T) {
	c, err := ParseConfig([]byte(annotated(t, []string{
		"tcpcni.dev/congestion", "reno",
		"tcpcni.dev/socket-options", `[{"match":{"direction":"out","port":"443"},"set":{"TCP_CONGESTION":"cubic","TCP_NODELAY":true}}]`,
		"tcpcni.dev/intercept", "true",
		"example.org/congestion", "luck",
		"tcpcni.dev.example.org/x", "y",
	}, "socketOptions", `[{"set":{"TCP_KEEPIDLE":60}}]`)))
	if err != nil {
		t.Fatal(err)
	}
	if len(c.SocketOptions) != 3 || c.SocketOptions[0].Unprivileged ||
		c.SocketOptions[1].Set["TCP_CONGESTION"] != "reno" || !c.SocketOptions[1].Unprivileged || c.SocketOptions[1].Match != (engine.SocketMatch{}) ||
		c.SocketOptions[2].Set["TCP_CONGESTION"] != "cubic" || c.SocketOptions[2].Set["TCP_NODELAY"] != "1" || !c.SocketOptions[2].Unprivileged ||
		c.SocketOptions[2].Match.Port != "443" {
		t.Fatalf("%+v", c.SocketOptions)
	}
}

func TestAnnotationsByTheOperator(t *testing.T) {
	c, err := ParseConfig([]byte(annotated(t, []string{
		"tcpcni.dev/profile", "linux",
		"tcpcni.dev/mtu", " 1400 ",
		"tcpcni.dev/bandwidth", `{"egressRate":1000000}`,
		"tcpcni.dev/tunables", `{"tcp_keepalive_time":"60","net.ipv4.tcp_sack":false}`,
	}, "podAnnotations", `["profile","mtu","bandwidth","tunables.tcp_keepalive_*","tunables.tcp_sack"]`,
		"tunables", `{"net.ipv4.tcp_keepalive_time":7,"tcp_sack":1,"tcp_fin_timeout":9}`,
		"bandwidth", `{"ingressRate":5}`)))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"tcp_keepalive_time": "60", "net.ipv4.tcp_sack": "0", "tcp_fin_timeout": "9"}
	if c.MTU != 1400 || c.Bandwidth == nil || *c.Bandwidth != (engine.Bandwidth{EgressRate: 1000000}) || len(c.Tunables) != len(want) {
		t.Fatalf("%+v, %+v", c, c.Bandwidth)
	}
	for name, value := range want {
		if c.Tunables[name] != value {
			t.Errorf("%s is %q, want %q", name, c.Tunables[name], value)
		}
	}
}

// A pod may know a tunable by another system's name than the network does.
func TestAnnotatedTunablesByAnotherName(t *testing.T) {
	c, err := ParseConfig([]byte(annotated(t, []string{"tcpcni.dev/tunables", `{"net.inet.tcp.recvspace":70000}`},
		"podAnnotations", `["tunables"]`, "tunables", `{"tcp_rmem":"4096 65536 100000"}`)))
	if err != nil || c.Tunables["tcp_rmem"] != "4096 70000 100000" || c.Tunables["net.inet.tcp.recvspace"] != "70000" {
		t.Errorf("%v, %v", c, err)
	}
}

// Of what runtime, annotation and configuration say, the most particular counts.
func TestBandwidthOrder(t *testing.T) {
	const own, run = `{"egressRate":1000}`, `{"bandwidth":{"egressRate":2000},"` + capAnnotations + `":{}}`
	c, err := ParseConfig([]byte(conf("bandwidth", own, "runtimeConfig", run)))
	if err != nil || c.Bandwidth.EgressRate != 2000 {
		t.Fatalf("%+v, %v", c, err)
	}
	run2 := strings.Replace(run, "{}", `{"tcpcni.dev/bandwidth":"{\"ingressRate\":3000}"}`, 1)
	c, err = ParseConfig([]byte(conf("bandwidth", own, "runtimeConfig", run2, "podAnnotations", `["bandwidth"]`)))
	if err != nil || *c.Bandwidth != (engine.Bandwidth{IngressRate: 3000}) {
		t.Fatalf("%+v, %v", c, err)
	}
}

func TestAnnotationErrors(t *testing.T) {
	const all = `["profile","mtu","bandwidth","congestion","tunables","socket-options"]`
	for _, c := range []struct {
		name, value, allow string
		says               []string
	}{
		{"luck", "7", all, []string{"tcpcni.dev/luck", "7", "congestion", "intercept"}},
		{"intercept", "maybe", all, []string{"tcpcni.dev/intercept", "maybe", "required"}},
		{"uplink", "ptp", all, []string{"tcpcni.dev/uplink", "congestion"}},
		{"", "x", all, []string{"tcpcni.dev/"}},
		{"mtu", "1400", "", []string{"tcpcni.dev/mtu", "1400", "podAnnotations", "congestion, socket-options.*"}},
		{"congestion", "reno", `[]`, []string{"tcpcni.dev/congestion", "reno", "nothing"}},
		{"congestion", "luck", all, []string{"tcpcni.dev/congestion", "luck", "cubic", "reno"}},
		{"congestion", "", all, []string{"tcpcni.dev/congestion", "cubic"}},
		{"mtu", "1", all, []string{"tcpcni.dev/mtu", "1", "576"}},
		{"mtu", "big", all, []string{"tcpcni.dev/mtu", "big", "JSON"}},
		{"mtu", "", all, []string{"tcpcni.dev/mtu", "JSON"}},
		{"congestion", "sunreno", all, []string{"tcpcni.dev/congestion", "sunreno", "TCP_CONGESTION", "cubic"}}, // OmniOS's
		{"profile", "plan9", all, []string{"tcpcni.dev/profile", "plan9", "linux"}},
		{"bandwidth", `{"egressBurst":8}`, all, []string{"tcpcni.dev/bandwidth.egressBurst", "egressRate"}},
		{"bandwidth", `{"rate":8}`, all, []string{"tcpcni.dev/bandwidth.rate", "egressRate"}},
		{"tunables", `{"tcp_luck":1}`, all, []string{"tcpcni.dev/tunables.tcp_luck", "tcp_sack"}},
		{"tunables", `{"tcp_syn_retries":0}`, all, []string{"tcpcni.dev/tunables", "tcp_syn_retries", "1..127"}},
		{"tunables", `{"tcp_sack":0,"tcp_sack":1}`, all, []string{"tcpcni.dev/tunables.tcp_sack", "once"}},
		{"tunables", `{"tcp_sack":0}`, `["tunables.tcp_keepalive_*"]`, []string{"tcpcni.dev/tunables", "tcp_sack", "tunables.tcp_keepalive_*"}},
		{"tunables", `{`, all, []string{"tcpcni.dev/tunables", "JSON"}},
		{"socket-options", `[{"set":{"TCP_NODELAY":1}}]`, `["socket-options.TCP_KEEP*"]`, []string{"tcpcni.dev/socket-options", "TCP_NODELAY", "TCP_KEEP*"}},
		{"socket-options", `[{"set":{"SO_RCVBUFFORCE":100000}}]`, all, []string{"tcpcni.dev/socket-options[0].set", "SO_RCVBUFFORCE", "capability"}},
		{"socket-options", `[{"set":{"SO_PRIORITY":7}}]`, all, []string{"SO_PRIORITY", "capability"}},
		{"socket-options", `{"TCP_NODELAY":1}`, all, []string{"tcpcni.dev/socket-options", "list"}},
	} {
		more := []string{}
		if c.allow != "" {
			more = append(more, "podAnnotations", c.allow)
		}
		text := annotated(t, []string{annotationDomain + c.name, c.value}, more...)
		_, err := ParseConfig([]byte(text))
		if err == nil {
			t.Errorf("%s=%s: accepted", c.name, c.value)
			continue
		}
		for _, w := range c.says {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s=%s: the error does not say %q: %v", c.name, c.value, w, err)
			}
		}
		// DEL has to work for a pod whose ADD could not.
		if _, err := parseNetwork([]byte(text)); err != nil {
			t.Errorf("%s=%s: the network's configuration: %v", c.name, c.value, err)
		}
	}
	// The interface of a chained sandbox belongs to the plugin before.
	text := annotated(t, []string{"tcpcni.dev/mtu", "1400"}, "uplink", `"chained"`, "ipam", "", "mtu", "", "podAnnotations", `["mtu"]`)
	if _, err := ParseConfig([]byte(text)); err == nil || !strings.Contains(err.Error(), "chained") {
		t.Errorf("chained: %v", err)
	}
}

func TestRequestedAddresses(t *testing.T) {
	c, err := ParseConfig([]byte(conf("runtimeConfig", `{"ips":["10.0.0.7/24","fd00::7"]}`, "args", `{"cni":{"ips":["10.0.0.7"]}}`)))
	if err != nil || len(c.IPs) != 2 {
		t.Fatalf("%v, %v", c.IPs, err)
	}
	got := result(t, `{"ips":[{"address":"10.0.0.7/16"},{"address":"fd00::7/64"}]}`)
	if err := c.gotIPs(got); err != nil {
		t.Error(err)
	}
	err = c.gotIPs(result(t, `{"ips":[{"address":"10.0.0.8/16"},{"address":"fd00::7/64"}]}`))
	if err == nil || !strings.Contains(err.Error(), "10.0.0.7") || !strings.Contains(err.Error(), "10.0.0.8/16") || !strings.Contains(err.Error(), "host-local") {
		t.Errorf("%v", err)
	}
}

// The runtime's word on the MAC address counts before the user's, and that before
// the operator's.
func TestMACOrder(t *testing.T) {
	const run, arg, own = "02:00:00:00:00:01", "02:00:00:00:00:02", "02:00:00:00:00:03"
	for _, c := range []struct{ runtime, args, env, key, want string }{
		{run, arg, "MAC=" + own, own, run},
		{"", arg, "MAC=" + own, own, arg},
		{"", "", "IgnoreUnknown=1;MAC=" + own, arg, own},
		{"", "", "K8S_POD_NAME=a", own, own},
		{"", "", "", "", ""},
	} {
		more := []string{"runtimeConfig", `{"mac":"` + c.runtime + `"}`, "args", `{"cni":{"mac":"` + c.args + `"}}`}
		if c.key != "" {
			more = append(more, "mac", `"`+c.key+`"`)
		}
		cfg, err := parseNetwork([]byte(conf(more...)))
		if err != nil {
			t.Fatal(err)
		}
		if err := cfg.readArgs(c.env); err != nil {
			t.Fatal(err)
		}
		if err := cfg.readAttachment(); err != nil || cfg.MAC.String() != c.want {
			t.Errorf("%+v: %s, %v", c, cfg.MAC, err)
		}
	}
	var cfg Config
	for _, args := range []string{"MAC=01:00:00:00:00:01", "IP=ten"} {
		if err := cfg.readArgs(args); err == nil || !strings.Contains(err.Error(), args[strings.Index(args, "=")+1:]) {
			t.Errorf("%s: %v", args, err)
		}
	}
}

// containerd marshals structs without names of their own.
func TestCapabilitiesOfContainerd(t *testing.T) {
	c, err := ParseConfig([]byte(conf("runtimeConfig", `{"bandwidth":{"IngressRate":8000,"IngressBurst":16000,"EgressRate":0,"EgressBurst":0},
		"dns":{"Servers":["10.0.0.1"],"Searches":["a.test"],"Options":null},"`+capAnnotations+`":null}`)))
	if err != nil {
		t.Fatal(err)
	}
	if c.Bandwidth == nil || *c.Bandwidth != (engine.Bandwidth{IngressRate: 8000, IngressBurst: 16000}) || len(c.DNS.Nameservers) != 1 || len(c.DNS.Search) != 1 {
		t.Fatalf("%+v, %+v", c.Bandwidth, c.DNS)
	}
}

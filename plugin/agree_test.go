package plugin

import (
	"encoding/json"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

func publishedSchema(t testing.TB) *jsonschema.Schema {
	t.Helper()
	f, err := os.Open(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	doc, err := jsonschema.UnmarshalJSON(f)
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	if err := c.AddResource("schema.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func validates(t testing.TB, s *jsonschema.Schema, text string) error {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		return err
	}
	return s.Validate(v)
}

// good are members that a configuration may have, by key: each is accepted by
// the parser and by the schema.
var good = map[string][]string{
	"cniVersion":   {`"0.3.1"`, `"0.4.0"`, `"1.0.0"`, `"1.1.0"`},
	"uplink":       {`"ptp"`},
	"mtu":          {`0`, `576`, `65521`},
	"mac":          {`"02:00:00:00:00:01"`, `"0E-00-00-00-00-01"`},
	"inline":       {`true`, `false`},
	"intercept":    {`{}`, `{"required":true}`, `{"required":false,"namespaces":["default","a-1"]}`},
	"dns":          {`{}`, `{"nameservers":["fd00::1","fe80::1%eth0","::ffff:10.0.0.1","255.255.255.255"]}`, `{"nameservers":["10.0.0.1"],"domain":"a.test","search":[],"options":["ndots:5"]}`},
	"prevResult":   {`null`, `{"cniVersion":"1.1.0","ips":[]}`},
	"capabilities": {`{}`, `{"mac":true,"ips":true,"portMappings":false,"infinibandGUID":false,"io.kubernetes.cri.pod-annotations":true}`},
	"runtimeConfig": {`{}`, `{"mac":""}`, `{"mac":"02:00:00:00:00:07","ips":["10.0.0.7","fd00::7/64"]}`,
		`{"portMappings":[{"hostPort":8080,"containerPort":80,"protocol":"tcp","hostIP":"127.0.0.1"},{"hostPort":0,"containerPort":53,"protocol":"UDP","hostIP":""}]}`,
		`{"bandwidth":{"ingressRate":1000000,"ingressBurst":4294967295,"egressRate":0}}`,
		`{"dns":{"servers":["10.0.0.1"],"searches":["a.test"],"options":[]},"ipRanges":[[{"subnet":"10.1.0.0/24"}]]}`,
		`{"io.kubernetes.cri.pod-annotations":{"a":"b"}}`,
		// As containerd writes them.
		`{"bandwidth":{"IngressRate":1000000,"IngressBurst":4294967295,"EgressRate":0,"EgressBurst":0},"dns":{"Servers":["10.0.0.1"],"Searches":null,"Options":null}}`,
		`{"bandwidth":{"IngressRate":1,"ingressBurst":1}}`, `{"bandwidth":{"egressRate":1,"EgressBurst":1,"IngressRate":null,"IngressBurst":null}}`,
		`{"portMappings":[{"HostPort":8080,"ContainerPort":80,"Protocol":"tcp","HostIP":""}],"io.kubernetes.cri.pod-annotations":null,"infinibandGUID":null,"mac":null,"ips":null}`},
	"args":                      {`{}`, `{"cni":{"labels":[{"key":"a"}],"ips":["10.0.0.7"],"mac":"02:00:00:00:00:07"},"example.org":7}`},
	"cni.dev/valid-attachments": {`[]`, `null`, `[{"containerID":"a","ifname":"eth0"}]`},
	"cni.dev/attachments":       {`null`, `[{"containerID":"a","ifname":"eth0"}]`},
	"ipMasq":                    {`true`},
	"ipMasqBackend":             {`"nftables"`, `"iptables"`},
	"profile":                   {`"linux"`, `"omnios"`},
	"tunables": {`{}`, `{"tcp_fin_timeout":"30","net.ipv4.tcp_sack":1,"tcp_timestamps":false}`,
		`{"tcp_rmem":"4096 8192 16384","tcp_congestion_control":"reno"}`},
	"bandwidth": {`{}`, `{"egressBurst":0}`, `{"ingressRate":0,"ingressBurst":0}`, `{"ingressRate":8000000,"egressRate":8000000,"egressBurst":80000}`},
	"socketOptions": {`[]`, `[{"set":{"TCP_NODELAY":true,"TCP_KEEPIDLE":60,"TCP_CONGESTION":"reno","SO_LINGER":"off","IP_TOS":"16"}}]`,
		`[{"match":{"port":"1-65535"},"set":{"TCP_NODELAY":1}},{"match":{"port":"9999-10000"},"set":{"TCP_NODELAY":1}},{"match":{"port":"59999-65529"},"set":{"TCP_NODELAY":1}}]`,
		`[{"match":{"direction":"out","address":"fd00::/8","port":"443"},"set":{"SO_KEEPALIVE":1}},{"match":{"direction":"in","address":"10.0.0.0/8","port":"8000-9000"},"set":{"TCP_MAXSEG":1000}}]`},
	"podAnnotations": {`[]`, `["profile","mtu","bandwidth","congestion","tunables","tunables.tcp_keepalive_*","tunables.net.ipv4.tcp_sack","socket-options.TCP_NODELAY","socket-options.*"]`},
	"resources":      {`{}`, `{"memory":134217728}`},
	"pcap":           {`"/tmp/a.pcap"`},
	"shards":         {`1`, `64`},
	"impair":         {`""`, `"seed=1,loss=0.02"`},
}

// bad are members that neither accepts.
var bad = map[string][]string{
	"unknown":    {`1`},
	"cniVersion": {`1`, `null`, `""`, `"9.9.9"`, `"0.1.0"`},
	"uplink":     {`"veth"`, `7`, `null`, `"PTP"`},
	"bridge":     {`"br0"`}, // without "uplink":"bridge"
	"vlan":       {`7`},
	"hairpin":    {`true`},
	"isGateway":  {`false`},
	"mtu":        {`-1`, `1`, `100`, `575`, `65522`, `1500.5`, `"1500"`, `null`},
	"mac":        {`"01:00:00:00:00:01"`, `"02:00:00:00:00"`, `""`, `7`},
	"inline":     {`"true"`},
	"intercept":  {`true`, `null`, `{"required":"true"}`, `{"namespaces":"default"}`, `{"namespaces":[""]}`, `{"namespaces":["Default"]}`, `{"namespaces":["-a"]}`, `{"annotation":true}`},
	"ipam":       {`{}`, `{"type":""}`, `{"type":"../evil"}`, `{"type":7}`, `[]`, `null`},
	"dns": {`{"servers":[]}`, `{"nameservers":"10.0.0.1"}`, `{"nameservers":["x"]}`, `{"nameservers":["10.0.0.1","dns.test"]}`, `{"nameservers":[""]}`, `{"nameservers":["10.0.0.1/8"]}`,
		`{"nameservers":["10.0.0.1:53"]}`, `{"nameservers":["10.0.0.1\nnameserver 10.0.0.2"]}`, `{"options":[1]}`},
	"prevResult":   {`7`, `[]`},
	"capabilities": {`{"infinibandGUID":true}`, `{"aliases":true}`, `{"deviceID":true}`, `{"cgroupPath":true}`, `{"luck":true}`, `{"mac":"yes"}`, `[]`},
	"runtimeConfig": {`{"luck":1}`, `{"mac":"01:00:00:00:00:07"}`, `{"ips":"10.0.0.7"}`, `{"ips":["ten"]}`, `{"infinibandGUID":"c2:11:22:33:44:55:66:77"}`,
		`{"portMappings":[{"containerPort":0}]}`, `{"portMappings":[null]}`, `{"BANDWIDTH":{}}`, `{"bandwidth":{"EGRESSRATE":1}}`, `{"portMappings":[{"containerPort":80,"protocol":"icmp"}]}`,
		`{"portMappings":[{"containerPort":80,"port":1}]}`, `{"portMappings":[{"hostPort":65536,"containerPort":80}]}`,
		`{"bandwidth":{"rate":1}}`, `{"bandwidth":{"ingressBurst":1}}`, `{"bandwidth":{"IngressBurst":1}}`, `{"bandwidth":{"IngressRate":0,"IngressBurst":1,"EgressRate":1}}`,
		`{"bandwidth":{"IngressRate":null,"IngressBurst":1}}`, `{"bandwidth":{"ingressRate":-1}}`, `{"dns":{"nameservers":[]}}`, `{"aliases":["a"]}`, `{"deviceID":"x"}`, `{"cgroupPath":"/x"}`,
		`{"io.kubernetes.cri.pod-annotations":{"a":1}}`},
	"args":                      {`[]`, `{"cni":7}`, `{"cni":{"ips":7}}`},
	"cni.dev/valid-attachments": {`{}`, `[{"containerID":"a"}]`, `[{"containerID":"a","ifname":"b","c":1}]`},
	"ipMasq":                    {`"yes"`, `1`},
	"ipMasqBackend":             {`"ebtables"`, `""`},
	"profile":                   {`"plan9"`, `7`},
	"tunables":                  {`[]`, `{"luck":"7"}`, `{"tcp_sack":{}}`, `{"tcp_sack":null}`, `{"tcp_congestion_control":"luck"}`, `{"tcp_rmem":7}`},
	"bandwidth":                 {`{"egressBurst":1000}`, `{"ingressBurst":1}`, `{"egressRate":0,"egressBurst":1}`, `{"ingressRate":1,"egressBurst":1}`, `7`, `{"ingressrate":1}`, `{"ingressRate":1.5}`, `{"egressBurst":34359738369}`, `{"egressRate":1000000000000001}`},
	"socketOptions": {`[{"set":{}}]`, `[{"match":{"port":"443"},"set":{}}]`, `[{"match":{"port":"99999"},"set":{"TCP_NODELAY":1}}]`, `[{"match":{"port":"0"},"set":{"TCP_NODELAY":1}}]`,
		`[{"match":{"port":"1-65536"},"set":{"TCP_NODELAY":1}}]`, `[{"match":{"port":"080"},"set":{"TCP_NODELAY":1}}]`, `{}`, `[{}]`, `[{"match":{}}]`, `[{"set":{"TCP_LUCK":1}}]`, `[{"set":{"SO_REUSEADDR":1}}]`, `[{"set":{"TCP_NODELAY":1},"to":1}]`,
		`[{"match":{"direction":"up"},"set":{"TCP_NODELAY":1}}]`, `[{"match":{"port":443},"set":{"TCP_NODELAY":1}}]`, `[{"match":{"address":"10.0.0.1"},"set":{"TCP_NODELAY":1}}]`,
		`[{"match":{"host":"a"},"set":{"TCP_NODELAY":1}}]`, `[{"set":{"TCP_SYNCNT":0}}]`, `[{"set":{"TCP_CONGESTION":"luck"}}]`},
	"podAnnotations": {`"*"`, `["*"]`, `["uplink"]`, `["pcap"]`, `["socket-options."]`, `[7]`},
	"resources":      {`7`, `{"memory":1}`, `{"memory":"128Mi"}`, `{"cpu":1}`},
	"dhcp":           {`"yes"`, `true`},
	"pcap":           {`"x.pcap"`, `7`},
	"shards":         {`0`, `65`, `-1`, `1.5`, `"2"`},
	"impair":         {`7`},
}

// beyond are members that only the parser refuses: JSON Schema has no words for
// what is wrong with them.
var beyond = map[string][]string{
	"mtu":      {`1.5e3`},
	"mac":      {`"00:00:00:00:00:00"`, `"02:00-00:00:00:01"`},
	"tunables": {`{"tcp_syn_retries":"-1"}`, `{"tcp_rmem":"3 2 1"}`},
	"impair":   {`"luck=1"`, `"loss=2"`},
	"dns":      {`{"nameservers":["10.0.0.300"]}`, `{"nameservers":["1::2::3"]}`},
	"socketOptions": {`[{"set":{"TCP_NODELAY":2}}]`, `[{"set":{"TCP_MAXSEG":87}}]`, `[{"match":{"port":"9-8"},"set":{"TCP_NODELAY":1}}]`,
		`[{"match":{"address":"10.0.0.1/8"},"set":{"TCP_NODELAY":1}}]`, `[{"set":{"TCP_NODELAY":1,"TCP_NODELAY":0}}]`},
	"podAnnotations": {`["tunables.luck"]`, `["socket-options.SO_RCVTIMEO"]`},
	"runtimeConfig":  {`{"mac":"00:00:00:00:00:00"}`, `{"ips":["10.0.0.300"]}`, `{"portMappings":[{"hostPort":8080}]}`, `{"bandwidth":{"EgressRate":1,"egressRate":2}}`, `{"portMappings":[{"containerPort":80,"hostIP":"1.2.3"}]}`},
	"pcap":           {`"/\u0000"`},
}

// TestSchemaAgrees holds the published schema against the parser.
func TestSchemaAgrees(t *testing.T) {
	s := publishedSchema(t)
	check := func(text string, parses, schema bool) {
		t.Helper()
		_, err := ParseConfig([]byte(text))
		if (err == nil) != parses {
			t.Errorf("the parser: %v: %s", err, text)
		}
		if err := validates(t, s, text); (err == nil) != schema {
			t.Errorf("the schema: %v: %s", err, text)
		}
	}
	each := func(table map[string][]string, parses, schema bool) {
		for _, name := range slices.Sorted(maps.Keys(table)) {
			for _, value := range table[name] {
				check(conf(name, value), parses, schema)
			}
		}
	}
	each(good, true, true)
	each(bad, false, false)
	each(beyond, false, true)

	bridge := func(members ...string) string {
		return conf(append([]string{"uplink", `"bridge"`, "bridge", `"br0"`}, members...)...)
	}
	chained := func(members ...string) string {
		return conf(append([]string{"uplink", `"chained"`, "ipam", "", "mtu", ""}, members...)...)
	}
	for _, c := range []struct {
		text           string
		parses, schema bool
	}{
		{conf("uplink", ""), true, true},
		{conf("ipam", ""), false, false},
		{bridge(), true, true},
		{bridge("vlan", "1", "hairpin", "true", "isGateway", "false"), true, true},
		{bridge("vlan", "4094"), true, true},
		{bridge("vlan", "0"), false, false},
		{bridge("vlan", "4095"), false, false},
		{bridge("bridge", ""), false, false},
		{bridge("bridge", `""`), false, false},
		{bridge("bridge", `"a/b"`), false, false},
		{bridge("bridge", `".."`), false, true},
		{bridge("ipam", ""), false, false},
		{chained(), true, true},
		{chained("profile", `"linux"`, "socketOptions", `[{"set":{"TCP_NODELAY":1}}]`, "inline", "false"), true, true},
		{chained("ipam", `{"type":"static"}`), false, false},
		{chained("mtu", "1500"), false, false},
		{chained("mac", `"02:00:00:00:00:01"`), false, false},
		{chained("ipMasq", "true"), false, false},
		{chained("vlan", "7"), false, false},
		{chained("dhcp", "true"), true, true},
		{bridge("dhcp", "true"), false, false},
		{chained("runtimeConfig", `{"mac":"02:00:00:00:00:07"}`), false, true},
		{`[]`, false, false},
		{`{"name":"a","name":"b"}`, false, false},
	} {
		check(c.text, c.parses, c.schema)
	}
	// Every key has good values, and every key that the parser looks into has bad ones.
	for _, k := range keys() {
		if good[k.name] == nil && !slices.Contains([]string{"name", "type", "ipam", "bridge", "vlan", "hairpin", "isGateway", "dhcp"}, k.name) {
			t.Errorf("no good value of %s is tried", k.name)
		}
		if bad[k.name] == nil && !slices.Contains([]string{"name", "type", "cni.dev/attachments"}, k.name) {
			t.Errorf("no bad value of %s is tried", k.name)
		}
	}
}

// FuzzSchemaAgrees: the schema accepts whatever the parser accepts.
func FuzzSchemaAgrees(f *testing.F) {
	s := publishedSchema(f)
	for _, table := range []map[string][]string{good, bad, beyond} {
		for _, name := range slices.Sorted(maps.Keys(table)) {
			for _, value := range table[name] {
				f.Add(conf(name, value))
			}
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := ParseConfig([]byte(text)); err != nil {
			return
		}
		if err := validates(t, s, text); err != nil {
			t.Fatalf("the parser takes what the schema refuses: %v: %s", err, text)
		}
	})
}

// The examples of the page are ones that work, and so are the lists that the
// project ships.
func TestExamples(t *testing.T) {
	page, err := os.ReadFile(pageFile)
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, part := range strings.Split(string(page), "```json\n")[1:] {
		text, _, _ := strings.Cut(part, "```")
		texts = append(texts, text)
	}
	for _, file := range []string{"../deploy/base/conflist.json", "../cmd/tcpcni/default.conflist", "../test/demo/demo.conflist"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, string(text))
	}
	s := publishedSchema(t)
	n := 0
	for _, text := range texts {
		var list struct {
			CNIVersion, Name string
			Plugins          []map[string]json.RawMessage
		}
		if err := json.Unmarshal([]byte(text), &list); err != nil {
			t.Errorf("%v: %s", err, text)
			continue
		}
		for _, p := range list.Plugins {
			if string(p["type"]) != `"tcpcni"` {
				continue
			}
			n++
			raw, err := json.Marshal(p)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := ParseConfig(raw); err != nil {
				t.Errorf("%v: %s", err, raw)
			}
			if err := validates(t, s, string(raw)); err != nil {
				t.Errorf("%v: %s", err, raw)
			}
		}
	}
	if n < len(texts) {
		t.Errorf("%d of %d lists have the plugin", n, len(texts))
	}
}

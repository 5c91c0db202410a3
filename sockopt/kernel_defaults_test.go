package sockopt

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// machines are the tunables whose value in a new network namespace is the
// machine's, by its memory or by who set it up.
var machines = map[string]string{
	"net.core.rmem_max":                       "of the machine",
	"net.core.wmem_max":                       "of the machine",
	"net.core.rmem_default":                   "of the machine",
	"net.core.wmem_default":                   "of the machine",
	"net.ipv4.tcp_rmem":                       "taken from the machine's first namespace, and by its memory",
	"net.ipv4.tcp_wmem":                       "taken from the machine's first namespace",
	"net.ipv4.tcp_congestion_control":         "taken from the machine's first namespace",
	"net.ipv4.tcp_allowed_congestion_control": "of the machine's modules",
	"net.ipv4.tcp_max_tw_buckets":             "by the machine's memory",
	"net.ipv4.tcp_max_syn_backlog":            "by the machine's memory",
}

var (
	otherDefaults = regexp.MustCompile(`(?s)\nSome values differ from Linux's own defaults(.*?)\n\n[^*]`)
	quotedName    = regexp.MustCompile("\n\\* `([a-z0-9_.]+)`")
)

// TestKernelTunableDefaults: the tunables whose default is not this kernel's are
// those that docs/tunables.md lists.
func TestKernelTunableDefaults(t *testing.T) {
	ownNamespace(t)
	if major, minor := kernelVersion(t); major != refusedMajor || minor != refusedMinor {
		t.Skipf("the list is of Linux %d.%d, this is %d.%d", refusedMajor, refusedMinor, major, minor)
	}
	b, err := os.ReadFile(tunablesDocument)
	if err != nil {
		t.Fatal(err)
	}
	section := otherDefaults.FindSubmatch(b)
	if section == nil {
		t.Fatal("docs/tunables.md has no list of other defaults")
	}
	listed := map[string]bool{}
	for _, m := range quotedName.FindAllSubmatch(section[1], -1) {
		listed[string(m[1])] = true
	}
	compared := 0
	for _, r := range linux(t).TunableTable() {
		kernel, err := os.ReadFile("/proc/sys/" + strings.ReplaceAll(r.Name, ".", "/"))
		if !r.Own || r.ReadOnly || machines[r.Name] != "" || err != nil {
			delete(listed, r.Short)
			continue
		}
		compared++
		same := slices.Equal(strings.Fields(string(kernel)), strings.Fields(r.Default))
		if same == listed[r.Short] {
			t.Errorf("%s is %q here and %q on this kernel; listed: %v", r.Name, r.Default, strings.TrimSpace(string(kernel)), listed[r.Short])
		}
		delete(listed, r.Short)
	}
	for name := range listed {
		t.Errorf("docs/tunables.md lists %s, which is no tunable of Linux", name)
	}
	if compared < 60 {
		t.Errorf("%d tunables were compared", compared)
	}
}

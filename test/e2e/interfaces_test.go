package e2e

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
)

// What programs find out about the sandbox's links: by netlink, through libc,
// through Go and through ip(8), and by the older ioctls.

// wantLines fails for each pattern that no line of the text matches.
func wantLines(t *testing.T, text string, patterns ...string) {
	t.Helper()
	for _, p := range patterns {
		if !regexp.MustCompile(`(?m)^` + p + `$`).MatchString(text) {
			t.Errorf("no line matches %q in\n%s", p, text)
		}
	}
}

func TestNetlinkRoute(t *testing.T) {
	h := newHost(t)
	pod := h.pod()
	v4, v6 := regexp.QuoteMeta(pod.v4), regexp.QuoteMeta(pod.v6)

	wantLines(t, pod.start(compileC(t, "getifaddrs")).ok(),
		`eth0 `+v4+` 255\.255\.255\.0 running`, `eth0 `+v6+` ffff:ffff:ffff:ffff:: running`,
		`lo 127\.0\.0\.1 255\.0\.0\.0 running`, `lo ::1 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff running`)

	for _, cgo := range []bool{false, true} {
		wantLines(t, pod.start(compileGo(t, cgo), "interfaces").ok(),
			`[0-9]+ eth0 1500 [0-9a-f:]{17} .*up.*\[`+v4+`/24 `+v6+`/64.*\]`, `1 lo 65536 .*\[127\.0\.0\.1/8 ::1/128\]`)
	}

	var links []struct {
		Ifname    string
		Operstate string
		Address   string
		Info      []struct {
			Family    string
			Local     string
			Prefixlen int
		} `json:"addr_info"`
	}
	must(t, json.Unmarshal([]byte(pod.start("ip", "-j", "addr", "show", "dev", "eth0").ok()), &links))
	found := map[string]int{}
	for _, l := range links {
		for _, a := range l.Info {
			found[a.Local] = a.Prefixlen
		}
	}
	if found[pod.v4] != 24 || found[pod.v6] != 64 {
		t.Errorf("ip addr shows %v", links)
	}
	wantLines(t, pod.start("ip", "route").ok(), `default via `+regexp.QuoteMeta(hostV4)+` dev eth0.*`)
	wantLines(t, pod.start("ip", "-6", "route").ok(), `default via `+hostV6+` dev eth0.*`)
	pod.stop()
}

func TestInterfaceIoctls(t *testing.T) {
	h := newHost(t)
	pod := h.pod()
	mac := strings.Fields(pod.start("ip", "-br", "link", "show", "dev", "eth0").ok())[2]
	got := pod.start("python3", testdata(t, "interfaces.py")).ok()
	wantLines(t, got, `conf eth0 `+regexp.QuoteMeta(pod.v4)+`, lo 127\.0\.0\.1`, `addr `+regexp.QuoteMeta(pod.v4),
		`netmask 255\.255\.255\.0`, `mtu 1500`, `hwaddr 1 `+mac, `index True`, `name eth0`, `up 1 running 1 loopback 0`,
		`b'eth7' 19`, `b'' 19`)
	if half := len(got) / 2; got[:half] != got[half:] {
		t.Errorf("a TCP and a UDP socket disagree:\n%s", got)
	}
	pod.stop()
}

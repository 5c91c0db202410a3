package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// BIRD, unmodified, with BGP sessions that are signed by RFC 2385: two sandboxes
// of profile linux, whose programs bring their keys by TCP_MD5SIG.

// A router is a BIRD in a sandbox.
type router struct {
	pod    *sandbox
	proc   *proc
	socket string // where birdc asks it
	pcap   string
}

// birdConf is one side of a session between the two addresses.
func birdConf(own, peer string, as, peerAS int, password string) string {
	family, route := "ipv4", fmt.Sprintf("198.51.%d.0/24", as%256)
	if strings.Contains(own, ":") {
		family, route = "ipv6", fmt.Sprintf("2001:db8:%x::/48", as)
	}
	return fmt.Sprintf(`
log stderr all;
router id 192.0.2.%[3]d;
protocol device { }
protocol static { %[6]s; route %[7]s blackhole; }
protocol bgp peer {
	local %[1]s as %[3]d;
	neighbor %[2]s as %[4]d;
	multihop 8;
	hold time 6;
	%[5]s
	connect delay time 1;
	connect retry time 1;
	error wait time 1, 1;
	%[6]s { import all; export all; };
}
`, own, peer, as, peerAS, password, family, route)
}

// bird starts BIRD in a sandbox with a capture.
func (h *host) bird(pod *sandbox, pcap, conf string) *router {
	h.t.Helper()
	dir, err := os.MkdirTemp(workDir, "bird")
	must(h.t, err)
	must(h.t, os.WriteFile(dir+"/bird.conf", []byte(conf), 0o644))
	r := &router{pod: pod, socket: dir + "/ctl", pcap: pcap}
	r.proc = pod.start("bird", "-f", "-c", dir+"/bird.conf", "-s", r.socket)
	eventually(h.t, "BIRD's control socket", func() bool { _, err := os.Stat(r.socket); return err == nil })
	return r
}

func (r *router) ask(words ...string) string {
	r.pod.h.t.Helper()
	return r.pod.h.start(append([]string{"birdc", "-s", r.socket}, words...)...).ok()
}

func (r *router) established() bool {
	return regexp.MustCompile(`(?m)^peer .*Established`).MatchString(r.ask("show", "protocols", "peer"))
}

// dropped is a counter of segments whose signature was not what it had to be.
func (r *router) dropped(name string) int {
	h := r.pod.h
	h.t.Helper()
	m := regexp.MustCompile(`(?m)^` + name + ` ([0-9]+)$`).FindStringSubmatch(h.tcpcni("tcpkey", r.pod.name, "counters").ok())
	if m == nil {
		h.t.Fatalf("no counter %s", name)
	}
	n, err := strconv.Atoi(m[1])
	must(h.t, err)
	return n
}

// routers are two sandboxes with a BIRD each, of whose session each has a part.
func (h *host) routers(six bool, password func(i int) string) [2]*router {
	h.t.Helper()
	var pods [2]*sandbox
	var pcaps, addrs [2]string
	for i := range pods {
		pcaps[i] = filepath.Join(h.t.TempDir(), "frames.pcap")
		pods[i] = h.pod("--pcap", pcaps[i])
		if addrs[i] = pods[i].v4; six {
			addrs[i] = pods[i].v6
		}
	}
	var r [2]*router
	for i := range pods {
		conf := birdConf(addrs[i], addrs[1-i], 1+i, 2-i, password(i))
		r[i] = h.bird(pods[i], pcaps[i], conf)
	}
	return r
}

func TestBirdSigned(t *testing.T) {
	onlyTCPCNI(t)
	for name, six := range map[string]bool{"IPv4": false, "IPv6": true} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			r := h.routers(six, func(int) string { return `password "a shared key";` })
			for i := range r {
				eventually(t, "a session", r[i].established)
				want := []string{"198.51.2.0/24", "2001:db8:2::/48"}
				if i == 1 {
					want = []string{"198.51.1.0/24", "2001:db8:1::/48"}
				}
				eventually(t, "the other side's route", func() bool {
					text := r[i].ask("show", "route", "protocol", "peer")
					return strings.Contains(text, want[0]) != six && strings.Contains(text, want[1]) == six
				})
			}
			r[0].allSigned(t, "a shared key", six)

			// Who does not sign gets no answer, also when the engine, which has the
			// listener's keys from BIRD, has been killed and another goes on.
			addr := r[0].pod.v4
			if six {
				addr = "[" + r[0].pod.v6 + "]"
			}
			quiet := func() {
				t.Helper()
				before := r[0].dropped("AuthMissing") + r[0].dropped("AuthUnexpected")
				stranger := r[1].pod.start("curl", "-sS", "--noproxy", "*", "http://"+addr+":179/")
				eventually(t, "an unsigned SYN that is dropped", func() bool {
					return r[0].dropped("AuthMissing")+r[0].dropped("AuthUnexpected") > before
				})
				stranger.stop()
			}
			quiet()
			r[0].pod.crash()
			eventually(t, "the session again", func() bool { return r[0].established() && r[1].established() })
			quiet()
			r[0].allSigned(t, "a shared key", six)
			for i := range r {
				r[i].proc.stop()
				r[i].pod.stop()
			}
		})
	}
}

// allSigned reads the capture: every segment that the router sent has the option,
// with the digest that tcpdump finds by the key.
func (r *router) allSigned(t *testing.T, key string, six bool) {
	t.Helper()
	src := r.pod.v4
	if six {
		src = r.pod.v6
	}
	text := r.pod.h.sh("tcpdump", "-n", "-v", "-M", key, "-r", r.pcap, "tcp", "and", "src", "host", src, "and", "port", "179")
	segments, valid := len(regexp.MustCompile(`> .*: Flags \[`).FindAllString(text, -1)), strings.Count(text, "md5 valid")
	if segments < 3 || valid != segments {
		t.Errorf("%d of %d segments are signed:\n%s", valid, segments, text)
	}
}

func TestBirdWrongKey(t *testing.T) {
	onlyTCPCNI(t)
	for name, password := range map[string]func(i int) string{
		"another key": func(i int) string { return fmt.Sprintf(`password "key %d";`, i) },
		"no key": func(i int) string {
			if i == 0 {
				return ""
			}
			return `password "a key";`
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			r := h.routers(false, password)
			wrong := func(r *router) int {
				return r.dropped("AuthFailures") + r.dropped("AuthMissing") + r.dropped("AuthUnexpected")
			}
			// Both sides try; each attempt of either is a SYN that the other drops.
			eventually(t, "segments that are dropped", func() bool {
				if r[0].established() || r[1].established() {
					t.Fatal("a session without a common key")
				}
				return wrong(r[0]) >= 4 && wrong(r[1]) >= 4
			})
			text := h.sh("tcpdump", "-n", "-r", r[0].pcap, "tcp", "and", "port", "179")
			if regexp.MustCompile(`Flags \[(S\.|\.|P\.|R)`).MatchString(text) {
				t.Errorf("a segment was answered:\n%s", text)
			}
			for i := range r {
				r[i].proc.stop()
				r[i].pod.stop()
			}
		})
	}
}

package engine

import (
	"net"
	"os"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
)

// downProgram connects once for each file that the test makes, and says how that
// ended; at last it sends what cannot be delivered.
const downProgram = `
import errno, os, socket, sys, time
def step(name, f):
    while not os.path.exists(sys.argv[1] + '/' + name):
        time.sleep(0.01)
    try:
        f()
        result = 'ok'
    except OSError as e:
        result = errno.errorcode[e.errno]
    open(sys.argv[1] + '/' + name + '.done', 'w').close()
    print(name, result, flush=True)
def connect(to='10.98.0.1'):
    socket.create_connection((to, 7000)).close()
l = socket.socket()
l.bind(('10.98.0.2', 7000))
l.listen(5)
kept = socket.create_connection(('10.98.0.1', 7000))
def deliver():
    kept.sendall(b'x')
    try:
        kept.recv(1)
    except OSError:
        pass
    e = kept.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if e:
        raise OSError(e, '')
step('up', connect)
step('uplink down', connect)
step('to itself', lambda: connect('10.98.0.2'))
step('up again', connect)
step('interface down', connect)
step('not delivered', deliver)
`

// TestLinkDown: tcp(4) of Sortix, ENETDOWN: "the network interface isn't up".
func TestLinkDown(t *testing.T) {
	s := newSandbox(t, func(c *Config) {
		c.Profile = "sortix"
		c.Tunables = map[string]string{"tcp_retries2": "1"}
	})
	var l net.Listener
	inNS(t, s.host, func() (err error) {
		l, err = net.Listen("tcp", "10.98.0.1:7000")
		return err
	})
	defer func() { _ = l.Close() }()
	dir := t.TempDir()
	p := s.launch("/usr/bin/python3", "-c", downProgram, dir)
	set := func(ns, name string, change func(netlink.Link) error) {
		inNS(t, ns, func() error {
			link, err := netlink.LinkByName(name)
			if err != nil {
				return err
			}
			return change(link)
		})
	}
	step := func(name string) {
		t.Helper()
		if err := os.WriteFile(dir+"/"+name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
			if _, err := os.Stat(dir + "/" + name + ".done"); err == nil {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("%s: no result; %s", name, &p.out)
			}
		}
	}
	step("up")
	set(s.host, "up0", netlink.LinkSetDown)
	step("uplink down")
	step("to itself")
	set(s.host, "up0", netlink.LinkSetUp)
	step("up again")
	set(s.ns, "eth0", netlink.LinkSetDown)
	step("interface down")
	set(s.ns, "eth0", netlink.LinkSetUp)
	set(s.host, "up0", netlink.LinkSetDown)
	step("not delivered")
	want := "up ok\nuplink down ENETDOWN\nto itself ok\nup again ok\ninterface down ENETDOWN\nnot delivered ENETDOWN\n"
	if got := p.finish(); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}

// TestHostDown: tcp(4) of Sortix, EHOSTDOWN: "the destination host is not up". A host
// of the uplink's network does not answer ARP; elsewhere that is EHOSTUNREACH.
func TestHostDown(t *testing.T) {
	for profile, want := range map[string]string{"sortix": "EHOSTDOWN", "linux": "EHOSTUNREACH"} {
		t.Run(profile, func(t *testing.T) {
			s := newSandbox(t, func(c *Config) { c.Profile = profile })
			got := s.run("/usr/bin/python3", "-c", `
import errno, socket
try:
    socket.create_connection(('10.98.0.77', 7000))
except OSError as e:
    print(errno.errorcode[e.errno])
`)
			if got != want+"\n" {
				t.Errorf("%q, want %s", got, want)
			}
		})
	}
}

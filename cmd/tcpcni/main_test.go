package main

import (
	"bytes"
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/tcpcni/tcpcni/engine"
	"github.com/tcpcni/tcpcni/hostlink/process"
	"github.com/tcpcni/tcpcni/plugin"
)

// Wrong command lines fail before anything is made, with tcpcni's own code.
func TestExitCodesOfWrongCommandLines(t *testing.T) {
	for _, c := range []struct {
		args string
		want int
	}{
		{"version", 0},
		{"run", exitOwn},
		{"run --", exitOwn},
		{"run --nonsense -- true", exitOwn},
		{"exec", exitOwn},
		{"exec box", exitOwn},
		{"exec box --", exitOwn},
		{"nonsense", exitPlainFailed},
		{"ss a b", exitPlainFailed},
		{"engine", exitPlainFailed},
		{"holder", exitPlainFailed},
	} {
		root := rootCommand(new(slog.LevelVar))
		root.SetArgs(strings.Fields(c.args))
		root.SetOut(new(bytes.Buffer))
		if got := execute(root); got != c.want {
			t.Errorf("tcpcni %s: exit code %d, want %d", c.args, got, c.want)
		}
	}
}

func TestLookProgram(t *testing.T) {
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]int{
		"sh": 0, "/bin/sh": 0, "no-such-program": exitNotFound, "/no/such": exitNotFound, plain: exitCannotRun, dir: exitCannotRun,
	} {
		_, err := lookProgram(name)
		code := 0
		if e := new(exitError); errors.As(err, &e) {
			code = e.code
		}
		if code != want || (err != nil) != (want != 0) {
			t.Errorf("%s: code %d, want %d: %v", name, code, want, err)
		}
		if err != nil && !strings.Contains(err.Error(), name) {
			t.Errorf("the error does not name %s: %v", name, err)
		}
	}
}

func TestParseListener(t *testing.T) {
	if fd, err := parseListener("listener 8\n"); fd != 8 || err != nil {
		t.Errorf("%d, %v", fd, err)
	}
	_, err := parseListener("error 126 cat: permission denied\n")
	e := new(exitError)
	if !errors.As(err, &e) || e.code != 126 || e.Error() != "cat: permission denied" {
		t.Errorf("%v", err)
	}
	for _, bad := range []string{"", "\n", "listener\n", "listener x\n", "hello 1\n"} {
		if _, err := parseListener(bad); err == nil {
			t.Errorf("%q accepted", bad)
		}
	}
}

func TestExitCodeOf(t *testing.T) {
	for script, want := range map[string]int{"exit 0": 0, "exit 7": 7, "kill -TERM $$": 128 + 15, "kill -KILL $$": 128 + 9} {
		cmd := exec.Command("sh", "-c", script)
		_ = cmd.Run()
		if got := exitCodeOf(cmd.ProcessState); got != want {
			t.Errorf("%s: %d, want %d", script, got, want)
		}
	}
}

// A signal that comes before the program ends the run; others do not.
func TestPendingSignal(t *testing.T) {
	r := &signalRelay{ch: make(chan os.Signal, 4)}
	r.ch <- unix.SIGUSR1
	r.ch <- unix.SIGWINCH
	if got := r.pending(); got != 0 {
		t.Errorf("%v", got)
	}
	r.ch <- unix.SIGUSR1
	r.ch <- unix.SIGTERM
	if got := r.pending(); got != unix.SIGTERM {
		t.Errorf("%v", got)
	}
}

func TestNames(t *testing.T) {
	for name, ok := range map[string]bool{
		"a": true, "s1": true, "web-1.test_x": true, strings.Repeat("x", 48): true,
		"": false, ".a": false, "-a": false, "a/b": false, "..": false, "a b": false, "ä": false, strings.Repeat("x", 49): false,
	} {
		if err := checkName("--name", name); (err == nil) != ok {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestClaim(t *testing.T) {
	state := t.TempDir()
	a, err := claim(state, "")
	if err != nil || a.name != "s1" {
		t.Fatalf("%v, %v", a, err)
	}
	b, err := claim(state, "")
	if err != nil || b.name != "s2" {
		t.Fatalf("%v, %v", b, err)
	}
	self, err := process.Identify(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if err := a.writeState(&runState{Name: "s1", Program: self}); err != nil {
		t.Fatal(err)
	}
	if _, err := claim(state, "s1"); err == nil || !strings.Contains(err.Error(), `"s1"`) {
		t.Fatalf("a name that is taken: %v", err)
	}
	// The run dies: its lock goes, its files stay, and the next one finds both.
	if err := a.lock.Unlock(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(a.path("left"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	collectDead(state)
	if _, err := os.Stat(a.path("")); !os.IsNotExist(err) {
		t.Errorf("a dead run is left: %v", err)
	}
	if _, err := os.Stat(b.path("")); err != nil {
		t.Errorf("a live run was collected: %v", err)
	}
	again, err := claim(state, "")
	if err != nil || again.name != "s1" {
		t.Fatalf("%v, %v", again, err)
	}
}

// A dead run whose network cannot be taken back keeps its name, and nothing
// else: the others start.
func TestClaimPassesWhatCannotBeRemoved(t *testing.T) {
	state := t.TempDir()
	dead, err := claim(state, "")
	if err != nil || dead.name != "s1" {
		t.Fatalf("%v, %v", dead, err)
	}
	err = errors.Join(
		dead.writeState(&runState{Name: "s1"}),
		os.WriteFile(dead.path(conflistFile), []byte("no list"), 0o600),
		dead.lock.Unlock(),
	)
	if err != nil {
		t.Fatal(err)
	}
	if d, err := claim(state, ""); err != nil || d.name != "s2" {
		t.Errorf("%v, %v", d, err)
	}
	if _, err := claim(state, "s1"); !errors.Is(err, errLeft) || !strings.Contains(err.Error(), `"s1"`) {
		t.Errorf("the dead run's name: %v", err)
	}
}

func TestSocketLines(t *testing.T) {
	at := netip.MustParseAddrPort
	for _, c := range []struct {
		a    netip.AddrPort
		s    engine.SocketInfo
		want string
	}{
		{at("10.0.0.1:80"), engine.SocketInfo{}, "10.0.0.1:80"},
		{at("0.0.0.0:80"), engine.SocketInfo{}, "0.0.0.0:80"},
		{at("[::]:80"), engine.SocketInfo{V6: true}, "*:80"},
		{at("[::]:80"), engine.SocketInfo{V6: true, V6Only: true}, "[::]:80"},
		{at("[fd00::1]:80"), engine.SocketInfo{V6: true}, "[fd00::1]:80"},
		{at("[::ffff:10.0.0.1]:80"), engine.SocketInfo{V6: true}, "[::ffff:10.0.0.1]:80"},
		{netip.AddrPort{}, engine.SocketInfo{}, "0.0.0.0:*"},
		{netip.AddrPort{}, engine.SocketInfo{V6: true}, "*:*"},
	} {
		if got := ssAddr(c.a, &c.s); got != c.want {
			t.Errorf("%v: %s, want %s", c.a, got, c.want)
		}
	}
	s := engine.SocketInfo{Netid: "tcp", Congestion: "cubic", RTOus: 204000, RTTus: 1500, RTTVarus: 750, MSS: 1448, Cwnd: 10, Ssthresh: 7, Retrans: 2}
	if got, want := ssInfo(&s), "cubic rto:204 rtt:1.5/0.75 mss:1448 cwnd:10 ssthresh:7 retrans:0/2"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// Engines that do not answer are a line among all sandboxes, an error for one.
func TestShowSocketsOfDeadEngine(t *testing.T) {
	dead := []target{{name: "box", sandbox: plugin.SandboxAt(t.TempDir(), "box", "eth0"), rec: new(plugin.Record)}}
	var out bytes.Buffer
	if err := showSockets(&out, dead, true, false); err != nil || !strings.Contains(out.String(), "box") {
		t.Errorf("%v: %s", err, &out)
	}
	if err := showSockets(&out, dead, false, false); err == nil || !strings.Contains(err.Error(), "box") {
		t.Errorf("%v", err)
	}
}

func TestTargetWithoutItsProgram(t *testing.T) {
	for _, id := range []process.ID{{}, {PID: os.Getpid(), Start: 1}} {
		tg := target{name: "box", run: &runState{Program: id}}
		if _, _, err := tg.open(); err == nil || !strings.Contains(err.Error(), "box") {
			t.Errorf("%v: %v", id, err)
		}
	}
}

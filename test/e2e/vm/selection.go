package main

// What runs in the guest by default.

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// A suite is a package's tests, or some of them.
type suite struct {
	name  string
	pkg   string   // folder below the top of the clone
	tests []string // nil: all
	sub   string   // of their subtests, for -test.run; "": all
	env   []string
}

// oci are the tests of containers by an OCI runtime.
var oci = []string{"TestRuncWrapper", "TestRuncRefusedCalls", "TestRuncFailsClosed"}

// mustVLAN has tests fail that otherwise skip where there are no VLANs.
const mustVLAN = "E2E_VLAN=1"

var suites = []suite{
	{name: "control groups", pkg: "hostlink/cgroup"},
	{name: "plugin", pkg: "plugin", env: []string{mustVLAN}, tests: []string{
		"TestVLAN", "TestHairpin", "TestAddCheckDel", "TestStatus", "TestGC",
	}},
	{name: "sandboxes", pkg: "test/e2e", env: []string{mustVLAN}, tests: []string{
		"TestVLAN", "TestCNI", "TestCNICheck", "TestRunPassesInputAndOutput", "TestRunLeavesNothing",
		"TestEngineKilledSandboxGoesOn", "TestEngineKilledInlineConnections", "TestWatchSeesKernelSockets",
	}},
	{name: "runc", pkg: "test/e2e", tests: append(slices.Clone(oci), "TestBroker", "TestPodman")},
	{name: "connections held", pkg: "test/bench", tests: []string{"TestHeld"}, env: []string{"BENCH_HELD=25000"}},
	// What crun cannot do is in docs/runtimes.md.
	{name: "crun", pkg: "test/e2e", tests: oci, env: []string{"E2E_RUNC=crun"}},
	{name: "podman with crun", pkg: "test/e2e", tests: []string{"TestPodman"}, sub: "/^own$", env: []string{"E2E_RUNC=crun"}},
}

func run(args []string) error {
	top, err := os.Getwd()
	if err != nil {
		return err
	}
	m, args, err := parse(args)
	if err != nil {
		return err
	}
	p, err := fetch()
	if err != nil {
		return err
	}
	env := []string{"CI=true", "TCPCNI_BIN=" + filepath.Join(top, "bin")}
	steps := []step{{Name: "command", Dir: top, Args: args}}
	if len(args) == 0 {
		if steps, err = compile(top, env); err != nil {
			return err
		}
		say("the tests are compiled")
	}
	how := "emulated"
	if accelerated() {
		how = "with KVM"
	}
	say("Linux %s, %s", p.release, how)
	return guest(p, m, env, steps)
}

// parse splits flags and command.
func parse(args []string) (m machine, command []string, err error) {
	flags := flag.NewFlagSet("run", flag.ContinueOnError)
	flags.IntVar(&m.memory, "memory", leastMemory, "MiB of the guest")
	flags.StringVar(&m.write, "write", "", "folder that the guest can write to")
	flags.StringVar(&m.append, "append", "", "more parameters for the guest's kernel")
	if err := flags.Parse(args); err != nil {
		return m, nil, err
	}
	if m.memory < leastMemory {
		return m, nil, fmt.Errorf("-memory: %d, accepted is %d and more", m.memory, leastMemory)
	}
	if m.write != "" {
		if m.write, err = filepath.Abs(m.write); err != nil {
			return m, nil, err
		}
		if info, err := os.Stat(m.write); err != nil || !info.IsDir() || strings.Contains(m.write, ",") {
			return m, nil, fmt.Errorf("-write: %q, accepted is a folder without a comma in its path", m.write)
		}
	}
	return m, flags.Args(), nil
}

// compile makes the steps that are the suites, or those of their packages'
// tests that RUN names.
func compile(top string, env []string) (steps []step, err error) {
	only := os.Getenv("RUN")
	for _, s := range suites {
		binary := filepath.Join(top, "bin", "vm", strings.ReplaceAll(s.pkg, "/", "-")+".test")
		if out, err := exec.Command("go", "test", "-c", "-o", binary, "./"+s.pkg).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("compiling the tests of %s: %w\n%s", s.pkg, err, out)
		}
		one := step{Name: s.name, Dir: filepath.Join(top, s.pkg), Env: s.env}
		pattern := "."
		switch {
		case only != "" && only != ".":
			pattern = only
		case s.tests != nil:
			pattern = "^(" + strings.Join(s.tests, "|") + ")$"
			if err := s.exist(binary, one.Dir, env, pattern); err != nil {
				return nil, err
			}
			pattern += s.sub
		}
		one.Args = []string{binary, "-test.v", "-test.timeout=30m", "-test.run=" + pattern}
		steps = append(steps, one)
	}
	return steps, nil
}

// exist returns an error if a test that the suite names is not there: nothing
// would run, and nothing fail.
func (s *suite) exist(binary, dir string, env []string, pattern string) error {
	cmd := exec.Command(binary, "-test.list="+pattern)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("the list of the tests of %s: %w", s.pkg, err)
	}
	for _, name := range s.tests {
		if !slices.Contains(strings.Split(string(out), "\n"), name) {
			return fmt.Errorf("%s: no test %s", s.pkg, name)
		}
	}
	return nil
}

package oci

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/tcpcni/tcpcni/hostlink"
)

var here = Options{Listener: "/run/tcpcni/sandboxes/a-eth0/listener.sock", Metadata: "a"}

// profiles are what containers come with: none, the defaults of containerd and
// docker (their own functions' output for their default capabilities), and
// ones that exercise each way in which rules can meet the sandbox's.
func profiles(t *testing.T) map[string]*specs.LinuxSeccomp {
	t.Helper()
	list := map[string]*specs.LinuxSeccomp{
		"none": nil,
		"audit": {DefaultAction: specs.ActLog, Syscalls: []specs.LinuxSyscall{
			{Names: []string{"read", "write", "sendto"}, Action: specs.ActAllow},
		}},
		"no terminal input, no audit": {DefaultAction: specs.ActAllow, Syscalls: []specs.LinuxSyscall{
			{Names: []string{"ioctl"}, Action: specs.ActErrno, ErrnoRet: errno(unix.EACCES), Args: args(masked(1, 0xffffffff, 0x5412))},
			{Names: []string{"socket"}, Action: specs.ActErrno, ErrnoRet: errno(unix.EINVAL), Args: args(eq(0, unix.AF_NETLINK), eq(2, unix.NETLINK_AUDIT))},
			{Names: []string{"listen", "accept", "accept4"}, Action: specs.ActKillProcess},
		}},
		"datagrams only": {DefaultAction: specs.ActErrno, DefaultErrnoRet: errno(unix.ENOSYS), Syscalls: []specs.LinuxSyscall{
			{Names: []string{"socket"}, Action: specs.ActAllow, Args: args(cmp(0, specs.OpLessEqual, unix.AF_INET6), masked(1, 0xf, unix.SOCK_DGRAM))},
			{Names: []string{"bind", "sendto", "recvfrom", "close", "exit_group"}, Action: specs.ActAllow},
			{Names: []string{"sendto"}, Action: specs.ActErrno, Args: args(cmp(5, specs.OpGreaterThan, 128))},
			{Names: []string{"ioctl"}, Action: specs.ActAllow, Args: args(cmp(1, specs.OpGreaterEqual, 0x5000), cmp(1, specs.OpEqualTo, 7))},
		}},
	}
	docker, err := ReadBase(filepath.Join("testdata", "docker.json"))
	if err != nil {
		t.Fatal(err)
	}
	list["containerd"], list["docker"] = Default(), docker
	return list
}

func errno(e unix.Errno) *uint { u := uint(e); return &u }

func args(a ...specs.LinuxSeccompArg) []specs.LinuxSeccompArg { return a }

func cmp(arg uint, op specs.LinuxSeccompOperator, v uint64) specs.LinuxSeccompArg {
	return specs.LinuxSeccompArg{Index: arg, Op: op, Value: v}
}

func eq(arg uint, v uint64) specs.LinuxSeccompArg { return cmp(arg, specs.OpEqualTo, v) }

func masked(arg uint, mask, v uint64) specs.LinuxSeccompArg {
	return specs.LinuxSeccompArg{Index: arg, Op: specs.OpMaskedEqual, Value: mask, ValueTwo: v}
}

func mustMerge(t *testing.T, p *specs.LinuxSeccomp) *specs.LinuxSeccomp {
	t.Helper()
	m, err := Merge(p, here)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// meets evaluates one comparison by arithmetic.
func meets(a specs.LinuxSeccompArg, v uint64) bool {
	switch a.Op {
	case specs.OpEqualTo:
		return v == a.Value
	case specs.OpNotEqual:
		return v != a.Value
	case specs.OpLessThan:
		return v < a.Value
	case specs.OpLessEqual:
		return v <= a.Value
	case specs.OpGreaterThan:
		return v > a.Value
	case specs.OpGreaterEqual:
		return v >= a.Value
	}
	return v&a.Value == a.ValueTwo
}

// applies says whether a rule is for a call.
func applies(r specs.LinuxSyscall, name string, regs [numArgs]uint64) bool {
	if !slices.Contains(r.Names, name) {
		return false
	}
	seen := map[uint]bool{}
	either, all, some := false, true, false
	for _, a := range r.Args {
		either = either || seen[a.Index]
		seen[a.Index] = true
		ok := meets(a, regs[a.Index])
		all, some = all && ok, some || ok
	}
	if either {
		return some
	}
	return all
}

func ret(action specs.LinuxSeccompAction, e *uint) uint32 {
	d, err := decide(action, e)
	if err != nil {
		panic(err)
	}
	codes := map[specs.LinuxSeccompAction]uint32{
		specs.ActAllow: unix.SECCOMP_RET_ALLOW, specs.ActLog: unix.SECCOMP_RET_LOG, specs.ActErrno: unix.SECCOMP_RET_ERRNO,
		specs.ActNotify: unix.SECCOMP_RET_USER_NOTIF, specs.ActKillProcess: unix.SECCOMP_RET_KILL_PROCESS, specs.ActKill: unix.SECCOMP_RET_KILL_THREAD,
	}
	return codes[d.action] | uint32(d.errno)
}

// merged lists what the rules for a call say, or else the default.
func merged(p *specs.LinuxSeccomp, c call) []uint32 {
	var list []uint32
	for _, r := range p.Syscalls {
		if applies(r, callNames[c.nr], c.args) {
			list = append(list, ret(r.Action, r.ErrnoRet))
		}
	}
	if list == nil {
		list = []uint32{ret(p.DefaultAction, p.DefaultErrnoRet)}
	}
	return list
}

// wanted is what should happen to a call, from the profile as it was and the
// sandbox's own filter.
func wanted(t *testing.T, p *specs.LinuxSeccomp, filter []unix.SockFilter, name string, c call) uint32 {
	t.Helper()
	if p == nil {
		p = &specs.LinuxSeccomp{DefaultAction: specs.ActAllow}
	}
	regs := c.args
	for i := range regs {
		if ints[c.nr]>>i&1 == 1 {
			regs[i] &= lowHalf // what the kernel looks at
		}
	}
	pass, found := uint32(0), false
	for _, r := range p.Syscalls {
		if !applies(r, name, regs) {
			continue
		}
		a := ret(r.Action, r.ErrnoRet)
		if a != unix.SECCOMP_RET_ALLOW && a != unix.SECCOMP_RET_LOG {
			return a
		}
		if !found {
			pass, found = a, true
		}
	}
	if !found {
		pass = ret(p.DefaultAction, p.DefaultErrnoRet)
		if pass != unix.SECCOMP_RET_ALLOW && pass != unix.SECCOMP_RET_LOG {
			return pass
		}
	}
	own, err := run(filter, c)
	if err != nil {
		t.Fatal(err)
	}
	if own == unix.SECCOMP_RET_ALLOW {
		return pass
	}
	return own
}

// samples are calls of each row of the table, near everything that rules look
// at, with and without garbage in the upper halves of registers.
func samples(n int) []call {
	r := rand.New(rand.NewPCG(1, 2))
	values := []uint64{0, 1, 2, 3, 7, 9, 10, 15, 16, 17, 37, 38, 39, 40, 41, 45, 46, 63, 64, 128, 129,
		unix.SOCK_RAW | unix.SOCK_CLOEXEC, unix.SOCK_STREAM | unix.SOCK_NONBLOCK, unix.SOCK_RAW | 1<<20,
		unix.MSG_FASTOPEN, unix.MSG_ERRQUEUE, unix.MSG_TRUNC, unix.MSG_TRUNC | unix.MSG_ERRQUEUE, unix.MSG_FASTOPEN | unix.MSG_NOSIGNAL,
		0x5410, 0x5411, 0x5412, 0x541b, unix.SIOCGIFADDR, unix.SIOCGIFBRDADDR, unix.SIOCGIFNETMASK, unix.SIOCGIFDSTADDR,
		0x894b, 0x8914, 0x8b01, 0x7fff12345678, 0xffffffff, 0x80000000}
	var list []call
	for len(list) < n {
		rule := hostlink.SandboxRules[r.IntN(len(hostlink.SandboxRules))]
		c := call{nr: rule.Call, arch: unix.AUDIT_ARCH_X86_64}
		for i := range c.args {
			c.args[i] = values[r.IntN(len(values))]
			switch r.IntN(6) {
			case 0:
				c.args[i] |= r.Uint64() << 32
			case 1:
				c.args[i] ^= 1 << r.IntN(64)
			case 2:
				c.args[i] = uint64(r.IntN(48))
			}
		}
		list = append(list, c)
	}
	return list
}

func assembled(t *testing.T) []unix.SockFilter {
	t.Helper()
	prog, err := hostlink.Assemble(hostlink.SandboxRules)
	if err != nil {
		t.Fatal(err)
	}
	return prog
}

// At most one merged rule is for a call, and it is the right one.
func TestMerge(t *testing.T) {
	filter := assembled(t)
	for name, p := range profiles(t) {
		t.Run(name, func(t *testing.T) {
			m := mustMerge(t, p)
			if m.ListenerPath != here.Listener || m.ListenerMetadata != "a" || !reflect.DeepEqual(m.Architectures, []specs.Arch{specs.ArchX86_64}) {
				t.Errorf("listener %q %q, architectures %v", m.ListenerPath, m.ListenerMetadata, m.Architectures)
			}
			for _, c := range samples(20000) {
				call := callNames[c.nr]
				if got, want := merged(m, c), wanted(t, p, filter, call, c); len(got) > 1 || got[0] != want {
					t.Fatalf("%s %#x: %#x, want %#x", call, c.args, got, want)
				}
			}
		})
	}
}

// libseccomp makes of the merged rules a program that does the same.
func TestMergeCompiled(t *testing.T) {
	filter := assembled(t)
	compile := compiler(t)
	for name, p := range profiles(t) {
		for _, optimize := range []bool{false, true} {
			t.Run(fmt.Sprint(name, optimize), func(t *testing.T) {
				m := mustMerge(t, p)
				prog := compile(m, optimize)
				t.Logf("%d instructions", len(prog))
				if len(prog) > unix.BPF_MAXINSNS*3/4 {
					t.Errorf("%d instructions: the kernel takes %d, a runtime's own come on top", len(prog), unix.BPF_MAXINSNS)
				}
				for _, c := range samples(20000) {
					got, err := run(prog, c)
					if err != nil {
						t.Fatal(err)
					}
					if want := wanted(t, p, filter, callNames[c.nr], c); got != want {
						t.Fatalf("%s %#x: %#x, want %#x", callNames[c.nr], c.args, got, want)
					}
					// The other entries: i386 and x32.
					c32 := c
					c32.arch = unix.AUDIT_ARCH_I386
					cx := c
					cx.nr |= 0x40000000
					for _, c := range []call{c32, cx} {
						if got, err := run(prog, c); err != nil || got != unix.SECCOMP_RET_KILL_THREAD {
							t.Fatalf("%#x %#x: %#x %v, want that it kills", c.arch, c.nr, got, err)
						}
					}
				}
			})
		}
	}
}

// compiler builds testdata/compile.c and returns a function that calls it.
func compiler(t *testing.T) func(p *specs.LinuxSeccomp, optimize bool) []unix.SockFilter {
	t.Helper()
	for _, need := range []string{"/usr/include/seccomp.h", "/usr/bin/gcc"} {
		if _, err := os.Stat(need); err != nil {
			t.Skipf("needs gcc and libseccomp-dev: %v", err)
		}
	}
	bin := filepath.Join(t.TempDir(), "compile")
	if out, err := exec.Command("gcc", "-Wall", "-o", bin, "testdata/compile.c", "-lseccomp").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	ops := map[specs.LinuxSeccompOperator]int{
		specs.OpNotEqual: 1, specs.OpLessThan: 2, specs.OpLessEqual: 3, specs.OpEqualTo: 4,
		specs.OpGreaterEqual: 5, specs.OpGreaterThan: 6, specs.OpMaskedEqual: 7,
	}
	return func(p *specs.LinuxSeccomp, optimize bool) []unix.SockFilter {
		in := new(bytes.Buffer)
		standard := ret(p.DefaultAction, p.DefaultErrnoRet)
		fmt.Fprintln(in, "default", standard)
		for _, r := range p.Syscalls {
			if ret(r.Action, r.ErrnoRet) == standard {
				continue // as runtimes do
			}
			for _, name := range r.Names {
				fmt.Fprint(in, name, " ", ret(r.Action, r.ErrnoRet), " ", len(r.Args))
				for _, a := range r.Args {
					fmt.Fprint(in, " ", a.Index, " ", ops[a.Op], " ", a.Value, " ", a.ValueTwo)
				}
				fmt.Fprintln(in)
			}
		}
		cmd := exec.Command(bin)
		if optimize {
			cmd.Args = append(cmd.Args, "optimize")
		}
		cmd.Stdin, cmd.Stderr = in, os.Stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("compile: %v", err)
		}
		prog := make([]unix.SockFilter, len(out)/8)
		if err := binary.Read(bytes.NewReader(out), binary.NativeEndian, prog); err != nil {
			t.Fatal(err)
		}
		return prog
	}
}

// What was merged may be merged again, for the same sandbox or, from a profile
// of the node, for a certain one.
func TestMergeTwice(t *testing.T) {
	for name, p := range profiles(t) {
		once := mustMerge(t, p)
		twice := mustMerge(t, once)
		for _, c := range samples(5000) {
			if a, b := merged(once, c), merged(twice, c); !slices.Equal(a, b) {
				t.Errorf("%s: %s %#x: %#x, after a second merge %#x", name, callNames[c.nr], c.args, a, b)
				break
			}
		}
		o := here
		o.Listener = "/run/tcpcni/sandboxes/b-eth0/listener.sock"
		if _, err := Merge(once, o); err == nil || !strings.Contains(err.Error(), "seccomp.listenerPath") {
			t.Errorf("%s: a foreign listener: %v", name, err)
		}
		o.Own = []string{here.Listener}
		if again, err := Merge(once, o); err != nil || again.ListenerPath != o.Listener {
			t.Errorf("%s: an own listener: %v", name, err)
		}
	}
}

// A merge leaves the profile and the rules of other calls as they were.
func TestMergeKeepsTheRest(t *testing.T) {
	for name, p := range profiles(t) {
		before, _ := json.Marshal(p)
		m := mustMerge(t, p)
		if after, _ := json.Marshal(p); !bytes.Equal(before, after) {
			t.Errorf("%s: the given profile was changed", name)
		}
		if p == nil {
			continue
		}
		if m.DefaultAction != p.DefaultAction || !reflect.DeepEqual(m.DefaultErrnoRet, p.DefaultErrnoRet) || !reflect.DeepEqual(m.Flags, p.Flags) {
			t.Errorf("%s: default or flags changed", name)
		}
		for _, call := range []string{"read", "clone", "personality", "mount", "io_uring_setup_not_ours"} {
			if was, is := ofCall(p, call), ofCall(m, call); !reflect.DeepEqual(was, is) {
				t.Errorf("%s: %s: %v, was %v", name, call, is, was)
			}
		}
	}
}

// ofCall lists the rules for a call, with no other name in them.
func ofCall(p *specs.LinuxSeccomp, call string) []specs.LinuxSyscall {
	var list []specs.LinuxSyscall
	for _, r := range p.Syscalls {
		if slices.Contains(r.Names, call) {
			r.Names = []string{call}
			list = append(list, r)
		}
	}
	return list
}

func TestMergeRefuses(t *testing.T) {
	socket := func(a ...specs.LinuxSeccompArg) *specs.LinuxSeccomp {
		return &specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Syscalls: []specs.LinuxSyscall{{Names: []string{"socket"}, Action: specs.ActErrno, Args: a}}}
	}
	for _, c := range []struct {
		p    *specs.LinuxSeccomp
		says string
	}{
		{&specs.LinuxSeccomp{DefaultAction: specs.ActAllow, ListenerPath: "/run/other.sock"}, "seccomp.listenerPath"},
		{&specs.LinuxSeccomp{DefaultAction: specs.ActNotify}, "seccomp.defaultAction"},
		{&specs.LinuxSeccomp{DefaultAction: "SCMP_ACT_MAYBE"}, "SCMP_ACT_MAYBE"},
		{&specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Syscalls: []specs.LinuxSyscall{{Names: []string{"mkdir"}, Action: specs.ActNotify}}}, "mkdir"},
		{socket(eq(6, 1)), "index"},
		{socket(cmp(0, "SCMP_CMP_LIKE", 1)), "SCMP_CMP_LIKE"},
		{socket(masked(0, 1, 2)), "valueTwo"},
		// Inequalities on every argument: no sane profile, and no endless one.
		{socket(cmp(0, specs.OpNotEqual, 1), cmp(1, specs.OpNotEqual, 1), cmp(2, specs.OpNotEqual, 1), cmp(3, specs.OpNotEqual, 1)), "too many"},
	} {
		if _, err := Merge(c.p, here); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%+v: %v, want %q", c.p, err, c.says)
		}
	}
}

// Every call of the table has a name.
func TestNames(t *testing.T) {
	for _, r := range hostlink.SandboxRules {
		if _, err := callName(r.Call); err != nil {
			t.Error(err)
		}
	}
}

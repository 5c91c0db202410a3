package e2e

import (
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// What a program does to the engine that serves its calls:
// testdata/attack/program.c. Each sandbox's watch reports sockets of the kernel.

// A bystander is a server in a second sandbox of the same bridge.
func bystander(h *host) *sandbox {
	h.t.Helper()
	other := h.pod()
	other.start("/usr/bin/python3", "-m", "http.server", "--bind", "::", "8000")
	h.reaches(other.v4 + ":8000")
	return other
}

// serves fails unless the sandbox's server answers.
func (s *sandbox) serves() {
	s.h.t.Helper()
	s.h.start("curl", "-sS", "--fail", "-o", "/dev/null", "http://"+s.v4+":8000/").ok()
}

// unharmed is what holds after each attack: the same engine serves, and neither
// it nor its holder has grown beyond what they may.
type unharmed struct {
	pod            *sandbox
	engine, holder int // processes
	before         [2]int
}

func watchOver(pod *sandbox) *unharmed {
	u := &unharmed{pod: pod, engine: pod.enginePID(), holder: pod.engine()}
	if u.engine == 0 {
		pod.h.t.Fatal("no engine answers")
	}
	u.before = [2]int{rss(pod.h.t, u.engine), rss(pod.h.t, u.holder)}
	return u
}

func (u *unharmed) check(t *testing.T, program string) {
	t.Helper()
	if now := u.pod.enginePID(); now != u.engine {
		t.Errorf("the engine was process %d and is %d", u.engine, now)
		return
	}
	for i, pid := range []int{u.engine, u.holder} {
		now := rss(t, pid)
		t.Logf("%s: %d KiB before, %d KiB after", []string{"engine", "holder"}[i], u.before[i]>>10, now>>10)
		if now > u.before[i]+attackMemory {
			t.Errorf("process %d had %d bytes of memory and has %d", pid, u.before[i], now)
		}
	}
	if out := u.pod.start(program, "works").ok(); out != "works\n" {
		t.Errorf("afterwards: %q", out)
	}
}

func TestAttackProgram(t *testing.T) {
	onlyTCPCNI(t)
	h := newHost(t)
	program := compileEdited(t, "attack-program", "attack/program", "", "")
	other := bystander(h)
	pod := h.pod()
	u := watchOver(pod)
	for _, c := range []struct {
		name string
		args []string
		want string // of what it prints
	}{
		{"races", []string{"races"}, `^works\n$`},
		{"threads", []string{"threads", "10000", "64"}, `^threads (\d+), answered (\d+)\nworks\n$`},
		// All in a call at once: the kernel looks through all of them for each.
		{"crowd", []string{"threads", "1500", "1500"}, `^threads (\d+), answered (\d+)\nworks\n$`},
		{"bomb", []string{"bomb", "300"}, `^works\n$`},
		{"emfile", []string{"emfile"}, `^socket: EMFILE\naccept: EMFILE\naccept: EMFILE\naccept: EMFILE\naccept: x\nworks\n$`},
		{"around", []string{"around"}, `^allowed by a filter: AF_UNIX
notified by a filter: (ENOSYS|AF_UNIX)
notified to itself: filter: EBUSY
notified to a tracer: AF_UNIX
logged by a filter: AF_UNIX
traced: AF_UNIX
own namespaces: (tried|not allowed)
own namespaces: (tried|not allowed)
works
$`},
	} {
		t.Run(c.name, func(t *testing.T) {
			out := pod.start(append([]string{program}, c.args...)...).ok()
			m := regexp.MustCompile(c.want).FindStringSubmatch(out)
			if m == nil {
				t.Errorf("printed %q", out)
			}
			if m != nil && c.args[0] == "threads" {
				t.Logf("%s threads", m[1])
				if m[1] != m[2] || len(m[1]) < 4 {
					t.Errorf("%s threads, of which %s were answered", m[1], m[2])
				}
			}
			u.check(t, program)
			other.serves()
		})
	}
	pod.stop()
	other.stop()
}

// An engine that runs out of descriptors refuses, and takes on again what it can
// when there are some.
func TestAttackEngineDescriptors(t *testing.T) {
	onlyTCPCNI(t)
	h := newHost(t)
	program := compileEdited(t, "attack-program", "attack/program", "", "")
	other := bystander(h)
	pod := h.pod()
	u := watchOver(pod)
	var was unix.Rlimit
	// Above the numbers that are for pidfds, hostlink.Places.
	must(t, unix.Prlimit(u.engine, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 600, Max: 600}, &was))
	r, w, err := os.Pipe()
	must(t, err)
	defer func() { _ = w.Close() }()
	p := pod.startWith(plumbing{stdin: r}, program, "sockets", "1000")
	_ = r.Close()
	m := p.line(`made (\d+), then (E\w+)\nclosed\n`)
	t.Log(m[0])
	_, _ = w.WriteString("\n")
	if out := p.ok(); out != m[0]+"works\n" {
		t.Errorf("printed %q", out)
	}
	u.check(t, program)
	other.serves()
	pod.stop()
	other.stop()
}

// queuesMemory is what all queues of a sandbox may take together, in bytes: 512
// MiB, half as much again until garbage is collected, and what the engine is
// without them.
const queuesMemory = 960 << 20

// Queues of many sockets that nobody reads from.
func TestAttackHoard(t *testing.T) {
	onlyTCPCNI(t)
	h := newHost(t)
	program := compileEdited(t, "attack-program", "attack/program", "", "")
	for _, c := range []struct{ what, n string }{{"hoard-tcp", "150"}, {"hoard-udp", "450"}} {
		t.Run(c.what, func(t *testing.T) {
			pod := h.pod()
			pid := pod.enginePID()
			before := rss(t, pid)
			r, w, err := os.Pipe()
			must(t, err)
			defer func() { _ = w.Close() }()
			p := pod.startWith(plumbing{stdin: r}, program, c.what, c.n)
			_ = r.Close()
			said := p.line(`written (\d+) MiB`)
			during := rss(t, pid)
			t.Logf("%s: %d MiB before, %d MiB now", said[0], before>>20, during>>20)
			if during > before+queuesMemory {
				t.Errorf("the engine has %d bytes", during)
			}
			// Others of the same sandbox get on.
			if out := pod.start(program, "works").ok(); out != "works\n" {
				t.Errorf("meanwhile: %q", out)
			}
			_, _ = w.WriteString("\n")
			if out := p.ok(); !strings.HasSuffix(out, "\nworks\n") {
				t.Errorf("printed %q", out)
			}
			if now := pod.enginePID(); now != pid {
				t.Errorf("the engine was process %d and is %d", pid, now)
			}
			pod.stop()
		})
	}
}

// Descriptors that are under way are counted for each user of the machine, and
// limited for who has no privilege. A program that uses the count up hinders
// neither its own engine nor the next: what they need for a call is not sent.
func TestAttackDescriptorsUnderWay(t *testing.T) {
	onlyTCPCNI(t)
	h := newHost(t)
	program := compileEdited(t, "attack-program", "attack/program", "", "")
	other := bystander(h)
	pod := h.pod()
	// Enough for each of these processes, and little to use up: the machine has
	// other users of the count.
	const limit = 1000
	for _, s := range []*sandbox{pod, other} {
		for _, pid := range []int{s.engine(), s.enginePID()} {
			must(t, unix.Prlimit(pid, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: limit, Max: limit}, nil))
		}
	}
	r, w, err := os.Pipe()
	must(t, err)
	defer func() { _ = w.Close() }()
	p := pod.startWith(plumbing{stdin: r}, program, "flight", strconv.Itoa(4*limit))
	_ = r.Close()
	p.line(`under way: \d+`)
	for _, s := range []*sandbox{pod, other} {
		s.start(program, "works").ok()
	}
	_ = w.Close()
	p.ok()
	// The kernel gives up the messages of the dead in its own time.
	for _, s := range []*sandbox{pod, other} {
		eventually(t, "a socket that works", func() bool { return s.start(program, "works").wait() == 0 })
	}
	other.serves()
	pod.stop()
	other.stop()
}

package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/tcpcni/tcpcni/test/bench/figures"
)

// loops are the results by name and size, in the order in which they came.
type loops struct {
	order []loop
	found map[loop]*numbers
}

type loop struct {
	name  string
	bytes int
}

// numbers are nanoseconds for each operation, one for each round: on the clock, and
// of processor time in all processes.
type numbers struct {
	clock, cpu []float64
	refused    string // why the kernel does not let it run
}

func newLoops() *loops { return &loops{found: make(map[loop]*numbers)} }

// add takes a line of what c/limits.c prints.
func (l *loops) add(line string) error {
	var at loop
	var ns, cpu float64
	if name, why, ok := strings.Cut(strings.TrimSpace(line), " refused "); ok {
		at.name = name
		if l.found[at] == nil {
			l.found[at] = &numbers{refused: why}
			l.order = append(l.order, at)
		}
		return nil
	}
	if _, err := fmt.Sscan(line, &at.name, &ns, &at.bytes, &cpu); err != nil {
		return fmt.Errorf("limits printed %q: %w", line, err)
	}
	if at.name == memoryName {
		ns, at.bytes = float64(at.bytes), 0
	}
	n := l.found[at]
	if n == nil {
		n = new(numbers)
		l.found[at] = n
		l.order = append(l.order, at)
	}
	n.clock = append(n.clock, ns)
	n.cpu = append(n.cpu, cpu)
	return nil
}

const memoryName = "pair-memory"

// what says in words what a loop does.
func what(name string) string {
	for _, w := range whats {
		if w.name == name {
			return w.what
		}
		if rest, ok := strings.CutPrefix(name, w.name); ok && strings.HasSuffix(w.name, "-") {
			return fmt.Sprintf(w.what, rest)
		}
	}
	return name
}

// whats are the loops in words; a name that ends in - is the beginning of several.
var whats = []struct{ name, what string }{
	{"system-call", "a system call that does nothing"},
	{"epoll-empty", "epoll_wait that finds nothing"},
	{"memcpy-cached", "copy within the caches"},
	{"memcpy-memory", "copy from memory to memory"},
	{"pair", "write and read of an AF_UNIX pair, one thread"},
	{"pair-two-processes-there-and-back", "over two pairs to another process and back, which waits in read"},
	{"tap-write", "write to a TAP, to where the kernel drops the segment"},
	{"packet-write-tap-read", "write to a packet socket and read from the TAP"},
	{"pair-made", "socketpair and two times close"},
	{"pair-peek", "write, peek, then read of a pair, one thread"},
	{"pair-vmsplice", "vmsplice to a pipe, splice to the pair, read, one thread"},
	{"pair-from-tap", "packet socket, TAP, read, send to the pair, read, one thread"},
	{"pair-from-tap-splice", "the same by splice from the TAP to the pair, headers read from the pipe"},
	{"pair-size-", "write and read of a pair, one thread, SO_SNDBUF %s"},
	{"pair-stream-", "another process writes as it can, this one reads, SO_SNDBUF %s"},
	{"wake-futex-same", "futex to another thread and back, on one processor"},
	{"wake-futex-other", "futex to another thread and back, on two processors"},
	{"wake-futex-free", "futex to another thread and back, where the scheduler likes"},
	{"wake-epoll-same", "pair and epoll_wait to another process and back, on one processor"},
	{"wake-epoll-other", "pair and epoll_wait to another process and back, on two processors"},
	{"wake-epoll-free", "pair and epoll_wait to another process and back, where the scheduler likes"},
	{"wake-epoll-other-spins", "the same on two processors, and neither ever sleeps"},
	{"notify-free", "a notified call, where the scheduler likes"},
	{"notify-free-sync", "a notified call, SYNC_WAKE_UP, where the scheduler likes"},
	{"notify-same", "a notified call, on one processor"},
	{"notify-same-sync", "a notified call, SYNC_WAKE_UP, on one processor"},
	{"notify-other", "a notified call, on two processors"},
	{"notify-other-sync", "a notified call, SYNC_WAKE_UP, on two processors"},
	{"notify-addfd-send", "a notified call that gets a descriptor, ADDFD with FLAG_SEND, and closes it, on one processor"},
	{"notify-addfd-then-send", "a notified call that gets a descriptor, ADDFD and then SEND, and closes it, on one processor"},
	{"tap-batch-write-plain-", "write to a TAP, %s in a row"},
	{"tap-batch-write-uring-", "write to a TAP by io_uring, %s with one call"},
	{"tap-batch-write-sqpoll-", "write to a TAP by io_uring, %s, a kernel thread polls (SQPOLL)"},
	{"tap-batch-read-plain-", "packet socket, read from a TAP, %s in a row"},
	{"tap-batch-read-uring-", "packet socket, read from a TAP by io_uring, %s with one call"},
	{"packet-veth-write", "write to a packet socket on a veth, to where the kernel drops the segment"},
	{"packet-veth-read-", "packet socket, veth, read from a packet socket, %s in a row"},
	{"packet-veth-read", "packet socket, veth, read from a packet socket"},
	{"packet-veth-ring2-", "packet socket, veth, seen in a ring of TPACKET_V2, %s in a row"},
	{"packet-veth-ring3-one", "packet socket, veth, a single frame until it is seen in a ring of TPACKET_V3"},
	{"packet-veth-ring3-", "packet socket, veth, seen in a ring of TPACKET_V3, %s in a row"},
}

// print writes a page in Markdown. The least of the rounds counts: what a machine
// that is busy with something else adds is not of the piece.
func (l *loops) print(w io.Writer, o *options) error {
	r := figures.New()
	var b strings.Builder
	fmt.Fprintf(&b, "<!-- written by go run ./test/bench/limits -->\n# What the pieces cost\n\n%s, commit %s; %s, %d processors, Linux %s; load %s before; %d rounds of %v each.\n\n",
		r.Day, r.Commit, r.CPU, r.CPUs, r.Kernel, r.Load, o.rounds, o.duration)
	b.WriteString("Nanoseconds for each operation, on the clock and of processor time in all processes: the least of the rounds, in brackets median and largest. What the pieces are of, and what follows from them, is in [performance.md](../performance.md).\n\n")
	b.WriteString("| | bytes | ns | CPU ns | Gbit/s |\n|---|---|---|---|---|\n")
	for _, at := range l.order {
		n := l.found[at]
		if n.refused != "" {
			fmt.Fprintf(&b, "| %s | | %s | | |\n", what(at.name), n.refused)
			continue
		}
		least := slices.Min(n.clock)
		cpu := n.cpu[slices.Index(n.clock, least)] // of the same round
		if at.name == memoryName {
			fmt.Fprintf(&b, "| kernel memory of an AF_UNIX pair | %.0f | | | |\n", least)
			continue
		}
		speed := ""
		if at.bytes > 1000 {
			speed = fmt.Sprintf("%.1f", float64(at.bytes)*8/least)
		}
		fmt.Fprintf(&b, "| %s | %d | %.0f (%.0f, %.0f) | %.0f | %s |\n", what(at.name), at.bytes, least,
			figures.Median(n.clock), slices.Max(n.clock), cpu, speed)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// An output collects what a process writes and lets a test wait for a part of
// it.
type output struct {
	mu   sync.Mutex
	b    bytes.Buffer
	more chan struct{} // closed and replaced at each write
}

func newOutput() *output { return &output{more: make(chan struct{})} }

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	close(o.more)
	o.more = make(chan struct{})
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// next returns what there is so far and a channel that closes when more comes.
func (o *output) next() (string, <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String(), o.more
}

// A proc is a running program of a test. It never outlives the test.
type proc struct {
	t      *testing.T
	name   string
	cmd    *exec.Cmd
	stdout *output
	stderr *output
	ended  chan struct{}
	err    error // what Wait said; valid once ended is closed
}

// A plumbing says where a process's input comes from and where its output
// goes; what is nil is empty input, and collected output.
type plumbing struct {
	stdin  io.Reader
	stdout io.Writer
	env    []string
}

// start runs a program with its own process group, so that a terminal's
// signals reach only whom the test means.
func start(t *testing.T, io plumbing, args ...string) *proc {
	t.Helper()
	p := &proc{
		t: t, name: strings.Join(args, " "), cmd: exec.Command(args[0], args[1:]...),
		stdout: newOutput(), stderr: newOutput(), ended: make(chan struct{}),
	}
	p.cmd.Stdin = io.stdin
	p.cmd.Stdout = p.stdout
	if io.stdout != nil {
		p.cmd.Stdout = io.stdout
	}
	p.cmd.Stderr = p.stderr
	p.cmd.Env = append(os.Environ(), io.env...)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	// Whoever keeps the output open after the program has ended is a leak.
	p.cmd.WaitDelay = 10 * time.Second
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("%s: %v", p.name, err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.ended)
	}()
	t.Cleanup(func() {
		p.stop()
		if t.Failed() {
			t.Logf("%s\n  ended: %v\n  stdout: %s\n  stderr: %s", p.name, p.err, tail(p.stdout.String()), tail(p.stderr.String()))
		}
	})
	return p
}

// tail cuts a long output to its end.
func tail(s string) string {
	const most = 4000
	if len(s) > most {
		return "… " + s[len(s)-most:]
	}
	return s
}

func (p *proc) pid() int { return p.cmd.Process.Pid }

func (p *proc) signal(sig syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.t.Errorf("signal %v to %s: %v", sig, p.name, err)
	}
}

// stop ends the program politely, then with its whole group by force.
func (p *proc) stop() {
	select {
	case <-p.ended:
		return
	default:
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(20 * time.Second):
		p.t.Logf("%s did not end on SIGTERM", p.name)
		_ = syscall.Kill(-p.pid(), syscall.SIGKILL)
		<-p.ended
	}
}

// wait returns the exit status, -1 for a death by signal, once the program has
// ended.
func (p *proc) wait() int {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(hang):
		p.t.Fatalf("%s hangs; so far: %s%s", p.name, tail(p.stdout.String()), tail(p.stderr.String()))
	}
	var exit *exec.ExitError
	if p.err != nil && !errors.As(p.err, &exit) {
		p.t.Fatalf("%s: %v", p.name, p.err)
	}
	return p.cmd.ProcessState.ExitCode()
}

// ok waits for a good end and returns what the program printed.
func (p *proc) ok() string {
	p.t.Helper()
	if code := p.wait(); code != 0 {
		p.t.Fatalf("%s: exit status %d (%v)\nstdout: %s\nstderr: %s", p.name, code, p.err, tail(p.stdout.String()), tail(p.stderr.String()))
	}
	return p.stdout.String()
}

// fails waits for an end with a status other than 0 and returns what the
// program printed on both outputs.
func (p *proc) fails() string {
	p.t.Helper()
	if code := p.wait(); code == 0 {
		p.t.Fatalf("%s: succeeded, want a failure\nstdout: %s", p.name, tail(p.stdout.String()))
	}
	return p.stdout.String() + p.stderr.String()
}

// line waits until one of the outputs matches and returns the match with its
// groups.
func (p *proc) line(pattern string) []string {
	p.t.Helper()
	re := regexp.MustCompile(pattern)
	deadline := time.After(hang)
	for {
		out, moreOut := p.stdout.next()
		errs, moreErr := p.stderr.next()
		if m := re.FindStringSubmatch(out); m != nil {
			return m
		}
		if m := re.FindStringSubmatch(errs); m != nil {
			return m
		}
		select {
		case <-moreOut:
		case <-moreErr:
		case <-p.ended:
			if re.MatchString(p.stdout.String()) || re.MatchString(p.stderr.String()) {
				continue
			}
			p.t.Fatalf("%s ended (%v) without printing %q:\n%s%s", p.name, p.err, pattern, tail(p.stdout.String()), tail(p.stderr.String()))
		case <-deadline:
			p.t.Fatalf("%s never printed %q; so far:\n%s%s", p.name, pattern, tail(out), tail(errs))
		}
	}
}

// eventually asks again until the condition holds.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), hang)
	defer cancel()
	for wait := 5 * time.Millisecond; !condition(); wait = min(wait*2, 200*time.Millisecond) {
		select {
		case <-ctx.Done():
			t.Fatalf("never happened: %s", what)
		case <-time.After(wait):
		}
	}
}

// must ends the test on an error of the test's own set-up.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// sh runs a command of the test's own set-up.
func sh(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
	if err != nil {
		t.Fatal(fmt.Errorf("%s: %w\n%s", strings.Join(args, " "), err, out))
	}
	return string(out)
}

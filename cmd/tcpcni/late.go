package main

// Containers whose network comes between create and start, as docker's does from
// version 28. At create there is nothing to put an engine behind, and the
// runtime hands over the filter's listener then, once. A process of the
// container takes it, and keeps it until the wrapper is called with start:
//
//	create   hook attach: no eth0 ──▶ starts hook await, which listens at
//	         oci/ID.wait; oci/ID.sock, the profile's listenerPath, leads there
//	         runc ── listener ──▶ await
//	         (the manager makes eth0)
//	start    wrapper ── oci/ID.start ──▶ await: attaches eth0, hands the listener
//	         to the engine, leads oci/ID.sock to the sandbox's own socket
//	         wrapper becomes runc start
//
// Without that process, or when the attachment fails, start is refused and the
// container's first process killed.

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/tcpcni/tcpcni/cmd/tcpcni/ocilisten"
	"github.com/tcpcni/tcpcni/engine"
	"github.com/tcpcni/tcpcni/hostlink/process"
	"github.com/tcpcni/tcpcni/plugin"
)

// Bounds of the steps between create and start.
const (
	latePatience = 10 * time.Second // for the process to be there or to be gone, and for late listeners
	lateAttach   = 60 * time.Second // for an attachment, which bounds itself
)

// lateFine is the answer to a start that may go on; another one is an error.
const lateFine = "attached"

// An ociPlace is where a container's sockets are that exist before its sandbox.
type ociPlace struct{ dir, id string }

func placeOf(stateDir, id string) ociPlace { return ociPlace{filepath.Join(stateDir, "oci"), id} }

// listener is the path for the container's profile. It leads to the socket of
// the process that waits for start, or of the sandbox.
func (p ociPlace) listener() string { return p.path("sock") }

func (p ociPlace) path(kind string) string { return filepath.Join(p.dir, p.id+"."+kind) }

// lead makes the container's listener path lead to a socket, at once.
func (p ociPlace) lead(to string) error {
	if err := os.MkdirAll(p.dir, 0o700); err != nil {
		return err
	}
	tmp := p.path("new")
	if err := os.Remove(tmp); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := os.Symlink(to, tmp); err != nil {
		return err
	}
	return os.Rename(tmp, p.listener())
}

// remove takes everything away once the process that waited has ended, which it
// does when the container's first process has.
func (p ociPlace) remove() error {
	if _, err := os.Stat(p.dir); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), latePatience)
	defer cancel()
	lock, err := process.Lock(ctx, p.path("lock"))
	if err != nil {
		return err
	}
	for _, kind := range []string{"sock", "wait", "start", "new", "log"} {
		if rmErr := os.Remove(p.path(kind)); !errors.Is(rmErr, os.ErrNotExist) {
			err = errors.Join(err, rmErr)
		}
	}
	return errors.Join(err, lock.Remove())
}

// awaitStart starts the process that waits for the container's start. It returns
// when that one listens.
func awaitStart(p ociPlace, network string, state *specs.State) error {
	text, err := json.Marshal(state)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(p.dir, 0o700); err != nil {
		return err
	}
	// Not the hook's own output: the runtime waits for the end of that.
	log, err := os.OpenFile(p.path("log"), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	ready, readyW, err := os.Pipe()
	if err != nil {
		return err
	}
	defer func() { _ = ready.Close() }()
	cmd := &exec.Cmd{
		Path: "/proc/self/exe", Args: []string{"tcpcni", "hook", hookAwait, "--network", network}, Env: os.Environ(), Dir: "/",
		Stdin: bytes.NewReader(text), Stdout: readyW, Stderr: log,
	}
	err = process.StartDetached(cmd)
	_ = readyW.Close()
	if err != nil {
		return err
	}
	if err := ready.SetReadDeadline(time.Now().Add(2 * latePatience)); err != nil {
		return err
	}
	said, err := io.ReadAll(io.LimitReader(ready, maxConfig))
	if err == nil && string(said) != plugin.Ready {
		words, _ := os.ReadFile(p.path("log"))
		err = fmt.Errorf("the process that waits for start has ended: %s", strings.TrimSpace(string(words)))
	}
	if err != nil {
		_ = cmd.Process.Kill()
	}
	return err
}

// A waiter is the process between create and start.
type waiter struct {
	place    ociPlace
	stateDir string
	network  string
	state    *specs.State

	attached chan struct{} // closed once sandbox is there
	sandbox  plugin.Sandbox

	mu      sync.Mutex
	passed  *sync.Cond // a listener was
	passing int        // listeners that came and were not passed on yet
	failed  error      // of passing one on
}

func newWaiter(stateDir, network string, state *specs.State) *waiter {
	w := &waiter{place: placeOf(stateDir, state.ID), stateDir: stateDir, network: network, state: state, attached: make(chan struct{})}
	w.passed = sync.NewCond(&w.mu)
	return w
}

// wait serves until start has succeeded, or the container's first process is no
// more. ready is closed when both sockets are there.
func (w *waiter) wait(ready io.WriteCloser) error {
	id, err := process.Identify(w.state.Pid)
	if err != nil {
		return err
	}
	first, err := process.Open(id)
	if err != nil {
		return err
	}
	defer func() { _ = first.Close() }()
	ctx, cancel := context.WithTimeout(context.Background(), latePatience)
	defer cancel()
	// One of an earlier container of this name may be about to end.
	lock, err := process.Lock(ctx, w.place.path("lock"))
	if err != nil {
		return err
	}
	defer func() { _ = lock.Remove() }()

	listeners, err := ocilisten.Listen(w.place.path("wait"))
	if err != nil {
		return err
	}
	defer func() { _ = listeners.Close() }()
	_ = os.Remove(w.place.path("start"))
	starts, err := net.ListenUnix("unix", &net.UnixAddr{Name: w.place.path("start"), Net: "unix"})
	if err != nil {
		return err
	}
	defer func() { _ = starts.Close() }()
	if err := w.place.lead(w.place.path("wait")); err != nil {
		return err
	}
	if _, err := io.WriteString(ready, plugin.Ready); err != nil {
		return err
	}
	if err := ready.Close(); err != nil {
		return err
	}

	life, end := context.WithCancel(context.Background())
	go func() { _ = listeners.Serve(life, w.take) }()
	go func() {
		if err := w.serveStarts(starts); err == nil {
			// A listener that was on its way here still comes.
			time.Sleep(latePatience)
			end()
		}
	}()
	err = first.Wait(life)
	end()
	if errors.Is(err, context.Canceled) {
		return nil
	}
	// Not every manager deletes a container that did not start.
	for _, kind := range []string{"sock", "log"} {
		_ = os.Remove(w.place.path(kind))
	}
	return err
}

// take keeps a listener until there is an engine for it.
func (w *waiter) take(_ *specs.ContainerProcessState, listener *os.File) error {
	w.mu.Lock()
	w.passing++
	w.mu.Unlock()
	<-w.attached
	c, err := engine.Dial(w.sandbox.ControlPath())
	if err == nil {
		err = c.Attach(listener)
		_ = c.Close()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.passing--
	w.failed = errors.Join(w.failed, err)
	w.passed.Broadcast()
	return err
}

// serveStarts answers calls of start until one was a success.
func (w *waiter) serveStarts(l *net.UnixListener) error {
	for {
		conn, err := l.AcceptUnix()
		if err != nil {
			return err
		}
		answer := lateFine
		err = w.start()
		if err != nil {
			answer = err.Error()
		}
		_ = conn.SetWriteDeadline(time.Now().Add(latePatience))
		_, _ = io.WriteString(conn, answer)
		_ = conn.Close()
		if err == nil {
			return nil
		}
	}
}

// start attaches the network that has come meanwhile.
func (w *waiter) start() error {
	w.mu.Lock()
	failed := w.failed
	w.mu.Unlock()
	if failed != nil { // the program would have no engine
		return failed
	}
	s, err := attach(w.stateDir, w.network, w.state)
	if err != nil {
		return err
	}
	to, err := s.Listener()
	if err != nil {
		return err
	}
	if err := w.place.lead(to); err != nil {
		return err
	}
	w.sandbox = s
	close(w.attached)
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.passing > 0 {
		w.passed.Wait()
	}
	return w.failed
}

// prepareStart has the network of a container attached that waits for it. Other
// containers have theirs.
func prepareStart(l *runtimeLine, set *settings) error {
	if l.id == "" || l.id != filepath.Base(l.id) {
		return nil // the runtime's to refuse
	}
	p := placeOf(set.StateDir, l.id)
	switch to, err := os.Readlink(p.listener()); {
	case errors.Is(err, os.ErrNotExist):
		return nil // made in a namespace that had a sandbox
	case err != nil:
		return err
	case to != p.path("wait"):
		return nil // has its sandbox
	}
	conn, err := net.DialTimeout("unix", p.path("start"), latePatience)
	if err != nil {
		return fmt.Errorf("the process that has kept its listener since create is gone: %w: create the container again", err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetReadDeadline(time.Now().Add(lateAttach)); err != nil {
		return err
	}
	answer, err := io.ReadAll(io.LimitReader(conn, maxConfig))
	switch {
	case err != nil:
		return err
	case string(answer) != lateFine:
		return errors.New(string(answer))
	}
	return nil
}

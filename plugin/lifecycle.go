package plugin

// The engine's holder: one for each attachment, started by ADD and ended by DEL.
// It starts the engine, and another when that dies. Where "engine" is said here,
// the process is the holder.

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/tcpcni/tcpcni/engine"
	"github.com/tcpcni/tcpcni/hostlink/cgroup"
	"github.com/tcpcni/tcpcni/hostlink/process"
)

// Bounds of the engine's start and of the steps of its end.
const (
	startPatience = 10 * time.Second
	stopPatience  = 2 * time.Second
	termPatience  = time.Second
)

// Ready is what the engine's process writes on its ready descriptor once it
// serves the attachment.
const Ready = "ready\n"

// readyFD is the descriptor that Ready goes to.
const readyFD = 3

// startEngine writes the engine's configuration and starts it: a session of its
// own, so that no terminal's signal reaches it, with messages going to its log.
// It returns when the engine is ready; on an error no process is left.
func startEngine(s Sandbox, cfg engine.Config) (err error) {
	if err := s.writeJSON(configFile, cfg); err != nil {
		return err
	}
	log, err := os.OpenFile(s.LogPath(), os.O_CREATE|os.O_WRONLY|os.O_TRUNC|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	ready, readyW, err := os.Pipe()
	if err != nil {
		return err
	}
	defer func() { _ = ready.Close() }()

	// Whatever this process runs from is what runs the engine, even when the file
	// was replaced meanwhile.
	cmd := &exec.Cmd{
		Path:       "/proc/self/exe",
		Args:       []string{"tcpcni", "holder", "--config", s.configPath(), "--ready-fd", fmt.Sprint(readyFD)},
		Env:        []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", StateEnv + "=" + s.stateDir()},
		Dir:        "/",
		Stdout:     log,
		Stderr:     log,
		ExtraFiles: []*os.File{readyW}, // becomes readyFD
	}
	err = process.StartDetached(cmd)
	_ = readyW.Close()
	if err != nil {
		return fmt.Errorf("start the engine: %w", err)
	}
	defer func() {
		if err != nil {
			_ = cmd.Process.Kill() // its engine dies with it
			_ = cmd.Wait()
			err = errors.Join(err, cgroup.Remove(s.Dir))
		}
	}()
	id, err := process.Identify(cmd.Process.Pid)
	if err != nil {
		return fmt.Errorf("start the engine: %w", err)
	}
	if err := s.writeIdentity(id); err != nil {
		return err
	}
	if err := awaitReady(ready); err != nil {
		return fmt.Errorf("the engine did not get ready: %w%s", err, s.lastWords())
	}
	return nil
}

func awaitReady(r *os.File) error {
	if err := r.SetReadDeadline(time.Now().Add(startPatience)); err != nil {
		return err
	}
	buf := make([]byte, len(Ready))
	_, err := io.ReadFull(r, buf)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("nothing heard in %s", startPatience)
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("it ended")
	case err != nil:
		return err
	case string(buf) != Ready:
		return fmt.Errorf("it said %q", buf)
	}
	return nil
}

// lastWords quotes the end of the engine's log.
func (s Sandbox) lastWords() string {
	const lines = 5
	b, err := os.ReadFile(s.LogPath())
	b = bytes.TrimSpace(b)
	if err != nil || len(b) == 0 {
		return ""
	}
	all := strings.Split(string(b), "\n")
	return ": " + strings.Join(all[max(0, len(all)-lines):], " | ")
}

// stopEngine ends the holder, with it the engine, and what is left of both: by
// the control socket, then by SIGTERM, then by SIGKILL. No engine is no error.
func (s Sandbox) stopEngine() error {
	return errors.Join(s.stopHolder(), cgroup.Remove(s.Dir))
}

func (s Sandbox) stopHolder() error {
	id, err := s.Engine()
	if err != nil {
		// The record is missing or broken: who listens can still be found.
		id = s.askIdentity()
	}
	h, err := process.Open(id)
	if err != nil {
		return nil //nolint:nilerr // no engine is what was asked for
	}
	defer func() { _ = h.Close() }()
	go s.askStop() // an engine that hangs does not answer
	ctx, cancel := context.WithTimeout(context.Background(), stopPatience)
	defer cancel()
	if h.Wait(ctx) == nil {
		return nil
	}
	if err := process.Stop(id, termPatience); err != nil {
		return fmt.Errorf("stop the engine: %w", err)
	}
	return nil
}

func (s Sandbox) askStop() {
	if c, err := engine.Dial(s.ControlPath()); err == nil {
		_ = c.Stop()
		_ = c.Close()
	}
}

// askIdentity identifies the process that listens for clients.
func (s Sandbox) askIdentity() process.ID {
	c, err := engine.Dial(s.ControlPath())
	if err != nil {
		return process.ID{}
	}
	defer func() { _ = c.Close() }()
	pid, err := c.Owner()
	if err != nil {
		return process.ID{}
	}
	id, _ := process.Identify(pid)
	return id
}

// Status asks the attachment's engine how it does.
func (s Sandbox) Status() (engine.Status, error) {
	c, err := engine.Dial(s.ControlPath())
	if err != nil {
		return engine.Status{}, err
	}
	defer func() { _ = c.Close() }()
	return c.Status()
}

package main

// Starting a program inside a sandbox, the parent's half: shim.go has the
// child's.
//
//	parent                                  shim
//	start, hand over launchSpec ──────────▶ enter the namespaces
//	                                        install the filter
//	              ◀──── "listener FD\n" ─── write(2), which is not notified
//	take FD (pidfd_getfd), attach it
//	to the engine, "go" ──────────────────▶ drop capabilities, execve
//	              ◀──── end of file ─────── the program runs
//
// An error of the shim comes as "error CODE TEXT\n" in place of any answer.

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"github.com/tcpcni/tcpcni/engine"
	"github.com/tcpcni/tcpcni/hostlink/process"
)

// A launchSpec is what the shim does before it becomes the program.
type launchSpec struct {
	Program string   `json:"program"` // absolute or relative path, looked up already
	Argv    []string `json:"argv"`
	Dir     string   `json:"dir"`              // working directory
	Resolv  string   `json:"resolv,omitempty"` // file to put in place of /etc/resolv.conf, in a mount namespace of its own
	MountNS bool     `json:"mountns"`          // descriptor fdMountNS is the mount namespace to enter
	Parent  int      `json:"parent"`           // whose death is the program's
	Poll    bool     `json:"poll,omitempty"`   // the engine is to see poll(2), too
}

// Descriptors of the shim.
const (
	fdSpec    = 3 // the launchSpec
	fdStatus  = 4 // answers to the parent
	fdGo      = 5 // the parent's go-ahead
	fdNetNS   = 6
	fdMountNS = 7 // valid iff launchSpec.MountNS
)

// A child is a program in a sandbox.
type child struct {
	cmd *exec.Cmd
	id  process.ID
}

// launch starts the program and returns when it runs. before, if there is one, is
// told of the program's process before it does anything of its own. The parent's
// thread must be the main one: when it ends, so does the program.
func launch(spec launchSpec, netNS, mountNS *os.File, control string, before func(process.ID)) (*child, error) {
	spec.Parent = os.Getpid()
	spec.MountNS = mountNS != nil
	specR, specW, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer closeAll(specR, specW)
	statusR, statusW, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer closeAll(statusR, statusW)
	goR, goW, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer closeAll(goR, goW)

	cmd := &exec.Cmd{
		Path: "/proc/self/exe", Args: []string{"tcpcni", "shim"},
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		ExtraFiles: []*os.File{specR, statusW, goR, netNS},
	}
	if mountNS != nil {
		cmd.ExtraFiles = append(cmd.ExtraFiles, mountNS)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the program's shim: %w", err)
	}
	closeAll(specR, statusW, goR)
	c := &child{cmd: cmd}
	err = c.handshake(spec, specW, statusR, goW, control, before)
	if err != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		return nil, err
	}
	return c, nil
}

func closeAll(files ...*os.File) {
	for _, f := range files {
		_ = f.Close() // some are closed already, which is fine
	}
}

func (c *child) handshake(spec launchSpec, specW, statusR, goW *os.File, control string, before func(process.ID)) (err error) {
	if c.id, err = process.Identify(c.cmd.Process.Pid); err != nil {
		return err
	}
	if spec.Poll, err = wantsPoll(control); err != nil {
		return err
	}
	if err := json.NewEncoder(specW).Encode(spec); err != nil {
		return fmt.Errorf("program's shim: %w", err)
	}
	_ = specW.Close()
	status := bufio.NewReader(statusR)
	line, err := status.ReadString('\n')
	if err != nil {
		return fmt.Errorf("program's shim ended: %w", err)
	}
	fd, err := parseListener(line)
	if err != nil {
		return err
	}
	if err := c.attach(fd, control); err != nil {
		return err
	}
	if before != nil {
		before(c.id)
	}
	if _, err := goW.Write([]byte{0}); err != nil {
		return fmt.Errorf("program's shim: %w", err)
	}
	line, err = status.ReadString('\n')
	if errors.Is(err, io.EOF) && line == "" {
		return nil // execve closed it
	}
	if _, err := parseListener(line); err != nil {
		return err
	}
	return fmt.Errorf("program's shim said %q", line)
}

// attach hands the listener of the child's filter to the engine.
func (c *child) attach(fd int, control string) error {
	h, err := process.Open(c.id)
	if err != nil {
		return err
	}
	defer func() { _ = h.Close() }()
	listener, err := h.TakeFile(fd, "seccomp listener")
	if err != nil {
		return err
	}
	defer func() { _ = listener.Close() }()
	client, err := engine.Dial(control)
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }()
	return client.Attach(listener)
}

// wantsPoll asks the engine whether its programs' poll(2) is to be notified. An
// engine that does not know the call does not say so.
func wantsPoll(control string) (bool, error) {
	client, err := engine.Dial(control)
	if err != nil {
		return false, err
	}
	defer func() { _ = client.Close() }()
	st, err := client.Status()
	return st.Poll, err
}

// parseListener reads an answer of the shim.
func parseListener(line string) (fd int, err error) {
	word, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
	switch word {
	case "listener":
		return strconv.Atoi(rest)
	case "error":
		code, text, _ := strings.Cut(rest, " ")
		n, err := strconv.Atoi(code)
		if err != nil {
			n = exitOwn
		}
		return 0, &exitError{n, errors.New(text)}
	}
	return 0, fmt.Errorf("program's shim said %q", line)
}

// wait returns the program's exit code, as a shell has it.
func (c *child) wait() (int, error) {
	err := c.cmd.Wait()
	st := c.cmd.ProcessState
	if st == nil {
		return exitOwn, err
	}
	return exitCodeOf(st), nil
}

// lookProgram finds the program as execvp(3) does. Its errors carry the exit
// code that env(1) has for them.
func lookProgram(name string) (string, error) {
	path, err := exec.LookPath(name)
	if errors.Is(err, exec.ErrDot) {
		err = nil // PATH holds the current directory: the user's choice
	}
	switch {
	case err == nil:
		return path, nil
	case errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist):
		return "", &exitError{exitNotFound, fmt.Errorf("%s: no such program: accepted: a path, or a name found in PATH", name)}
	}
	return "", &exitError{exitCannotRun, fmt.Errorf("%s: cannot be executed: %w: accepted: an executable program", name, errors.Unwrap(err))}
}

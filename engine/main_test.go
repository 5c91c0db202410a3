package engine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"testing"

	"github.com/tcpcni/tcpcni/hostlink"
	"golang.org/x/sys/unix"
)

// The test binary plays three parts: the tests, an engine, and the shim that
// puts a program under the filter. roleVar tells which.
const roleVar = "TCPCNI_ENGINE_TEST_ROLE"

// lendVar, when it is set, has an engine with shards lend every connection at once.
const lendVar = "TCPCNI_ENGINE_TEST_LEND"

func TestMain(m *testing.M) {
	roles := map[string]func() error{"engine": playEngine, "shim": playShim}
	play, ok := roles[os.Getenv(roleVar)]
	if !ok {
		os.Exit(m.Run())
	}
	err := play()
	if err != nil {
		fmt.Fprintln(os.Stderr, os.Getenv(roleVar)+":", err)
		os.Exit(125)
	}
}

// playEngine runs an engine for the configuration file that is its argument.
func playEngine() error {
	// With cgo, as the race detector needs it, privileges cannot be dropped.
	drop := dropPrivileges
	dropPrivileges = func(keep ...hostlink.Capability) error {
		if err := drop(keep...); !errors.Is(err, hostlink.ErrCgo) {
			return err
		}
		return nil
	}
	lendAll = os.Getenv(lendVar) != ""
	cfg, err := LoadConfig(os.Args[1])
	if err != nil {
		return err
	}
	return Run(cfg, func() { _, _ = os.Stdout.WriteString("ready\n") })
}

// Descriptors of the shim: it says the number of its listener on one and waits
// for the word to go on from the other.
const (
	shimSays  = 3
	shimHears = 4
)

// playShim executes the program that its arguments name, in the network
// namespace that the first one names and under the filter.
func playShim() error {
	runtime.LockOSThread()
	ns, err := unix.Open(os.Args[1], unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	if err := unix.Setns(ns, unix.CLONE_NEWNET); err != nil {
		return err
	}
	argv, env := os.Args[2:], os.Environ()
	path, err := filepath.Abs(argv[0])
	if err != nil {
		return err
	}
	unix.CloseOnExec(shimSays)
	unix.CloseOnExec(shimHears)
	l, err := hostlink.InstallFilter()
	if err != nil {
		return err
	}
	if _, err := unix.Write(shimSays, []byte(strconv.Itoa(l)+"\n")); err != nil {
		return err
	}
	if n, err := unix.Read(shimHears, make([]byte, 1)); err != nil || n != 1 {
		return errors.New("no word to go on")
	}
	return syscall.Exec(path, argv, env)
}

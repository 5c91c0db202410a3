// Package ocilisten is the agent's side of an OCI runtime's seccomp listener
// (runtime-spec, config-linux.md, "The Container Process State"): for each
// process that it puts under a filter with notifications, the runtime connects,
// sends a JSON object with the listener's descriptor (SCM_RIGHTS), and hangs up.
//
// Only root may connect. A peer gets a bounded time and a bounded number of
// bytes, and what is not the descriptor of a seccomp listener is closed.
package ocilisten

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/tcpcni/tcpcni/hostlink"
)

// Bounds of a conversation. The state holds the container's annotations, of
// which Kubernetes allows 256 KiB for a pod.
const (
	maxState = 1 << 20 // bytes of the JSON object
	maxFDs   = 8       // descriptors in it
	maxPeers = 64      // conversations at a time; others wait in the backlog
	patience = 10 * time.Second
)

// A Listener takes seccomp listeners from runtimes.
type Listener struct{ l *net.UnixListener }

// Listen makes the socket at path, an absolute path of up to 107 bytes
// (unix(7)), for its owner alone. A socket that a dead process left is replaced.
func Listen(path string) (*Listener, error) {
	if !filepath.IsAbs(path) || len(path) > 107 {
		return nil, fmt.Errorf("listener: %q: accepted: an absolute path of up to 107 bytes", path)
	}
	if st, err := os.Lstat(path); err == nil && st.Mode()&os.ModeSocket == 0 {
		return nil, fmt.Errorf("listener: %q: is not a socket: accepted: a path for a socket", path)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		_ = l.Close()
		return nil, err
	}
	return &Listener{l}, nil
}

// Close ends Serve.
func (l *Listener) Close() error { return l.l.Close() }

// Serve calls handle for each listener that comes, for several at a time. The
// file is closed when handle returns. When that is with an error, the process's
// notified calls fail with ENOSYS. Serve returns nil when the context is over.
func (l *Listener) Serve(ctx context.Context, handle func(*specs.ContainerProcessState, *os.File) error) error {
	stop := context.AfterFunc(ctx, func() { _ = l.l.Close() })
	defer stop()
	places := make(chan struct{}, maxPeers)
	for {
		conn, err := l.l.AcceptUnix()
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return err
		case err != nil:
			// Out of descriptors, say: what is served now will give some back.
			slog.Warn("seccomp listener: accept", "error", err)
			select {
			case <-ctx.Done():
			case <-time.After(100 * time.Millisecond):
			}
			continue
		}
		places <- struct{}{}
		go func() {
			defer func() { <-places }()
			defer func() { _ = conn.Close() }()
			if err := serve(conn, handle); err != nil {
				slog.Error("seccomp listener", "error", err)
			}
		}()
	}
}

func serve(conn *net.UnixConn, handle func(*specs.ContainerProcessState, *os.File) error) error {
	if err := rootOnly(conn); err != nil {
		return err
	}
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	text, files, err := receive(conn)
	defer func() {
		for _, f := range files {
			_ = f.Close()
		}
	}()
	if err != nil {
		return err
	}
	state := new(specs.ContainerProcessState)
	if err := json.Unmarshal(text, state); err != nil {
		return fmt.Errorf("container process state: %w", err)
	}
	at := slices.Index(state.Fds, specs.SeccompFdName)
	if at < 0 || at >= len(files) || len(state.Fds) != len(files) {
		return fmt.Errorf("container %q: fds: %q with %d descriptors: accepted: a name for each, %q among them", state.State.ID, state.Fds, len(files), specs.SeccompFdName)
	}
	if !hostlink.IsNotifier(int(files[at].Fd())) {
		return fmt.Errorf("container %q: %s: accepted: a seccomp listener", state.State.ID, specs.SeccompFdName)
	}
	if err := handle(state, files[at]); err != nil {
		slog.Error("seccomp listener: refused", "container", state.State.ID, "process", state.Pid, "error", err)
		refuse(files[at])
	}
	return nil
}

func rootOnly(conn *net.UnixConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var cred *unix.Ucred
	var credErr error
	if err := raw.Control(func(fd uintptr) {
		cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		return err
	}
	switch {
	case credErr != nil:
		return os.NewSyscallError("SO_PEERCRED", credErr)
	case cred.Uid != 0:
		return fmt.Errorf("peer: user %d, process %d: accepted: user 0", cred.Uid, cred.Pid)
	}
	return nil
}

// receive reads until the JSON object is whole or the peer hangs up. The files
// are valid also with an error.
func receive(conn *net.UnixConn) (text []byte, files []*os.File, err error) {
	buf := make([]byte, 64<<10)
	oob := make([]byte, unix.CmsgSpace(maxFDs*4))
	for {
		n, oobn, _, _, err := conn.ReadMsgUnix(buf, oob)
		files = append(files, received(oob[:oobn])...)
		text = append(text, buf[:n]...)
		switch {
		case len(text) > maxState:
			return nil, files, fmt.Errorf("container process state: more than %d bytes", maxState)
		case len(files) > maxFDs:
			return nil, files, fmt.Errorf("container process state: more than %d descriptors", maxFDs)
		case errors.Is(err, io.EOF) || err == nil && n == 0:
			return text, files, nil
		case err != nil:
			return nil, files, fmt.Errorf("container process state: %w", err)
		case json.Valid(text):
			return text, files, nil
		}
	}
}

// received are the descriptors of a message, which the net package receives
// close-on-exec.
func received(oob []byte) (files []*os.File) {
	msgs, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil
	}
	for i := range msgs {
		fds, err := unix.ParseUnixRights(&msgs[i])
		if err != nil {
			continue
		}
		for _, fd := range fds {
			files = append(files, os.NewFile(uintptr(fd), "received"))
		}
	}
	return files
}

// refuse answers the calls of a process that nobody serves with ENOSYS, for as
// long as a runtime takes to set the process up. Closing the listener gives
// ENOSYS, too, but only once the process itself has closed it, by execve: until
// then a runtime's own calls would wait for ever. So they fail, and the
// container does not start.
func refuse(f *os.File) {
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return
	}
	n := hostlink.NewNotifier(fd)
	defer func() { _ = n.Close() }()
	for end := time.Now().Add(patience); time.Now().Before(end); {
		p := []unix.PollFd{{Fd: int32(n.FD()), Events: unix.POLLIN}}
		if _, err := unix.Poll(p, int(time.Until(end)/time.Millisecond)); err != nil && err != unix.EINTR {
			return
		}
		if p[0].Revents&unix.POLLIN == 0 {
			if p[0].Revents != 0 {
				return // no process is left under the filter
			}
			continue
		}
		var call hostlink.Notification
		if n.Recv(&call) == 0 {
			_ = n.Reply(call.ID, 0, unix.ENOSYS)
		}
	}
}

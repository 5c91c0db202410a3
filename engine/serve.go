package engine

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tcpcni/tcpcni/hostlink"
)

// control is the engine's side of the control socket.
type control struct {
	open     bool
	listener int
	clients  []*hostlink.ControlConn // by number; nil: free
}

// tooLong is the answer to a request that is more than is read.
var tooLong = fmt.Sprintf("the request is longer than %d bytes", hostlink.MaxControlLine)

// maxClients bounds the clients at a time; the next ones wait in the backlog.
const maxClients = 16

func (e *engine) acceptClient() {
	for {
		n := e.ctl.freeSlot()
		if n < 0 {
			return
		}
		c, err := hostlink.AcceptControl(e.ctl.listener)
		if err != nil {
			if !errors.Is(err, hostlink.ErrAgain) {
				e.log.Warn("control socket", "error", err)
			}
			return
		}
		if err := e.poll.Add(c.FD(), hostlink.In, tag(kindClient, 0, n)); err != nil {
			_ = c.Close()
			return
		}
		e.ctl.clients[n] = c
	}
}

func (t *control) freeSlot() int {
	for i, c := range t.clients {
		if c == nil {
			return i
		}
	}
	if len(t.clients) == maxClients {
		return -1
	}
	t.clients = append(t.clients, nil)
	return len(t.clients) - 1
}

// clientReady serves a client: first what it has not taken yet, then the next
// request.
func (e *engine) clientReady(_ uint32, n int, _ uint32) {
	c := e.ctl.clients[n]
	if c == nil {
		return
	}
	if err := e.serveClient(c); err != nil {
		_ = e.poll.Remove(c.FD())
		_ = c.Close()
		e.ctl.clients[n] = nil
		return
	}
	mask := uint32(hostlink.In)
	if c.Pending() {
		mask = hostlink.Out
	}
	_ = e.poll.Modify(c.FD(), mask, tag(kindClient, 0, n))
}

func (e *engine) serveClient(c *hostlink.ControlConn) error {
	if err := c.Flush(); err != nil {
		return err
	}
	for !c.Pending() {
		line, err := c.ReadLine()
		if errors.Is(err, hostlink.ErrAgain) {
			return nil
		}
		if errors.Is(err, hostlink.ErrLineTooLong) {
			// It is not read to its end, so the conversation ends with this.
			if text, err := json.Marshal(response{Error: tooLong}); err == nil {
				_ = c.SendLine(text, -1)
			}
			return err
		}
		if err != nil {
			return err
		}
		answer, err := json.Marshal(e.answer(line, c))
		if err != nil {
			return err
		}
		if err := c.SendLine(answer, -1); err != nil {
			return err
		}
	}
	return nil
}

// operations of the control protocol.
var operations = map[string]func(*engine, *request, *hostlink.ControlConn) response{
	opStatus:  func(e *engine, _ *request, _ *hostlink.ControlConn) response { return response{Status: e.status()} },
	opSockets: func(e *engine, _ *request, _ *hostlink.ControlConn) response { return response{Sockets: e.sockets()} },
	opAttach: func(e *engine, _ *request, c *hostlink.ControlConn) response {
		if err := e.attachFrom(c); err != nil {
			return response{Error: err.Error()}
		}
		return response{}
	},
	opStop: func(e *engine, _ *request, _ *hostlink.ControlConn) response {
		e.helper.stopping()
		e.stopped.Store(true)
		return response{}
	},
	opTunables: func(e *engine, q *request, _ *hostlink.ControlConn) response { return e.tunables(q) },
	opKeys:     func(e *engine, q *request, _ *hostlink.ControlConn) response { return e.keys(q) },
}

func (e *engine) answer(line []byte, c *hostlink.ControlConn) response {
	var q request
	if err := json.Unmarshal(line, &q); err != nil {
		return response{Error: err.Error()}
	}
	f, ok := operations[q.Op]
	if !ok {
		return response{Error: fmt.Sprintf("op %q is unknown; accepted: %s", q.Op, strings.Join(slices.Sorted(maps.Keys(operations)), ", "))}
	}
	e.shards.halt()
	defer e.shards.resume()
	return f(e, &q, c)
}

func (e *engine) attachFrom(c *hostlink.ControlConn) error {
	fd := c.TakeFD()
	if fd < 0 {
		return errors.New("attach: no descriptor came along")
	}
	if !hostlink.IsNotifier(fd) {
		hostlink.CloseFD(fd)
		return errors.New("attach: the descriptor is no seccomp listener")
	}
	if no := e.helper.keep(fd); no != 0 {
		hostlink.CloseFD(fd)
		return fmt.Errorf("attach: the holder does not keep the listener: %w", no)
	}
	if err := e.attach(fd); err != nil {
		hostlink.CloseFD(fd)
		return err
	}
	return nil
}

func (t *control) close() {
	if !t.open {
		return
	}
	for _, c := range t.clients {
		if c != nil {
			_ = c.Close()
		}
	}
	hostlink.CloseFD(t.listener)
}

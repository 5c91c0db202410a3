package main

// Memory under idle connections. That they are alive is checked by an exchange
// over each, after all of them are there and were weighed.

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/tcpcni/tcpcni/hostlink"
)

// weighed are the sides whose memory is measured.
var weighed = []string{sandboxSide, runscSide, librarySide}

// A load is a number of idle connections.
type load struct {
	name, what string
	conns      int
	deep       bool
	sides      []string
}

// mostHeld is what the client's ports are good for: it has them twice.
const mostHeld = 110000

func (l *lab) loads() []load {
	return []load{
		{"memory", fmt.Sprintf("each of %d idle connections, resident", l.o.conns), l.o.conns, false, weighed},
		{"memory-100k", fmt.Sprintf("each of %d idle connections, resident", l.o.many), l.o.many, true, []string{sandboxSide}},
	}
}

// memory measures what serves the side before and under idle connections; deep is
// about those loads that a server may not survive.
func (l *lab) memory(r *report, deep bool) error {
	for _, m := range l.loads() {
		if m.deep != deep || !l.o.wants(m.name, m.deep) {
			continue
		}
		for _, name := range m.sides {
			s := l.sides[sideKey{name, outside}]
			if s == nil {
				continue
			}
			err := l.weigh(s, r, m.name, m.what, m.conns)
			if err != nil && m.deep && l.ctx.Err() == nil {
				// Limits of the machine or of the sandbox: an answer as well, unless this
				// is what was asked for.
				r.Fail(m.name+"-held", "connections held", "connections", name, err)
				if !l.o.names(m.name) {
					fmt.Fprintln(os.Stderr, err)
					err = nil
				}
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// A weight is what there is at one moment.
type weight struct {
	resident int64 // bytes of what serves the side
	slabs    slabs
	sockets  int // of the engine; -1: the side has none
}

func (l *lab) weigh(s *side, r *report, name, what string, conns int) error {
	idle, err := s.settled()
	if err != nil {
		return err
	}
	begin := time.Now()
	h, err := l.hold(s, conns)
	if err != nil {
		return err
	}
	took := time.Since(begin)
	loaded, err := s.settled()
	if err == nil && s.sockets != nil && loaded.sockets-idle.sockets != conns {
		err = fmt.Errorf("the engine has %d sockets more than before %d connections", loaded.sockets-idle.sockets, conns)
	}
	if err == nil {
		err = h.exchange()
	}
	if err := errors.Join(err, h.release()); err != nil {
		return err
	}
	each := float64(loaded.resident-idle.resident) / float64(conns)
	fmt.Fprintf(os.Stderr, "%-12s %-11s idle %.1f MB, %d connections %.1f MB, %.0f bytes each; made in %.1f s\n",
		name, s.name, mb(idle.resident), conns, mb(loaded.resident), each, took.Seconds())
	if name == "memory" {
		r.Add("memory-idle", "nothing connected, resident", "MB", s.name, mb(idle.resident))
	} else {
		r.Add(name+"-held", "connections held", "connections", s.name, float64(conns))
		if loaded.slabs != nil {
			grown := loaded.slabs.since(idle.slabs)
			fmt.Fprint(os.Stderr, grown.each(conns))
			r.Add(name+"-slab", "kernel memory of each and of the client's end, slabs of the whole machine", "bytes", s.name, float64(grown.sum())/float64(conns))
		}
	}
	r.Add(name+"-conn", what, "bytes", s.name, each)
	_, err = s.settled()
	return err
}

// A holding is a client with its idle connections.
type holding struct {
	what    string
	conns   int
	cmd     *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Reader
	release func() error // closes them
}

// hold opens count connections to the side's server.
func (l *lab) hold(s *side, count int) (*holding, error) {
	h := &holding{what: fmt.Sprintf("client idle %d on the %s side", count, s.name), conns: count}
	h.cmd = l.clientCommand(s, &test{mode: "idle", count: count}, 0, 0)
	h.cmd.Stderr = os.Stderr
	var err error
	if h.in, err = h.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := h.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	h.out = bufio.NewReader(out)
	if err := hostlink.InNetNS(s.client, h.cmd.Start); err != nil {
		return nil, err
	}
	h.release = func() error { return errors.Join(h.in.Close(), h.cmd.Wait()) }
	if err := h.ready(); err != nil {
		return nil, errors.Join(err, h.release())
	}
	return h, nil
}

// eachTakes is more than a connection or an exchange takes on a machine that is
// emulated.
const eachTakes = 20 * time.Millisecond

// ready waits until the client has exchanged a byte over every connection.
func (h *holding) ready() error {
	hang := time.AfterFunc(patience+time.Duration(h.conns)*eachTakes, func() { _ = h.cmd.Process.Kill() })
	defer hang.Stop()
	line, err := h.out.ReadString('\n')
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", h.what, err)
	case line != "ready\n":
		return fmt.Errorf("%s said %q", h.what, line)
	}
	return nil
}

// exchange has the client exchange one more byte over every connection.
func (h *holding) exchange() error {
	if _, err := h.in.Write([]byte{'x'}); err != nil {
		return fmt.Errorf("%s: %w", h.what, err)
	}
	return h.ready()
}

// What counts as settled: so long without a change of more than a thousandth.
const (
	settle    = 3 * time.Second
	unsettled = 100 * time.Second // after which it is what it is
)

// settled weighs the side when it has given back what it only needed meanwhile.
func (s *side) settled() (w weight, err error) {
	last := int64(-1)
	for since, end := time.Now(), time.Now().Add(unsettled); ; time.Sleep(settle / 10) {
		if w.resident, err = s.resident(); err != nil {
			return w, err
		}
		now := time.Now()
		if last < 0 || w.resident > last+last/1000 || w.resident < last-last/1000 {
			last, since = w.resident, now
		}
		if now.Sub(since) >= settle || now.After(end) {
			break
		}
	}
	if w.slabs, err = readSlabs(); err != nil {
		return w, err
	}
	w.sockets = -1
	if s.sockets != nil {
		w.sockets, err = s.sockets()
	}
	return w, err
}

// resident returns the bytes that the side's own processes have in memory.
func (s *side) resident() (sum int64, err error) {
	pids, err := s.memory()
	if err != nil {
		return 0, err
	}
	for _, pid := range pids {
		n, err := kibLine(filepath.Join("/proc", fmt.Sprint(pid), "status"), "VmRSS:")
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return sum, nil
}

// kibLine returns the bytes of a line of a file of proc(5) that are in kB.
func kibLine(file, name string) (int64, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, name); ok {
			kib, err := strconv.ParseInt(strings.Fields(value)[0], 10, 64)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("%s has no %s", file, name)
}

func mb(n int64) float64 { return float64(n) / 1e6 }

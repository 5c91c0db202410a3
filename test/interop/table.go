package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/tcpcni/tcpcni/test/bench/figures"
)

// tableOptions say how the table is measured.
type tableOptions struct {
	passes int
	jobs   int
	only   string
	json   string
}

// The buffers do not bound what an algorithm reaches.
var largeBuffers = map[string]string{"tcp_rmem": "4096 4194304 67108864", "tcp_wmem": "4096 4194304 67108864"}

// run measures, and adds what it measured to the file.
func (o *tableOptions) run(stop <-chan os.Signal) (r *figures.Report, err error) {
	if r, err = o.begin(); err != nil {
		return nil, err
	}
	list := cells(o.only)
	if len(list) == 0 {
		return nil, fmt.Errorf("-only %q: no name begins so; they are like %s%s", o.only, fairName, path{algorithms[0], 10, 50}.name())
	}
	dir, err := os.MkdirTemp("", "tcpcni-interop-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	work := make(chan func(w *worker) error)
	var wg sync.WaitGroup
	var mu sync.Mutex
	var failed error
	// A line that waits in epoll_wait keeps its place with the scheduler, see
	// hostlink.Poller.
	runtime.GOMAXPROCS(runtime.NumCPU() + o.jobs)
	for i := range min(o.jobs, len(list)*o.passes) {
		wg.Add(1)
		go func() {
			defer wg.Done()
			w, err := newWorker(filepath.Join(dir, fmt.Sprint(i)))
			if err == nil {
				for f := range work {
					err = errors.Join(err, f(w))
				}
				err = errors.Join(err, w.close())
			} else {
				for range work {
				}
			}
			mu.Lock()
			failed = errors.Join(failed, err)
			mu.Unlock()
		}()
	}
	interrupted := false
	for pass := range o.passes {
		for i, c := range list {
			if interrupted {
				break
			}
			select {
			case <-stop:
				interrupted = true
			case work <- func(w *worker) error {
				rates, err := w.measure(c, uint64(1000*(pass+r.Rounds)+i+1))
				if err != nil {
					return fmt.Errorf("%s, %s: %w", c.what(), c.side, err)
				}
				mu.Lock()
				defer mu.Unlock()
				add(r, c, rates)
				fmt.Fprintf(os.Stderr, "pass %d, %s, %s: %.2f Mbit/s\n", pass+1, c.what(), c.side, rates)
				return nil
			}:
			}
		}
	}
	close(work)
	wg.Wait()
	if interrupted {
		failed = errors.Join(failed, errors.New("interrupted"))
	}
	if failed != nil {
		return nil, failed
	}
	for _, res := range r.Results {
		for _, v := range res.Rounds {
			r.Rounds = max(r.Rounds, len(v))
		}
	}
	if o.json != "" {
		err = figures.Write(o.json, r)
	}
	return r, err
}

// begin returns the report of the file if it is of this machine and commit.
func (o *tableOptions) begin() (*figures.Report, error) {
	r := figures.New()
	r.Seconds, r.MTU = bulkSpan.Seconds(), mtu
	for _, c := range cells("") { // the order of the page, whatever comes first
		name(&r, c)
	}
	if o.json == "" {
		return &r, nil
	}
	was := new(figures.Report)
	switch err := figures.Read(o.json, was); {
	case errors.Is(err, os.ErrNotExist):
		return &r, nil
	case err != nil:
		return nil, err
	case was.Commit != r.Commit || was.CPU != r.CPU || was.Kernel != r.Kernel:
		return nil, fmt.Errorf("%s: of commit %s, %s, Linux %s; accepted: what was measured here, commit %s, or no file", o.json, was.Commit, was.CPU, was.Kernel, r.Commit)
	}
	return was, nil
}

// name makes the results of a cell.
func name(r *figures.Report, c cell) {
	if !c.fair() {
		r.Result(aloneName+c.name(), c.what(), "Mbit/s")
		return
	}
	r.Result(fairName+c.name(), c.what(), "Jain's index")
	r.Result(partName+c.name(), c.what(), "% of both")
}

// add adds what the flows of a cell reached.
func add(r *figures.Report, c cell, rates []float64) {
	if !c.fair() {
		r.Add(aloneName+c.name(), c.what(), "Mbit/s", c.side, rates[0])
		return
	}
	r.Add(fairName+c.name(), c.what(), "Jain's index", c.side, jain(rates))
	ours := rates[0]
	switch c.side {
	case oursFirst:
	case kernelFirst:
		ours = rates[1]
	default:
		return
	}
	r.Add(partName+c.name(), c.what(), "% of both", c.side, 100*ours/(rates[0]+rates[1]))
}

// A worker has three namespaces, and a thread of its own.
type worker struct {
	hosts [3]*kernelHost // the third is a second sender
	port  uint16
}

func newWorker(dir string) (*worker, error) {
	// The line is as exact as the thread that plays it is on time. Without the
	// right to it the numbers are only noisier.
	runtime.LockOSThread()
	_ = unix.SchedSetAttr(0, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: 1}, 0)
	w := &worker{port: 2000}
	for i := range w.hosts {
		h, err := newKernelHost(i, dir)
		if err != nil {
			return nil, errors.Join(err, w.close())
		}
		w.hosts[i] = h
		if err := h.set(largeBuffers); err != nil {
			return nil, errors.Join(err, w.close())
		}
	}
	return w, nil
}

func (w *worker) close() error {
	var errs []error
	for _, h := range w.hosts {
		if h != nil {
			errs = append(errs, h.remove())
		}
	}
	return errors.Join(errs...)
}

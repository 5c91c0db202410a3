package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// tableOptions say how the table is measured.
type tableOptions struct {
	passes int
	jobs   int
	only   string
	side   string
}

// Where the results go: netstack/sim takes the kernel's from there into
// docs/congestion.md, and ours in real time stand beside for comparison.
var sides = []struct {
	name   string
	kernel bool
	file   string
}{
	{"kernel", true, "netstack/sim/testdata/kernel-congestion.txt"},
	{"ours", false, "test/interop/testdata/ours-congestion.txt"},
}

var (
	tableLosses = []int{0, 10, 30, 100}
	tableTrips  = []int{1, 50, 200}
	algorithms  = []string{"cubic", "reno", "bbr"} // what both have
)

// The buffers do not bound what an algorithm reaches.
var largeBuffers = map[string]string{"tcp_rmem": "4096 4194304 67108864", "tcp_wmem": "4096 4194304 67108864"}

// A task is a cell on one side, and what was measured.
type task struct {
	cell
	kernel bool
	shares []float64
}

func (o *tableOptions) run(stop <-chan os.Signal) error {
	dir, err := os.MkdirTemp("", "tcpcni-interop-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	tasks := o.tasks()
	work := make(chan func(w *worker) error)
	var wg sync.WaitGroup
	var mu sync.Mutex
	var failed error
	for i := range o.jobs {
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
		for i := range tasks {
			t := &tasks[i]
			if interrupted {
				break
			}
			select {
			case <-stop:
				interrupted = true
			case work <- func(w *worker) error {
				share, err := w.measure(t, uint64(1000*pass+i+1))
				mu.Lock()
				t.shares = append(t.shares, share)
				fmt.Printf("%d %+v kernel %v: %.3f\n", pass, t.cell, t.kernel, share)
				mu.Unlock()
				return err
			}:
			}
		}
	}
	close(work)
	wg.Wait()
	if interrupted {
		failed = errors.Join(failed, errors.New("interrupted"))
	}
	if failed != nil || o.only != "" {
		return failed
	}
	for _, side := range sides {
		if o.side == "" || o.side == side.name {
			failed = errors.Join(failed, write(side.file, tasks, side.kernel))
			if !side.kernel {
				failed = errors.Join(failed, document(side.file))
			}
		}
	}
	return failed
}

func (o *tableOptions) tasks() (list []task) {
	for _, side := range sides {
		if o.side != "" && o.side != side.name {
			continue
		}
		for _, name := range algorithms {
			for _, loss := range tableLosses {
				for _, ms := range tableTrips {
					if o.only == "" || o.only == name {
						list = append(list, task{cell: cell{name, loss, ms}, kernel: side.kernel})
					}
				}
			}
		}
	}
	return list
}

// A worker has two namespaces, and a thread of its own.
type worker struct {
	hosts [2]*kernelHost
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

func (w *worker) measure(t *task, seed uint64) (float64, error) {
	w.port++
	if t.kernel {
		return t.cell.measure(w.hosts[0], w.hosts[1], w.port, seed)
	}
	var ours [2]host
	for i := range ours {
		h, err := newStackHost(i, largeBuffers, seed+uint64(i)<<32)
		if err != nil {
			return 0, err
		}
		ours[i] = h
	}
	return t.cell.measure(ours[0], ours[1], w.port, seed)
}

// write puts the medians of one side into a file.
func write(file string, tasks []task, kernel bool) error {
	var release unix.Utsname
	if err := unix.Uname(&release); err != nil {
		return err
	}
	who := "our TCP"
	if kernel {
		who = "the kernel's TCP, Linux " + strings.SplitN(unix.ByteSliceToString(release.Release[:]), "-", 2)[0]
	}
	var b strings.Builder
	fmt.Fprintf(&b, "# Share of the line of docs/congestion.md that %s reaches in real time,\n"+
		"# written by go run ./test/interop -table: algorithm, loss per thousand,\n# round trip in milliseconds, median of %d.\n", who, len(tasks[0].shares))
	for _, t := range tasks {
		if t.kernel == kernel {
			slices.Sort(t.shares)
			fmt.Fprintf(&b, "%s %d %d %.3f\n", t.algorithm, t.loss, t.ms, t.shares[len(t.shares)/2])
		}
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, []byte(b.String()), 0o644)
}

package main

// The guest's first process. It loads what it takes to see the machine's file
// system, puts a layer in memory over it, makes that its root, runs the steps
// of its job one after the other and powers the guest off.

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A step is one command.
type step struct {
	Name string
	Dir  string // absolute, of the machine's file system
	Args []string
	Env  []string // beyond the job's
}

// A job is what the guest is told, by a file in its initramfs.
type job struct {
	Release string
	Top     string   // of the clone
	Modules []string // files below /modules, in the order to load them
	Write   string   // a folder of the machine that can be written to; "": none
	Env     []string
	Steps   []step
}

const jobFile = "/job.json"

// Tags of the shared folders: the machine's root, the added packages, the
// kernel's modules, and the one for writing.
const (
	tagRoot    = "root"
	tagAdded   = "added"
	tagModules = "modules"
	tagWrite   = "write"
)

// The two lines to the machine, by the numbers that the devices are given.
const (
	outputLine = 1
	statusLine = 2
)

func linePath(nr int) string { return fmt.Sprintf("/dev/vport0p%d", nr) }

// lastWord ends the status: without it the guest has not come to its end.
const lastWord = "end"

// initMain does not return. An error goes to the console, which the machine
// shows when the last word is missing.
func initMain() {
	// The kernel opens the console for the first process.
	if err := boot(); err != nil {
		fmt.Fprintln(os.Stderr, "init:", err)
	}
	unix.Sync()
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
	select {}
}

func boot() error {
	text, err := os.ReadFile(jobFile)
	if err != nil {
		return err
	}
	j := new(job)
	if err := json.Unmarshal(text, j); err != nil {
		return err
	}
	for _, m := range j.Modules {
		if err := load(filepath.Join("/modules", filepath.Base(m))); err != nil {
			return err
		}
	}
	if err := enterRoot(); err != nil {
		return err
	}
	if err := furnish(j); err != nil {
		return err
	}
	return work(j)
}

func load(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.FinitModule(int(f.Fd()), "", 0); err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}

// A mounting is one call of mount(2); the folder is made.
type mounting struct {
	source, target, kind string
	flags                uintptr
	data                 string
}

func mountAll(list []mounting) error {
	for _, m := range list {
		if err := os.MkdirAll(m.target, 0o755); err != nil {
			return err
		}

		if err := unix.Mount(m.source, m.target, m.kind, m.flags, m.data); err != nil {
			return fmt.Errorf("mount %s of type %s at %s: %w", m.source, m.kind, m.target, err)
		}
	}
	return nil
}

// share9p are the options of folders that nobody changes.
const share9p = "trans=virtio,version=9p2000.L,msize=512000,cache=loose"

// share9pWritten are those of the folder that the guest writes to: nothing of it
// waits in the guest's memory.
const share9pWritten = "trans=virtio,version=9p2000.L,msize=512000,cache=none"

// enterRoot makes the layered file system the root.
func enterRoot() error {
	err := mountAll([]mounting{
		{tagRoot, "/machine", "9p", unix.MS_RDONLY, share9p},
		{tagAdded, "/added", "9p", unix.MS_RDONLY, share9p},
		{"memory", "/memory", "tmpfs", 0, "mode=755"},
	})
	if err != nil {
		return err
	}
	for _, dir := range []string{"/memory/upper", "/memory/work"} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
	}
	err = mountAll([]mounting{{"root", "/new", "overlay", 0, "lowerdir=/added:/machine,upperdir=/memory/upper,workdir=/memory/work"}})
	if err != nil {
		return err
	}
	// switch_root(8): the initramfs cannot be unmounted, so it is covered.
	if err := os.Chdir("/new"); err != nil {
		return err
	}
	if err := unix.Mount(".", "/", "", unix.MS_MOVE, ""); err != nil {
		return err
	}
	if err := unix.Chroot("."); err != nil {
		return err
	}
	return os.Chdir("/")
}

// clone is where the clone is while the others are mounted.
const clone = "/.clone"

// furnish mounts what programs expect, as systemd does.
func furnish(j *job) error {
	const usual = unix.MS_NOSUID | unix.MS_NODEV
	list := []mounting{
		{j.Top, clone, "", unix.MS_BIND, ""},
		{"proc", "/proc", "proc", usual | unix.MS_NOEXEC, ""},
		{"sys", "/sys", "sysfs", usual | unix.MS_NOEXEC, ""},
		{"cgroup2", "/sys/fs/cgroup", "cgroup2", usual | unix.MS_NOEXEC, "nsdelegate,memory_recursiveprot"},
		{"bpf", "/sys/fs/bpf", "bpf", usual | unix.MS_NOEXEC, "mode=700"},
		{"dev", "/dev", "devtmpfs", unix.MS_NOSUID, "mode=755"},
		{"pts", "/dev/pts", "devpts", unix.MS_NOSUID | unix.MS_NOEXEC, "mode=620,ptmxmode=666,gid=5"},
		{"shm", "/dev/shm", "tmpfs", usual, "mode=1777"},
		{"mqueue", "/dev/mqueue", "mqueue", usual | unix.MS_NOEXEC, ""},
		{"run", "/run", "tmpfs", usual, "mode=755"},
		{"tmp", "/tmp", "tmpfs", 0, "mode=1777"}, // a part of the disk on most machines
		{clone, j.Top, "", unix.MS_BIND, ""},     // it may be below one of these
		{tagModules, filepath.Join("/usr/lib/modules", j.Release), "9p", unix.MS_RDONLY, share9p},
	}
	if j.Write != "" {
		list = append(list, mounting{tagWrite, j.Write, "9p", 0, share9pWritten})
	}
	// Mounts are shared, as everywhere that systemd has started.
	list = append(list, mounting{"", "/", "", unix.MS_REC | unix.MS_SHARED, ""})
	if err := mountAll(list); err != nil {
		return err
	}
	for link, to := range map[string]string{"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2"} {
		if err := os.Symlink(to, "/dev/"+link); err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
	}
	if err := unix.Sethostname([]byte("guest")); err != nil {
		return err
	}
	// systemd's defaults, which login sessions and services inherit.
	return unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 1024, Max: 524288})
}

// work runs the steps and says how each has ended, one line per step.
func work(j *job) error {
	out, err := os.OpenFile(linePath(outputLine), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	status, err := os.OpenFile(linePath(statusLine), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	null, err := os.Open("/dev/null")
	if err != nil {
		return err
	}
	base := append([]string{"HOME=/root", "LANG=C.UTF-8", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}, j.Env...)
	for _, args := range [][]string{
		{"ip", "link", "set", "lo", "up"},
		// systemd makes /dev/net/tun, and the kernel loads the module at its first
		// use. Here the module makes the file.
		{"modprobe", "tun"},
	} {
		if err := child("/", base, null, out, args...); err != nil {
			return fmt.Errorf("%v: %w", args, err)
		}
	}
	for _, s := range j.Steps {
		begin := time.Now()
		fmt.Fprintf(out, "=== %s: %s\n", s.Name, strings.Join(s.Args, " "))
		err := child(s.Dir, append(base, s.Env...), null, out, s.Args...)
		word := "ok"
		if err != nil {
			word = err.Error()
		}
		fmt.Fprintf(status, "%s: %s (%.1f s)\n", s.Name, word, time.Since(begin).Seconds())
	}
	_, err = fmt.Fprintln(status, lastWord)
	return err
}

// child runs a command to its end, and meanwhile takes leave of the orphans
// that end, as the first process has to.
func child(dir string, env []string, in, out *os.File, args ...string) error {
	path := args[0]
	if !filepath.IsAbs(path) {
		for _, d := range []string{"/usr/sbin", "/usr/bin"} {
			if _, err := os.Stat(filepath.Join(d, path)); err == nil {
				path = filepath.Join(d, path)
				break
			}
		}
	}
	pid, err := syscall.ForkExec(path, args, &syscall.ProcAttr{
		Dir: dir, Env: env, Files: []uintptr{in.Fd(), out.Fd(), out.Fd()}, Sys: &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	for {
		var ws syscall.WaitStatus
		ended, err := syscall.Wait4(-1, &ws, 0, nil)
		switch {
		case errors.Is(err, syscall.EINTR) || err == nil && ended != pid:
			continue
		case err != nil:
			return err
		case ws.Signaled():
			return fmt.Errorf("ended by signal %v", ws.Signal())
		case ws.ExitStatus() != 0:
			return fmt.Errorf("exit status %d", ws.ExitStatus())
		}
		return nil
	}
}

package main

// The virtual machine: qemu-system(1). It ends with this process, whatever ends
// that: the kernel then kills it, and everything of it is memory.

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A machine is what may differ from guest to guest.
type machine struct {
	memory int    // MiB: it holds all that tests write
	write  string // a folder of this machine that the guest can write to; "": none
	append string // to the kernel's command line
}

// leastMemory is what the guest needs for what it does by default, in MiB.
const leastMemory = 3072

// patience ends a guest that hangs. Emulated it is some ten times slower.
const (
	patience         = 10 * time.Minute
	patienceEmulated = 60 * time.Minute
)

// hasKVM tells whether this machine lets us have virtual ones of which the
// processor knows. KVM without such a processor runs kernels that are made for
// it, and Debian's gets nowhere.
func hasKVM() bool {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil || !regexp.MustCompile(`(?m)^flags\s*:.*\b(vmx|svm)\b`).Match(text) {
		return false
	}
	f, err := os.OpenFile("/dev/kvm", os.O_RDWR, 0)
	if err != nil {
		return false
	}
	_ = f.Close()
	return true
}

// accelerated tells whether to use it: E2E_VM_ACCEL=tcg says no.
func accelerated() bool { return os.Getenv("E2E_VM_ACCEL") != "tcg" && hasKVM() }

// guest boots, has the steps run and returns an error unless all have ended
// well.
func guest(p *platform, m machine, env []string, steps []step) error {
	dir, err := os.MkdirTemp("", "tcpcni-vm-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	initrd := filepath.Join(dir, "initrd")
	archive, err := initramfs(p, m, env, steps)
	if err != nil {
		return err
	}
	if err := os.WriteFile(initrd, archive, 0o600); err != nil {
		return err
	}
	limit, accel := patience, []string{"-accel", "kvm", "-cpu", "host", "-smp", strconv.Itoa(min(runtime.NumCPU(), 4))}
	if !accelerated() { // more processors are no faster
		limit, accel = patienceEmulated, []string{"-accel", "tcg", "-cpu", "max", "-smp", "1"}
	}
	share := func(tag, path, access string) []string {
		return []string{
			"-fsdev", "local,id=" + tag + ",path=" + path + "," + access + "security_model=none,multidevs=remap",
			"-device", "virtio-9p-pci,fsdev=" + tag + ",mount_tag=" + tag,
		}
	}
	shares := slices.Concat(share(tagRoot, "/", readOnly), share(tagAdded, p.added, readOnly), share(tagModules, p.modules, readOnly))
	if m.write != "" {
		shares = append(shares, share(tagWrite, m.write, "")...)
	}
	console, status := filepath.Join(dir, "console"), filepath.Join(dir, "status")
	args := slices.Concat(accel, []string{
		"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
		"-machine", "pc", "-m", strconv.Itoa(m.memory), "-nic", "none",
		"-kernel", p.kernel, "-initrd", initrd, "-append", strings.TrimSpace("console=ttyS0 quiet panic=-1 random.trust_cpu=on " + m.append),
		"-chardev", "file,id=console,path=" + console, "-serial", "chardev:console",
		"-device", "virtio-serial-pci",
		"-chardev", "file,id=output,path=/dev/stdout", "-device", fmt.Sprintf("virtserialport,chardev=output,nr=%d", outputLine),
		"-chardev", "file,id=status,path=" + status, "-device", fmt.Sprintf("virtserialport,chardev=status,nr=%d", statusLine),
	}, shares)

	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	// The signal of Pdeathsig comes when the thread ends that has started it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var complaints bytes.Buffer
	cmd := exec.CommandContext(ctx, "qemu-system-x86_64", args...)
	// A pipe of its own: qemu opens the path, which would cut a file to nothing.
	cmd.Stdout, cmd.Stderr = struct{ io.Writer }{os.Stdout}, &complaints
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	err = cmd.Run()
	if ctx.Err() != nil {
		err = fmt.Errorf("ended by a signal or after %v", limit)
	}
	if err != nil {
		err = fmt.Errorf("%w\n%s", err, complaints.String())
	}
	return errors.Join(err, verdict(console, status))
}

// verdict prints what the guest said of its steps.
func verdict(console, status string) error {
	text, err := os.ReadFile(status)
	if err != nil {
		return err
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	last := len(lines) - 1
	whole := lines[last] == lastWord
	var errs []error
	for _, line := range lines[:max(last, 0)] {
		say("%s", line)
		if !strings.Contains(line, ": ok (") {
			errs = append(errs, errors.New(line))
		}
	}
	if !whole {
		said, _ := os.ReadFile(console)
		errs = append(errs, fmt.Errorf("the guest did not come to its end; its console:\n%s", said))
	}
	return errors.Join(errs...)
}

// readOnly is of shares that the guest must not write to.
const readOnly = "readonly=on,"

// initramfs is what the guest starts with: this program, its job, and the
// modules that it needs to see more.
func initramfs(p *platform, m machine, env []string, steps []step) ([]byte, error) {
	order, err := bootOrder(p.modules)
	if err != nil {
		return nil, err
	}
	top, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(job{Release: p.release, Top: top, Modules: order, Write: m.write, Env: env, Steps: steps})
	if err != nil {
		return nil, err
	}
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		return nil, err
	}
	c := new(cpio)
	c.folder("dev")
	// The kernel opens it for the first process, as console(4) says, before any mount.
	c.device("dev/console", 0o600, 5, 1)
	c.folder("modules")
	c.file("init", 0o755, self)
	c.file(strings.TrimPrefix(jobFile, "/"), 0o644, text)
	for _, module := range order {
		content, err := os.ReadFile(filepath.Join(p.modules, module))
		if err != nil {
			return nil, err
		}
		c.file("modules/"+filepath.Base(module), 0o644, content)
	}
	return c.end(), nil
}

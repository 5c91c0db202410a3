package hostlink

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/tcpcni/tcpcni/test/needroot"
)

// attackEnv names what the test binary tries, locked down as an engine is.
const attackEnv = "HOSTLINK_TEST_ATTACK"

// loot is what an attacker finds in the engine that he has taken over.
type loot struct {
	root   int            // a directory
	pair   int            // a socket
	udp    int            // a UDP socket of the kernel
	udpAt  netip.AddrPort // its address on loopback
	file   int            // a file
	parent int            // number of a process that is not the sandbox's
	pidfd  int            // of that process
	placed int            // a place that holds it, too
}

func call(nr uintptr, args ...uintptr) unix.Errno {
	var a [6]uintptr
	copy(a[:], args)
	_, _, e := unix.RawSyscall6(nr, a[0], a[1], a[2], a[3], a[4], a[5])
	return e
}

func cstring(s string) uintptr {
	b, _ := unix.BytePtrFromString(s)
	return uintptr(unsafe.Pointer(b))
}

// Answers of the filter.
const (
	killed  = "killed"
	refused = "operation not permitted"
	missing = "function not implemented"
)

// attacks are what an attacker tries and what becomes of it.
var attacks = map[string]struct {
	do   func(l *loot) unix.Errno
	want string
}{
	"open": {func(*loot) unix.Errno { return call(unix.SYS_OPEN, cstring("/etc/passwd")) }, refused},
	"openat": {func(l *loot) unix.Errno {
		return call(unix.SYS_OPENAT, uintptr(l.root), cstring("etc/passwd"))
	}, refused},
	"openat2": {func(l *loot) unix.Errno {
		var how unix.OpenHow
		return call(unix.SYS_OPENAT2, uintptr(l.root), cstring("etc/passwd"), uintptr(unsafe.Pointer(&how)), unsafe.Sizeof(how))
	}, refused},
	"open by handle": {func(l *loot) unix.Errno { return call(unix.SYS_OPEN_BY_HANDLE_AT, uintptr(l.root)) }, killed},
	"getdents":       {func(l *loot) unix.Errno { return call(unix.SYS_GETDENTS64, uintptr(l.root)) }, refused},
	"unlink":         {func(*loot) unix.Errno { return call(unix.SYS_UNLINK, cstring("/nothing")) }, refused},
	"chmod":          {func(l *loot) unix.Errno { return call(unix.SYS_FCHMOD, uintptr(l.file), 0o777) }, refused},
	"mount":          {func(*loot) unix.Errno { return call(unix.SYS_MOUNT) }, killed},
	"chroot":         {func(*loot) unix.Errno { return call(unix.SYS_CHROOT, cstring("/")) }, killed},
	"fchdir":         {func(l *loot) unix.Errno { return call(unix.SYS_FCHDIR, uintptr(l.root)) }, refused},
	"unshare":        {func(*loot) unix.Errno { return call(unix.SYS_UNSHARE, unix.CLONE_NEWUSER) }, killed},
	"setns":          {func(l *loot) unix.Errno { return call(unix.SYS_SETNS, uintptr(l.pidfd), unix.CLONE_NEWNET) }, killed},

	"AF_INET":    {func(*loot) unix.Errno { return call(unix.SYS_SOCKET, unix.AF_INET, unix.SOCK_STREAM) }, killed},
	"AF_UNIX":    {func(*loot) unix.Errno { return call(unix.SYS_SOCKET, unix.AF_UNIX, unix.SOCK_STREAM) }, killed},
	"AF_NETLINK": {func(*loot) unix.Errno { return call(unix.SYS_SOCKET, unix.AF_NETLINK, unix.SOCK_RAW) }, killed},
	"connect":    {func(l *loot) unix.Errno { return call(unix.SYS_CONNECT, uintptr(l.pair)) }, killed},
	"bind":       {func(l *loot) unix.Errno { return call(unix.SYS_BIND, uintptr(l.pair)) }, killed},
	"datagram pair": {func(*loot) unix.Errno {
		var fds [2]int32
		return call(unix.SYS_SOCKETPAIR, unix.AF_UNIX, unix.SOCK_DGRAM, 0, uintptr(unsafe.Pointer(&fds)))
	}, refused},
	"sendto an address": {func(l *loot) unix.Errno {
		to := unix.RawSockaddrUnix{Family: unix.AF_UNIX}
		return call(unix.SYS_SENDTO, uintptr(l.pair), 0, 0, 0, uintptr(unsafe.Pointer(&to)), 2)
	}, refused},
	"sendto an address with a lower half of zero": {func(l *loot) unix.Errno {
		const at = 1 << 40
		prot, flags := uintptr(unix.PROT_READ|unix.PROT_WRITE), uintptr(unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_FIXED_NOREPLACE)
		if e := call(unix.SYS_MMAP, at, 4096, prot, flags, ^uintptr(0)); e != 0 {
			return e
		}
		return call(unix.SYS_SENDTO, uintptr(l.pair), 0, 0, 0, at, 2)
	}, refused},
	"splice at an offset": {func(l *loot) unix.Errno {
		var at int64
		return call(unix.SYS_SPLICE, uintptr(l.file), uintptr(unsafe.Pointer(&at)), uintptr(l.pair), 0, 1)
	}, refused},
	"vmsplice": {func(l *loot) unix.Errno { return call(unix.SYS_VMSPLICE, uintptr(l.pair)) }, refused},
	"tee":      {func(l *loot) unix.Errno { return call(unix.SYS_TEE, uintptr(l.pair), uintptr(l.pair)) }, refused},
	"pipe that packs datagrams": {func(*loot) unix.Errno {
		var fds [2]int32
		return call(unix.SYS_PIPE2, uintptr(unsafe.Pointer(&fds)), unix.O_DIRECT)
	}, refused},
	"SO_PEERPIDFD": {func(l *loot) unix.Errno { return getInt(l.pair, unix.SOL_SOCKET, unix.SO_PEERPIDFD) }, refused},
	"SO_PASSPIDFD": {func(l *loot) unix.Errno { return setInt(l.pair, unix.SOL_SOCKET, unix.SO_PASSPIDFD) }, refused},
	"SO_PASSCRED":  {func(l *loot) unix.Errno { return setInt(l.pair, unix.SOL_SOCKET, unix.SO_PASSCRED) }, refused},
	"SO_ATTACH_BPF": {func(l *loot) unix.Errno {
		return setInt(l.pair, unix.SOL_SOCKET, unix.SO_ATTACH_BPF)
	}, refused},
	"level of another protocol": {func(l *loot) unix.Errno { return setInt(l.pair, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP) }, refused},
	"sendto by UDP": {func(l *loot) unix.Errno {
		var to unix.RawSockaddrInet6
		n := putSockaddr(&to, netip.MustParseAddrPort("127.0.0.1:9"))
		return call(unix.SYS_SENDTO, uintptr(l.udp), 0, 0, 0, uintptr(unsafe.Pointer(&to)), uintptr(n))
	}, refused},
	"connect of UDP":    {func(l *loot) unix.Errno { return call(unix.SYS_CONNECT, uintptr(l.udp)) }, killed},
	"bind of UDP":       {func(l *loot) unix.Errno { return call(unix.SYS_BIND, uintptr(l.udp)) }, killed},
	"IP_TRANSPARENT":    {func(l *loot) unix.Errno { return setInt(l.udp, unix.IPPROTO_IP, unix.IP_TRANSPARENT) }, refused},
	"IP_FREEBIND":       {func(l *loot) unix.Errno { return setInt(l.udp, unix.IPPROTO_IP, unix.IP_FREEBIND) }, refused},
	"IP_ADD_MEMBERSHIP": {func(l *loot) unix.Errno { return setInt(l.udp, unix.IPPROTO_IP, unix.IP_ADD_MEMBERSHIP) }, refused},
	"UDP_ENCAP":         {func(l *loot) unix.Errno { return setInt(l.udp, unix.IPPROTO_UDP, unix.UDP_ENCAP) }, refused},
	"SO_BINDTODEVICE":   {func(l *loot) unix.Errno { return setInt(l.udp, unix.SOL_SOCKET, unix.SO_BINDTODEVICE) }, refused},
	"SO_BROADCAST":      {func(l *loot) unix.Errno { return setInt(l.udp, unix.SOL_SOCKET, unix.SO_BROADCAST) }, refused},
	"SO_MARK":           {func(l *loot) unix.Errno { return setInt(l.udp, unix.SOL_SOCKET, unix.SO_MARK) }, refused},
	"SIOCSIFADDR":       {func(l *loot) unix.Errno { return call(unix.SYS_IOCTL, uintptr(l.pair), unix.SIOCSIFADDR) }, refused},
	"TUNSETIFF":         {func(l *loot) unix.Errno { return call(unix.SYS_IOCTL, uintptr(l.file), unix.TUNSETIFF) }, refused},
	"TIOCSTI":           {func(l *loot) unix.Errno { return call(unix.SYS_IOCTL, 0, unix.TIOCSTI) }, refused},
	"PIDFD_GET_NET_NAMESPACE": {func(l *loot) unix.Errno {
		return call(unix.SYS_IOCTL, uintptr(l.pidfd), 0xFF04)
	}, refused},

	// A question to the holder, of whom there is none here.
	"pidfd_open":    {func(l *loot) unix.Errno { return call(unix.SYS_PIDFD_OPEN, uintptr(l.parent)) }, missing},
	"pidfd_getfd":   {func(l *loot) unix.Errno { return call(unix.SYS_PIDFD_GETFD, uintptr(l.pidfd)) }, refused},
	"close a place": {func(l *loot) unix.Errno { return call(unix.SYS_CLOSE, uintptr(l.placed)) }, refused},
	"close all places": {func(l *loot) unix.Errno {
		return call(unix.SYS_CLOSE_RANGE, uintptr(PlaceFD(0)), uintptr(PlaceFD(Places-1)))
	}, refused},
	"dup2 over a place": {func(l *loot) unix.Errno { return call(unix.SYS_DUP2, uintptr(l.pidfd), uintptr(l.placed)) }, refused},
	"dup3 over a place": {func(l *loot) unix.Errno { return call(unix.SYS_DUP3, uintptr(l.pidfd), uintptr(l.placed)) }, refused},
	"F_DUPFD from a place on": {func(l *loot) unix.Errno {
		return call(unix.SYS_FCNTL, uintptr(l.pidfd), unix.F_DUPFD, uintptr(l.placed))
	}, refused},
	"pidfd_getfd with flags": {func(l *loot) unix.Errno {
		return call(unix.SYS_PIDFD_GETFD, uintptr(l.placed), 0, 1)
	}, refused},
	"pidfd_send_signal": {func(l *loot) unix.Errno { return call(unix.SYS_PIDFD_SEND_SIGNAL, uintptr(l.pidfd)) }, killed},
	"process_vm_readv":  {func(l *loot) unix.Errno { return call(unix.SYS_PROCESS_VM_READV, uintptr(l.parent)) }, killed},
	"process_vm_writev": {func(l *loot) unix.Errno { return call(unix.SYS_PROCESS_VM_WRITEV, uintptr(l.parent)) }, killed},
	"ptrace":            {func(l *loot) unix.Errno { return call(unix.SYS_PTRACE, unix.PTRACE_SEIZE, uintptr(l.parent)) }, killed},
	"kcmp":              {func(l *loot) unix.Errno { return call(unix.SYS_KCMP, uintptr(l.parent), uintptr(l.parent)) }, killed},
	"kill":              {func(l *loot) unix.Errno { return call(unix.SYS_KILL, uintptr(l.parent)) }, killed},
	"tgkill":            {func(l *loot) unix.Errno { return call(unix.SYS_TGKILL, uintptr(l.parent), uintptr(l.parent)) }, killed},
	"prlimit":           {func(l *loot) unix.Errno { return call(unix.SYS_PRLIMIT64, uintptr(l.parent)) }, refused},
	"sched_setaffinity": {func(l *loot) unix.Errno { return call(unix.SYS_SCHED_SETAFFINITY, uintptr(l.parent)) }, refused},
	"fork":              {func(*loot) unix.Errno { return forked(call(unix.SYS_CLONE, uintptr(unix.SIGCHLD))) }, killed},
	"vfork by clone": {func(*loot) unix.Errno {
		return forked(call(unix.SYS_CLONE, unix.CLONE_VM|unix.CLONE_VFORK|uintptr(unix.SIGCHLD)))
	}, killed},
	"a process with the same table": {func(*loot) unix.Errno {
		return forked(call(unix.SYS_CLONE, unix.CLONE_FILES|uintptr(unix.SIGCHLD)))
	}, killed},
	"a thread with a table of its own": {func(*loot) unix.Errno {
		return forked(call(unix.SYS_CLONE, threadCloneFlags&^unix.CLONE_FILES))
	}, killed},
	"clone with a pidfd": {func(*loot) unix.Errno {
		var fd int32
		return forked(call(unix.SYS_CLONE, threadCloneFlags|unix.CLONE_PIDFD, 0, uintptr(unsafe.Pointer(&fd))))
	}, killed},
	"clone3": {func(*loot) unix.Errno { return call(unix.SYS_CLONE3) }, missing},
	"execve": {func(*loot) unix.Errno { return call(unix.SYS_EXECVE, cstring("/bin/true")) }, killed},
	"execveat": {func(l *loot) unix.Errno {
		return call(unix.SYS_EXECVEAT, uintptr(l.file), cstring(""), 0, 0, unix.AT_EMPTY_PATH)
	}, killed},

	"code of one's own": {func(*loot) unix.Errno {
		return call(unix.SYS_MMAP, 0, 4096, unix.PROT_READ|unix.PROT_EXEC, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS, ^uintptr(0), 0)
	}, killed},
	"mprotect to code": {func(*loot) unix.Errno { return call(unix.SYS_MPROTECT, 0, 4096, unix.PROT_READ|unix.PROT_EXEC) }, killed},
	"x32":              {func(*loot) unix.Errno { return call(x32Bit | unix.SYS_GETPID) }, killed},
	"dup":              {func(l *loot) unix.Errno { return call(unix.SYS_DUP, uintptr(l.pair)) }, refused},
	"F_DUPFD":          {func(l *loot) unix.Errno { return call(unix.SYS_FCNTL, uintptr(l.pair), unix.F_DUPFD) }, refused},
	"F_SETOWN": {func(l *loot) unix.Errno {
		return call(unix.SYS_FCNTL, uintptr(l.pair), unix.F_SETOWN, uintptr(l.parent))
	}, refused},
	"F_SETFL to O_ASYNC": {func(l *loot) unix.Errno {
		return call(unix.SYS_FCNTL, uintptr(l.pair), unix.F_SETFL, unix.O_RDWR|unix.O_ASYNC)
	}, refused},
	"memfd_create":    {func(*loot) unix.Errno { return call(unix.SYS_MEMFD_CREATE, cstring("x")) }, refused},
	"capset":          {func(*loot) unix.Errno { return call(unix.SYS_CAPSET) }, refused},
	"setuid":          {func(*loot) unix.Errno { return call(unix.SYS_SETUID, 1) }, refused},
	"dumpable again":  {func(*loot) unix.Errno { return call(unix.SYS_PRCTL, unix.PR_SET_DUMPABLE, 1) }, refused},
	"seccomp":         {func(*loot) unix.Errno { return call(unix.SYS_SECCOMP) }, killed},
	"bpf":             {func(*loot) unix.Errno { return call(unix.SYS_BPF) }, killed},
	"perf_event_open": {func(*loot) unix.Errno { return call(unix.SYS_PERF_EVENT_OPEN) }, killed},
	"userfaultfd":     {func(*loot) unix.Errno { return call(unix.SYS_USERFAULTFD) }, killed},
	"io_uring":        {func(*loot) unix.Errno { return call(unix.SYS_IO_URING_SETUP) }, killed},
	"init_module":     {func(*loot) unix.Errno { return call(unix.SYS_INIT_MODULE) }, killed},
	"keyctl":          {func(*loot) unix.Errno { return call(unix.SYS_KEYCTL) }, killed},
	"iopl":            {func(*loot) unix.Errno { return call(unix.SYS_IOPL, 3) }, refused},

	"an engine's work": {engineWork, "errno 0"},
}

// forked ends the child that must not be.
func forked(e unix.Errno) unix.Errno {
	if e == 0 {
		fmt.Println("a process was made")
		os.Exit(0)
	}
	return e
}

func getInt(fd, level, name int) unix.Errno {
	var v [8]byte
	_, e := GetSockOpt(fd, level, name, v[:])
	return e
}

func setInt(fd, level, name int) unix.Errno {
	return SetSockOpt(fd, level, name, []byte{1, 0, 0, 0})
}

// engineWork is what the runtime and an engine do.
func engineWork(l *loot) unix.Errno {
	done := make(chan bool)
	for range 20 { // threads of their own
		go func() {
			runtime.LockOSThread()
			time.Sleep(time.Millisecond)
			done <- true
		}()
	}
	for range 20 {
		<-done
	}
	for range 50 {
		_ = make([]byte, 1<<20)
	}
	runtime.GC()
	a, b, e := NewPair(PairStream, false)
	if e != 0 {
		return e
	}
	p, err := NewPoller(1)
	if err != nil {
		return unix.EIO
	}
	if p.Add(a, In, 1) != nil {
		return unix.EIO
	}
	if _, e := Send(b, []byte("x"), 0); e != 0 {
		return e
	}
	if ev, err := p.Wait(time.Second); err != nil || len(ev) != 1 {
		return unix.EIO
	}
	if _, ok := SocketCookie(a); !ok {
		return unix.EIO
	}
	d, udp := new(Datagrams), netip.AddrPort{}
	if e := d.Send(l.udp, []byte("z"), l.udpAt); e != 0 {
		return e
	}
	if _, udp, e = d.Recv(l.udp, make([]byte, 8)); e != 0 || udp != l.udpAt {
		return unix.EIO
	}
	if _, _, e := d.Error(l.udp); e != unix.EAGAIN {
		return unix.EIO
	}
	if e := SendPacket(b, []byte("y"), []int{l.file}, false); e != 0 {
		return e
	}
	if _, fds, e := RecvPacket(a, make([]byte, 8), false); e != 0 || len(fds) != 1 {
		return unix.EIO
	}
	r, w, e := NewPipe(1 << 16)
	if e != 0 {
		return e
	}
	if _, e := Send(b, []byte("x"), 0); e != 0 {
		return e
	}
	if _, e := Splice(a, w, 1); e != 0 {
		return e
	}
	SetNonBlocking(a, true)
	if _, e := Splice(r, a, 1); e != 0 {
		return e
	}
	return SetSendBuffer(a, 1)
}

// TestLockDown tries in a process each, locked down as an engine is.
func TestLockDown(t *testing.T) {
	if name := os.Getenv(attackEnv); name != "" {
		attack(name)
		return
	}
	needroot.Check(t, "have privileges that can be dropped")
	if withCgo() {
		t.Skip("this test binary has cgo: ", ErrCgo)
	}
	for name, a := range attacks {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			if got := runAttack(t, name); got != a.want {
				t.Errorf("%q, want %q", got, a.want)
			}
		})
	}
}

func runAttack(t *testing.T, name string) string {
	t.Helper()
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestLockDown$")
	cmd.Env = append(os.Environ(), attackEnv+"="+name)
	out, err := cmd.Output()
	if e := new(exec.ExitError); errors.As(err, &e) {
		if st, ok := e.Sys().(syscall.WaitStatus); ok && st.Signaled() && st.Signal() == unix.SIGSYS {
			return killed
		}
	}
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	line, _, _ := strings.Cut(string(out), "\n")
	return line
}

// attack plays the engine.
func attack(name string) {
	l := &loot{parent: os.Getppid()}
	l.root, _ = unix.Open("/", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	l.file, _ = unix.Open("/proc/self/exe", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	l.pair, _, _ = NewPair(PairStream, true)
	l.udp, _ = BindKernel(netip.MustParseAddrPort("127.0.0.1:0"), false)
	if sa, err := unix.Getsockname(l.udp); err == nil {
		l.udpAt = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(sa.(*unix.SockaddrInet4).Port))
	}
	l.pidfd, _ = unix.PidfdOpen(l.parent, 0)
	l.placed = PlaceFD(Places / 2)
	err := ReservePlaces()
	if err == nil {
		err = unix.Dup2(l.pidfd, l.placed)
	}
	if err == nil {
		err = DropPrivileges(unix.CAP_SYS_PTRACE)
	}
	listener := -1
	if err == nil {
		listener, err = LockDown()
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(0)
	}
	CloseFD(listener)
	fmt.Println(attacks[name].do(l).Error())
	os.Exit(0)
}

// TestEmptyRoot looks around in an empty root.
func TestEmptyRoot(t *testing.T) {
	needroot.Check(t, "make mount namespaces")
	at := t.TempDir()
	err := onThread(func() (bool, error) {
		if err := EmptyRoot(at, "/proc/self/exe", "program"); err != nil {
			return false, err
		}
		names, err := os.ReadDir("/")
		if err != nil || len(names) != 1 || names[0].Name() != "program" {
			t.Errorf("the root holds %v, %v", names, err)
		}
		if st, err := os.Stat("/program"); err != nil || st.Size() == 0 || st.Mode().Perm()&0o111 == 0 {
			t.Errorf("the program: %v, %v", st, err)
		}
		if err := os.WriteFile("/file", nil, 0o600); !errors.Is(err, unix.EROFS) {
			t.Errorf("a file in the root: %v", err)
		}
		if err := os.WriteFile("/program", nil, 0o600); err == nil {
			t.Error("the program can be written to")
		}
		if _, err := os.ReadDir("/.."); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat("/proc"); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("/proc: %v", err)
		}
		return false, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if names, err := os.ReadDir(at); err != nil || len(names) != 0 {
		t.Errorf("outside there is %v, %v", names, err)
	}
}

package hostlink

// What belongs to a sandbox: proc_pid_ns(5), proc_pid_status(5), pidfd_open(2).
//
// A task is a member of the sandbox when its network namespace is the sandbox's
// and a seccomp filter is on it. That alone would take in those who serve the
// sandbox where whoever has started them is under a filter, too: a thread that
// only visits the namespace, and Members.Outsiders. What is handed out is a descriptor of a task
// that was checked, and the check cannot be answered for one task by another that
// got its number: the pidfd is opened first and must still be alive when
// everything else has been read through one descriptor of /proc/TID.

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Members knows the tasks of one sandbox. It has to be used from a process that
// may look into them (CAP_SYS_PTRACE and CAP_DAC_OVERRIDE). It is not safe for
// concurrent use.
type Members struct {
	dev, ino uint64 // of the network namespace
	owner    uint64 // inode of the user namespace that owns it, 0: unknown
	seen     []int  // threads that were handed out, a ring of maxSeen
	next     int
	index    map[uint64]spot // of sockets by inode, see Survey; nil: there was none

	// Outsiders are processes that serve the sandbox. Neither they nor their
	// children are members, wherever they are.
	Outsiders []int
}

// maxSeen bounds the threads whose descriptors a search looks through.
const maxSeen = 256

// NewMembers describes the sandbox of the network namespace at path; "" is the
// caller's.
func NewMembers(path string) (*Members, error) {
	if path == "" {
		path = "/proc/thread-self/ns/net"
	}
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("network namespace %q: %w", path, err)
	}
	defer CloseFD(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, fmt.Errorf("network namespace %q: %w", path, err)
	}
	return &Members{dev: st.Dev, ino: st.Ino, owner: nsOwner(fd)}, nil
}

// A Task is a thread of the sandbox. Its descriptors belong to who got it.
type Task struct {
	PidFD int    // of the thread; of its process before Linux 6.9
	Mem   int    // its memory, for ReadMemory and WriteMemory
	TGID  int    // its process
	UID   uint32 // effective

	// Placed: PidFD is the number of a place (ReservePlaces), and not closed.
	Placed bool

	// Brief: the descriptors mean the thread now, and perhaps not at its next
	// call. Its memory is also its parent's (vfork(2)), and when it executes a
	// program, Mem will still be the parent's; or the kernel has no pidfds of
	// threads, and who gets the thread's number while its process goes on would
	// be taken for it.
	Brief bool
}

// Close closes the descriptors.
func (t *Task) Close() {
	if t.PidFD >= 0 && !t.Placed {
		CloseFD(t.PidFD)
	}
	if t.Mem >= 0 {
		CloseFD(t.Mem)
	}
	t.PidFD, t.Mem = -1, -1
}

// Thread takes hold of thread tid. EPERM: it is not the sandbox's; ESRCH: there
// is none.
func (m *Members) Thread(tid int) (Task, unix.Errno) {
	t := Task{PidFD: -1, Mem: -1}
	v, e := m.open(tid)
	if e != 0 {
		return t, e
	}
	defer v.close()
	t.Mem, e = v.openat("mem", unix.O_RDWR)
	if e == 0 {
		e = v.alive()
	}
	if e != 0 {
		t.Close()
		return t, e
	}
	t.PidFD, v.pidfd = v.pidfd, -1
	t.TGID, t.UID = v.status.TGID, v.status.UID
	t.Brief = v.whole || v.sharesMemory(tid)
	m.note(tid)
	return t, 0
}

// note remembers a thread for searches.
func (m *Members) note(tid int) {
	for _, old := range m.seen {
		if old == tid {
			return
		}
	}
	if len(m.seen) < maxSeen {
		m.seen = append(m.seen, tid)
		return
	}
	m.seen[m.next] = tid
	m.next = (m.next + 1) % maxSeen
}

// A Standing is who a thread is and what it may do in the sandbox.
type Standing struct {
	UID  uint32 // effective
	Caps uint64 // effective, where they count: in the user namespace that owns the sandbox
}

// Standing reads it. Errors are those of Thread.
func (m *Members) Standing(tid int) (Standing, unix.Errno) {
	v, e := m.open(tid)
	if e != 0 {
		return Standing{}, e
	}
	defer v.close()
	s := Standing{UID: v.status.UID}
	var ns unix.Stat_t
	if unix.Fstatat(v.dir, "ns/user", &ns, 0) == nil && (m.owner == 0 || ns.Ino == m.owner) {
		s.Caps = v.status.Caps
	}
	return s, v.alive()
}

// ClosesOnExec reports whether descriptor fd of thread tid is close-on-exec.
func (m *Members) ClosesOnExec(tid, fd int) (bool, unix.Errno) {
	v, e := m.open(tid)
	if e != 0 {
		return false, e
	}
	defer v.close()
	text, e := v.read("fdinfo/" + strconv.Itoa(fd))
	if e != 0 {
		return false, unix.EBADF
	}
	for line := range bytes.Lines(text) {
		if value, ok := bytes.CutPrefix(line, []byte("flags:")); ok {
			flags, err := strconv.ParseUint(string(bytes.TrimSpace(value)), 8, 64)
			return err == nil && flags&unix.O_CLOEXEC != 0, v.alive()
		}
	}
	return false, unix.EBADF
}

// searchLimit bounds the descriptors that one search looks at.
const searchLimit = 4096

// FindSocket looks through the threads that were handed out for one that has the
// socket with the given inode open, and returns a descriptor for it.
func (m *Members) FindSocket(inode uint64) (int, bool) {
	if fd, ok := m.surveyed(inode); ok {
		return fd, true
	}
	want := "socket:[" + strconv.FormatUint(inode, 10) + "]"
	limit := searchLimit
	for i := 0; i < len(m.seen) && limit > 0; i++ {
		v, e := m.open(m.seen[i])
		if e == unix.ESRCH {
			m.drop(i)
			i--
			continue
		}
		if e != 0 {
			continue
		}
		fd, ok := v.findSocket(want, inode, &limit)
		v.close()
		if ok {
			return fd, true
		}
	}
	return -1, false
}

// drop takes a thread that has ended off the list.
func (m *Members) drop(i int) {
	last := len(m.seen) - 1
	m.seen[i] = m.seen[last]
	m.seen = m.seen[:last]
	m.next = 0
}

// A view is one task, looked at through one descriptor of its directory in /proc.
type view struct {
	pidfd, dir int
	whole      bool // pidfd stands for the process, of which it is not the first thread
	status     taskStatus
}

type taskStatus struct {
	TGID, PPID int
	UID        uint32
	Caps       uint64
	Seccomp    int
}

// open looks at task tid and checks that it is a member.
func (m *Members) open(tid int) (view, unix.Errno) {
	v := view{pidfd: -1, dir: -1}
	if tid <= 0 {
		return v, unix.ESRCH
	}
	var e unix.Errno
	if v.pidfd, v.whole, e = OpenThread(tid); e != 0 {
		v.pidfd = -1
		return v, e
	}
	e = m.inspect(&v, tid)
	if e != 0 {
		v.close()
	}
	return v, e
}

func (m *Members) inspect(v *view, tid int) unix.Errno {
	dir, err := unix.Open("/proc/"+strconv.Itoa(tid), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return unix.ESRCH
	}
	v.dir = dir
	text, e := v.read("status")
	if e != 0 {
		return unix.ESRCH
	}
	v.status = parseStatus(text)
	var ns unix.Stat_t
	if err := unix.Fstatat(v.dir, "ns/net", &ns, 0); err != nil {
		if v.alive() != 0 {
			return unix.ESRCH
		}
		return unix.EPERM
	}
	visits := v.status.TGID != tid && !m.leads(v.status.TGID)
	// Everything above was said about the task that had the number all along.
	if e := v.alive(); e != 0 {
		return e
	}
	if ns.Dev != m.dev || ns.Ino != m.ino || v.status.Seccomp != unix.SECCOMP_MODE_FILTER || visits ||
		slices.Contains(m.Outsiders, v.status.TGID) || slices.Contains(m.Outsiders, v.status.PPID) {
		return unix.EPERM
	}
	return 0
}

// leads reports whether the first thread of a process is in the sandbox's
// namespace, or has ended before the others. One that is elsewhere belongs to a
// process of the host, such as a container runtime, one thread of which does
// something in the namespace.
func (m *Members) leads(pid int) bool {
	var ns unix.Stat_t
	err := unix.Stat("/proc/"+strconv.Itoa(pid)+"/ns/net", &ns)
	return err == unix.ENOENT || err == nil && ns.Dev == m.dev && ns.Ino == m.ino
}

func (v *view) close() {
	for _, fd := range []*int{&v.pidfd, &v.dir} {
		if *fd >= 0 {
			CloseFD(*fd)
			*fd = -1
		}
	}
}

// alive is 0 while the task of the pidfd has not been reaped, until when nobody
// else gets its number, and ESRCH afterwards.
func (v *view) alive() unix.Errno {
	_, _, e := unix.RawSyscall6(unix.SYS_PIDFD_SEND_SIGNAL, uintptr(v.pidfd), 0, 0, 0, 0, 0)
	if e == unix.EPERM { // not ours to signal, but there
		return 0
	}
	return e
}

func (v *view) openat(name string, flags int) (int, unix.Errno) {
	fd, err := unix.Openat(v.dir, name, flags|unix.O_CLOEXEC, 0)
	if err != nil {
		if e, ok := err.(unix.Errno); ok && e != unix.ENOENT {
			return -1, e
		}
		return -1, unix.ESRCH
	}
	return fd, 0
}

// maxProcText bounds what is read of a file in /proc, in bytes.
const maxProcText = 16 << 10

func (v *view) read(name string) ([]byte, unix.Errno) {
	fd, e := v.openat(name, unix.O_RDONLY)
	if e != 0 {
		return nil, e
	}
	defer CloseFD(fd)
	text := make([]byte, 0, 4096)
	for len(text) < maxProcText {
		if len(text) == cap(text) {
			text = append(text, 0)[:len(text)]
		}
		n, err := unix.Read(fd, text[len(text):cap(text)])
		if err != nil {
			return nil, unix.ESRCH
		}
		if n == 0 {
			break
		}
		text = text[:len(text)+n]
	}
	return text, 0
}

func parseStatus(text []byte) taskStatus {
	st := taskStatus{Seccomp: -1}
	for line := range bytes.Lines(text) {
		key, value, ok := bytes.Cut(line, []byte(":"))
		f := bytes.Fields(value)
		if !ok || len(f) == 0 {
			continue
		}
		switch string(key) {
		case "Tgid":
			st.TGID, _ = strconv.Atoi(string(f[0]))
		case "PPid":
			st.PPID, _ = strconv.Atoi(string(f[0]))
		case "Seccomp":
			st.Seccomp, _ = strconv.Atoi(string(f[0]))
		case "CapEff":
			st.Caps, _ = strconv.ParseUint(string(f[0]), 16, 64)
		case "Uid":
			if len(f) == 4 {
				u, _ := strconv.ParseUint(string(f[1]), 10, 32)
				st.UID = uint32(u)
			}
		}
	}
	return st
}

// kcmpVM is KCMP_VM (linux/kcmp.h).
const kcmpVM = 1

// sharesMemory reports whether the task has the memory of its parent process. A
// kernel without kcmp(2) says no.
func (v *view) sharesMemory(tid int) bool {
	if v.status.PPID <= 1 {
		return false
	}
	r, _, e := unix.RawSyscall6(unix.SYS_KCMP, uintptr(tid), uintptr(v.status.PPID), kcmpVM, 0, 0, 0)
	return e == 0 && r == 0
}

// findSocket looks through the task's descriptors, at no more than limit.
func (v *view) findSocket(want string, inode uint64, limit *int) (int, bool) {
	fd, e := v.openat("fd", unix.O_RDONLY|unix.O_DIRECTORY)
	if e != 0 {
		return -1, false
	}
	d := os.NewFile(uintptr(fd), "fd")
	names, _ := d.Readdirnames(*limit)
	*limit -= len(names)
	defer func() { _ = d.Close() }()
	var link [64]byte
	for _, name := range names {
		n, err := unix.Readlinkat(v.dir, "fd/"+name, link[:])
		if err != nil || string(link[:n]) != want {
			continue
		}
		number, err := strconv.Atoi(strings.TrimSpace(name))
		if err != nil {
			continue
		}
		got, e := GetFD(v.pidfd, number)
		if e != 0 {
			continue
		}
		if have, ok := SocketInode(got); ok && have == inode {
			return got, true
		}
		CloseFD(got)
	}
	return -1, false
}

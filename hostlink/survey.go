package hostlink

// Where every socket of a sandbox is, for the one time that all of them are asked
// for: an engine has died (proc_pid_fd(5)).

import (
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// maxSurveyed bounds the descriptors that a survey looks at.
const maxSurveyed = 1 << 20

// A spot is a descriptor of a thread.
type spot struct{ tid, fd int }

// Survey looks once through the descriptors of every task of the sandbox, so that
// FindSocket knows from then on where a socket is. What it finds is checked again
// by FindSocket. A descriptor that is under way between two processes
// (SCM_RIGHTS) is not found.
func (m *Members) Survey() {
	m.index = make(map[uint64]spot)
	limit := maxSurveyed
	for _, pid := range numbers("/proc") {
		if m.here(pid) {
			m.surveyProcess(pid, &limit)
		}
	}
}

// EndSurvey forgets what Survey has found.
func (m *Members) EndSurvey() { m.index = nil }

// numbers lists the entries of a directory that are numbers.
func numbers(dir string) (list []int) {
	d, err := os.Open(dir)
	if err != nil {
		return nil
	}
	defer func() { _ = d.Close() }()
	names, _ := d.Readdirnames(-1)
	for _, name := range names {
		if n, err := strconv.Atoi(name); err == nil {
			list = append(list, n)
		}
	}
	return list
}

// here reports whether a process may be in the sandbox's namespace: most of the
// machine's are not. One whose first thread has ended does not say.
func (m *Members) here(pid int) bool {
	var ns unix.Stat_t
	err := unix.Stat("/proc/"+strconv.Itoa(pid)+"/ns/net", &ns)
	return err != nil || ns.Ino == m.ino && ns.Dev == m.dev
}

// surveyProcess looks at the table of a process's first thread, or at those of
// the others when that has none: it may have ended before them.
func (m *Members) surveyProcess(pid int, limit *int) {
	if m.surveyThread(pid, limit) > 0 {
		return
	}
	for _, tid := range numbers("/proc/" + strconv.Itoa(pid) + "/task") {
		if tid != pid {
			m.surveyThread(tid, limit)
		}
	}
}

// surveyThread returns how many descriptors the thread has.
func (m *Members) surveyThread(tid int, limit *int) int {
	v, e := m.open(tid)
	if e != 0 {
		return 0
	}
	defer v.close()
	fd, e := v.openat("fd", unix.O_RDONLY|unix.O_DIRECTORY)
	if e != 0 {
		return 0
	}
	d := os.NewFile(uintptr(fd), "fd")
	defer func() { _ = d.Close() }()
	if *limit <= 0 {
		return 0
	}
	names, _ := d.Readdirnames(*limit)
	*limit -= len(names)
	var link [64]byte
	for _, name := range names {
		n, err := unix.Readlinkat(v.dir, "fd/"+name, link[:])
		if err != nil {
			continue
		}
		text, ok := strings.CutPrefix(string(link[:n]), "socket:[")
		inode, err := strconv.ParseUint(strings.TrimSuffix(text, "]"), 10, 64)
		number, err2 := strconv.Atoi(name)
		if ok && err == nil && err2 == nil {
			m.index[inode] = spot{tid, number}
		}
	}
	return len(names)
}

// surveyed returns a descriptor for a socket that Survey has found.
func (m *Members) surveyed(inode uint64) (int, bool) {
	at, ok := m.index[inode]
	if !ok {
		return -1, false
	}
	v, e := m.open(at.tid)
	if e != 0 {
		return -1, false
	}
	defer v.close()
	fd, e := GetFD(v.pidfd, at.fd)
	if e != 0 {
		return -1, false
	}
	if got, ok := SocketInode(fd); ok && got == inode {
		return fd, true
	}
	CloseFD(fd)
	return -1, false
}

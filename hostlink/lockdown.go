package hostlink

// The seccomp filter of the engine itself: seccomp(2). What a call may be made
// with stands in EngineRules; everything else fails with EPERM, except for calls
// that no engine makes by mistake, only somebody who has taken it over: those end
// the process, and the holder starts another.
//
// EPERM and not the end is the answer for what is merely unknown, because a new
// Go runtime may try a call and do without it.

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// Values that x/sys/unix does not name.
const (
	// prSetVMA is PR_SET_VMA: the runtime names its memory (linux/prctl.h).
	prSetVMA = 0x53564d41
	// threadCloneFlags are what the runtime starts its threads with, all of them
	// (runtime/os_linux.go, cloneFlags; sys_linux_amd64.s adds CLONE_SETTLS).
	threadCloneFlags = unix.CLONE_SETTLS | unix.CLONE_VM | unix.CLONE_FS | unix.CLONE_FILES | unix.CLONE_SIGHAND | unix.CLONE_SYSVSEM | unix.CLONE_THREAD
)

func equals(arg int, values ...uint32) Cond { return Cond{Arg: arg, In: values} }

// only allows a call whose arguments meet the conditions.
func only(call uint32, when ...Cond) Rule {
	return Rule{Call: call, Cases: []Case{{When: when, Do: ActionAllow}}, Do: ActionErrno(unix.EPERM)}
}

// EngineRules is the allow-list of an engine that serves its sandbox. pid is its
// own. Calls of the data path come first, as rules are looked through in order.
func EngineRules(pid int) []Rule {
	rules := []Rule{
		// Links and pairs.
		{Call: unix.SYS_READV, Do: ActionAllow},
		{Call: unix.SYS_WRITEV, Do: ActionAllow},
		// No destination: a socket of a pair has none.
		{Call: unix.SYS_SENDTO, Cases: []Case{{When: []Cond{hasPtr(4)}, Do: ActionErrno(unix.EPERM)}}, Do: ActionAllow},
		{Call: unix.SYS_RECVFROM, Do: ActionAllow},
		{Call: unix.SYS_EPOLL_PWAIT, Do: ActionAllow},
		{Call: unix.SYS_EPOLL_PWAIT2, Do: ActionAllow},
		{Call: unix.SYS_EPOLL_CTL, Do: ActionAllow},
		// From pair to pair. No offset: none of the two has one.
		{Call: unix.SYS_SPLICE, Cases: []Case{
			{When: []Cond{hasPtr(1)}, Do: ActionErrno(unix.EPERM)}, {When: []Cond{hasPtr(3)}, Do: ActionErrno(unix.EPERM)},
		}, Do: ActionAllow},
		only(unix.SYS_PIPE2, equals(1, unix.O_CLOEXEC|unix.O_NONBLOCK)),
		// Notified calls.
		only(unix.SYS_IOCTL, equals(1, engineRequests...)),
		{Call: unix.SYS_PREAD64, Do: ActionAllow},
		{Call: unix.SYS_PWRITE64, Do: ActionAllow},
		only(unix.SYS_PIDFD_GETFD, inPlaces(0), equals(2, 0)),
		{Call: unix.SYS_CLOSE, Cases: []Case{{When: []Cond{inPlaces(0)}, Do: ActionErrno(unix.EPERM)}}, Do: ActionAllow},
		only(unix.SYS_GETSOCKOPT, equals(1, unix.SOL_SOCKET), equals(2, engineGetOptions...)),
		only(unix.SYS_SETSOCKOPT, equals(1, unix.SOL_SOCKET), equals(2, engineSetOptions...)),
		only(unix.SYS_SOCKETPAIR, equals(0, unix.AF_UNIX),
			Cond{Arg: 1, Mask: sockTypeMask, In: []uint32{unix.SOCK_STREAM, unix.SOCK_SEQPACKET}}),
		{Call: unix.SYS_RT_SIGPROCMASK, Do: ActionAllow},
		{Call: unix.SYS_FCNTL, Cases: []Case{
			{When: []Cond{equals(1, unix.F_GETFL, unix.F_GETFD, unix.F_SETPIPE_SZ)}, Do: ActionAllow},
			{When: []Cond{equals(1, unix.F_SETFL), equals(2, unix.O_RDWR, unix.O_RDWR|unix.O_NONBLOCK)}, Do: ActionAllow},
		}, Do: ActionErrno(unix.EPERM)},
		{Call: unix.SYS_SHUTDOWN, Do: ActionAllow},
		{Call: unix.SYS_FSTAT, Do: ActionAllow},
		{Call: unix.SYS_PPOLL, Do: ActionAllow},
		// The control socket, the holder, the log, a capture.
		{Call: unix.SYS_SENDMSG, Do: ActionAllow},
		{Call: unix.SYS_RECVMSG, Do: ActionAllow},
		{Call: unix.SYS_ACCEPT4, Do: ActionAllow},
		{Call: unix.SYS_GETSOCKNAME, Do: ActionAllow},
		{Call: unix.SYS_READ, Do: ActionAllow},
		{Call: unix.SYS_WRITE, Do: ActionAllow},
		// A question to the holder: AskPlace.
		{Call: unix.SYS_PIDFD_OPEN, Do: ActionNotify},
	}
	rules = append(rules, runtimeRules(pid)...)
	for _, call := range attackerCalls {
		rules = append(rules, Rule{Call: call, Do: ActionKill})
	}
	return rules
}

// engineRequests are the engine's ioctl(2) requests.
var engineRequests = []uint32{
	unix.SECCOMP_IOCTL_NOTIF_ID_VALID, unix.SECCOMP_IOCTL_NOTIF_RECV, unix.SECCOMP_IOCTL_NOTIF_SEND,
	unix.SECCOMP_IOCTL_NOTIF_ADDFD, unix.SECCOMP_IOCTL_NOTIF_SET_FLAGS,
	unix.SIOCINQ, unix.SIOCOUTQ, unix.SIOCATMARK,
	unix.TUNSETQUEUE, // which of its queues of the uplink get frames
}

// Options of level SOL_SOCKET. SO_PEERPIDFD, SO_PASSPIDFD and SO_PASSCRED are
// not among them: they would give descriptors of processes.
var (
	engineGetOptions = []uint32{unix.SO_COOKIE, unix.SO_ERROR, unix.SO_TYPE, unix.SO_DOMAIN, unix.SO_PEERCRED, unix.SO_SNDBUF, unix.SO_RCVBUF, unix.SO_PEEK_OFF,
		unix.SO_PROTOCOL} // package unix asks for it where a call returns an Internet address
	engineSetOptions = []uint32{
		unix.SO_SNDBUF, unix.SO_RCVBUF, unix.SO_RCVLOWAT,
		unix.SO_RCVTIMEO, unix.SO_SNDTIMEO, unix.SO_RCVTIMEO_NEW, unix.SO_SNDTIMEO_NEW,
		unix.SO_OOBINLINE, unix.SO_PEEK_OFF, unix.SO_LINGER,
	}
)

// runtimeRules are what the Go runtime needs: memory that is not executable,
// threads of this process, signals to itself, time.
func runtimeRules(pid int) []Rule {
	notExecutable := Cond{Arg: 2, Mask: unix.PROT_EXEC, In: []uint32{0}}
	return []Rule{
		{Call: unix.SYS_FUTEX, Do: ActionAllow},
		{Call: unix.SYS_NANOSLEEP, Do: ActionAllow},
		{Call: unix.SYS_CLOCK_NANOSLEEP, Do: ActionAllow},
		{Call: unix.SYS_CLOCK_GETTIME, Do: ActionAllow},
		{Call: unix.SYS_GETTIMEOFDAY, Do: ActionAllow},
		{Call: unix.SYS_SCHED_YIELD, Do: ActionAllow},
		{Call: unix.SYS_SCHED_GETAFFINITY, Do: ActionAllow},
		{Call: unix.SYS_MADVISE, Do: ActionAllow},
		{Call: unix.SYS_MUNMAP, Do: ActionAllow},
		{Call: unix.SYS_MMAP, Cases: []Case{{When: []Cond{notExecutable}, Do: ActionAllow}}, Do: ActionKill},
		{Call: unix.SYS_MPROTECT, Cases: []Case{{When: []Cond{notExecutable}, Do: ActionAllow}}, Do: ActionKill},
		{Call: unix.SYS_CLONE, Cases: []Case{{When: []Cond{equals(0, threadCloneFlags)}, Do: ActionAllow}}, Do: ActionKill},
		{Call: unix.SYS_CLONE3, Do: ActionErrno(unix.ENOSYS)}, // its flags lie in memory
		{Call: unix.SYS_RT_SIGACTION, Do: ActionAllow},
		{Call: unix.SYS_RT_SIGRETURN, Do: ActionAllow},
		{Call: unix.SYS_SIGALTSTACK, Do: ActionAllow},
		{Call: unix.SYS_TGKILL, Cases: []Case{{When: []Cond{equals(0, uint32(pid))}, Do: ActionAllow}}, Do: ActionKill},
		{Call: unix.SYS_GETPID, Do: ActionAllow},
		{Call: unix.SYS_GETTID, Do: ActionAllow},
		{Call: unix.SYS_GETRANDOM, Do: ActionAllow},
		{Call: unix.SYS_EPOLL_CREATE1, Do: ActionAllow},
		{Call: unix.SYS_EVENTFD2, Do: ActionAllow},
		only(unix.SYS_PRCTL, equals(0, prSetVMA)),
		{Call: unix.SYS_RESTART_SYSCALL, Do: ActionAllow},
		{Call: unix.SYS_EXIT, Do: ActionAllow},
		{Call: unix.SYS_EXIT_GROUP, Do: ActionAllow},
	}
}

// attackerCalls end the process: other programs, other processes, other sockets,
// other namespaces, and the kernel itself. Nothing in an engine tries them.
var attackerCalls = []uint32{
	unix.SYS_EXECVE, unix.SYS_EXECVEAT, unix.SYS_FORK, unix.SYS_VFORK,
	unix.SYS_PTRACE, unix.SYS_PROCESS_VM_READV, unix.SYS_PROCESS_VM_WRITEV, unix.SYS_PROCESS_MADVISE,
	unix.SYS_PIDFD_SEND_SIGNAL, unix.SYS_KCMP,
	unix.SYS_KILL, unix.SYS_TKILL, unix.SYS_RT_SIGQUEUEINFO, unix.SYS_RT_TGSIGQUEUEINFO,
	unix.SYS_SOCKET, unix.SYS_CONNECT, unix.SYS_BIND, unix.SYS_LISTEN,
	unix.SYS_MOUNT, unix.SYS_UMOUNT2, unix.SYS_PIVOT_ROOT, unix.SYS_CHROOT, unix.SYS_OPEN_TREE,
	unix.SYS_MOVE_MOUNT, unix.SYS_FSOPEN, unix.SYS_FSMOUNT, unix.SYS_FSPICK, unix.SYS_MOUNT_SETATTR,
	unix.SYS_OPEN_BY_HANDLE_AT, unix.SYS_NAME_TO_HANDLE_AT,
	unix.SYS_SETNS, unix.SYS_UNSHARE, unix.SYS_BPF, unix.SYS_PERF_EVENT_OPEN, unix.SYS_USERFAULTFD,
	unix.SYS_SECCOMP, unix.SYS_IO_URING_SETUP, unix.SYS_IO_URING_ENTER, unix.SYS_IO_URING_REGISTER,
	unix.SYS_INIT_MODULE, unix.SYS_FINIT_MODULE, unix.SYS_DELETE_MODULE, unix.SYS_KEXEC_LOAD,
	unix.SYS_KEXEC_FILE_LOAD, unix.SYS_REBOOT, unix.SYS_KEYCTL, unix.SYS_ADD_KEY, unix.SYS_REQUEST_KEY,
}

// LockDown puts every thread of the process under EngineRules, for good, and
// returns the listener of that filter, which is for the holder: whoever has it can
// fill places (ReservePlaces). DropPrivileges comes before: without no_new_privs
// the kernel refuses.
//
// The kernel has one listener for a process and those it descends from. Where
// somebody else has it already, the result is -1: there is no listener, and
// AskPlace fails.
func LockDown() (listener int, err error) {
	prog, err := assemble(EngineRules(os.Getpid()), ActionErrno(unix.EPERM), ActionKill)
	if err != nil {
		return -1, err
	}
	return installForAll(prog)
}

// installForAll installs a filter for all threads of the process at once.
func installForAll(prog []unix.SockFilter) (listener int, err error) {
	const all = unix.SECCOMP_FILTER_FLAG_TSYNC | unix.SECCOMP_FILTER_FLAG_TSYNC_ESRCH
	fprog := unix.SockFprog{Len: uint16(len(prog)), Filter: &prog[0]}
	listener, e := seccompFilter(all|unix.SECCOMP_FILTER_FLAG_NEW_LISTENER, &fprog)
	if e == unix.EBUSY {
		_, e = seccompFilter(all, &fprog)
		listener = -1
	}
	switch e {
	case 0:
		return listener, nil
	case unix.ESRCH:
		return -1, errors.New("seccomp: a thread has a filter of its own")
	}
	return -1, os.NewSyscallError("seccomp", e)
}

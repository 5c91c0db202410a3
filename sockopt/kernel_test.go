package sockopt

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// The kernel that runs the tests is the reference for profile linux: the same
// calls on a kernel socket and on a Target must give the same error and the
// same bytes. No packet is sent.

func kernelSet(fd, level, name int, val []byte) errno.Errno {
	p := unsafe.Pointer(&make([]byte, 1)[0])
	if len(val) > 0 {
		p = unsafe.Pointer(&val[0])
	}
	_, _, e := syscall.Syscall6(syscall.SYS_SETSOCKOPT, uintptr(fd), uintptr(level), uintptr(name), uintptr(p), uintptr(len(val)), 0)
	return errno.Errno(e)
}

func kernelGet(fd, level, name, maxLen int) ([]byte, errno.Errno) {
	b := make([]byte, maxLen+1)
	n := uint32(maxLen)
	_, _, e := syscall.Syscall6(syscall.SYS_GETSOCKOPT, uintptr(fd), uintptr(level), uintptr(name), uintptr(unsafe.Pointer(&b[0])), uintptr(unsafe.Pointer(&n)), 0)
	if e != 0 {
		return nil, errno.Errno(e)
	}
	return b[:n], 0
}

func kernelSocket(t testing.TB, domain, typ int) int {
	t.Helper()
	fd, err := syscall.Socket(domain, typ|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Skipf("no kernel sockets of domain %d here: %v", domain, err)
	}
	t.Cleanup(func() { syscall.Close(fd) })
	return fd
}

// ownPrivilege is what this process may do, from the effective set of
// capabilities(7).
func ownPrivilege() Privilege {
	const netBindService, netAdmin, netRaw = 10, 12, 13
	status, _ := os.ReadFile("/proc/self/status")
	for _, line := range strings.Split(string(status), "\n") {
		if hex, ok := strings.CutPrefix(line, "CapEff:"); ok {
			caps, _ := strconv.ParseUint(strings.TrimSpace(hex), 16, 64)
			has := func(bit int) bool { return caps>>bit&1 != 0 }
			return Privilege{NetAdmin: has(netAdmin), NetRaw: has(netRaw), NetBindService: has(netBindService)}
		}
	}
	return Privilege{}
}

// kernelProfile is profile linux with the tunables of this machine.
func kernelProfile(t testing.TB) *Profile {
	t.Helper()
	p := linux(t)
	if names, err := os.ReadFile("/proc/sys/net/ipv4/tcp_allowed_congestion_control"); err == nil {
		p.Congestion = append(p.Congestion, strings.Fields(string(names))...)
	}
	if name, err := os.ReadFile("/proc/sys/net/ipv4/tcp_congestion_control"); err == nil {
		p.Congestion = append(p.Congestion, strings.TrimSpace(string(name)))
	}
	set := make(map[string]string)
	for _, row := range p.TunableTable() {
		value, err := os.ReadFile("/proc/sys/" + strings.ReplaceAll(row.Name, ".", "/"))
		if err != nil {
			t.Logf("%s: this kernel does not show it", row.Name)
			continue
		}
		set[row.Name] = strings.TrimSpace(string(value))
	}
	if _, err := NewTunables(p, set); err != nil {
		t.Fatalf("the kernel's own value is refused: %v", err)
	}
	return p
}

// testValues are passed to every option: all lengths up to two words, and
// integers around every limit of the tables.
func testValues() [][]byte {
	values := [][]byte{{}, {0}, {1}, {7}, {200}, {1, 0}, {1, 0, 0}, {1, 0, 0, 0, 9}, make([]byte, 7), make([]byte, 8), make([]byte, 15), make([]byte, 16), make([]byte, 40)}
	ints := []int{math.MinInt32, -1000, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 16, 60, 87, 88, 89, 100, 119, 120, 121, 127, 128, 250, 255, 256, 300, 536, 1000, 1151, 1152, 1153,
		1279, 1280, 2000, 2303, 2304, 4608, 32767, 32768, 65535, 65536, 100000, 212992, 4194304, 5000000, math.MaxInt32 / 2, math.MaxInt32}
	for _, v := range ints {
		values = append(values, intBytes(v), intBytes(v<<16|1))
		values = append(values, append(intBytes(1), intBytes(v)...)) // struct linger
	}
	for _, sec := range []int64{-1, 0, 1, 100, 1 << 40} {
		for _, usec := range []int64{-1, 0, 1000, 500000, 999999, 1000000} {
			tv := binary.NativeEndian.AppendUint64(nil, uint64(sec))
			values = append(values, binary.NativeEndian.AppendUint64(tv, uint64(usec)))
		}
	}
	for _, name := range []string{"reno", "reno\x00", "renox", "cubic", "r", "lo", "lo\x00", "nosuchif", "averyverylongname0", "\x00"} {
		values = append(values, []byte(name))
	}
	return values
}

func TestKernelAgrees(t *testing.T) {
	p := kernelProfile(t)
	priv := ownPrivilege()
	for _, kind := range socketKinds {
		t.Run(kind.name, func(t *testing.T) {
			kernelSocket(t, kind.domain, kind.typ)
			for i := range p.Rows() {
				compareRow(t, p, &p.Rows()[i], kind.domain, kind.typ, priv)
			}
		})
	}
}

func compareRow(t *testing.T, p *Profile, row *Row, domain, typ int, priv Privilege) {
	for _, val := range testValues() {
		fd, err := syscall.Socket(domain, typ|syscall.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		s := newFake(p, domain, typ)
		_, setErr := p.Set(s, row.Level, row.Number, val, priv)
		ours, kernels := errno.Of(setErr), kernelSet(fd, row.Level, row.Number, val)
		if ours != kernels {
			t.Errorf("%s: set %x: %s, the kernel says %s", row.Name, val, name(ours), name(kernels))
		}
		for _, maxLen := range []int{64, 0, 1, 3, 4, 8, 15} {
			got, getErr := p.Get(s, row.Level, row.Number, maxLen)
			want, e := kernelGet(fd, row.Level, row.Number, maxLen)
			if row.ID == Info {
				got, want = got[:0], want[:0]
			}
			if errno.Of(getErr) != e || !bytes.Equal(got, want) {
				t.Errorf("%s: after set %x, get with %d bytes: %s %x, the kernel says %s %x", row.Name, val, maxLen, name(errno.Of(getErr)), got, name(e), want)
				break
			}
		}
		syscall.Close(fd)
	}
}

func name(e errno.Errno) string {
	if e == 0 {
		return "success"
	}
	return e.Name()
}

var _ = fmt.Sprint

package sockopt

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
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
	p.Links = loopbackOnly{}
	names, err := os.ReadFile("/proc/sys/net/ipv4/tcp_available_congestion_control")
	if err != nil {
		t.Skipf("this machine does not show its sysctls: %v", err)
	}
	p.Congestion = strings.Fields(string(names))
	set := make(map[string]string)
	for _, row := range p.TunableTable() {
		if !row.Own || row.ReadOnly || row.Name == "net.ipv4.ip_no_pmtu_disc" {
			continue // the last one is what sockets start with, and the kernel's may be 2 or 3
		}
		if row.Numbers == 1 && row.Min == row.Max {
			continue // there is one way here, which need not be the machine's
		}
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

type loopbackOnly struct{}

func (loopbackOnly) LinkByName(name string) (int, bool) { return 1, name == "lo" }
func (loopbackOnly) LinkName(link int) (string, bool)   { return "lo", link == 1 }

// testValues are passed to every option: all lengths up to two words, and
// integers around every limit of the tables.
func testValues() [][]byte {
	values := [][]byte{{}, {0}, {1}, {7}, {200}, {1, 0}, {1, 0, 0}, {1, 0, 0, 0, 9}, make([]byte, 7), make([]byte, 8), make([]byte, 15), make([]byte, 16), make([]byte, 19), make([]byte, 20), append([]byte{0xfd}, make([]byte, 20)...), {0, 0, 0, 1}, make([]byte, 40)}
	ints := []int{math.MinInt32, -1000, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 16, 60, 87, 88, 89, 100, 119, 120, 121, 127, 128, 250, 255, 256, 300, 536, 1000, 1151, 1152, 1153,
		1279, 1280, 2000, 2303, 2304, 4608, 32767, 32768, 65535, 65536, 100000, 212992, 4194304, 5000000, math.MaxInt32 / 2, math.MaxInt32}
	for _, v := range ints {
		values = append(values, intBytes(v), intBytes(v<<16|1))
		values = append(values, append(intBytes(1), intBytes(v)...)) // struct linger
	}
	for _, sec := range []int64{-1, 0, 1, 100, 1 << 30} {
		for _, usec := range []int64{-1, 0, 1000, 500000, 999999, 1000000} {
			tv := binary.NativeEndian.AppendUint64(nil, uint64(sec))
			values = append(values, binary.NativeEndian.AppendUint64(tv, uint64(usec)))
		}
	}
	for _, digits := range ipOptionValues {
		b, _ := hex.DecodeString(digits)
		values = append(values, b)
	}
	for _, name := range []string{"reno", "reno\x00", "renox", "cubic", "r", "lo", "lo\x00", "nosuchif", "averyverylongname0", "\x00"} {
		values = append(values, []byte(name))
	}
	return values
}

// ipOptionValues are for IP_OPTIONS, in hexadecimal: what ip_options_compile
// looks at, and beyond each of its limits.
var ipOptionValues = []string{
	"01", "0101010107", "94040000", "94040001", "9403", "940300", "94050000", "9402", "9401", "9400", "0701", "0702", "070304", "07030401", "0707", "07070401020304", "070708", "07070801020304", "07070301020304",
	"070b0401020304050607", "070b080102030405060708", "070b090102030405060708", "070b0c0102030405060708", "07070401020304070704010203", "0707040102030407070401020304",
	"8303", "830304", "83070401020304", "8307080a000001", "8307030a000001", "830b040a0000010a000002", "830a040a0000010a0000", "890b040a0000010a000002", "8307040a000001890704", "8307040a0000018907040a000001",
	"4404", "44040500", "44040400", "44040600", "4404050f", "440405f0", "440405f3", "440405e0", "44080500", "4408050001020304", "4408050101020304", "4408050301020304", "4408060001020304", "4408080001020304", "4408090001020304", "440809f001020304",
	"440c05010102030405060708", "440c09010102030405060708", "440c05000102030405060708", "440c05030a00000105060708", "440c05020102030405060708", "440c050f0102030405060708", "4408050001020304440805000102030494040000",
	"820b0000000000000000000000", "88040001", "860600000001", "0001010101", "010100ffffffff", "1e0400000000", "1e", "1eff", "1e2a",
	"07270400000000000000000000000000000000000000000000000000000000000000000000000000", "0727040000000000000000000000000000000000000000000000000000000000000000000000000001",
	"07270400000000000000000000000000000000000000000000000000000000000000000000000000000000", "4428050000000000000000000000000000000000000000000000000000000000000000000000000000",
	"8327040102030401020304010203040102030401020304010203040102030401020304010203040100",
}

const ticks = "the kernel counts in ticks, of 1 to 10 ms, and so does its range"

// differences are where profile linux departs from the kernel on purpose, by
// option, or by kind of socket and option.
var differences = map[string]string{
	"IP_MULTICAST_ALL":    "the kernel starts an AF_INET6 socket with 0; without groups the value has no effect",
	"TCP_RTO_MIN_US":      ticks,
	"TCP_DELACK_MAX_US":   ticks,
	"SO_TIMESTAMPING":     "times of sending are refused; TestKernelAgreesOnStamping has the rest",
	"SO_TIMESTAMPING_NEW": "the same",
}

// sameBytes compares what getsockopt gave, where the two may differ in a value.
func sameBytes(row *Row, set, got, want []byte) bool {
	switch {
	case row.ID == RTOMax && len(got) == sizeofInt && len(want) == sizeofInt: // ticks of at most 10 ms, rounded up
		late := int(nativeInt(want)) - int(nativeInt(got))
		return late >= 0 && late <= 10
	case row.ID == RTOMax:
		return len(got) == len(want)
	case row.ID == Cookie:
		return len(got) == len(want)
	case row.ID == CCInfo:
		return true // the algorithm's own, and this Target has none; netstack/tcp has the test
	case row.ID == Info: // nothing has happened on either socket, and the lengths are cut alike
		return len(got) == min(len(want), TCPInfoSize)
	case row.Codec == Timeval && len(got) == sizeofTimeval && len(want) == sizeofTimeval:
		// The kernel counts in ticks, of 10 ms at most, and rounds up.
		micros := func(b []byte) int64 {
			return int64(binary.NativeEndian.Uint64(b))*1e6 + int64(binary.NativeEndian.Uint64(b[8:]))
		}
		late := micros(want) - micros(got)
		return late >= 0 && late <= 10_000
	case row.Codec == Timeval:
		return len(got) == len(want) // the parts of a rounded value
	case row.ID == Linger && len(set) >= sizeofLinger && int32(nativeInt(set[4:])) < 0:
		return len(got) == len(want) // a negative time: the kernel shows a product that overflowed
	}
	return bytes.Equal(got, want)
}

func TestKernelAgrees(t *testing.T) {
	p := kernelProfile(t)
	priv := ownPrivilege()
	for _, kind := range socketKinds {
		t.Run(kind.name, func(t *testing.T) {
			kernelSocket(t, kind.domain, kind.typ)
			for i := range p.Rows() {
				row := &p.Rows()[i]
				if row.Refuse == 0 && differences[row.Name] == "" && differences[kind.name+" "+row.Name] == "" && !tooNew(t, row, kind.domain, kind.typ) {
					compareRow(t, p, row, kind.domain, kind.typ, priv)
				}
			}
		})
	}
}

// tooNew reports whether the kernel that runs the test is older than the option.
func tooNew(t *testing.T, row *Row, domain, typ int) bool {
	since := map[string]string{"TCP_AO_ADD_KEY": "6.7 and CONFIG_TCP_AO", "TCP_AO_DEL_KEY": "6.7 and CONFIG_TCP_AO", "TCP_AO_INFO": "6.7 and CONFIG_TCP_AO", "TCP_AO_GET_KEYS": "6.7 and CONFIG_TCP_AO", "TCP_RTO_MAX_MS": "6.15", "SO_BUF_LOCK": "5.15", "IP_LOCAL_PORT_RANGE": "6.3", "TCP_IS_MPTCP": "5.16"}[row.Name]
	if since == "" {
		return false
	}
	_, e := kernelGet(kernelSocket(t, domain, typ), row.Level, row.Number, 4)
	if e == errno.ENOPROTOOPT {
		t.Logf("%s came with Linux %s", row.Name, since)
	}
	return e == errno.ENOPROTOOPT
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
			t.Errorf("%s: set %x: %s, the kernel says %s", row.Name, val, symbol(ours), symbol(kernels))
		}
		for _, maxLen := range []int{300, 64, 0, 1, 3, 4, 8, 15} {
			got, getErr := p.Get(s, row.Level, row.Number, maxLen)
			want, e := kernelGet(fd, row.Level, row.Number, maxLen)
			if errno.Of(getErr) != e || !sameBytes(row, val, got, want) {
				t.Errorf("%s: after set %x, get with %d bytes: %s %x, the kernel says %s %x",
					row.Name, val, maxLen, symbol(errno.Of(getErr)), got, symbol(e), want)
				break
			}
		}
		syscall.Close(fd)
	}
}

// SO_TIMESTAMPING against the kernel, but for what asks for times of sending.
func TestKernelAgreesOnStamping(t *testing.T) {
	p := kernelProfile(t)
	for _, kind := range socketKinds {
		for _, number := range []int{37, stampingNew} {
			for bit := range 32 {
				for _, with := range []uint32{0, tsSoftware | tsRxSoftware, tsOptTSOnly, tsOptID} {
					flags := 1<<bit | with
					if flags&tsSending != 0 {
						continue
					}
					fd, s := kernelSocket(t, kind.domain, kind.typ), newFake(p, kind.domain, kind.typ)
					for _, val := range [][]byte{intBytes(int(int32(flags))), append(intBytes(int(int32(flags))), 0, 0, 0, 0), intBytes(0)} {
						for _, o := range []int{StampNano, number} {
							_, err := p.Set(s, SolSocket, o, val, everything)
							if ours, kernels := errno.Of(err), kernelSet(fd, SolSocket, o, val); ours != kernels {
								t.Errorf("%s: set %d to %x: %s, the kernel says %s", kind.name, o, val, symbol(ours), symbol(kernels))
							}
							for _, shown := range []int{37, stampingNew, StampMicro, StampNano, StampMicroNew, StampNanoNew} {
								got, _ := p.Get(s, SolSocket, shown, 12)
								if want, _ := kernelGet(fd, SolSocket, shown, 12); !bytes.Equal(got, want) {
									t.Errorf("%s: %d after %d was set to %x: %x, the kernel says %x", kind.name, shown, o, val, got, want)
								}
							}
						}
					}
					syscall.Close(fd)
				}
			}
		}
		s := newFake(p, kind.domain, kind.typ)
		for _, flags := range []int{tsTxSoftware, tsTxSched | tsSoftware, tsTxAck, tsTxCompletion} {
			if _, err := p.Set(s, SolSocket, 37, intBytes(flags), everything); err != errno.EINVAL {
				t.Errorf("%s: flags %#x: %v", kind.name, flags, err)
			}
		}
	}
}

// Every option of the kernel is in the tables, if only to be refused with a
// reason, and what is in no table fails as it does on the kernel.
func TestKernelOptionsAreKnown(t *testing.T) {
	p := kernelProfile(t)
	if major, minor := kernelVersion(t); major > 6 || major == 6 && minor > 18 {
		t.Skipf("the tables were read against Linux 6.18, this is %d.%d", major, minor)
	}
	for _, kind := range socketKinds {
		for _, level := range []int{SolSocket, protoIP, protoTCP, protoUDP, protoIPv6, 132, 284} {
			for number := 0; number < 140; number++ {
				fd := kernelSocket(t, kind.domain, kind.typ)
				s := newFake(p, kind.domain, kind.typ)
				want, kernelErr := kernelGet(fd, level, number, 4)
				got, err := p.Get(s, level, number, 4)
				known := p.index[optionKey{level, number}] != nil
				if e := errno.Of(err); !known && e != kernelErr && !netfilter(level, number) {
					t.Errorf("%s: get level %d option %d: %s %x, the kernel says %s %x", kind.name, level, number, symbol(e), got, symbol(kernelErr), want)
				}
				for _, val := range [][]byte{{}, {0}, {0, 0, 0, 0}, {1, 0, 0, 0}} {
					kernelErr := kernelSet(fd, level, number, val)
					_, err := p.Set(s, level, number, val, everything)
					if e := errno.Of(err); !known && e != kernelErr && !netfilter(level, number) {
						t.Errorf("%s: set level %d option %d to %x: %s, the kernel says %s", kind.name, level, number, val, symbol(e), symbol(kernelErr))
					}
				}
				syscall.Close(fd)
			}
		}
	}
}

func kernelVersion(t *testing.T) (major, minor int) {
	t.Helper()
	release, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		t.Skip(err)
	}
	if _, err := fmt.Sscanf(string(release), "%d.%d", &major, &minor); err != nil {
		t.Fatal(err)
	}
	return major, minor
}

// netfilter tells the numbers at which kernels with iptables answer for
// themselves.
func netfilter(level, number int) bool {
	return (level == protoIP || level == protoIPv6) && number >= 64
}

func symbol(e errno.Errno) string {
	if e == 0 {
		return "success"
	}
	return e.Name()
}

// Package header holds include/tcpcni.h, which programs in C are compiled with,
// against the compilers, the options and the system's own headers.
package header

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"github.com/tcpcni/tcpcni/sockopt"
)

const include = "../../include"

// build compiles a program and returns its path.
func build(t *testing.T, compiler, name, text string, flags ...string) string {
	t.Helper()
	path, err := exec.LookPath(compiler)
	if err != nil {
		t.Skipf("there is no %s", compiler)
	}
	dir := t.TempDir()
	source, program := filepath.Join(dir, name), filepath.Join(dir, "program")
	if err := os.WriteFile(source, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	args := append([]string{"-Wall", "-Wextra", "-Werror", "-I", include, "-I", "../../lib/tli", "-o", program, source}, flags...)
	if out, err := exec.Command(path, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s\n%s", compiler, strings.Join(args, " "), err, out, text)
	}
	return program
}

// answers compiles a C program that prints the expressions and returns their
// values.
func answers(t *testing.T, headers string, expressions []string) []int {
	t.Helper()
	text := headers + "\n#include <stddef.h>\n#include <stdio.h>\nint main(void)\n{\n"
	for _, e := range expressions {
		text += "\tprintf(\"%d\\n\", (int)(" + e + "));\n"
	}
	out, err := exec.Command(build(t, "gcc", "x.c", text+"\treturn 0;\n}\n")).Output()
	if err != nil {
		t.Fatal(err)
	}
	var values []int
	for line := range strings.Lines(string(out)) {
		v, err := strconv.Atoi(strings.TrimSpace(line))
		if err != nil {
			t.Fatal(err)
		}
		values = append(values, v)
	}
	return values
}

// TestHeaderCompiles: in C and in C++, alone, and before or after what else has
// numbers of options.
func TestHeaderCompiles(t *testing.T) {
	const ours = "#include \"tcpcni.h\"\n"
	companies := map[string]string{
		"alone":               ours,
		"after the library's": "#include <sys/socket.h>\n#include <netinet/in.h>\n#include <netinet/tcp.h>\n" + ours,
		"after the kernel's":  "#include <linux/tcp.h>\n" + ours,
		"with the interface":  ours + "#include \"tli.h\"\n",
		"after the interface": "#include \"tli.h\"\n" + ours,
	}
	for _, language := range []struct{ compiler, name, standard string }{{"gcc", "x.c", "-std=c99"}, {"gcc", "x.c", "-std=gnu17"}, {"g++", "x.cc", "-std=c++11"}, {"g++", "x.cc", "-std=gnu++20"}} {
		for name, headers := range companies {
			t.Run(language.standard+"/"+name, func(t *testing.T) {
				build(t, language.compiler, language.name, headers+"int main(void)\n{\n\tstruct tcp_info_linux i;\n\treturn sizeof i == SO_EXCLBIND;\n}\n", language.standard)
			})
		}
	}
}

// TestStructures: the sizes are those that the options have.
func TestStructures(t *testing.T) {
	names := []string{"tcp_info_linux", "tcp_info_freebsd", "tcp_function_set", "cc_newreno_opts", "t_kpalive", "tcp_ao_add", "tcp_ao_del", "tcp_ao_info_opt", "tcp_ao_getsockopt"}
	want := []int{sockopt.TCPInfoSize, 236, 36, 8, 8, 288, 144, 48, 304}
	var sizes []string
	for _, name := range names {
		sizes = append(sizes, "sizeof(struct "+name+")")
	}
	if got := answers(t, `#include "tcpcni.h"`, sizes); !slices.Equal(got, want) {
		t.Errorf("%v have %v bytes, want %v", names, got, want)
	}
	places := map[string]int{"tcpi_options": 5, "tcpi_rto": 8, "tcpi_snd_mss": 16, "tcpi_rcv_mss": 20, "tcpi_last_data_recv": 52, "tcpi_rtt": 68, "tcpi_rttvar": 72, "tcpi_snd_ssthresh": 76,
		"tcpi_snd_cwnd": 80, "tcpi_rcv_space": 96, "tcpi_snd_wnd": 100, "tcpi_snd_nxt": 108, "tcpi_rcv_nxt": 112, "tcpi_snd_rexmitpack": 120, "tcpi_rcv_ooopack": 124, "tcpi_snd_zerowin": 128}
	var fields, offsets []string
	for field := range places {
		fields, offsets = append(fields, field), append(offsets, "offsetof(struct tcp_info_freebsd, "+field+")")
	}
	for i, got := range answers(t, `#include "tcpcni.h"`, offsets) {
		if got != places[fields[i]] {
			t.Errorf("FreeBSD's %s is at %d, want %d", fields[i], got, places[fields[i]])
		}
	}
}

// notOfLinux are the fields of TCPInfo that Linux's structure does not have;
// inBits are bit fields, which have no offset.
var (
	notOfLinux = []string{"SndNxt", "RcvNxt", "CwndBytes", "SsthreshBytes", "ZeroWindows"}
	inBits     = []string{"SndWScale", "RcvWScale", "AppLimited"}
	fieldName  = regexp.MustCompile(`\btcpi_\w+`)
)

// TestTCPInfo: each field of sockopt.TCPInfo is where the header has it, and the
// header has it where the system's own linux/tcp.h does, as far as that knows it.
// The kernel's structure has ours in front.
func TestTCPInfo(t *testing.T) {
	text, err := os.ReadFile(include + "/tcpcni.h")
	if err != nil {
		t.Fatal(err)
	}
	_, body, _ := strings.Cut(string(text), "struct tcp_info_linux")
	body, _, _ = strings.Cut(body, "};")
	cNames := make(map[string]string) // by the letters of the Go name
	for _, name := range fieldName.FindAllString(body, -1) {
		cNames[strings.ReplaceAll(strings.TrimPrefix(name, "tcpi_"), "_", "")] = name
	}
	system, _ := os.ReadFile("/usr/include/linux/tcp.h")
	var names, ours, theirs []string
	var known []string
	typ := reflect.TypeOf(sockopt.TCPInfo{})
	for i := range typ.NumField() {
		field := typ.Field(i).Name
		if slices.Contains(notOfLinux, field) || slices.Contains(inBits, field) {
			continue
		}
		c := cNames[strings.ToLower(field)]
		if c == "" {
			t.Errorf("the header does not have %s", field)
			continue
		}
		names, ours = append(names, field), append(ours, "offsetof(struct tcp_info_linux, "+c+")")
		if regexp.MustCompile(`\b` + c + `\b`).Match(system) {
			known, theirs = append(known, field), append(theirs, "offsetof(struct tcp_info, "+c+")")
		}
	}
	at := make(map[string]int)
	for i, offset := range answers(t, `#include "tcpcni.h"`, ours) {
		at[names[i]] = offset
		if got := placeOf(t, names[i]); got != offset {
			t.Errorf("%s is at byte %d of the value and at %d in C", names[i], got, offset)
		}
	}
	if len(known) < 40 {
		t.Fatalf("linux/tcp.h knows only %v", known)
	}
	for i, offset := range answers(t, "#include <linux/tcp.h>", theirs) {
		if at[known[i]] != offset {
			t.Errorf("linux/tcp.h has %s at %d, tcpcni.h at %d", known[i], offset, at[known[i]])
		}
	}
	for _, field := range []string{"ReceivedCE", "DeliveredE1Bytes", "ReceivedCEBytes", "AccECNFailMode", "AccECNOptSeen"} {
		if !slices.Contains(names, field) {
			t.Errorf("%s is not compared", field)
		}
	}
	if n, of := kernelInfo(t), kernelRelease(t); of == "6.18" && n != sockopt.TCPInfoSize {
		t.Errorf("the structure of kernel %s has %d bytes, ours %d", of, n, sockopt.TCPInfoSize)
	}
}

// placeOf is the offset of a field in the value of TCP_INFO: that of its lowest
// byte that is not zero, for a value with all bits.
func placeOf(t *testing.T, field string) int {
	t.Helper()
	var info sockopt.TCPInfo
	f := reflect.ValueOf(&info).Elem().FieldByName(field)
	f.SetUint(1<<(8*f.Type().Size()) - 1)
	b := info.AppendTo(nil)
	n := slices.IndexFunc(b, func(c byte) bool { return c != 0 })
	for i, c := range b {
		if (i >= n && i < n+int(f.Type().Size())) != (c != 0) {
			t.Errorf("%s: byte %d is %#x", field, i, c)
		}
	}
	return n
}

// kernelInfo is how many bytes the running kernel has for TCP_INFO.
func kernelInfo(t *testing.T) int {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Skipf("no kernel sockets here: %v", err)
	}
	defer func() { _ = syscall.Close(fd) }()
	var b [1024]byte
	n := uint32(len(b))
	if _, _, e := syscall.Syscall6(syscall.SYS_GETSOCKOPT, uintptr(fd), syscall.IPPROTO_TCP, syscall.TCP_INFO, uintptr(unsafe.Pointer(&b)), uintptr(unsafe.Pointer(&n)), 0); e != 0 {
		t.Fatal(e)
	}
	return int(n)
}

// kernelRelease is the running kernel's, as MAJOR.MINOR.
func kernelRelease(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		t.Fatal(err)
	}
	var major, minor int
	if _, err := fmt.Sscanf(string(b), "%d.%d", &major, &minor); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%d.%d", major, minor)
}

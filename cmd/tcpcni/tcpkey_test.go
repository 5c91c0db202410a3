package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/tcpcni/tcpcni/engine"
)

// fakeKeys is a database that remembers its calls.
type fakeKeys struct {
	list  []engine.Association
	calls []string
	fail  string // the call that fails
}

func (f *fakeKeys) did(format string, args ...any) error {
	call := fmt.Sprintf(format, args...)
	f.calls = append(f.calls, call)
	if call == f.fail {
		return errors.New("refused")
	}
	return nil
}

func (f *fakeKeys) AddKey(a engine.Association) error {
	f.list = append(f.list, a)
	return f.did("add %v %d %v %d %s", a.Src, a.SrcPort, a.Dst, a.DstPort, a.Key)
}

func (f *fakeKeys) DeleteKey(a engine.Association) error {
	return f.did("delete %v %d %v %d", a.Src, a.SrcPort, a.Dst, a.DstPort)
}

func (f *fakeKeys) GetKey(a engine.Association) (engine.Association, error) {
	a.Key = []byte("got")
	return a, f.did("get")
}

func (f *fakeKeys) FlushKeys() error { return f.did("flush") }

func (f *fakeKeys) Keys() ([]engine.Association, map[string]uint64, error) {
	return f.list, map[string]uint64{"B": 2, "A": 1}, f.did("keys")
}

func (f *fakeKeys) run(t *testing.T, in string, verb string, words ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	err := keyVerbs[verb](f, words, &keyOptions{}, strings.NewReader(in), &out)
	return out.String(), err
}

func TestKeyLines(t *testing.T) {
	for line, want := range map[string]string{
		`add src 10.0.0.1 dst 10.0.0.2 dport 179 authalg md5 authstring "a \"key\" # of mine"`: `add 10.0.0.1 0 10.0.0.2 179 a "key" # of mine`,
		`add tcpsig saddr ::ffff:10.0.0.1 daddr 10.0.0.2 proto tcp authkey 0x6b6579/24 # bgp`:  "add 10.0.0.1 0 10.0.0.2 0 key",
		"delete\tsrc fd00::1 sport 179 dst fd00::2\r":                                          "delete fd00::1 179 fd00::2 0 ",
		`add 10.0.0.1 10.0.0.2 tcp 0x1000 -A tcp-md5 "TCPMD5 secret" ;`:                        "add 10.0.0.1 0 10.0.0.2 0 TCPMD5 secret",
		`add fd00::1 fd00::2 tcp 4096 -A tcp-md5 0x6b6579;`:                                    "add fd00::1 0 fd00::2 0 key",
		`delete 10.0.0.1 10.0.0.2 tcp 0x1000 ;`:                                                "delete 10.0.0.1 0 10.0.0.2 0 ",
		`flush`:                                                                                "flush invalid IP 0 invalid IP 0 ",
		`# add`:                                                                                "nothing",
		"  ":                                                                                   "nothing",
		`add`:                                                                                  "",
		`add src 10.0.0.1`:                                                                     "",
		`add src 10.0.0.1 dst 10.0.0.2`:                                                        "",
		`add src 10.0.0.1 dst 10.0.0.2 authstring`:                                             "",
		`add src 10.0.0.1 dst 10.0.0.2 authstring ""`:                                          "",
		`add src 10.0.0.1 dst 10.0.0.2 authstring "abc`:                                        "",
		`add src 10.0.0.1 dst 10.0.0.2 authstring abc authkey 61`:                              "",
		`add src 10.0.0.1 src 10.0.0.3 dst 10.0.0.2 authstring abc`:                            "",
		`add src 10.0.0.1 src4 10.0.0.3 dst 10.0.0.2 authstring abc`:                           "",
		`add src 10.0.0.1 dst 10.0.0.2 dport 65536 authstring abc`:                             "",
		`add src 10.0.0.1 dst 10.0.0.2 authalg sha1 authstring abc`:                            "",
		`add src 10.0.0.1 dst host.example authstring abc`:                                     "",
		`add src fe80::1%eth0 dst fe80::2 authstring abc`:                                      "",
		`add src 10.0.0.1 dst 10.0.0.2 authkey 616`:                                            "",
		`add src 10.0.0.1 dst 10.0.0.2 authkey 61/16`:                                          "",
		`add src 10.0.0.1 dst 10.0.0.2 authkey ` + strings.Repeat("61", 81):                    "",
		`add src 10.0.0.1 dst 10.0.0.2 authstring ` + strings.Repeat("a", 81):                  "",
		`add src 10.0.0.1 dst 10.0.0.2 spi 1 authstring abc`:                                   "",
		`add 10.0.0.1 10.0.0.2 esp 1 -A tcp-md5 "k"`:                                           "",
		`add 10.0.0.1 10.0.0.2 tcp x -A tcp-md5 "k"`:                                           "",
		`add 10.0.0.1 10.0.0.2 tcp 1 -E des "k"`:                                               "",
		`update src 10.0.0.1 dst 10.0.0.2 authstring abc`:                                      "",
		`flush all`: "",
		`add src 10.0.0.1 dst 10.0.0.2 authstring ` + strings.Repeat("a", 80): "add 10.0.0.1 0 10.0.0.2 0 " + strings.Repeat("a", 80),
	} {
		k, ok, err := parseKeyLine(line)
		got := fmt.Sprintf("%s %v %d %v %d %s", k.verb, k.Src, k.SrcPort, k.Dst, k.DstPort, k.Key)
		switch {
		case err != nil:
			got = ""
			if !strings.Contains(err.Error(), "accepted") {
				t.Errorf("%q: %v", line, err)
			}
		case !ok:
			got = "nothing"
		}
		if got != want {
			t.Errorf("%q: %q, want %q (%v)", line, got, want, err)
		}
	}
}

// TestKeysSavedAndLoaded: what save writes, load reads.
func TestKeysSavedAndLoaded(t *testing.T) {
	var f fakeKeys
	for _, line := range []string{
		`add src 10.0.0.1 dst 10.0.0.2 dport 179 authstring "a key"`, `add src fd00::1 sport 179 dst fd00::2 authkey 00ff22`,
	} {
		k, _, err := parseKeyLine(line)
		if err != nil {
			t.Fatal(err)
		}
		f.list = append(f.list, k.Association)
	}
	path := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(path, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := f.run(t, "", "save", path); err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(path)
	if err != nil || st.Mode() != 0o600 {
		t.Errorf("%v, %v", st.Mode(), err)
	}
	if left, _ := filepath.Glob(filepath.Dir(path) + "/.tcpkey*"); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
	text, err := f.run(t, "", "save")
	if file, _ := os.ReadFile(path); err != nil || text != string(file) {
		t.Errorf("%q, %q, %v", text, file, err)
	}
	for _, how := range [][]string{{path}, {"-"}, nil} {
		var g fakeKeys
		if _, err := g.run(t, text, "load", how...); err != nil || fmt.Sprint(g.list) != fmt.Sprint(f.list) {
			t.Errorf("%v: %v, %v", how, g.list, err)
		}
	}
	f.fail = "keys"
	if _, err := f.run(t, "", "save", path); err == nil {
		t.Error("an error is not told")
	}
	if file, _ := os.ReadFile(path); text != string(file) {
		t.Error("a save that failed has changed the file")
	}
}

func TestKeyVerbs(t *testing.T) {
	var f fakeKeys
	file := "flush\n\n# both directions\nadd src 10.0.0.1 dst 10.0.0.2 authstring one\nadd src 10.0.0.2 dst 10.0.0.1 authstring two\n"
	for _, bad := range []string{file + "add src", file + strings.Repeat("x", maxKeyLine+1)} {
		if _, err := f.run(t, bad, "load"); err == nil || len(f.calls) != 0 || !strings.Contains(err.Error(), "-") {
			t.Errorf("%v: %q was executed", err, f.calls)
		}
	}
	f.fail = "add 10.0.0.2 0 10.0.0.1 0 two"
	if _, err := f.run(t, file, "load"); err == nil || !strings.Contains(err.Error(), "line 5") || len(f.calls) != 3 {
		t.Errorf("%v, %q", err, f.calls)
	}
	if out, err := f.run(t, "", "get", "src", "10.0.0.1", "dst", "10.0.0.2"); err != nil || out != "add src 10.0.0.1 dst 10.0.0.2 authalg md5 authkey 676f74\n" {
		t.Errorf("%q, %v", out, err)
	}
	var out bytes.Buffer
	if err := keyVerbs["get"](&f, nil, &keyOptions{hidden: true}, nil, &out); err != nil || strings.Count(out.String(), "authkey XXXXXX\n") != 2 {
		t.Errorf("%q, %v", out.String(), err)
	}
	if out, err := f.run(t, "", "counters"); err != nil || out != "A 1\nB 2\n" {
		t.Errorf("%q, %v", out, err)
	}
	for _, words := range [][]string{{"flush", "x"}, {"save", "a", "b"}, {"load", "a", "b"}, {"counters", "x"}, {"get", "x"}, {"delete"}, {"load", "/nonexistent/file"}} {
		if _, err := f.run(t, "", words[0], words[1:]...); err == nil {
			t.Errorf("%q is accepted", words)
		}
	}
}

// TestSaveReplacesOnlyFiles: what is no regular file stays what it is.
func TestSaveReplacesOnlyFiles(t *testing.T) {
	db := &fakeKeys{}
	dir := t.TempDir()
	file, link, pipe := filepath.Join(dir, "file"), filepath.Join(dir, "link"), filepath.Join(dir, "pipe")
	if _, err := db.run(t, "", "save", file); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{link, pipe, dir} {
		was, err := os.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := db.run(t, "", "save", path); err == nil || !strings.Contains(err.Error(), "accepted: a regular file") {
			t.Errorf("%s: %v", path, err)
		}
		if st, err := os.Lstat(path); err != nil || st.Mode() != was.Mode() {
			t.Errorf("%s became %v, %v", path, st, err)
		}
	}
	if _, err := db.run(t, "", "save", file); err != nil {
		t.Errorf("over its own file: %v", err)
	}
}

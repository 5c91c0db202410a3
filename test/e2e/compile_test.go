package e2e

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// built keeps what a test made for all: a program or a file, by name.
var built = struct {
	sync.Mutex
	paths map[string]string
}{paths: map[string]string{}}

// once makes a file under the shared folder unless an earlier test did.
func once(t *testing.T, name string, make func(path string) error) string {
	t.Helper()
	built.Lock()
	defer built.Unlock()
	if path, ok := built.paths[name]; ok {
		return path
	}
	path := filepath.Join(workDir, name)
	must(t, make(path))
	built.paths[name] = path
	return path
}

// compileC builds testdata/NAME.c as anybody would, with gcc and glibc.
func compileC(t *testing.T, name string) string {
	t.Helper()
	return compileEdited(t, name, name, "", "")
}

// compileEdited builds testdata/SOURCE.c with one piece of its text replaced.
func compileEdited(t *testing.T, name, source, from, to string) string {
	t.Helper()
	return once(t, name, func(path string) error {
		text, err := os.ReadFile("testdata/" + source + ".c")
		if err != nil {
			return err
		}
		if from != "" && strings.Count(string(text), from) != 1 {
			return fmt.Errorf("testdata/%s.c does not have %q once", source, from)
		}
		if from != "" {
			text = []byte(strings.Replace(string(text), from, to, 1))
		}
		if err := os.WriteFile(path+".c", text, 0o644); err != nil {
			return err
		}
		return output1(exec.Command("gcc", "-O1", "-Wall", "-pthread", "-I", "../../include", "-o", path, path+".c"))
	})
}

// compileGo builds testdata/peer. With cgo the program is dynamic and resolves
// names through glibc; without, it is static and makes its system calls itself.
func compileGo(t *testing.T, cgo bool) string {
	t.Helper()
	name, env := "peer-static", "CGO_ENABLED=0"
	if cgo {
		name, env = "peer-cgo", "CGO_ENABLED=1"
	}
	return once(t, name, func(path string) error {
		cmd := exec.Command("go", "build", "-o", path, "./testdata/peer")
		cmd.Env = append(os.Environ(), env)
		return output1(cmd)
	})
}

func output1(cmd *exec.Cmd) error {
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, out)
	}
	return nil
}

// A payload is a file of pseudo-random bytes and what they hash to.
type payload struct {
	path string
	size int64
	sum  string
}

// makePayload writes a file of the given size; the same one for all tests.
func makePayload(t *testing.T, size int64) payload {
	t.Helper()
	name := fmt.Sprintf("payload-%d", size)
	path := once(t, name, func(path string) error {
		f, err := os.Create(path)
		if err != nil {
			return err
		}
		defer f.Close()
		block, err := aes.NewCipher([]byte("sixteen byte key"))
		if err != nil {
			return err
		}
		stream := cipher.StreamReader{S: cipher.NewCTR(block, make([]byte, 16)), R: zeroes{}}
		hash := sha256.New()
		if _, err := io.CopyN(io.MultiWriter(f, hash), stream, size); err != nil {
			return err
		}
		return os.WriteFile(path+".sum", []byte(hex.EncodeToString(hash.Sum(nil))), 0o644)
	})
	sum, err := os.ReadFile(path + ".sum")
	must(t, err)
	return payload{path: path, size: size, sum: string(sum)}
}

type zeroes struct{}

func (zeroes) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// A digest takes the bytes that a program writes and knows their hash.
type digest struct {
	mu   sync.Mutex
	hash hashWriter
	n    int64
}

type hashWriter interface {
	io.Writer
	Sum([]byte) []byte
}

func newDigest() *digest { return &digest{hash: sha256.New()} }

func (d *digest) Write(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.n += int64(len(p))
	return d.hash.Write(p)
}

// size is how many bytes came so far.
func (d *digest) size() int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.n
}

// expect compares what came with a payload.
func (d *digest) expect(t *testing.T, p payload) {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	if got := hex.EncodeToString(d.hash.Sum(nil)); d.n != p.size || got != p.sum {
		t.Fatalf("got %d bytes with SHA-256 %s, want %d with %s", d.n, got, p.size, p.sum)
	}
}

// testdata is the absolute path of a file that a program of the test reads.
func testdata(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs("testdata/" + name)
	must(t, err)
	return path
}

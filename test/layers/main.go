// Command layers checks the rules that keep the layers of this module apart,
// which no general linter knows: what each folder may import, that the pure
// core has no goroutine and no clock, and that system calls have one home.
// It prints one line per breach and exits with 1 when there is any.
package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

const module = "github.com/tcpcni/tcpcni"

// maxLines is the length above which a source file holds more than one idea.
const maxLines = 700

// layer says what the code below one folder may use.
type layer struct {
	folder   string
	inner    []string // folders of this module that it may import, itself included
	pure     bool     // no goroutine, no clock, no I/O, no global randomness
	syscalls bool     // may import the system-call packages
}

var layers = []layer{
	{folder: "sockopt", inner: []string{"sockopt"}, pure: true},
	{folder: "netstack", inner: []string{"netstack", "sockopt"}, pure: true},
	{folder: "hostlink", inner: []string{"hostlink", "netstack", "sockopt"}, syscalls: true},
	{folder: "engine", inner: []string{"engine", "hostlink", "netstack", "sockopt"}},
	{folder: "plugin", inner: []string{"plugin", "engine", "hostlink", "netstack", "sockopt"}},
	{folder: "cmd", inner: []string{"cmd", "plugin", "engine", "hostlink", "netstack", "sockopt"}, syscalls: true},
	{folder: "deploy", inner: []string{"deploy"}},
	{folder: "test", inner: []string{"test", "cmd", "plugin", "engine", "hostlink", "netstack", "sockopt"}, syscalls: true},
}

var syscallPackages = []string{"syscall", "golang.org/x/sys/unix"}

// impure lists what a package of the pure core must not import. Its tests may
// read files and compare numbers with package syscall's, and that is all.
var impure = []string{
	"os", "os/exec", "os/signal", "net", "net/http", "sync", "sync/atomic", "context", "io/ioutil",
	"math/rand", "math/rand/v2", "crypto/rand", "hash/maphash", "runtime", "log", "log/slog",
	"syscall", "golang.org/x/sys/unix", "unsafe",
}
var impureInTests = []string{
	"os/exec", "os/signal", "net", "net/http", "golang.org/x/sys/unix", "crypto/rand",
}

// clocks are the functions of package time that read or wait for real time.
var clocks = []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"}

type checker struct {
	fset     *token.FileSet
	breaches []string
}

func (c *checker) breach(pos token.Pos, format string, args ...any) {
	c.breaches = append(c.breaches, fmt.Sprintf("%s: %s", c.fset.Position(pos), fmt.Sprintf(format, args...)))
}

func main() {
	c := &checker{fset: token.NewFileSet()}
	for _, l := range layers {
		err := filepath.WalkDir(l.folder, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") {
				return err
			}
			return c.file(l, path)
		})
		if err != nil {
			fmt.Fprintln(os.Stderr, "layers:", err)
			os.Exit(2)
		}
	}
	for _, b := range c.breaches {
		fmt.Println(b)
	}
	if len(c.breaches) > 0 {
		os.Exit(1)
	}
}

func (c *checker) file(l layer, path string) error {
	f, err := parser.ParseFile(c.fset, path, nil, parser.ParseComments)
	if err != nil {
		return err
	}
	test := strings.HasSuffix(path, "_test.go")
	for _, imp := range f.Imports {
		name, err := strconv.Unquote(imp.Path.Value)
		if err != nil {
			return err
		}
		c.checkImport(l, test, imp.Pos(), name)
	}
	if l.pure {
		c.checkPure(f, test)
	}
	if n := c.fset.File(f.Pos()).LineCount(); n > maxLines && !test {
		c.breach(f.Pos(), "%d lines: more than %d hold more than one idea", n, maxLines)
	}
	return nil
}

func (c *checker) checkImport(l layer, test bool, pos token.Pos, name string) {
	if inner, ok := strings.CutPrefix(name, module+"/"); ok {
		folder, _, _ := strings.Cut(inner, "/")
		// A test may use the helpers of test/, whatever its layer.
		if !slices.Contains(l.inner, folder) && (!test || folder != "test") {
			c.breach(pos, "%s must not import %s: it may use %s", l.folder, inner, strings.Join(l.inner, ", "))
		}
		return
	}
	switch {
	case l.pure && !test && slices.Contains(impure, name),
		l.pure && test && slices.Contains(impureInTests, name):
		c.breach(pos, "%s is pure and must not import %s", l.folder, name)
	case !l.syscalls && !test && slices.Contains(syscallPackages, name):
		c.breach(pos, "%s: system calls belong to hostlink", name)
	}
}

// checkPure looks for goroutines and for calls of the clock.
func (c *checker) checkPure(f *ast.File, test bool) {
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			if !test {
				c.breach(n.Pos(), "a goroutine in the pure core")
			}
		case *ast.SelectorExpr:
			pkg, ok := n.X.(*ast.Ident)
			if ok && pkg.Name == "time" && pkg.Obj == nil && slices.Contains(clocks, n.Sel.Name) {
				c.breach(n.Pos(), "time.%s in the pure core: time is handed in", n.Sel.Name)
			}
		}
		return true
	})
}

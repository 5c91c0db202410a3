package main

import (
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
)

// A mutant is one change.
type mutant struct {
	id    int
	file  string // without its folder
	line  int
	what  string // the change in words
	stage string // the tests that noticed; "": none
}

// source is the package with what there is to change in it.
type source struct {
	dir     string
	fset    *token.FileSet
	names   []string
	files   map[string]*ast.File
	text    map[string][]byte
	info    *types.Info
	name    string // of the package
	mutants []*mutant
	byNode  map[ast.Node]*mutant
}

// load parses and types the package's files but for its tests.
func load(dir string) (*source, error) {
	s := &source{
		dir: dir, fset: token.NewFileSet(), files: make(map[string]*ast.File), text: make(map[string][]byte),
		byNode: make(map[ast.Node]*mutant),
	}
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	var list []*ast.File
	for _, p := range paths {
		if strings.HasSuffix(p, "_test.go") {
			continue
		}
		b, err := os.ReadFile(p)
		if err != nil {
			return nil, err
		}
		f, err := parser.ParseFile(s.fset, p, b, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		n := filepath.Base(p)
		s.names, s.files[n], s.text[n], s.name = append(s.names, n), f, b, f.Name.Name
		list = append(list, f)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("no Go files in %s", dir)
	}
	s.info = &types.Info{Types: make(map[ast.Expr]types.TypeAndValue)}
	conf := types.Config{Importer: importer.ForCompiler(s.fset, "source", nil)}
	_, err = conf.Check(dir, s.fset, list, s.info)
	return s, err
}

// choose numbers what can be changed in the named files, or in all.
func (s *source) choose(names []string) error {
	for _, n := range names {
		if s.files[n] == nil {
			return fmt.Errorf("-files: no file %q in %s; there are %s", n, s.dir, strings.Join(s.names, ", "))
		}
	}
	sort.Strings(s.names)
	for _, n := range s.names {
		if len(names) > 0 && !slices.Contains(names, n) {
			continue
		}
		ast.Inspect(s.files[n], func(node ast.Node) bool {
			if d, ok := node.(*ast.GenDecl); ok && d.Tok != token.VAR {
				return false // constants and types
			}
			if e, ok := node.(ast.Expr); ok {
				if what := s.change(e); what != "" {
					m := &mutant{id: len(s.mutants) + 1, file: n, line: s.fset.Position(position(e)).Line, what: what}
					s.mutants, s.byNode[node] = append(s.mutants, m), m
				}
			}
			return true
		})
	}
	return nil
}

// position is where the change itself stands.
func position(e ast.Expr) token.Pos {
	if b, ok := e.(*ast.BinaryExpr); ok {
		return b.OpPos
	}
	return e.Pos()
}

// swaps are operators and what takes their place: the same with the border on
// the other side, or the opposite.
var swaps = map[token.Token]token.Token{
	token.LSS: token.LEQ, token.LEQ: token.LSS, token.GTR: token.GEQ, token.GEQ: token.GTR,
	token.EQL: token.NEQ, token.NEQ: token.EQL, token.LAND: token.LOR, token.LOR: token.LAND,
}

// functions are comparisons by name, of sequence numbers.
var functions = map[string]string{"seqLT": "seqLEQ", "seqLEQ": "seqLT", "seqMax": "seqMin", "seqMin": "seqMax"}

// change says what can be changed about an expression, "" if nothing.
func (s *source) change(e ast.Expr) string {
	if tv := s.info.Types[e]; tv.Value != nil {
		if id, ok := e.(*ast.Ident); !ok || id.Name != "true" && id.Name != "false" {
			return "" // a constant must stay one
		}
	}
	switch e := e.(type) {
	case *ast.BinaryExpr:
		if to, ok := swaps[e.Op]; ok {
			return fmt.Sprintf("%s becomes %s", e.Op, to)
		}
		if isOne(e.Y) && (e.Op == token.ADD || e.Op == token.SUB) && s.integer(e) && !takesTypeFromOutside(e.X) {
			return fmt.Sprintf("%s 1 is left out", e.Op)
		}
	case *ast.UnaryExpr:
		if e.Op == token.NOT {
			return "! is left out"
		}
	case *ast.Ident:
		if tv, ok := s.info.Types[ast.Expr(e)]; ok && tv.Value != nil && (e.Name == "true" || e.Name == "false") {
			return e.Name + " becomes the opposite"
		}
	case *ast.CallExpr:
		if id, ok := e.Fun.(*ast.Ident); ok && functions[id.Name] != "" {
			return id.Name + " becomes " + functions[id.Name]
		}
	}
	return ""
}

// takesTypeFromOutside reports whether e is a constant shifted by a variable,
// which has the type that its surroundings want.
func takesTypeFromOutside(e ast.Expr) bool {
	b, ok := e.(*ast.BinaryExpr)
	if !ok || b.Op != token.SHL {
		return false
	}
	_, literal := b.X.(*ast.BasicLit)
	return literal
}

func isOne(e ast.Expr) bool {
	l, ok := e.(*ast.BasicLit)
	return ok && l.Value == "1"
}

func (s *source) integer(e ast.Expr) bool {
	b, ok := s.info.Types[e].Type.Underlying().(*types.Basic)
	return ok && b.Info()&types.IsInteger != 0
}

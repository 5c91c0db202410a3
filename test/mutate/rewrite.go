package main

import (
	"fmt"
	"go/ast"
	"go/token"
	"sort"
	"strings"
)

// switchFile is the file that is compiled in to choose a change.
const switchFile = `package %s

import (
	"os"
	"strconv"
)

// mutantID is the change that is made, 0: none.
var mutantID = func() int { n, _ := strconv.Atoi(os.Getenv("MUTANT")); return n }()

type mutantInteger interface {
	~int | ~int8 | ~int16 | ~int32 | ~int64 | ~uint | ~uint8 | ~uint16 | ~uint32 | ~uint64 | ~uintptr
}

func mutantUp[T mutantInteger](id int, x T) T {
	if mutantID == id {
		return x
	}
	return x + 1
}

func mutantDown[T mutantInteger](id int, x T) T {
	if mutantID == id {
		return x
	}
	return x - 1
}

func mutantPick[T any](instead bool, a, b T) T {
	if instead {
		return a
	}
	return b
}
`

// rewrite is the text of a file with every change in it, each behind its number.
func (s *source) rewrite(name string) string {
	f := s.files[name]
	tf := s.fset.File(f.Pos())
	var b strings.Builder
	at := 0
	// The outermost changed expressions, one after the other.
	var outer []ast.Expr
	ast.Inspect(f, func(n ast.Node) bool {
		if e, ok := n.(ast.Expr); ok && s.byNode[n] != nil {
			outer = append(outer, e)
			return false
		}
		return true
	})
	sort.Slice(outer, func(i, j int) bool { return outer[i].Pos() < outer[j].Pos() })
	for _, e := range outer {
		b.Write(s.text[name][at:tf.Offset(e.Pos())])
		b.WriteString(s.emit(name, tf, e))
		at = tf.Offset(e.End())
	}
	b.Write(s.text[name][at:])
	return b.String()
}

// emit is the text of an expression with the changes in it.
func (s *source) emit(name string, tf *token.File, e ast.Expr) string {
	m := s.byNode[e]
	if m == nil {
		return s.inner(name, tf, e)
	}
	either := func(as, instead string) string {
		return fmt.Sprintf("(mutantID != %d && (%s) || mutantID == %d && (%s))", m.id, as, m.id, instead)
	}
	switch e := e.(type) {
	case *ast.BinaryExpr:
		x, y := s.emit(name, tf, e.X), s.emit(name, tf, e.Y)
		if to, ok := swaps[e.Op]; ok {
			// Brackets, as the operator that takes the place may bind otherwise.
			return either("("+x+") "+e.Op.String()+" ("+y+")", "("+x+") "+to.String()+" ("+y+")")
		}
		if e.Op == token.SUB {
			return fmt.Sprintf("mutantDown(%d, %s)", m.id, x)
		}
		return fmt.Sprintf("mutantUp(%d, %s)", m.id, x)
	case *ast.UnaryExpr:
		x := s.emit(name, tf, e.X)
		return either("!"+x, x)
	case *ast.Ident:
		if e.Name == "true" {
			return fmt.Sprintf("(mutantID != %d)", m.id)
		}
		return fmt.Sprintf("(mutantID == %d)", m.id)
	case *ast.CallExpr:
		id := e.Fun.(*ast.Ident)
		var args []string
		for _, a := range e.Args {
			args = append(args, s.emit(name, tf, a))
		}
		list := "(" + strings.Join(args, ", ") + ")"
		if strings.HasPrefix(id.Name, "seqM") { // a number, not a boolean
			return fmt.Sprintf("mutantPick(mutantID == %d, %s%s, %s%s)", m.id, functions[id.Name], list, id.Name, list)
		}
		return either(id.Name+list, functions[id.Name]+list)
	}
	panic("a change of nothing")
}

// inner is the text of an expression that is not changed itself.
func (s *source) inner(name string, tf *token.File, e ast.Expr) string {
	var b strings.Builder
	at := tf.Offset(e.Pos())
	var parts []ast.Expr
	ast.Inspect(e, func(n ast.Node) bool {
		if p, ok := n.(ast.Expr); ok && s.byNode[n] != nil {
			parts = append(parts, p)
			return false
		}
		return true
	})
	sort.Slice(parts, func(i, j int) bool { return parts[i].Pos() < parts[j].Pos() })
	for _, p := range parts {
		b.Write(s.text[name][at:tf.Offset(p.Pos())])
		b.WriteString(s.emit(name, tf, p))
		at = tf.Offset(p.End())
	}
	b.Write(s.text[name][at:tf.Offset(e.End())])
	return b.String()
}

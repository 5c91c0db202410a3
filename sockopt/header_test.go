package sockopt

import (
	"fmt"
	"go/format"
	"os"
	"slices"
	"strings"
	"testing"
)

const (
	header    = "../include/tcpcni.h"
	constants = "numbers/numbers.go"
)

// TestHeader and TestConstants hold the files that programs take numbers from
// against the table: go test ./sockopt -run 'Header|Constants' -update writes
// them.
func TestHeader(t *testing.T) { current(t, header, cHeader(t)) }

func TestConstants(t *testing.T) {
	text, err := format.Source([]byte(goConstants(t)))
	if err != nil {
		t.Fatal(err)
	}
	current(t, constants, string(text))
}

// current holds a generated file against what it should be.
func current(t *testing.T, file, want string) {
	t.Helper()
	have, err := os.ReadFile(file)
	if err != nil && !*update {
		t.Fatal(err)
	}
	switch {
	case string(have) == want:
	case !*update:
		t.Fatalf("%s is not what the table says; rewrite it with go test ./sockopt -run 'Header|Constants' -update", file)
	default:
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// A numbered option is one of the table with the profiles that have it.
type numbered struct {
	row     *Row
	systems []string
}

// numberedOptions are the options of all profiles at the levels that sockets of
// TCP have, each name once. A name has one number.
func numberedOptions(t *testing.T) []numbered {
	var list []numbered
	place := make(map[string]int)
	for _, profile := range ProfileNames() {
		rows := profileOf(t, profile).Rows()
		for i := range rows {
			r := &rows[i]
			at, ok := place[r.Name]
			if !ok {
				place[r.Name] = len(list)
				list = append(list, numbered{row: r, systems: []string{profile}})
				continue
			}
			n := &list[at]
			if n.row.Number != r.Number && r.Level == n.row.Level {
				t.Errorf("%s is %#x in profile %s and %#x in %s", r.Name, n.row.Number, n.systems[0], r.Number, profile)
			}
			if r.Level == n.row.Level {
				n.systems = append(n.systems, profile)
			}
		}
	}
	return list
}

func cHeader(t *testing.T) string {
	var b strings.Builder
	b.WriteString(`/*
 * Options that the profiles of tcpcni have and Linux has not, for setsockopt(2)
 * and getsockopt(2) of programs that are compiled on Linux. An option that
 * Linux has is called by Linux's number in every profile.
 *
 * Written from the option table by "go test ./sockopt -run Header -update".
 */
#ifndef TCPCNI_H
#define TCPCNI_H

/* Level SOL_SOCKET. */
`)
	options := numberedOptions(t)
	for _, level := range []int{SolSocket, protoTCP} {
		if level == protoTCP {
			b.WriteString("\n/* Level IPPROTO_TCP: 0x01SSNNNN, option NNNN of system SS; or the number of what Linux calls otherwise. */\n")
		}
		for _, n := range options {
			if r := n.row; r.Level == level && (r.Foreign() || !slices.Contains(n.systems, "linux")) && r.Refuse == 0 {
				fmt.Fprintf(&b, "#ifndef %s\n#define %s 0x%x /* %s */\n#endif\n", r.Name, r.Name, r.Number, strings.Join(n.systems, ", "))
			}
		}
	}
	b.WriteString("\n#endif\n")
	return b.String()
}

func goConstants(t *testing.T) string {
	var b strings.Builder
	b.WriteString(`// Package numbers names the socket options of all profiles by their numbers on
// the Linux ABI, as setsockopt(2) and getsockopt(2) of a sandbox take them.
//
// Written from the option table by "go test ./sockopt -run Constants -update".
package numbers
`)
	options := numberedOptions(t)
	for _, level := range []int{SolSocket, protoTCP, protoUDP, protoIP, protoIPv6} {
		fmt.Fprintf(&b, "\n// Level %s.\nconst (\n", levelNames[level])
		at := slices.DeleteFunc(slices.Clone(options), func(n numbered) bool { return n.row.Level != level })
		slices.SortStableFunc(at, func(a, b numbered) int { return a.row.Number - b.row.Number })
		for _, n := range at {
			number := fmt.Sprint(n.row.Number)
			if n.row.Foreign() {
				number = fmt.Sprintf("%#x", n.row.Number)
			}
			fmt.Fprintf(&b, "%s = %s\n", n.row.Name, number)
		}
		b.WriteString(")\n")
	}
	return b.String()
}

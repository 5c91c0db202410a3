package oci

// What an OCI profile says about a call.

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// defaultProfile is what containerd's contrib/seccomp.DefaultProfile returns for
// a container with the usual capabilities: RuntimeDefault in Kubernetes.
//
//go:embed default.json
var defaultProfile []byte

// Default returns the profile that container runtimes give to containers of
// which nothing else is said and that have no capability beyond the usual ones.
func Default() *specs.LinuxSeccomp {
	p, err := Parse(defaultProfile)
	if err != nil {
		panic(err) // the file is part of this program
	}
	return p
}

// Parse reads the seccomp object of an OCI configuration. A field that this
// program does not know is an error: it might allow what Merge cannot judge.
func Parse(text []byte) (*specs.LinuxSeccomp, error) {
	p := new(specs.LinuxSeccomp)
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(p); err != nil {
		return nil, fmt.Errorf("seccomp profile: %w: accepted: the seccomp object of the OCI runtime specification", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("seccomp profile: more than one object: accepted: one")
	}
	return p, nil
}

// ReadBase reads a profile to merge into: a file, "default" for Default, or
// "unconfined" for none, which is nil.
func ReadBase(name string) (*specs.LinuxSeccomp, error) {
	switch name {
	case "default":
		return Default(), nil
	case "unconfined":
		return nil, nil
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("%w: accepted: a file, default, unconfined", err)
	}
	p, err := Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return p, nil
}

// A decision is an action with the error that it gives. errno is zero for
// actions that give none.
type decision struct {
	action specs.LinuxSeccompAction
	errno  uint
}

// allowing are the actions by which a profile lets a call pass.
var allowing = []specs.LinuxSeccompAction{specs.ActAllow, specs.ActLog}

// refusing are those by which it does not. A tracer that might allow the call
// is not one of the runtimes' business.
var refusing = []specs.LinuxSeccompAction{
	specs.ActErrno, specs.ActKill, specs.ActKillThread, specs.ActKillProcess, specs.ActTrap, specs.ActTrace,
}

func (d decision) allows() bool { return slices.Contains(allowing, d.action) }

// decide reads an action and its error. Without one, runtimes give EPERM.
func decide(action specs.LinuxSeccompAction, ret *uint) (decision, error) {
	d := decision{action: action}
	switch {
	case action == specs.ActErrno || action == specs.ActTrace:
		d.errno = uint(unix.EPERM)
		if ret != nil {
			d.errno = *ret
		}
	case !slices.Contains(allowing, action) && !slices.Contains(refusing, action) && action != specs.ActNotify:
		return d, fmt.Errorf("action: %q: accepted: %v or %v", action, allowing, refusing)
	}
	return d, nil
}

// rulesOf returns what the profile's rules say about one call, a part for each
// rule, in the profile's order; parts may overlap.
func rulesOf(p *specs.LinuxSeccomp, call string, ints uint) ([]part, error) {
	var parts []part
	for i := range p.Syscalls {
		r := &p.Syscalls[i]
		if !slices.Contains(r.Names, call) {
			continue
		}
		d, err := decide(r.Action, r.ErrnoRet)
		if err != nil {
			return nil, fmt.Errorf("syscalls[%d]: %w", i, err)
		}
		cells, err := ruleCells(r, ints)
		if err != nil {
			return nil, fmt.Errorf("syscalls[%d]: %w", i, err)
		}
		for _, c := range cells {
			parts = append(parts, part{c, d})
		}
	}
	return parts, nil
}

// ruleCells returns the calls that a rule is for. Runtimes make one rule of
// each condition when two of them are on the same argument.
func ruleCells(r *specs.LinuxSyscall, ints uint) ([]cell, error) {
	uses := [numArgs]int{}
	either := false
	for i := range r.Args {
		if r.Args[i].Index >= numArgs {
			return nil, fmt.Errorf("args[%d].index: %d: accepted: 0 to %d", i, r.Args[i].Index, numArgs-1)
		}
		uses[r.Args[i].Index]++
		either = either || uses[r.Args[i].Index] > 1
	}
	all := []cell{{}}
	var any []cell
	for i := range r.Args {
		list, err := argPatterns(&r.Args[i], ints>>r.Args[i].Index&1 == 1)
		if err != nil {
			return nil, fmt.Errorf("args[%d].%w", i, err)
		}
		if either {
			cells, err := narrow([]cell{{}}, int(r.Args[i].Index), list)
			if err != nil {
				return nil, err
			}
			any = append(any, cells...)
			continue
		}
		if all, err = narrow(all, int(r.Args[i].Index), list); err != nil {
			return nil, err
		}
	}
	if either {
		return any, nil
	}
	return all, nil
}

// argPatterns returns the registers for which a comparison holds, as
// seccomp_rule_add(3) defines them: on 64 bits, unsigned. Of an int only the
// lower half is compared, which is all that the kernel looks at: what a profile
// says of socket(2, ...) holds for socket(2|1<<32, ...), the same call.
func argPatterns(a *specs.LinuxSeccompArg, isInt bool) ([]pattern, error) {
	width := wholeReg
	if isInt {
		width = lowHalf
	}
	var list []pattern
	switch v := a.Value; a.Op {
	case specs.OpEqualTo:
		list = []pattern{{wholeReg, v}}
	case specs.OpNotEqual:
		list = pattern{wholeReg, v}.not()
	case specs.OpLessThan:
		list = below(v)
	case specs.OpLessEqual:
		list = append(below(v), pattern{wholeReg, v})
	case specs.OpGreaterEqual:
		list = from(v)
	case specs.OpGreaterThan:
		if v != wholeReg {
			list = from(v + 1)
		}
	case specs.OpMaskedEqual:
		if a.ValueTwo&^v != 0 {
			return nil, fmt.Errorf("valueTwo: %#x: accepted: only bits of value, the mask %#x", a.ValueTwo, v)
		}
		list = []pattern{{v, a.ValueTwo}}
	default:
		return nil, fmt.Errorf("op: %q: accepted: SCMP_CMP_EQ, SCMP_CMP_NE, SCMP_CMP_LT, SCMP_CMP_LE, SCMP_CMP_GE, SCMP_CMP_GT, SCMP_CMP_MASKED_EQ", a.Op)
	}
	// An int is as a register whose upper half is zero.
	var within []pattern
	for _, p := range list {
		if p.val&^width == 0 {
			within = append(within, pattern{p.mask & width, p.val})
		}
	}
	return within, nil
}

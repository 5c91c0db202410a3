package oci

import (
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/tcpcni/tcpcni/hostlink"
)

// WithoutErrnos rewrites the rules of a merged profile so that none names an
// error number. NRI's library up to v0.10.0, which containerd 2.2 has, writes
// through a nil pointer where a rule does (api.ToOCILinuxSyscalls), and the
// whole runtime ends.
//
// Without a number a refusal is EPERM (runtime-spec). That will do, except for
// ENOSYS, by which libc learns that it has to use an older call: calls that the
// engine does not know go to it, and it answers with just that. A call that the
// engine would execute stays refused in the filter.
func WithoutErrnos(p *specs.LinuxSeccomp) *specs.LinuxSeccomp {
	out := *p
	out.Syscalls = nil
	for _, r := range p.Syscalls {
		number := r.ErrnoRet
		r.ErrnoRet = nil
		if r.Action != specs.ActErrno || number == nil || *number != uint(unix.ENOSYS) {
			out.Syscalls = append(out.Syscalls, r)
			continue
		}
		toEngine, refused := r, r
		toEngine.Action = specs.ActNotify
		toEngine.Names, refused.Names = nil, nil
		for _, n := range r.Names {
			if executes(n) {
				refused.Names = append(refused.Names, n)
			} else {
				toEngine.Names = append(toEngine.Names, n)
			}
		}
		for _, r := range []specs.LinuxSyscall{toEngine, refused} {
			if len(r.Names) > 0 {
				out.Syscalls = append(out.Syscalls, r)
			}
		}
	}
	return &out
}

// executes reports whether the engine does something for a call that reaches it.
func executes(name string) bool {
	return slices.ContainsFunc(hostlink.SandboxRules, func(r hostlink.Rule) bool {
		return callNames[r.Call] == name && (r.Do == hostlink.ActionNotify ||
			slices.ContainsFunc(r.Cases, func(c hostlink.Case) bool { return c.Do == hostlink.ActionNotify }))
	})
}

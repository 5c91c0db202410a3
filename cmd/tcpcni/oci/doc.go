// Package oci merges the sandbox's filter into the seccomp profile of an OCI
// container (runtime-spec, config-linux.md, "Seccomp"), so that an ordinary
// runtime installs it and hands the listener to the sandbox's engine.
//
// hostlink.SandboxRules is the one table of what happens to socket calls. For
// each call that it names, and for each value of the argument registers:
//
//   - what the profile refuses (ERRNO, KILL, TRAP, TRACE, or no rule and such a
//     default action) stays refused in the profile's way;
//   - what the profile allows (ALLOW, LOG) is treated as the table says.
//
// Where the rules of a profile overlap, a refusal counts. All other calls keep
// the profile's rules.
//
// # Why the rules are computed and not copied
//
// The table is ordered and tests the lower half of registers, because that is
// what the kernel uses of an int. The OCI format has neither: its comparisons
// take all 64 bits, so that socket(2|1<<32, …) passes a rule for 2, and
// libseccomp gives no promise about the order of rules that overlap. So the
// merged rules of a call never overlap, and narrow arguments are compared under
// a mask. runtimes turn two conditions on one argument into two rules (an "or");
// the merged rules have at most one for each.
//
// # Other entries into the kernel
//
// The merged profile names SCMP_ARCH_X86_64 alone. libseccomp then kills the
// thread that enters the kernel by the i386 or the x32 way, so a 32-bit program
// does not run.
package oci

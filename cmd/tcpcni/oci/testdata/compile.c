/* Compiles rules to BPF with libseccomp, the way runtimes do: one rule each,
 * with at most one condition for an argument, x86-64 only. The rules come on
 * standard input, a line each:
 *   default ACTION
 *   CALL ACTION N {INDEX OP VALUE VALUETWO}*N
 * ACTION is a seccomp return value, OP is one of libseccomp's scmp_compare. The
 * program goes to standard output. */
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void fail(const char *what, int e)
{
	fprintf(stderr, "%s: %s\n", what, strerror(-e));
	exit(1);
}

int main(int argc, char **argv)
{
	char name[64];
	unsigned action;
	int n, e, rules = 0;
	scmp_filter_ctx c;

	if (scanf("%63s %u", name, &action) != 2 || strcmp(name, "default"))
		fail("first line", 0);
	if (!(c = seccomp_init(action)))
		fail("seccomp_init", 0);
	if (argc > 1) /* runtimes ask for it when there are many rules */
		seccomp_attr_set(c, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	while (scanf("%63s %u %d", name, &action, &n) == 3) {
		struct scmp_arg_cmp args[6];
		for (int i = 0; i < n; i++) {
			unsigned index, op;
			unsigned long long a, b;
			if (n > 6 || scanf("%u %u %llu %llu", &index, &op, &a, &b) != 4)
				fail("condition", 0);
			args[i] = (struct scmp_arg_cmp){index, op, a, b};
		}
		int nr = seccomp_syscall_resolve_name(name);
		if (nr == __NR_SCMP_ERROR)
			continue;
		e = seccomp_rule_add_array(c, action, nr, n, args);
		if (e)
			fail(name, e);
		rules++;
	}
	if ((e = seccomp_export_bpf(c, 1)))
		fail("seccomp_export_bpf", e);
	return rules == 0;
}

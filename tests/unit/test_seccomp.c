/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libseccomp as oracle: it compiles the same table, and both programs must give the same answers.
 * The names of the table are compared with its names, and figures are printed. What the table
 * should say is in test_seccomp_expect.c; test_seccomp_live.c loads the filters for real.
 */
#include "test_seccomp.h"

#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"

static void export(scmp_filter_ctx ctx, struct program *out)
{
	PF_AUTO_CLOSE int fd = memfd_create("bpf", 0);
	ssize_t n;

	assert_int_equal(seccomp_export_bpf(ctx, fd), 0);
	n = pread(fd, out->insns, sizeof(out->insns), 0);
	assert_true(n > 0 && n % (ssize_t)sizeof(out->insns[0]) == 0);
	out->count = (size_t)n / sizeof(out->insns[0]);
	seccomp_release(ctx);
}

static scmp_filter_ctx context(uint32_t otherwise)
{
	scmp_filter_ctx ctx = seccomp_init(otherwise);

	assert_non_null(ctx);
	assert_int_equal(seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS), 0);
	return ctx;
}

static uint32_t action(uint16_t err)
{
	if (err == PF__DONE)
		return SCMP_ACT_ERRNO(0);
	return err ? SCMP_ACT_ERRNO(err) : SCMP_ACT_ALLOW;
}

/* Is the call made, or said to have been? The oracle has no order of clauses to tell these two apart. */
static bool content(uint32_t answer)
{
	return answer == OK || answer == SECCOMP_RET_ERRNO;
}

/* A clause is a conjunction of sets; libseccomp takes conjunctions of single values, and one for an argument:
 * the high half goes with the low one before it. */
static void add_clause(scmp_filter_ctx ctx, uint32_t act, int nr, const struct pf__clause *c)
{
	unsigned n[3] = {1, 1, 1};

	for (int j = 0; j < c->conds; j++)
		n[j] = c->cond[j].op == PF__IN ? c->cond[j].values : 1;
	for (unsigned i = 0; i < n[0] * n[1] * n[2]; i++) {
		unsigned pick[3] = {i % n[0], i / n[0] % n[1], i / n[0] / n[1]};
		struct scmp_arg_cmp cmp[3];
		unsigned count = 0;

		for (int j = 0; j < c->conds; j++) {
			const struct pf__cond *d = &c->cond[j];
			uint32_t v = d->op == PF__IN ? d->value[pick[j]] : 0;

			if (d->high) {
				assert_true(count && cmp[count - 1].arg == d->arg);
				cmp[count - 1].datum_a |= (uint64_t)d->mask << 32;
				cmp[count - 1].datum_b |= (uint64_t)v << 32;
			} else {
				cmp[count++] = SCMP_CMP(d->arg, SCMP_CMP_MASKED_EQ, d->mask, v);
			}
		}
		assert_int_equal(seccomp_rule_add_array(ctx, act, nr, count, cmp), 0);
	}
}

/*
 * A check by itself, with its answer to everything else as the default. ANY is turned round (the
 * rest is masked-equal to 0). Of several answers only whether it allows can be compared.
 */
static void compare_check(int nr, const struct pf__check *check, const struct program *ours)
{
	bool any = check->clause[0].cond[0].op == PF__ANY, mixed = false;
	scmp_filter_ctx ctx = context(action(any ? check->clause[0].err : check->otherwise));
	struct program *lib = malloc(sizeof(*lib));
	uint64_t args[6];

	for (int i = 0; i < check->clauses; i++) {
		const struct pf__clause *c = &check->clause[i];

		mixed |= c->err && !any && check->otherwise;
		if (c->err && !any && check->otherwise)
			continue;
		add_clause(ctx, action(any ? check->otherwise : c->err), nr, c);
	}
	export(ctx, lib);
	for (int i = 0; i < 20000; i++) {
		uint32_t a, b;

		for (int j = 0; j < 6; j++)
			args[j] = interesting();
		a = native(ours, (uint32_t)nr, args);
		b = native(lib, (uint32_t)nr, args);
		if (mixed ? content(a) != content(b) : a != b)
			fail_msg("call %d(%#lx, %#lx, %#lx): %#x, libseccomp %#x", nr, args[0], args[1],
				 args[2], a, b);
	}
	free(lib);
}

/* The whole table; checks are compared by themselves, so their calls are allowed here. */
static void lib_table(enum pf__which which, struct program *out)
{
	uint16_t rest = pf__filter_default(which).err;
	scmp_filter_ctx ctx = context(action(rest));

	for (size_t i = 0; i < pf__syscall_count; i++) {
		struct pf__verdict v = pf__filter_verdict(&pf__syscalls[i], which, 0);

		if (v.check ? rest != 0 : v.err != rest)
			assert_int_equal(seccomp_rule_add(ctx, v.check ? SCMP_ACT_ALLOW : action(v.err),
							  pf__syscalls[i].nr, 0),
					 0);
	}
	export(ctx, out);
}

static void test_libseccomp(void **state)
{
	const struct program *ours[] = {&one, &two};
	struct program *lib = malloc(sizeof(*lib));
	const uint64_t none[6] = {0};

	(void)state;
	for (int w = PF__FIRST; w <= PF__SECOND; w++) {
		lib_table((enum pf__which)w, lib);
		for (size_t i = 0; i < pf__syscall_count; i++) {
			struct pf__verdict v = pf__filter_verdict(&pf__syscalls[i], (enum pf__which)w, 0);
			int nr = pf__syscalls[i].nr;

			if (v.check)
				compare_check(nr, v.check, ours[w]);
			else
				assert_int_equal(native(ours[w], (uint32_t)nr, none),
						 native(lib, (uint32_t)nr, none));
		}
		for (uint32_t nr = 470; nr < 1200; nr++)
			assert_int_equal(native(ours[w], nr, none), native(lib, nr, none));
		for (uint32_t nr = 0x40000000; nr < 0x40000400; nr++)
			assert_int_equal(native(ours[w], nr, none), native(lib, nr, none));
		assert_int_equal(run(lib, AUDIT_ARCH_I386, 1, none), KILL);
	}
	free(lib);
}

/* Numbers are written out in the table: libseccomp knows the names of most. */
static void test_names(void **state)
{
	unsigned known = 0;

	(void)state;
	for (size_t i = 0; i < pf__syscall_count; i++) {
		char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_X86_64, pf__syscalls[i].nr);

		if (name)
			assert_string_equal(name, pf__syscalls[i].name);
		known += name != NULL;
		free(name);
		assert_true(strlen(pf__syscalls[i].why) > 4);
	}
	assert_true(known > 350);
	assert_int_equal(pf__syscall_count, 383);
}

/* --- figures, never asserted on --- */

static uint64_t load_ns(const struct program *before, const struct program *p)
{
	uint64_t ns = 0;
	int fd[2];

	assert_int_equal(pipe(fd), 0);
	if (!fork()) {
		uint64_t t;
		int bad = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);

		if (before)
			bad |= pf_filter_load(before->insns, before->count, NULL);
		t = pf_now_ns();
		bad |= pf_filter_load(p->insns, p->count, NULL);
		t = pf_now_ns() - t;
		_exit(bad || write(fd[1], &t, sizeof(t)) != sizeof(t));
	}
	close(fd[1]);
	assert_int_equal(read(fd[0], &ns, sizeof(ns)), sizeof(ns));
	close(fd[0]);
	wait(NULL);
	return ns;
}

static int by_size(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void figures(const char *name, const struct program *before, const struct program *p)
{
	const char *env = getenv("PF_FORKS");
	size_t forks = env ? strtoul(env, NULL, 10) : 20;
	uint64_t ns[1000];
	const uint64_t none[6] = {0};

	forks = forks < 1 || forks > 1000 ? 20 : forks;
	for (size_t i = 0; i < forks; i++)
		ns[i] = load_ns(before, p);
	qsort(ns, forks, sizeof(ns[0]), by_size);
	executed = 0;
	for (size_t i = 0; i < pf__syscall_count; i++)
		native(p, pf__syscalls[i].nr, none);
	print_message("%-36s %4zu instructions, %6.1f executed on average, load median %6.1f us, least %6.1f "
		      "(%zu)\n",
		      name, p->count, (double)executed / (double)pf__syscall_count,
		      (double)ns[forks / 2] / 1e3, (double)ns[0] / 1e3, forks);
}

static void test_figures(void **state)
{
	struct program *linear = malloc(sizeof(*linear));

	(void)state;
	lib_table(PF__FIRST, linear);
	figures("filter one (tree)", NULL, &one);
	figures("filter two after one", &one, &two);
	figures("the same table by libseccomp, linear", NULL, linear);
	free(linear);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_libseccomp),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_figures),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the two filters answer, for every system-call number and for chosen and random arguments,
 * against expectations written here from DESIGN sections 3, 4 and 9, not from the table. And the
 * compiler itself, on tables that no real one resembles.
 */
#include "test_seccomp.h"

#include <sched.h>
#include <sys/socket.h>

#define ERR(e) (SECCOMP_RET_ERRNO | (e))

static struct program two_no_memfd;

/* As seccomp_run_filters(): the lowest action wins; of equals, the newest filter's. */
static uint32_t command(const struct program *newest, uint32_t nr, const uint64_t args[6])
{
	uint32_t b = native(newest, nr, args), a = native(&one, nr, args);

	return (int32_t)(a & SECCOMP_RET_ACTION_FULL) < (int32_t)(b & SECCOMP_RET_ACTION_FULL) ? a : b;
}

/* --- what a command must get, from the design and not from the table --- */

/* Pairs from, to. */
static const uint16_t eperm[] = {103, 103, 153, 155, 159, 159, 161, 161, 163, 173, 175, 176, 179, 179,
				 227, 227, 246, 246, 298, 298, 303, 305, 308, 308, 312, 313, 320, 321,
				 428, 433, 438, 438, 440, 440, 442, 443, 467, 467, 272, 272};
static const uint16_t enosys[] = {134, 134, 136, 136, 139, 139, 156, 156, 174, 174,   177, 178,
				  180, 185, 205, 206, 211, 212, 214, 216, 236, 239,   248, 250,
				  256, 256, 279, 279, 300, 301, 323, 323, 337, 423,   425, 427,
				  435, 435, 447, 448, 450, 450, 457, 461, 468, 0xffff};
static const uint16_t special[] = {16, 41, 53, 56, 133, 135, 160, 259, 302, 316};

static bool listed(const uint16_t *pairs, size_t n, uint32_t nr)
{
	for (size_t i = 0; i < n; i += 2)
		if (nr >= pairs[i] && nr <= pairs[i + 1])
			return true;
	return false;
}

static uint32_t expect_socket(uint32_t family, uint32_t type, uint32_t protocol)
{
	type &= 15;
	if (family == AF_UNIX)
		return type == 1 || type == 2 || type == 5 ? OK : ERR(EAFNOSUPPORT);
	if (family == AF_NETLINK)
		return protocol ? ERR(EAFNOSUPPORT) : OK;
	if ((family != AF_INET && family != AF_INET6) || type < 1 || type > 2)
		return ERR(EAFNOSUPPORT);
	return !protocol || protocol == (type == 1 ? 6 : 17) ? OK : ERR(EPROTONOSUPPORT);
}

static uint32_t expect_mknod(uint32_t mode)
{
	mode &= 0170000;
	return !mode || mode == 0100000 || mode == 0010000 || mode == 0140000 ? OK : ERR(EPERM);
}

static uint32_t expect(uint32_t nr, const uint64_t args[6])
{
	uint32_t a = (uint32_t)args[0], b = (uint32_t)args[1], c = (uint32_t)args[2];

	switch (nr) {
	case 16: /* ioctl */
		return b == 0x5412 || b == 0x541c || b == 0x541d || b == 0x5423 ? ERR(EPERM) : OK;
	case 41:
		return expect_socket(a, b, c);
	case 53: /* socketpair */
		return a == AF_UNIX ? OK : ERR(EAFNOSUPPORT);
	case 56: /* clone */
		return a & 0x7e020000 ? ERR(EPERM) : OK;
	case 133: /* mknod */
		return expect_mknod(b);
	case 259: /* mknodat */
		return expect_mknod(c);
	case 135: /* personality */
		return a == 0 || a == 0x20000 || a == 0x40000 || a == 0x60000 || a == 0xffffffff ? OK
												 : ERR(EPERM);
	case 160: /* setrlimit: of core files nothing is changed, and the caller is content */
		return a == 4 ? ERR(0) : OK;
	case 302: /* prlimit64 */
		return a ? ERR(EPERM) : b == 4 && args[2] ? ERR(0) : OK;
	case 316: /* renameat2 */
		return args[4] & 4 ? ERR(EINVAL) : OK;
	}
	if (nr != UINT32_MAX && nr >= 0x40000000)
		return KILL;
	if (listed(eperm, PF_ARRAY_SIZE(eperm), nr))
		return ERR(EPERM);
	return listed(enosys, PF_ARRAY_SIZE(enosys), nr) || (nr > 0xffff && nr != UINT32_MAX) ? ERR(ENOSYS)
											      : OK;
}

static uint32_t expect_init(uint32_t nr, const uint64_t args[6])
{
	if (nr == 435 || nr == 302 || nr == 160)
		return OK;
	if (nr == 272)
		return (uint32_t)args[0] == CLONE_NEWCGROUP ? OK : ERR(EPERM);
	return expect(nr, args);
}

static void check_number(uint32_t nr, const uint64_t args[6])
{
	uint32_t want = expect(nr, args), got = command(&two, nr, args);

	if (got != want)
		fail_msg("call %u(%#lx, %#lx, %#lx): %#x, expected %#x", nr, args[0], args[1], args[2], got,
			 want);
	assert_int_equal(native(&one, nr, args), expect_init(nr, args));
	assert_int_equal(command(&two_no_memfd, nr, args), nr == 319 ? ERR(ENOSYS) : want);
}

static void test_every_number(void **state)
{
	const uint32_t far[] = {0x3fffffff, 0x40000000, 0x40000027, 0x40000200,
				0x7fffffff, 0x80000000, 0xfffffffe, ~0u};
	const uint64_t none[6] = {0};
	uint64_t args[6];

	(void)state;
	for (uint32_t nr = 0; nr <= 600; nr++)
		for (int i = 0; i < 50; i++) {
			for (int j = 0; j < 6; j++)
				args[j] = i ? interesting() : 0;
			check_number(nr, args);
		}
	for (size_t i = 0; i < PF_ARRAY_SIZE(far); i++)
		check_number(far[i], none);
}

static void test_arguments(void **state)
{
	uint64_t args[6];

	(void)state;
	for (int i = 0; i < 200000; i++) {
		for (int j = 0; j < 6; j++)
			args[j] = interesting();
		check_number(special[(size_t)i % PF_ARRAY_SIZE(special)], args);
	}
}

static void test_foreign_architectures(void **state)
{
	const uint32_t arch[] = {AUDIT_ARCH_I386, AUDIT_ARCH_AARCH64, 0, UINT32_MAX};
	const uint64_t none[6] = {0};

	(void)state;
	for (size_t i = 0; i < PF_ARRAY_SIZE(arch); i++)
		for (uint32_t nr = 0; nr <= 600; nr++) {
			assert_int_equal(run(&one, arch[i], nr, none), KILL);
			assert_int_equal(run(&two, arch[i], nr, none), KILL);
		}
}

/* --- the compiler --- */

/* Far more ranges than a conditional jump can pass over: stones, copies and checks that are far away. */
static void test_long_jumps(void **state)
{
	static const struct pf__clause clause = {
		.err = 7, .conds = 1, .cond = {{.arg = 1, .op = PF__ANY, .mask = 8}}};
	static struct pf__check check[40];
	static struct pf__syscall rows[1500];
	struct program *p = malloc(sizeof(*p));
	uint64_t args[6] = {0};
	int n;

	(void)state;
	for (size_t i = 0; i < PF_ARRAY_SIZE(rows); i++) {
		struct pf__check *c = &check[i % PF_ARRAY_SIZE(check)];

		*c = (struct pf__check){.clause = &clause, .clauses = 1};
		rows[i] = (struct pf__syscall){.nr = (uint16_t)(2 * i), .first = {.err = (uint16_t)(i % 5)}};
		if (i % 3 == 0)
			rows[i].first = (struct pf__verdict){.check = c};
	}
	n = pf__filter_compile(rows, PF_ARRAY_SIZE(rows), PF__FIRST, 0, p->insns, BPF_MAXINSNS);
	assert_true(n > 2999 && n < BPF_MAXINSNS);
	p->count = (size_t)n;
	for (uint32_t nr = 0; nr < 3100; nr++) {
		uint32_t i = nr / 2, want = i % 5 ? ERR(i % 5) : OK;

		args[1] = nr & 8;
		if (nr % 2 || i >= PF_ARRAY_SIZE(rows))
			want = ERR(ENOSYS);
		else if (i % 3 == 0)
			want = args[1] ? ERR(7) : OK;
		assert_int_equal(native(p, nr, args), want);
		assert_int_equal(run(p, AUDIT_ARCH_I386, nr, args), KILL);
	}
	free(p);
}

static void test_compiler_refuses(void **state)
{
	struct pf__syscall rows[2] = {{.nr = 5}, {.nr = 5}};
	struct pf__clause clause = {.conds = 0};
	struct pf__check check = {.clause = &clause, .clauses = 1};
	struct sock_filter out[64];

	(void)state;
	assert_int_equal(pf__filter_compile(rows, 2, PF__FIRST, 0, out, 64), -EINVAL);
	rows[1].nr = 6;
	assert_true(pf__filter_compile(rows, 2, PF__FIRST, 0, out, 64) > 0);
	assert_int_equal(pf__filter_compile(rows, 2, PF__FIRST, 0, out, 5), -E2BIG);
	rows[1].first.check = &check;
	assert_int_equal(pf__filter_compile(rows, 2, PF__FIRST, 0, out, 64), -EINVAL);
	clause = (struct pf__clause){.conds = 1, .cond = {{.arg = 6, .values = 1}}};
	assert_int_equal(pf__filter_compile(rows, 2, PF__FIRST, 0, out, 64), -EINVAL);
}

static int setup_all(void **state)
{
	two_no_memfd.count = pf_filter_second(two_no_memfd.insns, PF_FILTER_NO_MEMFD);
	return setup(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_number),	      cmocka_unit_test(test_arguments),
		cmocka_unit_test(test_foreign_architectures), cmocka_unit_test(test_long_jumps),
		cmocka_unit_test(test_compiler_refuses),
	};

	return cmocka_run_group_tests(tests, setup_all, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the system-call table to classic BPF.
 *
 * When a filter is loaded the kernel emulates it once for every system-call number, to find
 * those that it always allows (seccomp_cache_prepare in kernel/seccomp.c), so loading costs
 * numbers times path length. Hence neighbours with one verdict become one range, and the ranges
 * a balanced binary tree: some 7 comparisons for a number where a linear list has hundreds.
 *
 * The program is written from its end to its beginning. Jumps go forward only, so every target
 * stands already when a jump to it is emitted and its distance is known. Conditional jumps reach
 * 255 instructions; a target further away gets a stepping stone: a copy of it if it is a return,
 * else a BPF_JA.
 */
#include <errno.h>
#include <linux/audit.h>

#include "linux/seccomp.h"
#include "linux/seccomp_table.h"

#define X32_BIT 0x40000000u
/* Below 255, since up to two stones may come between the check of a distance and its use. */
#define REACH 250
#define SEEN  64

struct range {
	uint32_t from; /* up to the next range's from */
	struct pf__verdict verdict;
};

/* buf[0] is the LAST instruction of the program; an instruction's address is its index here. */
struct assembler {
	struct sock_filter *buf;
	size_t cap, n;
	struct {
		struct pf__verdict verdict;
		uint32_t ret;
		size_t at;
	} seen[SEEN]; /* verdicts that have code already: one copy serves all ranges */
	size_t seens;
	int err;
};

static size_t emit(struct assembler *a, uint16_t code, uint32_t k, size_t jt, size_t jf)
{
	if (a->n == a->cap) {
		a->err = -E2BIG;
		return 0;
	}
	a->buf[a->n] = (struct sock_filter){code, (uint8_t)jt, (uint8_t)jf, k};
	return a->n++;
}

/* The number of instructions that a jump emitted now would skip to reach `to`. */
static size_t distance(const struct assembler *a, size_t to)
{
	return a->n - to - 1;
}

/* A place within reach from which `to` goes on. */
static size_t near(struct assembler *a, size_t to)
{
	size_t stone;

	if (a->err || distance(a, to) <= REACH)
		return to;
	if (a->buf[to].code != (BPF_RET | BPF_K))
		return emit(a, BPF_JMP | BPF_JA, (uint32_t)distance(a, to), 0, 0);
	stone = emit(a, BPF_RET | BPF_K, a->buf[to].k, 0, 0);
	for (size_t i = 0; i < a->seens; i++)
		if (a->seen[i].at == to)
			a->seen[i].at = stone;
	return stone;
}

static size_t jump(struct assembler *a, uint16_t op, uint32_t k, size_t yes, size_t no)
{
	yes = near(a, yes);
	no = near(a, no);
	if (a->err)
		return 0;
	return emit(a, BPF_JMP | op | BPF_K, k, distance(a, yes), distance(a, no));
}

static size_t load(struct assembler *a, size_t offset)
{
	return emit(a, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset, 0, 0);
}

static uint32_t action(uint16_t err)
{
	if (err == PF__DONE)
		return SECCOMP_RET_ERRNO;
	return err ? SECCOMP_RET_ERRNO | err : SECCOMP_RET_ALLOW;
}

static void remember(struct assembler *a, struct pf__verdict v, uint32_t ret, size_t at)
{
	if (a->seens < SEEN) { /* one forgotten costs a copy, nothing else */
		a->seen[a->seens].verdict = v;
		a->seen[a->seens].ret = ret;
		a->seen[a->seens++].at = at;
	}
}

static size_t returns(struct assembler *a, uint32_t ret)
{
	size_t at;

	for (size_t i = 0; i < a->seens; i++)
		if (!a->seen[i].verdict.check && a->seen[i].ret == ret)
			return a->seen[i].at;
	at = emit(a, BPF_RET | BPF_K, ret, 0, 0);
	remember(a, (struct pf__verdict){0}, ret, at);
	return at;
}

static size_t condition(struct assembler *a, const struct pf__cond *c, size_t yes, size_t no)
{
	size_t at = no;

	if (c->arg > 5 || (c->op == PF__IN && (!c->values || c->values > 4)))
		a->err = -EINVAL;
	if (a->err)
		return 0;
	if (c->op == PF__ANY)
		at = jump(a, BPF_JSET, c->mask, yes, no);
	else
		for (size_t i = c->values; i-- > 0;)
			at = jump(a, BPF_JEQ, c->value[i], yes, at);
	if (c->op == PF__IN && c->mask != UINT32_MAX)
		emit(a, BPF_ALU | BPF_AND | BPF_K, c->mask, 0, 0);
	(void)at; /* the code falls into it */
	/* little-endian: the low half comes first */
	return load(a, offsetof(struct seccomp_data, args) + 8u * c->arg + (c->high ? 4u : 0u));
}

static size_t checks(struct assembler *a, const struct pf__check *check)
{
	size_t next = returns(a, action(check->otherwise));

	for (size_t i = check->clauses; i-- > 0;) {
		const struct pf__clause *c = &check->clause[i];
		size_t at = returns(a, action(c->err));

		if (!c->conds || c->conds > 3)
			a->err = -EINVAL;
		for (size_t j = c->conds; j-- > 0 && !a->err;)
			at = condition(a, &c->cond[j], at, next);
		next = at;
	}
	return next;
}

static size_t decides(struct assembler *a, struct pf__verdict v)
{
	size_t at;

	if (!v.check)
		return returns(a, action(v.err));
	for (size_t i = 0; i < a->seens; i++)
		if (a->seen[i].verdict.check == v.check)
			return a->seen[i].at;
	at = checks(a, v.check);
	remember(a, v, 0, at);
	return at;
}

static size_t tree(struct assembler *a, const struct range *r, size_t count)
{
	size_t half = count / 2, high, low;

	if (count == 1)
		return decides(a, r->verdict);
	high = tree(a, r + half, count - half);
	low = tree(a, r, half);
	return jump(a, BPF_JGE, r[half].from, high, low);
}

/*
 * The program begins here. The architecture comes first, since a number means nothing without it:
 * a process of any mode can enter by the 32-bit gate (int 0x80). x32 shares the architecture's name
 * and has bit 30. -1 is no call: it is what a tracer writes to skip one (strace --inject), and
 * filters run after it; the kernel does nothing for it and answers ENOSYS.
 */
static void prologue(struct assembler *a, size_t body)
{
	size_t kill = returns(a, SECCOMP_RET_KILL_PROCESS), allow = returns(a, SECCOMP_RET_ALLOW), at;

	at = jump(a, BPF_JEQ, UINT32_MAX, allow, kill);
	at = jump(a, BPF_JGE, X32_BIT, at, body);
	at = load(a, offsetof(struct seccomp_data, nr));
	jump(a, BPF_JEQ, AUDIT_ARCH_X86_64, at, kill);
	load(a, offsetof(struct seccomp_data, arch));
}

struct pf__verdict pf__filter_default(enum pf__which which)
{
	return (struct pf__verdict){.err = which == PF__FIRST ? ENOSYS : 0};
}

struct pf__verdict pf__filter_verdict(const struct pf__syscall *row, enum pf__which which, unsigned options)
{
	if (which == PF__FIRST)
		return row->first;
	if (row->option & options)
		return row->optional;
	return row->second;
}

static void add_range(struct range *r, size_t *n, uint32_t from, struct pf__verdict v)
{
	if (*n && r[*n - 1].from == from)
		--*n;
	if (*n && r[*n - 1].verdict.check == v.check && r[*n - 1].verdict.err == v.err)
		return;
	r[(*n)++] = (struct range){from, v};
}

int pf__filter_compile(const struct pf__syscall *rows, size_t count, enum pf__which which, unsigned options,
		       struct sock_filter *out, size_t cap)
{
	struct assembler a = {.buf = out, .cap = cap};
	struct range ranges[2 * 2048 + 1];
	size_t n = 0;

	if (count > 2048)
		return -E2BIG;
	add_range(ranges, &n, 0, pf__filter_default(which));
	for (size_t i = 0; i < count; i++) {
		if (i && rows[i].nr <= rows[i - 1].nr)
			return -EINVAL;
		add_range(ranges, &n, rows[i].nr, pf__filter_verdict(&rows[i], which, options));
		add_range(ranges, &n, rows[i].nr + 1u, pf__filter_default(which));
	}
	/* Returns first, for they are jumped to from everywhere: with them at the end most need no copy. */
	returns(&a, SECCOMP_RET_KILL_PROCESS);
	returns(&a, SECCOMP_RET_ALLOW);
	prologue(&a, tree(&a, ranges, n));
	if (a.err)
		return a.err;
	for (size_t i = 0; i < a.n / 2; i++) {
		struct sock_filter t = out[i];

		out[i] = out[a.n - 1 - i];
		out[a.n - 1 - i] = t;
	}
	return (int)a.n;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /proc/PID/status (proc_pid_status(5)), which the receipt's outside half rests on. Strict: a line
 * that says something about privilege must be there once and be whole, else there is no answer.
 * The only line that the process itself words is Name, and the kernel escapes it; a name that
 * looked like another line would still be a repeated line here.
 */
#include "linux/proc_status.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fd.h"

/* A process may be in 65,536 groups, of 10 digits and a space. */
#define STATUS_MAX (1u << 20)

/* What is left of a line. */
struct text {
	const char *p, *end;
};

static void blanks(struct text *t)
{
	while (t->p < t->end && (*t->p == ' ' || *t->p == '\t'))
		t->p++;
}

static bool done(struct text *t)
{
	blanks(t);
	return t->p == t->end;
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return 16;
}

/* One number, which a blank or the end of the line ends. */
static bool number(struct text *t, unsigned base, uint64_t max, uint64_t *out)
{
	uint64_t v = 0;
	const char *start;

	blanks(t);
	for (start = t->p; t->p < t->end && *t->p != ' ' && *t->p != '\t'; t->p++) {
		unsigned d = (unsigned)digit(*t->p);

		if (d >= base || v > (max - d) / base)
			return false;
		v = v * base + d;
	}
	*out = v;
	return t->p > start;
}

static bool only(struct text *t, unsigned base, uint64_t max, uint64_t *out)
{
	return number(t, base, max, out) && done(t);
}

static bool four(struct text *t, uint32_t out[4])
{
	for (int i = 0; i < 4; i++) {
		uint64_t v;

		if (!number(t, 10, UINT32_MAX, &v))
			return false;
		out[i] = (uint32_t)v;
	}
	return done(t);
}

static bool groups(struct text *t, struct pf_proc_status *s)
{
	for (s->groups = 0; !done(t); s->groups++) {
		uint64_t v;

		if (!number(t, 10, UINT32_MAX, &v))
			return false;
		if (s->groups < PF_ARRAY_SIZE(s->group))
			s->group[s->groups] = (gid_t)v;
	}
	return true;
}

static bool small(struct text *t, int *out)
{
	uint64_t v;

	if (!only(t, 10, INT32_MAX, &v))
		return false;
	*out = (int)v;
	return true;
}

static bool last(struct text *t, int *out)
{
	uint64_t v;

	do {
		if (!number(t, 10, INT32_MAX, &v))
			return false;
	} while (!done(t));
	*out = (int)v;
	return true;
}

static bool state(struct text *t, char *out)
{
	blanks(t);
	if (t->p == t->end)
		return false;
	*out = *t->p;
	return *out > ' ' && *out < 0x7f;
}

enum line { STATE, PPID, UID, GID, GROUPS, INH, PRM, EFF, BND, AMB, NNP, SECCOMP, FILTERS, NSPID, LINES };
/* Absent: no_new_privs before 4.10, Seccomp without its option, Seccomp_filters before 5.9, NSpid without
 * namespaces. */
#define MANDATORY ((1u << NNP) - 1u)

static const char *const keys[LINES] = {
	[STATE] = "State",
	[PPID] = "PPid",
	[UID] = "Uid",
	[GID] = "Gid",
	[GROUPS] = "Groups",
	[INH] = "CapInh",
	[PRM] = "CapPrm",
	[EFF] = "CapEff",
	[BND] = "CapBnd",
	[AMB] = "CapAmb",
	[NNP] = "NoNewPrivs",
	[SECCOMP] = "Seccomp",
	[FILTERS] = "Seccomp_filters",
	[NSPID] = "NSpid",
};

static bool value(enum line line, struct text *t, struct pf_proc_status *s)
{
	switch (line) {
	case STATE:
		return state(t, &s->state);
	case PPID:
		return small(t, &s->ppid);
	case UID:
		return four(t, s->uid);
	case GID:
		return four(t, s->gid);
	case GROUPS:
		return groups(t, s);
	case INH:
		return only(t, 16, UINT64_MAX, &s->cap_inh);
	case PRM:
		return only(t, 16, UINT64_MAX, &s->cap_prm);
	case EFF:
		return only(t, 16, UINT64_MAX, &s->cap_eff);
	case BND:
		return only(t, 16, UINT64_MAX, &s->cap_bnd);
	case AMB:
		return only(t, 16, UINT64_MAX, &s->cap_amb);
	case NNP:
		return small(t, &s->no_new_privs);
	case SECCOMP:
		return small(t, &s->seccomp);
	case FILTERS:
		return small(t, &s->seccomp_filters);
	case NSPID:
		return last(t, &s->nspid);
	case LINES:
		break;
	}
	return false;
}

static enum line which(const char *key, size_t n)
{
	for (int i = 0; i < LINES; i++)
		if (strlen(keys[i]) == n && !memcmp(keys[i], key, n))
			return (enum line)i;
	return LINES;
}

int pf__proc_status_parse(const char *text, size_t len, struct pf_proc_status *out, struct pf_error *err)
{
	struct pf_proc_status s = {.no_new_privs = -1, .seccomp = -1, .seccomp_filters = -1, .nspid = -1};
	const char *p = text, *end = text + len;
	unsigned seen = 0;

	while (p < end) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));
		const char *colon = nl ? memchr(p, ':', (size_t)(nl - p)) : NULL;
		enum line line;

		if (!colon)
			return pf_fail(err, -EBADMSG, "/proc status: a line without an end or a colon");
		line = which(p, (size_t)(colon - p));
		if (line != LINES) {
			struct text rest = {colon + 1, nl};

			if (seen & 1u << line)
				return pf_fail(err, -EBADMSG, "/proc status: %s stands there twice",
					       keys[line]);
			if (!value(line, &rest, &s))
				return pf_fail(err, -EBADMSG, "/proc status: %s is malformed", keys[line]);
			seen |= 1u << line;
		}
		p = nl + 1;
	}
	if ((seen & MANDATORY) != MANDATORY)
		return pf_fail(err, -EBADMSG, "/proc status: a line is missing");
	*out = s;
	return 0;
}

int pf_proc_status_read(int procfd, pid_t pid, struct pf_proc_status *out, struct pf_error *err)
{
	PF_AUTO_BUF struct pf_buf b = {0};
	char path[32];
	int r;

	snprintf(path, sizeof(path), "%d/status", (int)pid);
	r = pf_read_file(procfd, path, &b, STATUS_MAX);
	if (r < 0)
		return pf_fail(err, r, "cannot read /proc/%s: %s", path, strerror(-r));
	return pf__proc_status_parse(b.data, b.len, out, err);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The result of an exec as an object: its life, its ownership, the exit code that it means. */
#include "sandbox/result.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"

#define DENIALS_MAX 256 /* a loop that is refused a million times is reported once too often as it is */

const char *pf_cause_name(enum pf_cause c)
{
	static const char *const names[] = {
		[PF_CAUSE_NONE] = "none",
		[PF_CAUSE_EXITED] = "exited",
		[PF_CAUSE_SIGNALLED] = "signalled",
		[PF_CAUSE_TIMEOUT] = "timeout",
		[PF_CAUSE_IDLE_TIMEOUT] = "idle_timeout",
		[PF_CAUSE_OUTPUT_LIMIT] = "output_limit",
		[PF_CAUSE_OOM] = "oom",
		[PF_CAUSE_PIDS] = "pids",
		[PF_CAUSE_DISK_LIMIT] = "disk_limit",
		[PF_CAUSE_KILLED] = "killed",
		[PF_CAUSE_DENIED] = "denied",
		[PF_CAUSE_BOUNDARY] = "boundary",
		[PF_CAUSE_ERROR] = "error",
	};

	return (size_t)c < PF_ARRAY_SIZE(names) ? names[c] : "error";
}

static void init_outside(struct pf_outside *o)
{
	o->no_new_privs = o->seccomp = o->seccomp_filters = -1;
	o->memory_max = o->pids_max = o->cpu_milli = -1;
}

void pf_result_init(struct pf_result *r)
{
	memset(r, 0, sizeof(*r));
	r->exit_code = -1;
	r->duration_ms = r->cpu_ms = r->peak_memory = r->processes_peak = -1;
	init_outside(&r->receipt.outside);
	r->receipt.foreign_owned = UINT64_MAX;
}

static void free_list(struct pf_list *l)
{
	for (size_t i = 0; i < l->count; i++)
		free(l->items[i]);
	free(l->items);
	*l = (struct pf_list){0};
}

void pf_receipt_free(struct pf_receipt *r)
{
	free(r->kernel);
	free(r->inside.mem);
	free(r->outside.cgroup);
	free(r->outside.root_fs);
	free(r->image);
	for (size_t i = 0; i < r->unenforced_count; i++)
		free(r->unenforced[i].why);
	free_list(&r->unprotected);
	for (size_t i = 0; i < PF_ARRAY_SIZE(r->own); i++)
		free(r->own[i]);
	memset(r, 0, sizeof(*r));
	init_outside(&r->outside);
	r->foreign_owned = UINT64_MAX;
}

void pf_result_free(struct pf_result *r)
{
	free_list(&r->argv);
	for (size_t i = 0; i < r->denial_count; i++) {
		free(r->denials[i].target);
		free(r->denials[i].rule);
		free(r->denials[i].hint);
	}
	free(r->denials);
	free(r->error);
	free(r->changes_note);
	pf_buf_free(&r->out);
	pf_buf_free(&r->err);
	pf_receipt_free(&r->receipt);
	pf_result_init(r);
}

/* --- copies ------------------------------------------------------------------ */

/* strdup() that lets NULL through and remembers a failure. */
static char *dup_or(const char *s, bool *failed)
{
	char *copy = s ? strdup(s) : NULL;

	if (s && !copy)
		*failed = true;
	return copy;
}

static int copy_list(struct pf_list *to, char *const *items, size_t count)
{
	bool failed = false;

	*to = (struct pf_list){.items = calloc(count + 1, sizeof(char *))};
	if (!to->items)
		return -ENOMEM;
	for (; to->count < count && !failed; to->count++)
		to->items[to->count] = dup_or(items[to->count], &failed);
	return failed ? -ENOMEM : 0;
}

/* The strings that a decoded READY message points to, again in one allocation. */
static int copy_inside(struct pf_inside *to, const struct pf_inside *from)
{
	size_t total = 1;
	char *p;

	*to = *from;
	to->mem = NULL;
	if (!from->valid)
		return 0;
	for (uint32_t i = 0; i < from->ready.try_count; i++)
		total += strlen(from->ready.tries[i].detail ? from->ready.tries[i].detail : "") + 1;
	p = to->mem = malloc(total);
	if (!p)
		return -ENOMEM;
	for (uint32_t i = 0; i < from->ready.try_count; i++) {
		const char *s = from->ready.tries[i].detail ? from->ready.tries[i].detail : "";
		size_t n = strlen(s) + 1;

		to->ready.tries[i].detail = memcpy(p, s, n);
		p += n;
	}
	return 0;
}

/* Replace the borrowed strings by copies in own[]. */
static int own_strings(struct pf_receipt *r)
{
	const char **const borrowed[] = {&r->tier,     &r->why,	      &r->filter_source,
					 &r->init_uid, &r->limits_by, &r->namespaces_missing,
					 &r->build};
	char *own[PF_ARRAY_SIZE(r->own)] = {NULL};
	bool failed = false;

	_Static_assert(PF_ARRAY_SIZE(borrowed) <= PF_ARRAY_SIZE(r->own), "own[] holds them all");
	for (size_t i = 0; i < PF_ARRAY_SIZE(borrowed); i++)
		own[i] = dup_or(*borrowed[i], &failed);
	for (size_t i = 0; i < PF_ARRAY_SIZE(own); i++) {
		if (failed) {
			free(own[i]);
			continue;
		}
		free(r->own[i]);
		r->own[i] = own[i];
		if (i < PF_ARRAY_SIZE(borrowed))
			*borrowed[i] = own[i];
	}
	return failed ? -ENOMEM : 0;
}

int pf_receipt_copy(struct pf_receipt *to, const struct pf_receipt *from)
{
	struct pf_receipt r = *from;
	bool failed = false;

	/* First cut every tie to *from, so that a failure half-way frees only what is ours. */
	memset(r.own, 0, sizeof(r.own));
	r.unprotected = (struct pf_list){0};
	r.kernel = dup_or(from->kernel, &failed);
	r.image = dup_or(from->image, &failed);
	r.outside.cgroup = dup_or(from->outside.cgroup, &failed);
	r.outside.root_fs = dup_or(from->outside.root_fs, &failed);
	for (size_t i = 0; i < r.unenforced_count; i++)
		r.unenforced[i].why = dup_or(from->unenforced[i].why, &failed);
	if (copy_inside(&r.inside, &from->inside) < 0 ||
	    copy_list(&r.unprotected, from->unprotected.items, from->unprotected.count) < 0 ||
	    own_strings(&r) < 0)
		failed = true;
	if (failed)
		pf_receipt_free(&r);
	*to = r;
	return failed ? -ENOMEM : 0;
}

int pf_result_take(struct pf_result *to, struct pf_result *from)
{
	int r = own_strings(&from->receipt);

	if (r < 0)
		return r;
	*to = *from;
	pf_result_init(from);
	return 0;
}

int pf_result_argv(struct pf_result *r, const char *const *argv)
{
	struct pf_list l;
	size_t n = 0;

	while (argv[n])
		n++;
	if (copy_list(&l, (char *const *)argv, n) < 0) {
		free_list(&l);
		return -ENOMEM;
	}
	free_list(&r->argv);
	r->argv = l;
	return 0;
}

/* --- what happened ------------------------------------------------------------ */

int pf_result_deny(struct pf_result *r, const char *kind, const char *target, const char *rule,
		   const char *hint)
{
	struct pf_denial d = {.kind = kind}, *more;
	bool failed = false;

	if (r->denial_count >= DENIALS_MAX)
		return 0;
	more = realloc(r->denials, (r->denial_count + 1) * sizeof(*more));
	if (!more)
		return -ENOMEM;
	r->denials = more;
	d.target = dup_or(target, &failed);
	d.rule = dup_or(rule, &failed);
	d.hint = dup_or(hint, &failed);
	if (failed) {
		free(d.target);
		free(d.rule);
		free(d.hint);
		return -ENOMEM;
	}
	more[r->denial_count++] = d;
	return 0;
}

void pf_result_hit(struct pf_result *r, const char *kind, int64_t count)
{
	for (size_t i = 0; i < r->hit_count; i++) {
		if (strcmp(r->hits[i].kind, kind) == 0) {
			r->hits[i].count += count;
			return;
		}
	}
	if (r->hit_count < PF_ARRAY_SIZE(r->hits))
		r->hits[r->hit_count++] = (struct pf_limit_hit){kind, count};
}

int pf_result_cli_code(const struct pf_result *r)
{
	switch (r->cause) {
	case PF_CAUSE_EXITED:
	case PF_CAUSE_SIGNALLED:
	case PF_CAUSE_OOM:
	case PF_CAUSE_PIDS:
	case PF_CAUSE_DISK_LIMIT:
		if (r->signal > 0)
			return 128 + r->signal;
		return r->exit_code >= 0 ? r->exit_code & 255 : 125;
	case PF_CAUSE_TIMEOUT:
	case PF_CAUSE_IDLE_TIMEOUT:
	case PF_CAUSE_OUTPUT_LIMIT:
		return 124;
	case PF_CAUSE_KILLED:
		return 137;
	case PF_CAUSE_DENIED:
		return 126;
	case PF_CAUSE_NONE:
	case PF_CAUSE_BOUNDARY:
	case PF_CAUSE_ERROR:
		break;
	}
	return 125;
}

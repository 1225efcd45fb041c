/* SPDX-License-Identifier: Apache-2.0 */
/* The receipt as an object: its life, and copies that outlive the box. */
#include "tier/receipt.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"

void pf_receipt_init(struct pf_receipt *r)
{
	struct pf_outside *o = &r->outside;

	memset(r, 0, sizeof(*r));
	o->no_new_privs = o->seccomp = o->seccomp_filters = -1;
	o->memory_max = o->pids_max = o->cpu_milli = -1;
	r->foreign_owned = UINT64_MAX;
}

void pf_receipt_free(struct pf_receipt *r)
{
	free(r->kernel);
	free(r->inside.mem);
	free(r->outside.cgroup);
	free(r->outside.root_fs);
	free(r->outside.exec_mounts);
	free(r->image);
	for (size_t i = 0; i < r->unenforced_count; i++)
		free(r->unenforced[i].why);
	pf_list_free(&r->unprotected);
	for (size_t i = 0; i < PF_ARRAY_SIZE(r->own); i++)
		free(r->own[i]);
	pf_receipt_init(r);
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

int pf_receipt_own(struct pf_receipt *r)
{
	const char **const borrowed[] = {&r->image_by,	&r->image_owners,	&r->tier,
					 &r->why,	&r->filter_source,	&r->init_uid,
					 &r->limits_by, &r->namespaces_missing, &r->build,
					 &r->ws_mode,	&r->ws_upper,		&r->ws_lower};
	char *own[PF_ARRAY_SIZE(r->own)] = {NULL};
	bool failed = false;

	_Static_assert(PF_ARRAY_SIZE(borrowed) <= PF_ARRAY_SIZE(r->own), "own[] holds them all");
	for (size_t i = 0; i < PF_ARRAY_SIZE(borrowed); i++)
		own[i] = pf_strdup_or(*borrowed[i], &failed);
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
	r.kernel = pf_strdup_or(from->kernel, &failed);
	r.image = pf_strdup_or(from->image, &failed);
	r.outside.cgroup = pf_strdup_or(from->outside.cgroup, &failed);
	r.outside.root_fs = pf_strdup_or(from->outside.root_fs, &failed);
	r.outside.exec_mounts = pf_strdup_or(from->outside.exec_mounts, &failed);
	for (size_t i = 0; i < r.unenforced_count; i++)
		r.unenforced[i].why = pf_strdup_or(from->unenforced[i].why, &failed);
	if (copy_inside(&r.inside, &from->inside) < 0 ||
	    pf_list_copy(&r.unprotected, &from->unprotected) < 0 || pf_receipt_own(&r) < 0)
		failed = true;
	if (failed)
		pf_receipt_free(&r);
	*to = r;
	return failed ? -ENOMEM : 0;
}

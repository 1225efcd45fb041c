/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long change sets are kept: a week, and a GiB of them in all; then the oldest go. Not the newest, which
 * somebody is about to look at, however large it is; not one that is half applied or being applied, whose
 * staged files only it knows.
 *
 * To add up all of them with every run would cost more with each that is kept. So .kept.json holds the sum as
 * of the last look, and what came since; only when that is above the bound, or old, everything is looked at.
 * Two who keep at the same moment may lose one of the sums: then the next look is right again.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "workspace/apply_internal.h"

#define SUM_FILE ".kept.json"
#define LOOK_S	 3600 /* between two looks at everything */
#define OLD_S	 PF_CHANGES_KEEP_S

struct sum {
	int64_t bytes, looked; /* looked: seconds since the epoch */
};

static bool sum_read(int changes_fd, struct sum *out)
{
	PF_AUTO_BUF struct pf_buf b = {0};
	PF_AUTO_CLOSE int fd = -1;
	struct pf_json_doc *doc = NULL;
	const struct pf_json *bytes, *looked;
	struct stat st;
	bool ok;

	fd = pf__ws_open_file(changes_fd, SUM_FILE, &st);
	if (fd < 0 || pf_read_fd(fd, &b, 4096) < 0 ||
	    pf_json_parse(b.data ? b.data : "", b.len, 0, &doc, NULL) < 0)
		return false;
	bytes = pf_json_get(pf_json_root(doc), "bytes");
	looked = pf_json_get(pf_json_root(doc), "looked");
	ok = bytes && bytes->type == PF_JSON_INT && bytes->i >= 0 && looked && looked->type == PF_JSON_INT;
	if (ok)
		*out = (struct sum){bytes->i, looked->i};
	pf_json_free(doc);
	return ok;
}

static void sum_write(int changes_fd, const struct sum *s)
{
	char text[96];
	int n = snprintf(text, sizeof(text), "{\"bytes\":%lld,\"looked\":%lld}\n", (long long)s->bytes,
			 (long long)s->looked);

	pf_replace_file(changes_fd, SUM_FILE, text, (size_t)n, 0600); /* without it the next look is early */
}

/* Drop one, unless somebody works with it. */
static bool let_go(int changes_fd, const char *id)
{
	PF_AUTO_CLOSE int dir = pf__change_open_set(changes_fd, id, NULL);

	return dir >= 0 && flock(dir, LOCK_EX | LOCK_NB) == 0 && !pf__journal_there(dir) &&
	       pf__change_remove(changes_fd, id, NULL) == 0;
}

static int64_t kept_since(int changes_fd, const char *id)
{
	char meta[64];
	struct stat st;

	snprintf(meta, sizeof(meta), "%s/meta.json", id);
	return pf__ws_stat(changes_fd, meta, &st) == 0 ? (int64_t)st.st_mtim.tv_sec : INT64_MAX;
}

int pf__retain(int changes_fd, const char *keep, int64_t now, int64_t age_max, uint64_t bytes_max,
	       unsigned *dropped, struct pf_error *err)
{
	PF_AUTO_FREE uint64_t *bytes = NULL;
	struct pf_list ids = {0};
	struct sum sum = {0, now};
	int r = pf_change_list(changes_fd, &ids, err);

	*dropped = 0;
	if (r < 0)
		return r;
	bytes = calloc(ids.count + 1, sizeof(*bytes));
	for (size_t i = 0; bytes && i < ids.count; i++) {
		bool half;

		/* one that cannot be read counts for nothing, and goes by its age */
		if (pf_change_usage(changes_fd, ids.items[i], &bytes[i], &half) == 0)
			sum.bytes += (int64_t)bytes[i];
	}
	/* oldest first; the last is the newest */
	for (size_t i = 0; bytes && i + 1 < ids.count; i++) {
		const char *id = ids.items[i];
		bool old = now - kept_since(changes_fd, id) > age_max;

		if ((!old && (uint64_t)sum.bytes <= bytes_max) || (keep && strcmp(keep, id) == 0))
			continue;
		if (let_go(changes_fd, id)) {
			sum.bytes -= (int64_t)bytes[i];
			++*dropped;
		}
	}
	pf_list_free(&ids);
	if (!bytes)
		return pf_fail(err, -ENOMEM, "out of memory");
	pf__applied_expire(changes_fd, now - age_max);
	sum_write(changes_fd, &sum);
	return 0;
}

int pf_change_retain(int changes_fd, unsigned *dropped, struct pf_error *err)
{
	return pf__retain(changes_fd, NULL, (int64_t)time(NULL), OLD_S, PF_CHANGES_KEEP_BYTES, dropped, err);
}

void pf__retain_one(int changes_fd, const char *id, uint64_t bytes)
{
	int64_t now = (int64_t)time(NULL);
	struct sum sum;
	unsigned dropped;

	if (sum_read(changes_fd, &sum) && now >= sum.looked && now - sum.looked < LOOK_S &&
	    !__builtin_add_overflow(sum.bytes, (int64_t)bytes, &sum.bytes) &&
	    (uint64_t)sum.bytes <= PF_CHANGES_KEEP_BYTES) {
		sum_write(changes_fd, &sum);
		return;
	}
	pf__retain(changes_fd, id, now, OLD_S, PF_CHANGES_KEEP_BYTES, &dropped, NULL);
}

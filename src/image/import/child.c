/* SPDX-License-Identifier: Apache-2.0 */
/* What the child does behind its walls: read, lay out, write, report. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "erofs/write.h"
#include "image/import/work.h"

#define TELL_EVERY (16ull << 20)

void pf__job_progress(struct pf__job *j, enum pf_import_phase phase, uint64_t done)
{
	struct pf__msg m = {.type = PF__MSG_PROGRESS, .code = phase, .a = done, .b = j->total};

	if (!j->how->progress || j->channel < 0 || (done && done < j->told + TELL_EVERY))
		return;
	j->told = done;
	(void)pf__msg_send(j->channel, &m, -1, NULL); /* whoever does not listen will be missed later */
}

struct counting {
	struct pf__job *job;
	struct pf_error *err;
};

static int count(void *user, const char *path, struct pf_inode *i)
{
	struct counting *c = user;
	struct pf__job *j = c->job;

	j->files++;
	/* Where it stands now: links of lower layers, or a hard link, may have put it elsewhere than it said.
	 */
	if (S_ISLNK(i->mode))
		return pf__entry_link_target(path, i->target, strlen(i->target), c->err);
	/* A file of several names is met as often and counted once. */
	if (S_ISREG(i->mode) && (i->links <= 1 || !pf__links_find(&j->counted, (uintptr_t)i, 0))) {
		j->bytes += i->size;
		if (i->links > 1 && pf__links_add(&j->counted, (uintptr_t)i, 0, ""))
			return pf_fail(c->err, -ENOMEM, "out of memory");
	}
	return 0;
}

static int write_image(struct pf__job *j, struct pf_tree *tree, struct pf_error *err)
{
	struct counting c = {j, err};
	uint64_t size;
	int r = pf_tree_sort(tree, err);

	r = r ? r : pf_tree_walk(tree, count, &c, err);
	pf__links_free(&j->counted);
	if (r)
		return r;
	j->told = 0;
	pf__job_progress(j, PF_IMPORT_WRITING, 0);
	return pf_erofs_write(tree, j->spool_fd, j->out_fd, &size, err);
}

int pf__import_work(void *user, struct pf_error *err)
{
	PF_AUTO_BUF struct pf_buf report = {0};
	struct pf__job *j = user;
	struct pf_tree *tree = NULL;
	int r = pf__spool_open(&j->spool, j->spool_fd, &j->budget, err);

	if (r == 0 && j->kind == PF_IMPORT_DIR) {
		r = pf_tree_new(&tree, err);
		r = r ? r : pf__dir_read(j, tree, err);
	} else if (r == 0)
		r = pf__archive_read(j, &tree, err);
	if (r == 0)
		r = pf__spool_flush(&j->spool, err);
	if (r == 0)
		r = write_image(j, tree, err);
	if (r == 0)
		r = pf__report_print(j, &report, err);
	if (r == 0)
		r = pf__send_report(j->channel, &report, err);
	pf_tree_free(tree);
	pf__spool_close(&j->spool);
	pf__config_free(&j->config);
	return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What an entry is to look like after apply, and whether it does so already: a cut-off apply is ended by
 * repeating it. */
#include <errno.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "workspace/workspace_internal.h"

mode_t pf__apply_mode(const struct pf_change *c, const struct stat *parent)
{
	mode_t mode = c->mode & 0777;

	if (S_ISDIR(c->mode)) {
		mode |= c->mode & S_ISVTX;
		/* what mkdir(1) would have given it here */
		if (c->mode & S_ISGID && parent->st_mode & S_ISGID)
			mode |= S_ISGID;
	}
	return mode;
}

static int same_file(struct pf__apply *a, const struct pf_change *c, int parent, const char *leaf)
{
	PF_AUTO_CLOSE int blob = -1, fd = -1;
	struct stat st;

	blob = pf__change_open_blob(a->set_fd, c, a->err);
	if (blob < 0)
		return blob;
	fd = pf__ws_open_file(parent, leaf, &st);
	if (fd < 0 || (uint64_t)st.st_size != c->size)
		return 0;
	return pf__ws_same_bytes(blob, fd, c->size) == 1;
}

int pf__apply_same(struct pf__apply *a, const struct pf_change *c, int parent, const char *leaf,
		   const struct stat *st)
{
	char target[PF__WS_PATH_MAX];
	struct stat dir;

	if ((st->st_mode & S_IFMT) != (c->mode & S_IFMT))
		return 0;
	if (S_ISLNK(c->mode))
		return !c->target ||
		       (pf__ws_readlink(parent, leaf, target) == 0 && strcmp(target, c->target) == 0);
	if (fstat(parent, &dir) < 0)
		return pf__apply_cannot(a, -errno, "look at the directory of", c->path);
	if ((st->st_mode & PF__WS_MODE_BITS) != pf__apply_mode(c, &dir))
		return 0;
	if (!S_ISREG(c->mode) || (c->op == PF_MODIFIED && !c->content))
		return 1;
	return (uint64_t)st->st_size == c->size ? same_file(a, c, parent, leaf) : 0;
}

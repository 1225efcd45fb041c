/* SPDX-License-Identifier: Apache-2.0 */
/* What an entry is to look like after apply, and whether it does so already: then there is nothing to do, and
 * nothing that a conflict could be about. */
#include <errno.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "workspace/apply_internal.h"

mode_t pf__apply_mode(const struct pf_change *c, mode_t parent)
{
	mode_t mode = c->mode & 0777;

	if (S_ISDIR(c->mode)) {
		mode |= c->mode & S_ISVTX;
		/* what mkdir(1) would have given it here */
		if (c->mode & S_ISGID && parent & S_ISGID)
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

static int same_attrs(struct pf__apply *a, const struct pf_change *c, int parent, const char *leaf)
{
	PF_AUTO_CLOSE int fd = -1;
	struct pf_attrs now = {0};
	bool others, same;

	if (!pf__change_has_attrs(c))
		return 1;
	fd = pf__ws_open(parent, leaf, O_PATH | O_NOFOLLOW);
	if (fd < 0)
		return 0;
	if (pf__attrs_read(fd, NULL, &now, &others) < 0)
		return pf__apply_no_memory(a);
	/* where there are none, none can be missing */
	same = pf__attrs_same(&now, &c->attrs) || !pf__attrs_supported(fd);
	pf__attrs_free(&now);
	return same;
}

int pf__apply_same(struct pf__apply *a, const struct pf_change *c, int parent, const char *leaf,
		   const struct stat *st)
{
	char target[PF__WS_PATH_MAX];
	struct stat dir;
	int r;

	if ((st->st_mode & S_IFMT) != (c->mode & S_IFMT))
		return 0;
	if (S_ISLNK(c->mode))
		return !c->target ||
		       (pf__ws_readlink(parent, leaf, target) == 0 && strcmp(target, c->target) == 0);
	if (fstat(parent, &dir) < 0)
		return pf__apply_cannot(a, -errno, "look at the directory of", c->path);
	if ((st->st_mode & PF__WS_MODE_BITS) != pf__apply_mode(c, dir.st_mode))
		return 0;
	r = same_attrs(a, c, parent, leaf);
	if (r != 1 || !S_ISREG(c->mode) || (c->op == PF_MODIFIED && !c->content))
		return r;
	return (uint64_t)st->st_size == c->size ? same_file(a, c, parent, leaf) : 0;
}

bool pf__leads_out(const struct pf_change *c, const char *workspace)
{
	const char *t = c->target;
	size_t n = strlen(workspace);
	long depth = 0;

	if (*t == '/')
		return strncmp(t, workspace, n) != 0 || (t[n] != '/' && t[n] != '\0') || strstr(t, "/..");
	for (const char *s = strchr(c->path, '/'); s; s = strchr(s + 1, '/'))
		depth++;
	while (*t) {
		size_t len = strcspn(t, "/");

		if (len == 2 && t[0] == '.' && t[1] == '.')
			depth--;
		else if (len && !(len == 1 && *t == '.'))
			depth++;
		if (depth < 0)
			return true;
		t += len + (t[len] == '/');
	}
	return false;
}

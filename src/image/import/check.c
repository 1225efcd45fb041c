/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Look through a finished image before anybody mounts it. Who made it may have been broken by what it read,
 * and a kernel trusts a file system more than it should. So a second child, that has met nothing of the
 * input, reads all of its structure: what our reader takes is flat, bounded and without loops; and the rules
 * about entries hold in the result too.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "erofs/read.h"
#include "image/import/work.h"

struct check {
	int channel, fd;
	uint64_t size;
	struct pf_erofs fs;
	struct pf__notes notes;
	struct pf_error *err;
	const char *path;
	mode_t mode;
};

static int attribute(void *user, const char *name, const void *value, uint32_t size)
{
	struct check *c = user;

	(void)value;
	(void)size;
	if (pf__entry_xattr(c->path, name, c->mode, &c->notes))
		return 0;
	return pf_fail(c->err, -EUCLEAN, "the image has an attribute that it must not have");
}

/* Every part of a file's contents lies where contents may lie. */
static int contents(struct check *c, const struct pf_erofs_inode *i)
{
	const uint8_t *at;
	uint64_t n;

	for (uint64_t offset = 0; offset < i->size; offset += n) {
		int r = pf_erofs_run(&c->fs, i, offset, &at, &n, c->err);

		if (r)
			return r;
		if (n == 0)
			return pf_fail(c->err, -EUCLEAN, "the image has a file that does not go on");
	}
	return 0;
}

static int target(struct check *c, const struct pf_erofs_inode *i)
{
	char text[PF__LINK_MAX + 1];
	int64_t n = pf_erofs_pread(&c->fs, i, text, sizeof(text), 0, c->err);

	return n < 0 ? (int)n : pf__entry_link_target(c->path, text, (size_t)n, c->err);
}

static int visit(void *user, const struct pf_erofs_visit *v)
{
	struct check *c = user;
	int r;

	c->path = v->path;
	c->mode = v->inode->mode;
	if (v->linked)
		return S_ISLNK(c->mode) ? target(c, v->inode) : 0;
	r = pf__entry_type(v->path, c->mode, &c->notes, c->err);
	if (r > 0)
		r = pf_fail(c->err, -EUCLEAN, "the image has a node that it must not have");
	if (r == 0 && S_ISREG(v->inode->mode))
		r = contents(c, v->inode);
	if (r == 0 && S_ISLNK(v->inode->mode))
		r = target(c, v->inode);
	return r ? r : pf_erofs_xattrs(&c->fs, v->inode, attribute, c, c->err);
}

static int check_work(void *user, struct pf_error *err)
{
	struct check *c = user;
	void *map = mmap(NULL, c->size, PROT_READ, MAP_SHARED, c->fd, 0);
	int r;

	if (map == MAP_FAILED)
		return pf_fail_errno(err, "cannot look at the image");
	c->err = err;
	r = pf_erofs_open(&c->fs, map, c->size, err);
	r = r ? r : pf_erofs_walk(&c->fs, visit, NULL, c, err);
	munmap(map, c->size);
	return r;
}

int pf__image_check(const struct pf_import *how, int fd, uint64_t size, struct pf_error *err)
{
	PF_AUTO_BUF struct pf_buf report = {0};
	struct check c = {.channel = -1, .fd = fd, .size = size};
	struct pf__child child = {.wall = PF__WALL_ARCHIVE,
				  .keep = {&c.fd},
				  .maps = size,
				  .channel = &c.channel,
				  .work = check_work,
				  .user = &c,
				  .layout = -1,
				  .how = how};
	int r = pf__child_run(&child, &report, err);

	if (r)
		pf_wrap(err, "the image that the import's reader made is not sound");
	return r;
}

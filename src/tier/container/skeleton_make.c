/* SPDX-License-Identifier: Apache-2.0 */
/* The skeleton of skeleton.c, made in an empty directory of a tmpfs that nobody else has. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "tier/container/container.h"

struct owner {
	uint32_t base; /* host id of inside id 0, as root; 0 in the child */
	bool all_user; /* the image's files are all the command's: as a user */
	uint32_t uid, gid;
};

static int put_file(int dir, const struct pf_skeleton_item *i, struct pf_error *err)
{
	PF_AUTO_CLOSE int fd =
		openat(dir, i->path, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0600);
	int r;

	if (fd < 0)
		return pf_fail_errno(err, "cannot make /%.200s", i->path);
	r = pf_write_full(fd, i->text, i->size);
	if (r < 0)
		return pf_fail(err, r, "cannot write /%.200s: %s", i->path, strerror(-r));
	return fchmod(fd, i->mode) < 0 ? pf_fail_errno(err, "cannot set the mode of /%.200s", i->path) : 0;
}

static int give(int dir, const struct pf_skeleton_item *i, const struct owner *o, struct pf_error *err)
{
	uint32_t uid = i->image ? i->uid : 0, gid = i->image ? i->gid : 0;

	if (o->all_user) {
		uid = o->uid;
		gid = o->gid;
	}
	/* an id that no sandbox has appears as nobody's, as the image's own does */
	if (uid > PF_ACCOUNT_ID || gid > PF_ACCOUNT_ID)
		uid = gid = PF_ACCOUNT_ID - 1;
	return fchownat(dir, i->path, o->base + uid, o->base + gid, AT_SYMLINK_NOFOLLOW) < 0
		       ? pf_fail_errno(err, "cannot give /%.200s its owner", i->path)
		       : 0;
}

static int put(int dir, const struct pf_skeleton_item *i, struct pf_error *err)
{
	if (i->type == 'f')
		return put_file(dir, i, err);
	if (i->type == 'l')
		return symlinkat(i->text, dir, i->path) < 0
			       ? pf_fail_errno(err, "cannot make /%.200s", i->path)
			       : 0;
	if (mkdirat(dir, i->path, 0700) < 0)
		return pf_fail_errno(err, "cannot make /%.200s", i->path);
	return 0;
}

/* Directories get their modes when all is in them, from the innermost on, and their times at last. */
static int finish(int dir, const struct pf_skeleton_item *i, struct pf_error *err)
{
	const struct timespec times[2] = {i->mtime, i->mtime};

	if (i->type != 'd')
		return 0;
	if (fchmodat(dir, i->path, i->mode, 0) < 0 || (i->image && utimensat(dir, i->path, times, 0) < 0))
		return pf_fail_errno(err, "cannot prepare /%.200s", i->path);
	return 0;
}

int pf__skeleton_make(const struct pf_image_root *img, const struct pf_identity *who, int dir,
		      struct pf_error *err)
{
	const struct owner o = {.base = who->host_root ? who->uid_base : 0,
				.all_user = !who->host_root,
				.uid = who->user,
				.gid = who->group};
	size_t i;
	int r = 0;

	for (i = 0; i < img->count && r == 0; i++)
		r = put(dir, &img->items[i], err);
	for (i = img->count; i-- > 0 && r == 0;)
		r = give(dir, &img->items[i], &o, err) < 0 ? err->code : finish(dir, &img->items[i], err);
	return r;
}

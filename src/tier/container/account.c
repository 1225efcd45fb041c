/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who the command is in an image: what the policy says, else the image's own USER, else uid 1000. The image's
 * /etc/passwd and /etc/group are read through image.c and judged by image/account.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"
#include "tier/container/container.h"

#define HOME_OF_USER "/home/user"

/* A file that is not there, or is no file, is an empty one: an image may be a single program. */
static int read_accounts(const struct pf_box_spec *spec, const struct pf_image_root *img, const char *path,
			 struct pf_buf *out, struct pf_error *err)
{
	int r = pf__image_read(spec, img, path, PF_ACCOUNTS_MAX, out);

	if (r == -EFBIG)
		return pf_fail(err, r, "/%s of the image is longer than %u bytes", path, PF_ACCOUNTS_MAX);
	return r == -ENOMEM ? pf_fail(err, r, "out of memory") : 0;
}

static void by_default(const struct pf_buf *passwd, uint32_t uid, struct pf_account *a)
{
	*a = (struct pf_account){.uid = uid, .gid = uid};
	snprintf(a->name, sizeof(a->name), "%s", uid ? "user" : "root");
	if (pf_account_by_uid(passwd, uid, a) && a->gid > PF_ACCOUNT_ID)
		a->gid = uid;
	if (uid == 0) { /* pinfold's own word, whatever the image calls it */
		a->gid = 0;
		snprintf(a->name, sizeof(a->name), "root");
		snprintf(a->home, sizeof(a->home), "/root");
	}
}

/* USER of an image is mostly empty or root: then it is the policy's user, since a command has no more rights
 * than it needs (root is had by --user root). */
static int choose(const struct pf_box_spec *spec, const struct pf_buf *passwd, const struct pf_buf *group,
		  struct pf_account *a, struct pf_error *err)
{
	const char *own = spec->image->config.user;
	int r;

	if (spec->policy->user_root) {
		by_default(passwd, 0, a);
		return 0;
	}
	if (spec->policy->user && strcmp(spec->policy->user, "1000") != 0) {
		r = pf_account_find(spec->policy->user, passwd, group, a, err);
		if (r < 0)
			return pf_wrap(err, "--user %s", spec->policy->user);
		if (a->uid == 0)
			return pf_fail(err, -EINVAL,
				       "--user %s: that is uid 0 in this image, which is asked for by "
				       "--user root",
				       spec->policy->user);
		return 0;
	}
	if (!spec->policy->user && own && *own) {
		char shown[128];

		pf_printable(own, strlen(own), shown, sizeof(shown));
		r = pf_account_find(own, passwd, group, a, err);
		if (r < 0)
			return pf_wrap(err, "the image's USER '%s' (--user gives another)", shown);
		if (a->uid != 0)
			return 0;
	}
	by_default(passwd, PF_USER_UID, a);
	return 0;
}

/* Before Linux 6.6 a tmpfs has no user.* attributes, without which an overlay of a user cannot even remove a
 * directory (as plan.c has it for workspaces). */
static bool tmpfs_can_be_upper(void)
{
	struct utsname u;
	unsigned major = 0, minor = 0;

	if (geteuid() == 0)
		return true;
	return uname(&u) == 0 && sscanf(u.release, "%u.%u", &major, &minor) == 2 &&
	       (major > 6 || (major == 6 && minor >= 6));
}

/* Is there something in the image's directory of that name, reached without a link? */
static bool has_entries(const struct pf_box_spec *spec, const struct pf_image_root *img, const char *path)
{
	PF_AUTO_CLOSE int fd = pf__home_open(spec, img->fd, path, O_RDONLY | O_DIRECTORY);
	PF_AUTO_DIR DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (!d)
		return false;
	pf_take_fd(&fd); /* closedir() closes it */
	while ((e = readdir(d)))
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			return true;
	return false;
}

/* HOME is writable and shows what the image has there; where that cannot be had, it is elsewhere, so that
 * what the image has stays in sight. */
static int choose_home(const struct pf_box_spec *spec, struct pf_image_root *img, struct pf_error *err)
{
	struct pf_account *a = &img->account;
	bool upper = tmpfs_can_be_upper();

	if (img->root_cow && !upper)
		return pf_fail(err, -EOPNOTSUPP, "\"root\": \"cow\" needs Linux 6.6, or run pinfold as root");
	if (!a->home[0])
		snprintf(a->home, sizeof(a->home), HOME_OF_USER);
	if (!has_entries(spec, img, a->home))
		return 0;
	if (upper)
		img->home_cow = true;
	else
		snprintf(a->home, sizeof(a->home), HOME_OF_USER);
	return 0;
}

/* The files with what they lack; empty where they lack nothing. */
static int complete(const struct pf_box_spec *spec, struct pf_image_root *img, const struct pf_buf *passwd,
		    const struct pf_buf *group, struct pf_error *err)
{
	PF_AUTO_CLOSE int bash = pf__image_openat(spec, img, "bin/bash", O_PATH);

	if (pf_account_add_passwd(passwd, &img->account, bash >= 0 ? "/bin/bash" : "/bin/sh", &img->passwd) <
		    0 ||
	    pf_account_add_group(group, &img->account, &img->group) < 0)
		return pf_fail(err, -ENOMEM, "out of memory");
	return 0;
}

int pf__image_account(const struct pf_box_spec *spec, struct pf_image_root *img, struct pf_error *err)
{
	PF_AUTO_BUF struct pf_buf passwd = {0}, group = {0};
	int r;

	if ((r = read_accounts(spec, img, "etc/passwd", &passwd, err)) < 0 ||
	    (r = read_accounts(spec, img, "etc/group", &group, err)) < 0 ||
	    (r = choose(spec, &passwd, &group, &img->account, err)) < 0 ||
	    (r = choose_home(spec, img, err)) < 0)
		return r;
	return complete(spec, img, &passwd, &group, err);
}

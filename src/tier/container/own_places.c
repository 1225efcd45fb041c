/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sandbox's own places, whatever its root: /dev, and what can be written. They are prepared before there
 * is a root to attach them to, so that a child need not stand still while the host makes that.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "linux/mount.h"
#include "tier/container/container.h"
#include "view/place.h"

/* --- /dev: what an ordinary program expects, its own pseudo-terminals, and no more ------------- */

static int prepare_dev(const struct pf_child_args *a, struct pf_own_places *out, struct pf_error *err)
{
	static const char *const options[] = {"mode=755", "size=64k", "nr_inodes=256", NULL};
	static const char *const with_group[] = {"newinstance", "ptmxmode=0666", "mode=0620",
						 "max=64",	"gid=5",	 NULL};
	static const char *const without[] = {"newinstance", "ptmxmode=0666", "mode=0600", "max=64", NULL};
	static const char *const links[][2] = {{"/proc/self/fd", "fd"},
					       {"/proc/self/fd/0", "stdin"},
					       {"/proc/self/fd/1", "stdout"},
					       {"/proc/self/fd/2", "stderr"},
					       {"pts/ptmx", "ptmx"}};
	PF_AUTO_CLOSE int dev = pf_mount_new("tmpfs", options, PF_MNT_NOSUID | PF_MNT_NOEXEC, err);
	unsigned i;

	if (dev < 0)
		return dev;
	for (i = 0; i < PF_ARRAY_SIZE(links); i++)
		if (symlinkat(links[i][0], dev, links[i][1]) < 0)
			return pf_fail_errno(err, "cannot make /dev/%s", links[i][1]);
	if (mkdirat(dev, "pts", 0755) < 0)
		return pf_fail_errno(err, "cannot make /dev/pts");
	out->pts = pf_mount_new("devpts", a->who->shared ? without : with_group,
				PF_MNT_NOSUID | PF_MNT_NOEXEC, err);
	if (out->pts < 0)
		return out->pts;
	out->dev = pf_take_fd(&dev);
	return 0;
}

static int attach_dev(const struct pf_child_args *a, int root, const struct pf_own_places *p,
		      struct pf_error *err)
{
	PF_AUTO_CLOSE int at = pf__root_dirs(a, root, "/dev", err);
	int r;

	if (at < 0 || (r = pf_mount_attach(p->dev, at, "", err)) < 0)
		return pf_wrap(err, "/dev");
	return pf_mount_attach(p->pts, p->dev, "pts", err);
}

/* --- what can be written ------------------------------------------------------------------------ */

static const struct {
	const char *name, *at; /* at NULL: HOME */
	mode_t mode;
	bool owned;
} writable[] = {{"tmp", "/tmp", 01777, false},
		{"run", "/run", 0755, true},
		{"vartmp", "/var/tmp", 01777, false},
		{"shm", "/dev/shm", 01777, false},
		{"home", NULL, 0755, true}};

/* HOME may be an overlay of an image's own. */
static bool is_elsewhere(const struct pf_child_args *a, unsigned i)
{
	return !writable[i].at && a->image->home_cow;
}

/* One tmpfs bounds them all: what is written to /tmp, /run, /var/tmp, /dev/shm and HOME counts together. */
static int prepare_temp(const struct pf_child_args *a, struct pf_own_places *out, struct pf_error *err)
{
	char size[48], inodes[48];
	const char *const options[] = {"mode=755", size, inodes, NULL};
	PF_AUTO_CLOSE int temp = -1;
	unsigned i;

	snprintf(size, sizeof(size), "size=%llu", (unsigned long long)a->temp_bytes);
	snprintf(inodes, sizeof(inodes), "nr_inodes=%llu", (unsigned long long)(a->temp_bytes / 4096 + 1024));
	temp = pf_mount_new("tmpfs", options, pf__safe(a->spec->breaks) | pf__no_exec(a->spec), err);
	if (temp < 0)
		return temp;
	/* Only what is attached can be copied from (before Linux 6.15): over the old /dev, which nobody needs
	 * any more and which goes with the old root, so that no unmount of its own has to wait for RCU. */
	if (pf_mount_attach(temp, AT_FDCWD, "/dev", err) < 0)
		return pf_wrap(err, "temporary files");
	for (i = 0; i < PF_ARRAY_SIZE(writable); i++)
		if (!is_elsewhere(a, i) &&
		    (mkdirat(temp, writable[i].name, writable[i].mode) < 0 ||
		     (writable[i].owned &&
		      fchownat(temp, writable[i].name, a->who->user, a->who->group, 0) < 0)))
			return pf_fail_errno(err, "cannot make %s",
					     writable[i].at ? writable[i].at : a->home);
	if (pf__view_place(a, temp, err) < 0)
		return err->code;
	out->temp = pf_take_fd(&temp);
	return 0;
}

/* A mount of its own: who owns /run can neither move nor remove it. */
static int attach_place(const struct pf_child_args *a, int root, const struct pf_own_places *p,
			struct pf_error *err)
{
	PF_AUTO_CLOSE int at = -1, copy = -1;

	if (!a->approved)
		return 0;
	if ((at = pf__root_dirs(a, root, PF_VIEW_PLACE, err)) < 0)
		return at;
	copy = pf_mount_clone(p->temp, "pinfold", err);
	return copy < 0 ? copy : pf_mount_attach(copy, at, "", err);
}

static int attach_temp(const struct pf_child_args *a, int root, const struct pf_own_places *p,
		       struct pf_error *err)
{
	unsigned i;
	int r;

	for (i = 0; i < PF_ARRAY_SIZE(writable); i++) {
		const char *path = writable[i].at ? writable[i].at : a->home;
		PF_AUTO_CLOSE int at = -1;
		PF_AUTO_CLOSE int copy = -1;

		if (is_elsewhere(a, i))
			continue;
		if ((at = pf__root_dirs(a, root, path, err)) < 0)
			return at;
		copy = pf_mount_clone(p->temp, writable[i].name, err);
		if (copy < 0 || (r = pf_mount_attach(copy, at, "", err)) < 0)
			return pf_wrap(err, "%s", path);
	}
	return attach_place(a, root, p, err);
}

int pf__places_prepare(const struct pf_child_args *a, struct pf_own_places *out, struct pf_error *err)
{
	int r = prepare_dev(a, out, err);

	return r < 0 ? r : prepare_temp(a, out, err);
}

int pf__places_attach(const struct pf_child_args *a, int root, const struct pf_own_places *p,
		      struct pf_error *err)
{
	int r = attach_dev(a, root, p, err);

	return r < 0 ? r : attach_temp(a, root, p, err);
}

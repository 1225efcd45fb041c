/* SPDX-License-Identifier: Apache-2.0 */
/* What of the host is shown inside, and where: the image, six devices, tools and mounts of the policy, init's
 * program. */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "linux/mount.h"
#include "tier/container/container.h"

#define SAFE (PF_MNT_NOSUID | PF_MNT_NODEV)

/* What programs are started from. Its view was made already; without a list there is none. */
static int add_programs(struct pf_container *c, struct pf_sources *s, const char *path, uint64_t attr,
			struct pf_error *err)
{
	int r = pf__shown_add(s, PF_SRC_TREE, path, path, attr, err);

	if (r == 0 && c->view.dir[0]) {
		char *view = pf__view_layer(c, path);

		if (!view)
			return pf_fail(err, -ENOMEM, "there is no view of %s", path);
		pf__shown_under(s, view, !c->who.host_root);
	}
	return r;
}

static int add_image(struct pf_container *c, struct pf_sources *s, const struct pf_box_spec *spec,
		     const struct pf_host_image *image, struct pf_error *err)
{
	const char *breaks = spec->breaks;
	uint64_t attr = pf__safe(breaks) | (pf__broken(breaks, "readonly_root") ? 0 : PF_MNT_RDONLY);
	unsigned i;
	int r;

	for (i = 0; i < image->count && !spec->image; i++) {
		const struct pf_host_entry *e = &image->entries[i];

		r = e->kind == PF_HOST_BIND ? add_programs(c, s, e->path, attr, err)
					    : pf__shown_add_link(s, e->target, e->path, err);
		if (r < 0)
			return r;
	}
	attr |= pf__no_exec(spec);
	if (!spec->image && (r = pf__shown_add(s, PF_SRC_TREE, image->etc, "/etc", attr, err)) < 0)
		return r;
	return pf__shown_add(s, PF_SRC_TREE, image->sys, "/sys", attr, err);
}

static int add_devices(struct pf_sources *s, struct pf_error *err)
{
	static const char *const names[] = {"/dev/null",   "/dev/zero",	   "/dev/full",
					    "/dev/random", "/dev/urandom", "/dev/tty"};
	unsigned i;
	int r;

	for (i = 0; i < PF_ARRAY_SIZE(names); i++)
		if ((r = pf__shown_add(s, PF_SRC_DEVICE, names[i], names[i], PF_MNT_NOSUID | PF_MNT_NOEXEC,
				       err)) < 0)
			return r;
	return 0;
}

static int add_policy_mounts(struct pf_container *c, struct pf_sources *s, const struct pf_box_spec *spec,
			     struct pf_error *err)
{
	const struct pf_policy *p = spec->policy;
	const char *breaks = spec->breaks;
	uint64_t attr = pf__safe(breaks) | (pf__broken(breaks, "readonly_root") ? 0 : PF_MNT_RDONLY);
	size_t i;
	int r;

	for (i = 0; i < p->tools.count; i++)
		if ((r = add_programs(c, s, p->tools.items[i], attr, err)) < 0)
			return r;
	for (i = 0; i < p->mount_count; i++)
		if ((r = pf__shown_add(s, PF_SRC_TREE, p->mounts[i].from, p->mounts[i].to,
				       attr | pf__no_exec(spec), err)) < 0)
			return r;
	return 0;
}

static int add_program(struct pf_sources *s, const struct pf_dirs *dirs, const char *breaks,
		       struct pf_error *err)
{
	uint64_t attr = SAFE | (pf__broken(breaks, "init_ro") ? 0 : PF_MNT_RDONLY);
	char path[600];
	int r;

	snprintf(path, sizeof(path), "%s/pinfold-init", dirs->libexec);
	r = pf__shown_add(s, PF_SRC_INIT, path, NULL, attr, err);
	return r < 0 ? pf_wrap(err, "pinfold is not installed whole") : 0;
}

/* Directories of --tools that hold programs, for PATH. A pyenv has its programs in shims. */
char *pf__tools_path(const struct pf_policy *p)
{
	static const char *const below[] = {"shims", "bin"};
	struct pf_buf b = {0};
	size_t i, j;

	for (i = 0; i < p->tools.count; i++) {
		size_t before = b.len;

		for (j = 0; j < PF_ARRAY_SIZE(below); j++) {
			PF_AUTO_FREE char *path = NULL;

			if (asprintf(&path, "%s/%s", p->tools.items[i], below[j]) > 0 &&
			    access(path, X_OK) == 0)
				pf_buf_addf(&b, "%s%s", b.len ? ":" : "", path);
		}
		if (b.len == before)
			pf_buf_addf(&b, "%s%s", b.len ? ":" : "", p->tools.items[i]);
	}
	return p->tools.count ? pf_buf_steal(&b) : NULL;
}

int pf__show_all(struct pf_container *c, struct pf_sources *s, const struct pf_box_spec *spec,
		 const struct pf_host_image *image, struct pf_error *err)
{
	int r;

	if ((r = add_image(c, s, spec, image, err)) < 0 || (r = add_devices(s, err)) < 0 ||
	    (r = add_policy_mounts(c, s, spec, err)) < 0)
		return r;
	return add_program(s, spec->dirs, spec->breaks, err);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * commands.allow in this tier: the view of the root (view/view.h) and where it lies; and what pinfold-refuse
 * left. Everything that can be started comes from a read-only overlay of which the view is a layer; every
 * other mount is noexec, so that neither execve nor a mapping by ld.so gets a program from it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"
#include "linux/mount.h"
#include "tier/container/container.h"
#include "view/place.h"

#define REFUSED_MAX 32768u /* bytes that are read at once of what came from inside */

struct trees {
	struct pf_view_tree item[PF_VIEW_TREES];
	int fds[PF_VIEW_TREES]; /* that are ours */
	unsigned count;
};

static int add_tree(struct trees *t, struct pf_view_tree one, const char *from, struct pf_error *err)
{
	if (t->count == PF_VIEW_TREES)
		return pf_fail(err, -E2BIG, "commands.allow: too many trees of tools");
	t->fds[t->count] = from ? open(from, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	if (from && t->fds[t->count] < 0)
		return pf_fail_errno(err, "cannot open %s", from);
	if (from)
		one.fd = t->fds[t->count];
	t->item[t->count++] = one;
	return 0;
}

static void close_trees(struct trees *t)
{
	for (unsigned i = 0; i < t->count; i++)
		if (t->fds[i] >= 0)
			close(t->fds[i]);
}

/* The host's: what is bound of it, and /etc, through which links lead. Its copy is named by what is in it. */
static int add_host(struct trees *t, const struct pf_host_image *host, struct pf_view_link *links,
		    unsigned *count, struct pf_error *err)
{
	int r = 0;

	for (unsigned i = 0; i < host->count && r == 0; i++) {
		const struct pf_host_entry *e = &host->entries[i];

		if (e->kind == PF_HOST_LINK)
			links[(*count)++] = (struct pf_view_link){e->path, e->target};
		else
			r = add_tree(t, (struct pf_view_tree){.at = e->path}, e->path, err);
	}
	return r < 0 ? r
		     : add_tree(t, (struct pf_view_tree){.at = "/etc", .digest = host->etc, .plain = true},
				host->etc, err);
}

static const char *env_path(const struct pf_list *env)
{
	for (size_t i = env->count; i > 0; i--)
		if (pf_has_prefix(env->items[i - 1], "PATH="))
			return env->items[i - 1] + 5;
	return NULL;
}

/* Where the command will look names up (sandbox/command.c), and what any user may have in PATH. */
static char *search_path(const struct pf_container *c, const struct pf_box_spec *spec)
{
	const char *own = env_path(&spec->policy->env);
	struct pf_buf b = {0};

	if (!own && spec->image)
		own = env_path(&spec->image->config.env);
	if (c->box.tools_path)
		pf_buf_addf(&b, "%s:", c->box.tools_path);
	if (own)
		pf_buf_addf(&b, "%s:", own);
	pf_buf_adds(
		&b,
		"/usr/local/bin:/usr/bin:/bin:/usr/local/games:/usr/games:/usr/local/sbin:/usr/sbin:/sbin");
	return pf_buf_steal(&b);
}

/* What may be started, for the receipt: the places that are no noexec mounts. */
static int note_places(struct pf_container *c, const struct trees *t)
{
	int r = 0;

	for (unsigned i = 0; i < t->count && r == 0; i++)
		if ((r = pf_list_add(&c->view_trees, t->item[i].at)) == 0 && !t->item[i].plain)
			r = pf_list_add(&c->box.may_exec, t->item[i].at);
	return r;
}

/* What a view is asked for; the trees, links and path of it. */
struct asked {
	struct trees t;
	struct pf_view_link links[PF_HOST_ENTRIES];
	struct pf_host_image host;
	char *path;
	struct pf_view_want want;
};

static int ask(struct pf_container *c, const struct pf_box_spec *spec, struct asked *a, struct pf_error *err)
{
	const struct pf_policy *p = spec->policy;
	int r;

	a->path = search_path(c, spec);
	if (!a->path)
		return pf_fail(err, -ENOMEM, "out of memory");
	a->want = (struct pf_view_want){.trees = a->t.item,
					.links = a->links,
					.allow = &p->commands,
					.path = a->path,
					.state = spec->dirs->state,
					.libexec = spec->dirs->libexec,
					.progress = spec->progress};
	if (spec->image) {
		r = add_tree(
			&a->t,
			(struct pf_view_tree){.at = "/", .fd = c->image.fd, .digest = spec->image->digest},
			NULL, err);
	} else {
		r = pf_host_image_get(spec->dirs->state, &a->host, err);
		if (r == 0)
			r = add_host(&a->t, &a->host, a->links, &a->want.link_count, err);
	}
	for (size_t i = 0; i < p->tools.count && r == 0; i++)
		r = add_tree(&a->t, (struct pf_view_tree){.at = p->tools.items[i]}, p->tools.items[i], err);
	a->want.tree_count = a->t.count;
	return r;
}

static void end_asking(struct asked *a)
{
	close_trees(&a->t);
	free(a->path);
}

int pf__view_plan(struct pf_container *c, const struct pf_box_spec *spec, struct pf_error *err)
{
	struct asked a = {.path = NULL};
	int r;

	if (!spec->policy->commands.count || pf__broken(spec->breaks, "view"))
		return 0;
	r = ask(c, spec, &a, err);
	if (r == 0 && note_places(c, &a.t) < 0)
		r = pf_fail(err, -ENOMEM, "out of memory");
	if (r == 0)
		r = pf_view_get(&a.want, &c->view, err);
	end_asking(&a);
	if (r < 0)
		return r;
	pf_buf_addc(&c->view.approved, '\0');
	c->box.approved = c->view.approved.data;
	if (spec->image)
		c->image.view = pf__view_layer(c, "/");
	if (c->view.approved.failed || (spec->image && !c->image.view))
		return pf_fail(err, -ENOMEM, "out of memory");
	if (spec->policy->commands_build && c->ws.at && pf_list_add(&c->box.may_exec, c->ws.at) < 0)
		return pf_fail(err, -ENOMEM, "out of memory");
	return 0;
}

int pf__container_programs(const struct pf_box_spec *spec, struct pf_view_list *out, struct pf_error *err)
{
	struct pf_container c = {.image = PF_IMAGE_ROOT_NONE};
	struct asked a = {.path = NULL};
	int r = spec->image ? pf__image_open(spec, geteuid() == 0, &c.image, err) : 0;

	if (r < 0)
		return r;
	c.box.tools_path = pf__tools_path(spec->policy);
	r = ask(&c, spec, &a, err);
	if (r == 0)
		r = pf_view_close(&a.want, out, err);
	end_asking(&a);
	free(c.box.tools_path);
	pf__image_root_free(&c.image);
	return r;
}

char *pf__view_layer(const struct pf_container *c, const char *at)
{
	char *path = NULL;

	for (size_t i = 0; i < c->view_trees.count; i++)
		if (strcmp(c->view_trees.items[i], at) == 0)
			return asprintf(&path, "%s/%zu", c->view.dir, i) < 0 ? NULL : path;
	return NULL;
}

int pf__view_over(const char *view, int lower, bool user, uint64_t attr, struct pf_error *err)
{
	PF_AUTO_CLOSE int layer = open(view, O_PATH | O_DIRECTORY | O_CLOEXEC);
	char layers[96];
	const char *options[5];
	int n = 0, fd;

	if (layer < 0)
		return pf_fail_errno(err, "cannot open the view %s", view);
	snprintf(layers, sizeof(layers), "lowerdir=/proc/self/fd/%d:/proc/self/fd/%d", layer, lower);
	options[n++] = layers;
	if (user) {
		options[n++] = "userxattr";
	} else {
		options[n++] = "redirect_dir=nofollow";
		options[n++] = "index=off";
		options[n++] = "metacopy=off";
	}
	options[n] = NULL;
	fd = pf_mount_new("overlay", options, attr | PF_MNT_RDONLY, err);
	if (fd ==
	    -EINVAL) /* clone_private_mount(): it would show what the mounts cover; or two overlays deep */
		return pf_fail(err, fd,
			       "commands.allow cannot be held: this tree cannot be a layer of an overlay "
			       "(another file "
			       "system mounted within it, or itself an overlay over overlays)");
	return fd < 0 ? pf_wrap(err, "commands.allow") : fd;
}

/* --- what pinfold-refuse says and leaves ---------------------------------------------------------- */

static int put_file(int dir, const char *name, mode_t mode, const char *text, struct pf_error *err)
{
	PF_AUTO_CLOSE int fd = openat(dir, name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, mode);

	if (fd < 0 || fchmod(fd, mode) < 0 || pf_write_full(fd, text, strlen(text)) < 0)
		return pf_fail_errno(err, "cannot make " PF_VIEW_PLACE);
	return 0;
}

int pf__view_place(const struct pf_child_args *a, int temp, struct pf_error *err)
{
	PF_AUTO_CLOSE int dir = -1;
	int r;

	if (!a->approved)
		return 0;
	if (mkdirat(temp, "pinfold", 0755) < 0 ||
	    (dir = openat(temp, "pinfold", O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
		return pf_fail_errno(err, "cannot make " PF_VIEW_PLACE);
	r = put_file(dir, PF_VIEW_APPROVED, 0444, a->approved, err);
	return r < 0 ? r : put_file(dir, PF_VIEW_REFUSED, 0622, "", err);
}

/* Of unknown origin: a command may have written anything there, or nothing. */
void pf__container_refused(struct pf_box *b, struct pf_buf *lines)
{
	struct pf_container *c = (struct pf_container *)b;
	PF_AUTO_CLOSE int fd = -1;
	char text[REFUSED_MAX];
	struct stat st;
	ssize_t n;

	if (!c->box.approved || c->temp_fd < 0)
		return;
	fd = pf_open_beneath(c->temp_fd, "pinfold/" PF_VIEW_REFUSED, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return;
	if (st.st_size < c->refused_at)
		c->refused_at = 0; /* somebody emptied it */
	n = pread(fd, text, sizeof(text), c->refused_at);
	if (n <= 0)
		return;
	pf_buf_add(lines, text, (size_t)n);
	c->refused_at = st.st_size; /* what is more than the bound is not told */
}

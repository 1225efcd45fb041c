/* SPDX-License-Identifier: Apache-2.0 */
/* Detached copies of what the host shows; see sources.h. */
#include "tier/container/sources.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "linux/mount.h"
#include "tier/container/container.h"
#include "tier/container/handoff.h"

static struct pf_source *next(struct pf_sources *s, enum pf_source_kind kind, const char *from,
			      const char *to, struct pf_error *err)
{
	struct pf_source *i = &s->item[s->count];

	if (s->count == PF_SOURCES_MAX) {
		pf_fail(err, -E2BIG, "too many mounts (%u)", s->count);
		return NULL;
	}
	*i = (struct pf_source){.kind = kind, .fd = -1};
	i->from = strdup(from);
	i->to = to ? strdup(to) : NULL;
	s->count++;
	if (i->from && (!to || i->to))
		return i;
	pf_fail(err, -ENOMEM, "out of memory");
	return NULL;
}

int pf__shown_add_link(struct pf_sources *s, const char *target, const char *to, struct pf_error *err)
{
	return next(s, PF_SRC_LINK, target, to, err) ? 0 : err->code;
}

int pf__shown_add_fd(struct pf_sources *s, int fd, const char *to, struct pf_error *err)
{
	struct pf_source *i = next(s, PF_SRC_TREE, "", to, err);

	if (!i)
		return err->code;
	i->fd = fd;
	return 0;
}

int pf__shown_add(struct pf_sources *s, enum pf_source_kind kind, const char *from, const char *to,
		  uint64_t attr, struct pf_error *err)
{
	struct pf_source *i;
	struct stat st;

	if (stat(from, &st) < 0)
		return pf_fail_errno(err, "cannot show '%s' inside", from);
	i = next(s, kind, from, to, err);
	if (!i)
		return err->code;
	i->attr = attr;
	i->dev = st.st_dev;
	i->ino = st.st_ino;
	return 0;
}

void pf__shown_under(struct pf_sources *s, char *view, bool user)
{
	s->item[s->count - 1].view = view;
	s->item[s->count - 1].user = user;
}

static int open_viewed(struct pf_source *i, struct pf_error *err)
{
	PF_AUTO_CLOSE int lower = open(i->from, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct stat st;

	if (lower < 0)
		return pf_fail_errno(err, "cannot open %s", i->from);
	if (fstat(lower, &st) < 0 || st.st_dev != i->dev || st.st_ino != i->ino)
		return pf_fail(err, -ESTALE, "'%s' was replaced while the sandbox was made; try again",
			       i->from);
	i->fd = pf__view_over(i->view, lower, i->user, i->attr, err);
	return i->fd < 0 ? i->fd : 0;
}

static int open_one(struct pf_source *i, struct pf_error *err)
{
	struct stat st;
	int r, fd;

	if (i->view)
		return open_viewed(i, err);
	fd = pf_mount_clone(AT_FDCWD, i->from, err);
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0 || st.st_dev != i->dev || st.st_ino != i->ino)
		r = pf_fail(err, -ESTALE, "'%s' was replaced while the sandbox was made; try again", i->from);
	else
		r = i->attr ? pf_mount_attr(fd, i->attr, 0, -1, err) : 0;
	if (r < 0)
		close(fd);
	else
		i->fd = fd;
	return r;
}

int pf__shown_open(struct pf_sources *s, struct pf_error *err)
{
	unsigned i;
	int r;

	for (i = 0; i < s->count; i++)
		if (s->item[i].fd < 0 && s->item[i].kind != PF_SRC_LINK &&
		    (r = open_one(&s->item[i], err)) < 0)
			return pf_wrap(err, "%s", s->item[i].from);
	return 0;
}

/* One message: for each item its kind, then `to` and, of a link, its target, each with its NUL; the
 * descriptors beside it. */
int pf__shown_send(int sync, const struct pf_sources *s, struct pf_error *err)
{
	PF_AUTO_BUF struct pf_buf b = {0};
	int fds[PF_SOURCES_MAX], n = 0;
	unsigned i;

	for (i = 0; i < s->count; i++) {
		const struct pf_source *one = &s->item[i];
		const char *to = one->to ? one->to : "", *target = one->kind == PF_SRC_LINK ? one->from : "";

		pf_buf_addc(&b, (char)('a' + one->kind));
		pf_buf_add(&b, to, strlen(to) + 1);
		pf_buf_add(&b, target, strlen(target) + 1);
		if (one->kind != PF_SRC_LINK)
			fds[n++] = one->fd;
	}
	return b.failed ? pf_fail(err, -ENOMEM, "out of memory")
			: pf__handoff_give(sync, b.data, b.len, fds, (size_t)n, err);
}

int pf__shown_take(int sync, struct pf_sources *s, struct pf_error *err)
{
	static char bytes[PF_SOURCES_MAX * 256];
	int fds[PF_HANDOFF_GIVEN], n, used = 0;
	const char *p = bytes, *end;
	ssize_t got = pf__handoff_take(sync, bytes, sizeof(bytes), fds, &n, err);

	if (got < 0)
		return (int)got;
	for (end = bytes + got; p < end;) {
		enum pf_source_kind kind = (enum pf_source_kind)(*p++ - 'a');
		const char *to = p, *target = to + strlen(to) + 1;
		struct pf_source *one = next(s, kind, target, *to ? to : NULL, err);

		if (!one)
			return err->code;
		if (kind != PF_SRC_LINK && used < n)
			one->fd = fds[used++];
		p = target + strlen(target) + 1;
	}
	return 0;
}

void pf__shown_close(struct pf_sources *s)
{
	unsigned i;

	for (i = 0; i < s->count; i++) {
		free(s->item[i].from);
		free(s->item[i].to);
		free(s->item[i].view);
		if (s->item[i].fd >= 0)
			close(s->item[i].fd);
	}
	s->count = 0;
}

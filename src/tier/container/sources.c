/* SPDX-License-Identifier: Apache-2.0 */
/* Detached copies of what the host shows; see sources.h. */
#include "tier/container/sources.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "linux/mount.h"

int pf__shown_add(struct pf_sources *s, enum pf_source_kind kind, const char *from, const char *to, uint64_t attr,
		   struct pf_error *err)
{
	struct pf_source *i;
	struct stat st;

	if (s->count == PF_SOURCES_MAX)
		return pf_fail(err, -E2BIG, "too many mounts (%u)", s->count);
	if (stat(from, &st) < 0)
		return pf_fail_errno(err, "cannot show '%s' inside", from);
	i = &s->item[s->count];
	*i = (struct pf_source){.kind = kind, .attr = attr, .dev = st.st_dev, .ino = st.st_ino, .fd = -1};
	i->from = strdup(from);
	i->to = to ? strdup(to) : NULL;
	if (!i->from || (to && !i->to))
		return pf_fail(err, -ENOMEM, "out of memory");
	s->count++;
	return 0;
}

static int open_one(struct pf_source *i, struct pf_error *err)
{
	struct stat st;
	int r, fd = pf_mount_clone(AT_FDCWD, i->from, err);

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
		if (s->item[i].fd < 0 && (r = open_one(&s->item[i], err)) < 0)
			return pf_wrap(err, "%s", s->item[i].from);
	return 0;
}

void pf__shown_close(struct pf_sources *s)
{
	unsigned i;

	for (i = 0; i < s->count; i++) {
		free(s->item[i].from);
		free(s->item[i].to);
		if (s->item[i].fd >= 0)
			close(s->item[i].fd);
	}
	s->count = 0;
}

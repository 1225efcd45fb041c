/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rw,live covers what is hidden or protected and there when it starts. A file that the command makes at such
 * a name is the user's at once: a .env that his tools read, a hook that his git runs. Nothing can hold it
 * back, but nobody should have to find it by chance. Looked for are names without wildcards, and those that
 * may be at any depth at the top alone: a walk of the tree after each run is what people choose rw,live to be
 * spared.
 */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "cli/run.h"

static bool there(int dir, const char *name)
{
	int fd = pf_open_beneath(dir, name, O_PATH | O_NOFOLLOW, 0);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static void add(struct pf_watch *w, const struct pf_list *patterns)
{
	for (size_t i = 0; i < patterns->count; i++) {
		const char *name = patterns->items[i];

		if (pf_has_prefix(name, "**/"))
			name += 3;
		if (!pf_glob_is_pattern(name) && !there(w->fd, name))
			pf_list_add(&w->names, name); /* without memory there is nothing to tell */
	}
}

void pf_watch_begin(struct pf_watch *w, const struct pf_policy *p)
{
	if (p->ws_mode != PF_WS_LIVE || !p->ws_path)
		return;
	w->fd = open(p->ws_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (w->fd < 0)
		return; /* the sandbox says why, with the same path */
	add(w, &p->mask);
	add(w, &p->protect);
}

static bool told(const struct pf_list *l, const char *name)
{
	for (size_t i = 0; i < l->count; i++)
		if (strcmp(l->items[i], name) == 0)
			return true;
	return false;
}

void pf_watch_end(struct pf_watch *w)
{
	for (size_t i = 0; w->fd >= 0 && i < w->names.count; i++)
		if (there(w->fd, w->names.items[i]) && !told(&w->made, w->names.items[i]))
			pf_list_add(&w->made, w->names.items[i]);
}

void pf_watch_free(struct pf_watch *w)
{
	if (w->fd >= 0)
		close(w->fd);
	w->fd = -1;
	pf_list_free(&w->names);
	pf_list_free(&w->made);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the command policy looks paths up. Before the first command that is the workspace on the host. After
 * it a cow workspace has what the sandbox made: then each question is put inside, to a launcher under all its
 * walls (PF_OP_BENEATH), and what differs from the host's file was written by the sandbox.
 *
 * Answers from inside may be lies. They decide about this signal, and nothing else depends on them.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"
#include "sandbox/sandbox.h"

#define QUESTIONS_MAX 64u /* of one line; each is a process inside. Past it nothing more is known */

static int look(void *user, const char *path, bool *dir)
{
	struct pf__guard_places *p = user;
	struct pf_file_stat st;
	struct pf_error err;
	int r = ++p->questions > QUESTIONS_MAX ? -EBUSY
					       : pf__file_beneath(p->box, p->places.at, path, &st, &err);

	if (r == 0)
		*dir = S_ISDIR(st.mode);
	return r;
}

struct names {
	int (*each)(void *arg, const char *name);
	void *arg;
	int r;
};

static void one_name(void *user, char type, const char *name)
{
	struct names *n = user;

	(void)type;
	if (n->r == 0)
		n->r = n->each(n->arg, name);
}

/* dir was looked at before, or is "."; what a link there would list is judged name by name like the rest. */
static int list(void *user, const char *dir, int (*each)(void *arg, const char *name), void *arg)
{
	struct pf__guard_places *p = user;
	struct names n = {each, arg, 0};
	PF_AUTO_BUF struct pf_buf path = {0};
	struct pf_error err;
	bool is_dir = false;
	int r = look(p, dir, &is_dir);

	if (r < 0 || !is_dir)
		return r == -ENOENT || r == -ENOTDIR ? 0 : r;
	pf_buf_addf(&path, "%s/%s", p->places.at, dir);
	if (path.failed)
		return -ENOMEM;
	r = pf_file_list(p->box, path.data, one_name, &n, &err);
	return r < 0 ? r : n.r;
}

/* Not there on the host, or another one. A command can forge size and time of a file: then this is not said,
 * and the change set has it all the same. */
static bool written(void *user, const char *cwd, const char *path)
{
	struct pf_command_workspace *w = user;
	struct pf__guard_places *p = w->user;
	PF_AUTO_BUF struct pf_buf at = {0};
	PF_AUTO_CLOSE int fd = -1;
	struct pf_file_stat in;
	struct pf_error err;
	struct stat st;

	if (*path == '/' && (!pf_path_within(path, p->places.at) || strlen(path) <= strlen(p->places.at)))
		return false;
	pf_buf_addf(&at, "%s/%s", *path == '/' ? "." : cwd,
		    *path == '/' ? path + strlen(p->places.at) + 1 : path);
	if (at.failed || ++p->questions > QUESTIONS_MAX ||
	    pf__file_beneath(p->box, p->places.at, at.data, &in, &err) < 0)
		return false;
	fd = w->dir_fd < 0 ? -1 : pf_open_beneath(w->dir_fd, at.data, O_PATH, 0);
	return fd < 0 || fstat(fd, &st) < 0 || (st.st_mode & S_IFMT) != (in.mode & S_IFMT) ||
	       (uint64_t)st.st_size != in.size ||
	       st.st_mtim.tv_sec * 1000000000ll + st.st_mtim.tv_nsec != in.mtime_ns;
}

/* The directory in which the command starts, if that is in the workspace; else -1, and no path is known. */
static int open_start(const struct pf_sandbox *s, const char *cwd)
{
	const char *at = s->box->workspace_at;
	PF_AUTO_CLOSE int top = -1;

	if (!at || !pf_path_within(cwd, at))
		return -1;
	top = open(s->policy->ws_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (top < 0 || strcmp(cwd, at) == 0)
		return pf_take_fd(&top);
	return pf_open_beneath(top, cwd + strlen(at) + 1, O_PATH | O_DIRECTORY, 0);
}

const struct pf_command_places *pf__guard_places_open(struct pf__guard_places *p, struct pf_sandbox *s,
						      const char *cwd)
{
	bool inside = s->used && s->policy->ws_mode == PF_WS_COW && s->box->workspace_at &&
		      pf_path_within(cwd, s->box->workspace_at);

	*p = (struct pf__guard_places){.box = s};
	p->workspace = (struct pf_command_workspace){.dir_fd = open_start(s, cwd), .at = cwd, .user = p};
	pf_command_places_init(&p->places, &p->workspace);
	if (inside) {
		p->workspace.look = look;
		p->workspace.list = list;
		p->places.written = written;
	}
	return inside || p->workspace.dir_fd >= 0 ? &p->places : NULL;
}

void pf__guard_places_close(struct pf__guard_places *p)
{
	if (p->workspace.dir_fd >= 0)
		close(p->workspace.dir_fd);
}

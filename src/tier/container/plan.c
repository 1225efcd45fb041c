/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The workspace before it is mounted: which directory it is, who owns it, what of it is hidden,
 * and how large its upper may be. All on the host, before anything is cloned.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"
#include "tier/container/container.h"
#include "workspace/mask.h"

/* Directories that are no workspace: showing them would show the host, or pinfold's own state, to the
 * command. */
static int refuse_place(const char *path, const struct pf_dirs *dirs, struct pf_error *err)
{
	static const char *const system[] = {"/proc", "/sys",  "/dev",	      "/etc",
					     "/usr",  "/boot", "/run/pinfold"};
	unsigned i;

	if (strcmp(path, "/") == 0)
		return pf_fail(err, -EINVAL,
			       "'/' cannot be a workspace: name the directory the command works on");
	for (i = 0; i < PF_ARRAY_SIZE(system); i++)
		if (pf_path_within(path, system[i]))
			return pf_fail(err, -EINVAL, "'%s' cannot be a workspace: it belongs to the system",
				       path);
	if (pf_path_within(path, dirs->state) || pf_path_within(dirs->state, path) ||
	    pf_path_within(dirs->runtime, path))
		return pf_fail(err, -EINVAL, "'%s' cannot be a workspace: pinfold keeps its own state there",
			       path);
	return 0;
}

/* The time that a file made now gets on the workspace's own file system (which may be another machine's). The
 * file has no name: nothing appears in the user's directory. */
static int64_t reference_time(int dir)
{
	PF_AUTO_CLOSE int fd = openat(dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	struct timespec now;
	struct stat st;

	if (fd >= 0 && fstat(fd, &st) == 0)
		return (int64_t)st.st_ctim.tv_sec * 1000000000 + st.st_ctim.tv_nsec;
	clock_gettime(CLOCK_REALTIME_COARSE,
		      &now); /* read-only or without O_TMPFILE: the clock that stamps files */
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Files at the top level that belong to somebody else: inside they appear as nobody's and cannot be changed.
 */
static uint64_t count_foreign(int dir, uid_t owner)
{
	PF_AUTO_CLOSE int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	PF_AUTO_DIR DIR *d = fd < 0 ? NULL : fdopendir(fd);
	uint64_t n = 0;
	struct dirent *e;
	struct stat st;

	if (!d)
		return UINT64_MAX;
	fd = -1; /* the stream's now */
	while ((e = readdir(d)))
		if (strcmp(e->d_name, "..") != 0 && fstatat(dir, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    st.st_uid != owner)
			n++;
	return n;
}

/* Before Linux 6.6 a tmpfs has no user.* attributes, and an overlay on one in a user namespace cannot even
 * remove a directory. Then a directory of the state is the upper, if its file system has them. */
static int place_on_disk(struct pf_workspace_plan *ws, const struct pf_box_spec *spec, struct pf_error *err)
{
	struct utsname u;
	unsigned major = 0, minor = 0;

	if (uname(&u) < 0 || sscanf(u.release, "%u.%u", &major, &minor) != 2 || major > 6 ||
	    (major == 6 && minor >= 6))
		return 0;
	snprintf(ws->scratch_path, sizeof(ws->scratch_path), "%s/scratch/%s", spec->dirs->state, spec->id);
	if (pf_mkdir_p(ws->scratch_path, 0700) < 0)
		return pf_fail_errno(err, "cannot make %s", ws->scratch_path);
	if (setxattr(ws->scratch_path, "user.pinfold", "y", 1, 0) < 0) {
		rmdir(ws->scratch_path);
		ws->scratch_path[0] = '\0';
		return pf_fail(err, -EOPNOTSUPP,
			       "a cow workspace needs Linux 6.6, or $PINFOLD_STATE on a file system with "
			       "user attributes "
			       "(ext4, xfs, btrfs); use --workspace DIR:ro, or run as root");
	}
	removexattr(ws->scratch_path, "user.pinfold");
	ws->upper_on_disk = true;
	return 0;
}

/* All tmpfs together hold at most half the memory limit (files in tmpfs count as memory). */
static int share_memory(const struct pf_policy *p, struct pf_workspace_plan *ws, struct pf_error *err)
{
	uint64_t half = p->limits.memory / 2, need;

	if (ws->mode != PF_WS_COW)
		return 0;
	ws->disk = p->limits.disk ? p->limits.disk : half / 4 * 3;
	if (!ws->upper_on_disk && p->limits.disk && ws->disk + PF_TEMP_MIN > half) {
		need = ((ws->disk + PF_TEMP_MIN) * 2 + (1u << 20) - 1) >> 20;
		return pf_fail(err, -EPERM,
			       "a disk limit of %llu MiB does not fit beside the memory limit: --memory "
			       "%lluM would do",
			       (unsigned long long)(ws->disk >> 20), (unsigned long long)need);
	}
	return 0;
}

static int open_directory(struct pf_workspace_plan *ws, const char *path, struct pf_error *err)
{
	struct stat st;

	ws->host_path = realpath(path, NULL);
	if (!ws->host_path)
		return pf_fail_errno(err, "no workspace at '%s'", path);
	ws->fd = open(ws->host_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (ws->fd < 0)
		return pf_fail_errno(err, "cannot open the workspace '%s'", path);
	if (fstat(ws->fd, &st) < 0)
		return pf_fail_errno(err, "cannot look at the workspace '%s'", path);
	ws->dev = st.st_dev;
	ws->ino = st.st_ino;
	ws->owner = st.st_uid;
	ws->owner_gid = st.st_gid;
	ws->dir_mode = st.st_mode & 07777;
	return 0;
}

/* Of what is hidden, how much is there: a name without wildcards is hidden before it exists. */
static uint64_t count_hidden(const struct pf_workspace_plan *ws)
{
	uint64_t n = 0;
	struct stat st;
	size_t i;

	for (i = 0; i < ws->masks.count; i++)
		n += fstatat(ws->fd, ws->masks.items[i], &st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) == 0;
	return n;
}

int pf__workspace_plan(const struct pf_box_spec *spec, const struct pf_identity *who,
		       struct pf_workspace_plan *ws, struct pf_error *err)
{
	const struct pf_policy *p = spec->policy;
	int r;

	*ws = (struct pf_workspace_plan){.fd = -1, .scratch_fd = -1, .overlay_fd = -1};
	if (!p->ws_path || p->ws_mode == PF_WS_NONE)
		return 0;
	if ((r = open_directory(ws, p->ws_path, err)) < 0 ||
	    (r = refuse_place(ws->host_path, spec->dirs, err)) < 0)
		return r;
	ws->mode = p->ws_mode;
	ws->at = strdup(p->ws_at ? p->ws_at : ws->host_path);
	if (!ws->at)
		return pf_fail(err, -ENOMEM, "out of memory");
	if (!who->host_root && ws->owner != who->caller)
		return pf_fail(err, -EPERM, "the workspace '%s' belongs to another user (uid %u)",
			       ws->host_path, ws->owner);
	ws->reference_ns = reference_time(ws->fd);
	ws->foreign_owned = count_foreign(ws->fd, ws->owner);
	if (!pf__broken(spec->breaks, "secrets") &&
	    (r = pf_mask_resolve(ws->fd, &p->mask, &ws->masks, &ws->unprotected, err)) < 0)
		return r;
	ws->hidden = count_hidden(ws);
	if (ws->mode == PF_WS_COW && !who->host_root && (r = place_on_disk(ws, spec, err)) < 0)
		return r;
	return share_memory(p, ws, err);
}

void pf__workspace_free(struct pf_workspace_plan *ws)
{
	free(ws->host_path);
	free(ws->at);
	pf_list_free(&ws->masks);
	pf_list_free(&ws->unprotected);
	if (ws->fd >= 0)
		close(ws->fd);
	if (ws->scratch_fd >= 0)
		close(ws->scratch_fd);
	if (ws->overlay_fd >= 0)
		close(ws->overlay_fd);
	*ws = (struct pf_workspace_plan){.fd = -1, .scratch_fd = -1, .overlay_fd = -1};
}

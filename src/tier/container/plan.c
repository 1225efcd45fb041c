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
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"
#include "linux/mount.h"
#include "tier/container/container.h"

/* The caller's home, and what it lies in: keys, logins and every other project would be in the workspace. */
static int refuse_home(const char *path, struct pf_error *err)
{
	const char *home = getenv("HOME");
	PF_AUTO_FREE char *real = home && *home == '/' ? realpath(home, NULL) : NULL;

	if (!real || strcmp(real, "/") == 0 || !pf_path_within(real, path))
		return 0;
	return pf_fail(
		err, -EINVAL, "'%s' cannot be a workspace: %s; name the directory the command works on", path,
		strcmp(real, path) == 0 ? "it is your home directory" : "your home directory is in it");
}

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
	return refuse_home(path, err);
}

static int64_t ctime_ns(const struct stat *st)
{
	return (int64_t)st->st_ctim.tv_sec * 1000000000 + st->st_ctim.tv_nsec;
}

/*
 * What was changed in the workspace until now has at most this time, by the clock of its own file system
 * (which may be another machine's). Told by a file without a name: nothing appears in the user's directory.
 * Since Linux 6.13 a time that somebody looked at is followed by a fine one, and all that is stamped
 * afterwards is not older (Documentation/filesystems/multigrain-ts.rst): then what comes later is told apart
 * even within one tick of the clock. Before, a change in the same tick passes for one from before.
 */
static int64_t reference_time(int dir)
{
	PF_AUTO_CLOSE int fd = openat(dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	struct stat first, then;
	struct timespec now;

	if (fd >= 0 && fstat(fd, &first) == 0 && fchmod(fd, 0400) == 0 && fstat(fd, &then) == 0)
		return ctime_ns(&then) > ctime_ns(&first) ? ctime_ns(&then) - 1 : ctime_ns(&first);
	clock_gettime(CLOCK_REALTIME_COARSE,
		      &now); /* read-only or without O_TMPFILE: the clock that stamps files */
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

void pf__container_begin(struct pf_box *b)
{
	struct pf_container *c = (struct pf_container *)b;

	if (pf_ws_has_upper(c->ws.mode))
		c->ws.reference_ns = reference_time(c->ws.fd);
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

/* All tmpfs together hold at most half the memory limit (files in tmpfs count as memory). What is more than
 * that has a file system of its own, which only root can mount. */
static int size_upper(const struct pf_policy *p, const struct pf_identity *who, struct pf_workspace_plan *ws,
		      struct pf_error *err)
{
	uint64_t half = p->limits.memory / 2, need;

	if (!pf_ws_has_upper(ws->mode) && !ws->copied)
		return 0;
	ws->disk = p->limits.disk ? p->limits.disk : half / 4 * 3;
	if (ws->upper_on_disk || !p->limits.disk || ws->disk + PF_TEMP_MIN <= half)
		return 0;
	ws->upper_on_image = who->host_root;
	need = ((ws->disk + PF_TEMP_MIN) * 2 + (1u << 20) - 1) >> 20;
	return ws->upper_on_image ? 0
				  : pf_fail(err, -EPERM,
					    "a disk limit of %llu MiB does not fit beside the memory limit: "
					    "--memory %lluM "
					    "would do",
					    (unsigned long long)(ws->disk >> 20), (unsigned long long)need);
}

uint64_t pf__workspace_in_memory(const struct pf_workspace_plan *ws)
{
	return ws->upper_on_disk || ws->upper_on_image ? 0 : ws->disk;
}

/* File systems that no kernel mounts with other owners: as root the command's user would own nothing there,
 * so it gets a copy. What else refuses is refused by name when it is mounted. */
static int choose_copy(const struct pf_identity *who, struct pf_workspace_plan *ws, struct pf_error *err)
{
	static const struct {
		unsigned long magic;
		const char *name;
	} known[] = {{0x794c7630, "an overlay"},
		     {0x01021997, "9p"},
		     {0x6969, "NFS"},
		     {0xfe534d42, "SMB"},
		     {0xff534d42, "CIFS"}};
	const char *name = NULL;
	struct statfs fs;
	size_t i;

	if (fstatfs(ws->fd, &fs) < 0)
		return pf_fail_errno(err, "cannot look at the workspace '%s'", ws->host_path);
	for (i = 0; i < PF_ARRAY_SIZE(known); i++)
		if ((unsigned long)(uint32_t)fs.f_type == known[i].magic)
			name = known[i].name;
	ws->copied = name && who->host_root;
	if (!ws->copied || ws->mode != PF_WS_LIVE)
		return 0;
	return pf_fail(
		err, -EPERM,
		"the workspace '%s' is on %s, which has no idmapped mounts: as root the directory itself "
		"(rw,live) cannot belong to the command's user; use rw, or run pinfold as its owner",
		ws->host_path, name);
}

static int open_directory(struct pf_workspace_plan *ws, const char *path, struct pf_error *err)
{
	struct stat st;

	ws->host_path = realpath(path, NULL);
	if (!ws->host_path && errno == ENOENT && strrchr(path, ':'))
		return pf_fail(err, -ENOENT,
			       "no workspace at '%s': there is no such directory; behind a ':' stands a "
			       "mode: ro, cow, "
			       "rw or rw,live, or path=DIR",
			       path);
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

static int take_found(const char *breaks, struct pf_workspace_plan *ws, struct pf_error *err)
{
	const struct pf_scan_found *f = pf_scan_found(ws->scan);

	pf_list_free(&ws->masks);
	pf_list_free(&ws->unprotected);
	if (pf_list_copy(&ws->masks, &f->masks) < 0 || pf_list_copy(&ws->unprotected, &f->unprotected) < 0 ||
	    pf_list_copy(&ws->masks, &ws->stages) < 0)
		return pf_fail(err, -ENOMEM, "out of memory");
	ws->hidden = count_hidden(ws);
	return ws->mode == PF_WS_LIVE ? pf__live_plan(f, breaks, ws, err) : 0;
}

/* What is hidden; with rw,live also what is protected, and its sockets: they lead to the host's processes. */
static int find_hidden(const struct pf_box_spec *spec, struct pf_workspace_plan *ws, struct pf_error *err)
{
	static const struct pf_list nothing;
	const struct pf_policy *p = spec->policy;
	bool live = ws->mode == PF_WS_LIVE;
	const struct pf_scan_want want = {
		.mask = pf__broken(spec->breaks, "secrets") ? &nothing : &p->mask,
		.protect = live && !pf__broken(spec->breaks, "protect") ? &p->protect : NULL,
		.sockets = live && !pf__broken(spec->breaks, "live_sockets"),
		.state = spec->dirs->state,
		.path = ws->host_path,
		.reference_ns = ws->reference_ns,
	};
	int r = pf_scan_begin(ws->fd, &want, &ws->scan, err);

	return r < 0 ? r : take_found(spec->breaks, ws, err);
}

int pf__workspace_confirm(struct pf_workspace_plan *ws, const char *breaks, struct pf_error *err)
{
	int changed = ws->scan && !ws->confirmed ? pf_scan_confirm(ws->scan, err) : 0, r = 0;

	(void)breaks;
	if (changed >= 0 && ws->scan && !ws->confirmed)
		r = take_found(breaks, ws, err);
	ws->confirmed = changed >= 0 && r >= 0;
	return r < 0 ? r : changed;
}

/* What an apply has prepared is trusted when it goes on: whoever could write in it could write any path that
 * it leads to. */
static int find_stages(struct pf_workspace_plan *ws, struct pf_error *err)
{
	int r = pf_apply_stages(ws->fd, &ws->stages);

	if (r < 0 && r != -EACCES) /* who may not list it is shown nothing of it either */
		return pf_fail(err, r, "cannot read the workspace '%s': %s", ws->host_path, strerror(-r));
	if (ws->stages.count == 0 || ws->mode != PF_WS_LIVE)
		return 0;
	return pf_fail(
		err, -EBUSY,
		"a change set is half applied to '%s' (%s): `pinfold apply ID` goes on with it, `pinfold "
		"drop --force ID` gives it up (`pinfold ls` has the id); until then rw,live is refused",
		ws->host_path, ws->stages.items[0]);
}

int pf__workspace_plan(const struct pf_box_spec *spec, const struct pf_identity *who,
		       struct pf_workspace_plan *ws, struct pf_error *err)
{
	const struct pf_policy *p = spec->policy;
	int r;

	*ws = (struct pf_workspace_plan){
		.fd = -1, .scratch_fd = -1, .overlay_fd = -1, .dirs = spec->dirs, .id = spec->id};
	ws->attr = PF_MNT_NOSUID | PF_MNT_NODEV | (p->commands_build ? 0 : pf__no_exec(spec));
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
		return pf_fail(
			err, -EPERM,
			"the workspace '%s' belongs to another user (uid %u), whose files you could not "
			"own inside: copy it (cp -r), or run pinfold as that user or as root",
			ws->host_path, ws->owner);
	ws->reference_ns = reference_time(ws->fd);
	ws->foreign_owned = count_foreign(ws->fd, ws->owner);
	if ((r = find_stages(ws, err)) < 0 || (r = choose_copy(who, ws, err)) < 0 ||
	    (r = find_hidden(spec, ws, err)) < 0)
		return r;
	if (ws->mode == PF_WS_LIVE)
		return 0;
	if (pf_ws_has_upper(ws->mode) && !who->host_root && (r = place_on_disk(ws, spec, err)) < 0)
		return r;
	return size_upper(p, who, ws, err);
}

static void tell_unprotected(const char *lead, const struct pf_list *list, struct pf_receipt *r)
{
	size_t i;

	for (i = 0; i < list->count; i++)
		pf_list_addf(&r->unprotected, "%s%s", lead, list->items[i]);
}

void pf__workspace_tell(struct pf_workspace_plan *ws, struct pf_receipt *r)
{
	static const char *const modes[] = {
		[PF_WS_RO] = "ro", [PF_WS_COW] = "cow", [PF_WS_RW] = "rw", [PF_WS_LIVE] = "rw,live"};

	r->hidden = ws->hidden;
	r->ws_mode = modes[ws->mode];
	r->ws_lower = ws->copied ? "copy" : geteuid() == 0 ? "idmapped" : "itself";
	r->ws_upper = !pf_ws_has_upper(ws->mode) ? NULL
		      : ws->upper_on_image	 ? "ext4"
		      : ws->upper_on_disk	 ? "directory"
						 : "tmpfs";
	pf_list_free(&r->unprotected);
	tell_unprotected("secrets: ", &ws->unprotected, r);
	tell_unprotected("", &ws->exposed, r);
}

void pf__workspace_remove_scratch(struct pf_workspace_plan *ws)
{
	PF_AUTO_CLOSE int dir = -1;
	const char *slash = strrchr(ws->scratch_path, '/');

	if (!ws->upper_on_disk || !slash)
		return;
	ws->scratch_path[slash - ws->scratch_path] = '\0';
	dir = open(ws->scratch_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir >= 0)
		pf_remove_tree(dir, slash + 1);
	ws->scratch_path[slash - ws->scratch_path] = '/';
}

void pf__workspace_end_scan(struct pf_workspace_plan *ws)
{
	pf_scan_end(ws->scan);
	ws->scan = NULL;
}

void pf__workspace_free(struct pf_workspace_plan *ws)
{
	free(ws->host_path);
	free(ws->at);
	pf__workspace_end_scan(ws);
	pf_list_free(&ws->stages);
	pf_list_free(&ws->masks);
	pf_list_free(&ws->unprotected);
	pf_list_free(&ws->covers);
	pf_list_free(&ws->exposed);
	if (ws->fd >= 0)
		close(ws->fd);
	if (ws->scratch_fd >= 0)
		close(ws->scratch_fd);
	if (ws->overlay_fd >= 0)
		close(ws->overlay_fd);
	*ws = (struct pf_workspace_plan){.fd = -1, .scratch_fd = -1, .overlay_fd = -1};
}

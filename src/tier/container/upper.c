/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The upper of a workspace as a file system of its own size on disk: ext4 in a file without a name, through a
 * loop device. Root's, for limits that a tmpfs cannot hold: that counts as memory.
 *
 * Measured (one of two CPUs busy): a copy of the ready-made file 0.2 ms, the loop device 0.8, the mount 0.3.
 * A file that is allocated in advance costs 14 ms for 10 GiB and 170 at its end, so it is sparse, and the
 * space that is free at the start is looked at instead. At its end the file system would write what nobody
 * will read: 0.9 s after 300 MiB; shut down first it drops that, in 20 to 60 ms, and a process that nobody
 * waits for does it. The file has no name: whoever is killed leaves nothing that would have to be swept.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/dirs.h"
#include "base/fd.h"
#include "base/list.h"
#include "base/str.h"
#include "linux/loopdev.h"
#include "linux/mount.h"
#include "tier/container/container.h"

#define SAFE		 (PF_MNT_NOSUID | PF_MNT_NODEV)
#define BLOCK		 4096u
#define INODE_PER_BYTES	 8192u	     /* an inode of 256 bytes for each: 3 % */
#define RESERVED	 (64u << 20) /* more than what ext4 keeps back (16 MiB) and its tables need */
#define TEMPLATES_MAX	 8	     /* ready-made files that are kept, the newest */
#define TEMPLATE_STALE_S 3600	     /* an unfinished one so old was cut off */

/* linux/fs.h has them since 6.x; ext4 has understood them since 4.10 (fs/ext4/ext4.h) */
#define SHUTDOWN	_IOR('X', 125, uint32_t)
#define SHUTDOWN_NOSYNC 2u

/* --- the ready-made file ------------------------------------------------------------ */

/* Everything but names is said: what a host's mke2fs.conf adds would differ from host to host. */
static int run_mkfs(const char *path, struct pf_error *err)
{
	static const char *const programs[] = {"/usr/sbin/mkfs.ext4", "/sbin/mkfs.ext4"};
	static char *const env[] = {(char *)(uintptr_t) "MKE2FS_CONFIG=/dev/null", NULL};
	static const char features[] = "none,ext_attr,dir_index,filetype,extent,64bit,flex_bg,sparse_super,"
				       "large_file,huge_file,dir_nlink,extra_isize,metadata_csum";
	const char *const argv[] = {
		"mkfs.ext4", "-qF", "-b4096", "-I256", "-m0",
		"-i8192",    "-O",  features, "-E",    "lazy_itable_init=1,nodiscard,root_owner=0:0",
		path,	     NULL};
	int status = -1, i;
	pid_t pid = vfork();

	if (pid == 0) {
		int null = open("/dev/null", O_RDWR);

		for (i = 0; i < 3; i++)
			dup2(null, i);
		for (i = 0; i < (int)PF_ARRAY_SIZE(programs); i++)
			execve(programs[i], (char *const *)(uintptr_t)argv, env);
		_exit(127);
	}
	if (pid < 0)
		return pf_fail_errno(err, "cannot start mkfs.ext4");
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	return pf_fail(err, -ENOENT,
		       WIFEXITED(status) && WEXITSTATUS(status) == 127
			       ? "mkfs.ext4 is not installed (package e2fsprogs)"
			       : "mkfs.ext4 could not make a file system");
}

static void prune(int dir)
{
	PF_AUTO_CLOSE int copy = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	PF_AUTO_DIR DIR *d = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *e;
	struct stat st, oldest = {0};
	char name[256] = "";
	unsigned n = 0;

	if (!d)
		return;
	copy = -1; /* the stream's now */
	while ((e = readdir(d))) {
		if (fstatat(dir, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
			continue;
		if (e->d_name[0] == '.') {
			if (time(NULL) - st.st_mtim.tv_sec > TEMPLATE_STALE_S)
				unlinkat(dir, e->d_name, 0);
			continue;
		}
		if (n++ == 0 || st.st_mtim.tv_sec < oldest.st_mtim.tv_sec) {
			oldest = st;
			snprintf(name, sizeof(name), "%s", e->d_name);
		}
	}
	if (n > TEMPLATES_MAX)
		unlinkat(dir, name, 0);
}

static int make_template(int dir, const char *place, const char *name, uint64_t size, struct pf_error *err)
{
	char path[700], own[64];
	uint32_t random;
	int r, fd;

	pf_random(&random, sizeof(random));
	snprintf(own, sizeof(own), ".%s-%08x", name, random);
	snprintf(path, sizeof(path), "%s/%s", place, own);
	fd = openat(dir, own, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return pf_fail_errno(err, "cannot make %s", path);
	r = ftruncate(fd, (off_t)size) < 0 ? pf_fail_errno(err, "cannot make %s", path) : run_mkfs(path, err);
	if (r == 0 && renameat(dir, own, dir, name) < 0)
		r = pf_fail_errno(err, "cannot name %s", path);
	if (r < 0) {
		unlinkat(dir, own, 0);
		close(fd);
		return r;
	}
	prune(dir);
	return fd;
}

/* STATE/upper/ext4-SIZE, made once. */
static int open_template(const struct pf_dirs *dirs, uint64_t size, struct pf_error *err)
{
	PF_AUTO_CLOSE int dir = -1;
	char place[600], name[48];
	int fd;

	snprintf(place, sizeof(place), "%s/upper", dirs->state);
	dir = pf_dir_own(place, 0022, err);
	if (dir < 0)
		return dir;
	snprintf(name, sizeof(name), "ext4-%llu", (unsigned long long)size);
	fd = pf_open_beneath(dir, name, O_RDONLY, 0);
	return fd >= 0 ? fd : make_template(dir, place, name, size, err);
}

/* --- this sandbox's copy ------------------------------------------------------------- */

/* Its bytes and nothing of its holes: some hundred kilobytes, whatever its size. */
static int copy_data(int from, int to, uint64_t size)
{
	off_t at = 0, end;

	if (ioctl(to, FICLONE, from) == 0)
		return 0;
	if (ftruncate(to, (off_t)size) < 0)
		return -errno;
	while ((at = lseek(from, at, SEEK_DATA)) >= 0) {
		off_t in = at, out = at;

		end = lseek(from, at, SEEK_HOLE);
		while (in < end) {
			ssize_t n = copy_file_range(from, &in, to, &out, (size_t)(end - in), 0);

			if (n <= 0)
				return n < 0 ? -errno : -EIO;
		}
		at = end;
	}
	return errno == ENXIO ? 0 : -errno;
}

/* A file without a name in STATE/scratch, or one whose name goes at once. */
static int open_unnamed(const struct pf_dirs *dirs, const char *id, struct pf_error *err)
{
	PF_AUTO_CLOSE int dir = -1;
	char place[600];
	int fd;

	snprintf(place, sizeof(place), "%s/scratch", dirs->state);
	dir = pf_dir_own(place, 0022, err);
	if (dir < 0)
		return dir;
	fd = openat(dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0) {
		fd = openat(dir, id, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (fd >= 0)
			unlinkat(dir, id, 0);
	}
	return fd < 0 ? pf_fail_errno(err, "cannot make a file in %s", place) : fd;
}

static int check_room(int fd, const struct pf_dirs *dirs, uint64_t bytes, struct pf_error *err)
{
	char want[16], have[16];
	struct statvfs v;

	if (fstatvfs(fd, &v) < 0)
		return pf_fail_errno(err, "cannot look at %s", dirs->state);
	if ((uint64_t)v.f_bavail * v.f_frsize >= bytes)
		return 0;
	pf_format_size(bytes, want);
	pf_format_size((uint64_t)v.f_bavail * v.f_frsize, have);
	return pf_fail(err, -EPERM,
		       "a disk limit of %s does not fit on the file system of %s, where %s are free: set "
		       "PINFOLD_STATE to a larger one",
		       want, dirs->state, have);
}

/* What the file system has beyond the limit goes into a file: then it holds exactly so much. */
static int take_spare(int mount_fd, uint64_t bytes, struct pf_error *err)
{
	PF_AUTO_CLOSE int fd = openat(mount_fd, "spare", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	struct statvfs v;
	uint64_t have;

	if (fd < 0 || fstatvfs(fd, &v) < 0)
		return pf_fail_errno(err, "cannot size the workspace's upper");
	have = (uint64_t)v.f_bavail * v.f_frsize;
	if (have < bytes)
		return pf_fail(err, -EIO, "the file system for the workspace's changes came out too small");
	if (have - bytes >= BLOCK && fallocate(fd, 0, 0, (off_t)((have - bytes) / BLOCK * BLOCK)) < 0)
		return pf_fail_errno(err, "cannot size the workspace's upper");
	return 0;
}

static int mount_file(int fd, struct pf_error *err)
{
	char path[PF_LOOP_PATH_MAX], source[48];
	/* noinit_itable: no thread that writes the tables out; the rest: nothing of it outlives the host */
	const char *const options[] = {source, "noinit_itable", "nobarrier", "noauto_da_alloc", NULL};
	PF_AUTO_CLOSE int loop = pf_loop_attach(fd, false, path, err);

	if (loop < 0)
		return loop;
	snprintf(source, sizeof(source), "source=%s", path);
	return pf_mount_new("ext4", options, SAFE, err);
}

int pf__upper_image(const struct pf_box_spec *spec, uint64_t bytes, struct pf_error *err)
{
	uint64_t size =
		(bytes + bytes / (INODE_PER_BYTES / 256) * 5 / 4 + RESERVED + BLOCK - 1) / BLOCK * BLOCK;
	PF_AUTO_CLOSE int fd = open_unnamed(spec->dirs, spec->id, err), template = -1, mounted = -1;
	int r;

	if (fd < 0)
		return fd;
	if ((r = check_room(fd, spec->dirs, bytes, err)) < 0)
		return r;
	template = open_template(spec->dirs, size, err);
	if (template <0)
		return template;
	if ((r = copy_data(template, fd, size)) < 0)
		return pf_fail(err, r, "cannot copy a file system of %llu bytes to %s/scratch: %s",
			       (unsigned long long)size, spec->dirs->state, strerror(-r));
	mounted = mount_file(fd, err);
	if (mounted < 0)
		return mounted;
	if ((r = take_spare(mounted, bytes, err)) < 0)
		return r;
	return pf_take_fd(&mounted);
}

/* --- the end -------------------------------------------------------------------------- */

/* In a process of its own that nobody waits for, and which holds nothing else of ours open. */
static void let_go(int fd)
{
	uint32_t how = SHUTDOWN_NOSYNC;
	int real;

	if (dup2(fd, 0) < 0)
		return;
	pf_close_from(1);
	if (chdir("/") < 0)
		return;
	real = openat(0, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (real >= 0) {
		ioctl(real, SHUTDOWN, &how); /* refused: then it is written out first */
		close(real);
	}
	close(0);
}

void pf__upper_release(int *mount_fd)
{
	pid_t pid;

	if (*mount_fd < 0)
		return;
	pid = fork();
	if (pid == 0) {
		if (fork() == 0)
			let_go(*mount_fd);
		_exit(0);
	}
	close(*mount_fd); /* without a process it is done here, and takes its time */
	*mount_fd = -1;
	while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}
